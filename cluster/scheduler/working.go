package scheduler

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
)

// working is the working set of one computation. The passes fill it in order
// (schedule.go); each reads what earlier ones left.
type working struct {
	root    *cib.Node
	view    *cib.View
	now     time.Time
	options options

	nodes      []*node // sorted by name (natural order); node.index is another, stable number
	nodeCount  int     // indices given out so far
	nodeByID   map[string]*node
	nodeByName map[string]*node
	dc         *node // the coordinator, nil if it is not known

	resources  []*resource               // top-level resources, those of high priority first, else in document order; orphans at the end
	byID       map[string]*resource      // every resource by id; instances by "id:number"
	byRecorded map[string]*resource      // outermost resource by the name that the history has an instance by, made when first asked for
	fences     map[string]*action        // fencing and unfencing actions by name
	ruleCache  map[*cib.Node][]nodeScore // of location rules that do not depend on the resource
	tickets    map[string]*ticket
	tags       map[string][]string // tag or template → ids

	locations   []*location        // in the order in which they are applied
	colocations []*colocation      // in document order
	orderings   []*ordering        // in the order in which they were made
	paramChecks []paramCheck       // comparisons of digests that have to wait until the node of a resource is known
	expiredOps  map[*cib.Node]bool // recorded failures of recurring operations that expired
	actions     []*action          // every action that was ever created, in order of creation
	single      []*action          // those of them without a resource (fencing, gates of orderings)
	stops       []*resource        // resources with a recorded stop that have to be looked at again (containers, guests)
	haveRemote  bool               // there are remote or guest nodes
	haveFencing bool               // a fence device is configured
	haveUnfence bool               // something provides or requires unfencing
	utilization bool               // placement-strategy looks at capacities
	scoreLines  []string           // what was allotted, line by line, if wanted
	wantScores  bool
	sanitized   bool // Options.Sanitized

	// What was read once (tree, operations).
	definitions        map[*cib.Node]*definition
	defaults           map[rule.Agent]rule.Pairs // meta attributes of rsc_defaults
	defaultsByAgent    bool                      // they differ from agent to agent
	defaultParams      rule.Dependence           // what instance attributes of rsc_defaults depend on
	defaultParamsKnown bool
	opDefaults         map[opDefaultsKey]rule.Pairs
	opDefaultsDepend   rule.Dependence
	singles            map[string][]*action // of w.single, by key
	recheck            time.Time
	warnings           []string

	shares *shares // of a Memo, nil without one

	unusedActions []action // allocated together, for the next ones
	total         int      // resources made so far, instances included
	wishDepth     int      // of addWishes
	wishesLeft    int      // see maxWishes
	wishesMade    int
	searches      int // counts searches through actions, for action.seen
}

// options are the cluster's properties as far as they bear on decisions.
type options struct {
	symmetric, maintenance, stopAll      bool
	fencing, startupFencing              bool // fencing: stonith-enabled
	concurrentFencing                    bool
	fenceAction                          string // reboot or off
	fenceTimeout                         int64  // ms
	watchdogFencing                      bool   // have-watchdog and a stonith-watchdog-timeout
	priorityFencingDelay                 int64  // ms
	stopOrphans, stopOrphanActions       bool
	removeAfterStop                      bool
	probes                               bool // enable-startup-probes
	quorate                              bool
	noQuorum                             noQuorumPolicy
	placement                            string // default, utilization, minimal, balanced
	shutdownLock                         bool
	shutdownLockLimit                    int64 // ms, 0: none
	healthStrategy                       string
	healthRed, healthYellow, healthGreen Score
	healthBase                           Score
	name                                 string // cluster-name
	timeoutDefault                       string // the old default-action-timeout
	all                                  map[string]string
}

// noQuorumPolicy is what a partition without quorum does.
type noQuorumPolicy uint8

const (
	quorumStop noQuorumPolicy = iota
	quorumFreeze
	quorumIgnore
	quorumDemote
	quorumFence // suicide
)

// ticket is a permission that another site can take away.
type ticket struct {
	id      string
	granted bool
	standby bool
	attrs   map[string]string
}

// paramCheck is one result of the history whose parameters are compared with
// the configuration's as soon as the resource has its node.
type paramCheck struct {
	op   *cib.Node
	rsc  *resource
	node *node
	kind digestCheck
}

// digestCheck is why a digest is compared.
type digestCheck uint8

const (
	checkActive      digestCheck = iota // the resource runs there
	checkLastFailure                    // a failure that changed parameters would clear
)

func (w *working) warn(text string) { w.warnings = append(w.warnings, text) }

// changesAt notes a moment from which on what is known of a resource may be
// something else. It is for Memo alone.
func (w *working) changesAt(r *resource, t time.Time) {
	if t.After(w.now) && (r.until.IsZero() || t.Before(r.until)) {
		r.until = t
	}
}

// never is so far away that nobody waits for it.
const never = 100 * 365 * 24 * time.Hour

// recheckAt notes a moment after which the answer may be another.
func (w *working) recheckAt(t time.Time) {
	if t.After(w.now) && t.Before(w.now.Add(never)) && (w.recheck.IsZero() || t.Before(w.recheck)) {
		w.recheck = t
	}
}
