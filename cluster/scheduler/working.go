package scheduler

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// working is the working set of one computation. The passes fill it in order;
// each pass reads what earlier ones left and never goes back.
type working struct {
	root    *cib.Node
	view    *cib.View
	now     time.Time
	options options

	nodes      []*member // sorted by name; member.index is the position
	nodeByID   map[string]*member
	nodeByName map[string]*member

	top       []*resource // top-level resources, by priority, then in document order
	flat      []*resource // primitives, in the order of top
	resources map[string]*resource

	constraints []orderConstraint
	actions     []*action

	recheck  time.Time
	warnings []string
}

// member is a cluster node.
type member struct {
	index  int
	id     string
	name   string
	attrs  map[string]string // permanent, overlaid by transient
	state  *cib.Node
	status nodeStatus
	load   int // resources allocated to it in this computation
}

// nodeStatus is what is known of a node.
type nodeStatus struct {
	online, unclean, pending       bool
	standby, maintenance, shutdown bool
	why                            string // in words, if it cannot run resources
}

// usable reports whether resources may be placed on the node at all.
func (m *member) usable() bool {
	s := &m.status
	return s.online && !s.unclean && !s.standby && !s.maintenance && !s.shutdown && !s.pending
}

type variant uint8

const (
	primitive variant = iota
	group
)

// resource is a primitive or a group. Numbers of other variants follow the
// same shape: a parent whose pseudo-actions sum up its children's.
type resource struct {
	id       string
	xml      *cib.Node
	template *cib.Node
	variant  variant
	parent   *resource
	children []*resource
	agent    string // class:provider:type
	class    string

	meta        map[string]string
	priority    int
	stickiness  Score
	threshold   int // migration-threshold, 0: none
	failTimeout time.Duration
	multiple    string // multiple-active
	targetRole  Role
	ordered     bool
	colocated   bool
	ops         []*opDef
	digest      string

	managed       bool
	maintenance   bool
	blocked       bool
	orphan        bool
	failed        bool // active, but must be recovered
	ignoreFailure bool
	restart       string // why the running instance does not fit its definition
	blockedWhy    string
	failure       string // the failure in words

	role    Role // now
	next    Role // after the transition
	running []*member
	known   []bool // by node: the state there is known
	active  map[recurringKey]*opResult

	scores   []Score // by node
	allowed  []bool  // by node: opted in
	terms    []Term
	assigned bool
	visiting bool
	merging  bool
	node     *member // where it will be
	waits    string  // why it may not start although it has a node

	with   []*colocation // this resource with others
	withMe []*colocation // others with this one

	actions []*action
}

type recurringKey struct {
	node     int
	task     string
	interval int64
}

// primitives calls yield for each primitive of the resource: itself, or a
// group's members.
func (r *resource) primitives(yield func(*resource) bool) {
	if r.variant == primitive {
		yield(r)
		return
	}
	for _, c := range r.children {
		if !yield(c) {
			return
		}
	}
}

func (r *resource) runs(m *member) bool {
	for _, n := range r.running {
		if n == m {
			return true
		}
	}
	return false
}

// current is the node where it runs, nil if it runs nowhere.
func (r *resource) current() *member {
	if len(r.running) == 0 {
		return nil
	}
	return r.running[0]
}

// prefer adds to the resource's score on a node and remembers why.
func (r *resource) prefer(m *member, s Score, why string) {
	r.allowed[m.index] = true
	r.scores[m.index] = r.scores[m.index].Add(s)
	if s != 0 {
		r.terms = append(r.terms, Term{Node: m.name, Score: s, Why: why})
	}
}

func (w *working) warn(text string) { w.warnings = append(w.warnings, text) }

// recheckAt notes a moment after which the answer may be another.
func (w *working) recheckAt(t time.Time) {
	if t.After(w.now) && (w.recheck.IsZero() || t.Before(w.recheck)) {
		w.recheck = t
	}
}
