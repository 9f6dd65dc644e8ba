package scheduler

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

type variant uint8

// The variants, in the order in which constraints prefer them.
const (
	primitive variant = iota + 1
	group
	clone
	bundle
)

// resource is a primitive or a collection of resources. A collection has
// pseudo-actions that sum up its children's.
type resource struct {
	id       string // as in the configuration; instances of clones: "id:number"
	base     string // the id without the number of an instance
	recorded string // the name of this instance in the history, where that is not its id
	number   int    // of the instance that it is or is part of; noInstance where there is none
	xml      *cib.Node
	def      *definition // what its element says; shared by instances
	ops      []*opDef    // configured operations, in document order; shared by instances
	variant  variant
	methods  methods
	parent   *resource
	// children: members of a group, instances of a clone; of a bundle all implicit resources.
	children []*resource

	standard, provider, agentType string // of primitives: class, provider, type
	agentText                     string // class:provider:type, made when first asked for
	template                      *cib.Node
	meta                          map[string]string           // merged meta attributes; may be shared: replace it, never change it
	params                        map[*node]map[string]string // instance attributes as far as they were evaluated; key nil: for any node
	utilization                   map[string]int

	priority       int
	stickiness     Score
	sortIndex      Score // of promotable instances, while roles are assigned
	failureTimeout int64 // ms, 0: failures never expire
	threshold      int   // migration-threshold; Infinity: none, 0: unset means none, too
	reconnect      int64 // ms: reconnect_interval of a remote connection
	multiple       multipleActive
	restartType    bool // restart-type=restart
	critical       bool
	notify         bool
	unique         bool // globally-unique
	promotable     bool
	migratable     bool // allow-migrate
	requires       requirement
	exclusive      bool // a location with resource-discovery=exclusive names it: it is probed only where such a one allows it
	fenceDevice    bool
	isRemoteConn   bool // ocf:pacemaker:remote or the implicit connection of a guest

	managed        bool
	blocked        bool
	maintenance    bool
	orphan         bool
	failed         bool
	failureIgnored bool
	startPending   bool
	stopWanted     bool // a primary that cannot run, or a container, requires it to stop
	stopUnexpected bool // multiple-active=stop_unexpected: only the surplus instances stop
	restarting     bool // while the actions of a restart are made
	reloading      bool // has an action reload-agent
	shutdownLocked *node
	lockedSince    time.Time
	pendingTask    string
	pendingNode    *node
	stoppedWhy     string        // why next is Stopped, in words
	blockedWhy     string        // why it is left alone, in words
	unmanagedWhy   string        // why it is not managed, where that is not its own doing
	unpromotedWhy  func() string // why it is not promoted
	ties           []tie         // nodes as good as the chosen one; only where scores are wanted
	failure        string        // the last failure in words

	group   *groupData
	clone   *cloneData
	bundle  *bundleData
	replica *replica // of implicit resources of a bundle: whose they are

	orphanFiller bool        // a connection whose container is not configured any more
	container    *resource   // of a guest's connection and of what runs in a container
	fillers      []*resource // of a container: what runs in it

	role, next Role
	wanted     Role // target-role, as far as it limits next; "" if it does not
	running    []*node
	known      []bool  // by node.index: what it is there is known (probed)
	dangling   []*node // nodes where a migration left something

	migrationTarget, migrationSource *node // of a migration under way

	followsContainer bool // connection of a bundle's replica: runs where its container may not
	allowed          table
	terms            []term
	assigned         bool // has its node, or is known to have none
	assigning        bool
	merging          bool
	chosen           *node // where it will be, nil: nowhere
	waits            string

	// For Memo (memo.go).
	part    partID
	until   time.Time // from then on it may be seen differently; zero: always the same
	recheck time.Time // what it adds to Transition.Recheck

	with     []*colocation // this resource with others (it depends)
	withMe   []*colocation // others with this one
	located  []*location
	ticketed []*ticketConstraint
	actions  []*action
}

type groupData struct {
	ordered, colocated bool
}

type cloneData struct {
	max, nodeMax                          int
	promotedMax, promotedNodeMax          int
	ordered                               bool
	promotable                            bool
	child                                 *cib.Node // what is cloned
	total                                 int       // instances made so far, orphans included
	promoted                              int
	promotionScoresAdded, promotionSorted bool
	notifications                         map[string]*notification // by task (start, stop, promote, demote), while actions are made
}

type bundleData struct {
	replicas     []*replica
	max, perHost int
	promotedMax  int
	child        *resource // the clone that is implied, nil without a primitive
	agent        string    // docker, podman, rkt
	networked    bool
}

// replica is one container of a bundle and what belongs to it.
type replica struct {
	number    int
	bundle    *resource
	address   string
	ip        *resource
	container *resource
	remote    *resource // connection to the container, nil without a primitive
	child     *resource // the instance that runs inside
	node      *node     // the guest node that the container is
}

type multipleActive uint8

const (
	stopStart multipleActive = iota
	stopOnly
	stopUnexpected
	leaveBlocked // multiple-active=block
)

// requirement is what has to be before a resource may start (meta attribute requires).
type requirement uint8

const (
	needsNothing requirement = iota
	needsQuorum
	needsFencing
	needsUnfencing
)

// outermost is the resource itself, or what holds it on the top level; a
// bundle is looked through only if withBundle is true.
func (r *resource) outermost(withBundle bool) *resource {
	for r.parent != nil {
		if r.parent.variant == bundle && !withBundle {
			break
		}
		r = r.parent
	}
	return r
}

// primitives calls yield for each primitive below the resource, or itself.
func (r *resource) primitives(yield func(*resource) bool) { r.eachPrimitive(yield) }

func (r *resource) eachPrimitive(yield func(*resource) bool) bool {
	if r.variant == primitive {
		return yield(r)
	}
	for _, c := range r.children {
		if !c.eachPrimitive(yield) {
			return false
		}
	}
	return true
}

func (r *resource) runs(n *node) bool {
	for _, m := range r.running {
		if m == n {
			return true
		}
	}
	return false
}

// current is the node where it runs, nil if it runs nowhere. Where it runs on
// several, activeNode (history.go) chooses.
func (r *resource) current() *node {
	if len(r.running) == 0 {
		return nil
	}
	return r.running[0]
}

func (r *resource) isKnown(n *node) bool { return n.index < len(r.known) && r.known[n.index] }

func (r *resource) setKnown(n *node) {
	for len(r.known) <= n.index {
		r.known = append(r.known, false)
	}
	r.known[n.index] = true
}

// term is a Term before it is put into words.
type term struct {
	node   *node // nil: every node
	score  Score
	kind   TermKind
	object string
	why    func() string // only asked for when somebody reads it
}
