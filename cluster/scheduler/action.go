package scheduler

import "github.com/takt-ha/takt/cluster/cib"

// actionFlags are what is known of an action while the transition is computed.
type actionFlags uint16

const (
	pseudo           actionFlags = 1 << iota // nothing is done; it is a point in the order
	runnable                                 // it can happen
	optional                                 // nobody needs it
	listed                                   // belongs to the transition although nobody needs it
	migratable                               // may be replaced by a migration
	impliedByFencing                         // fencing of its node does it
	needsAny                                 // runnable if enough of its oneOrMore predecessors are
	rescheduled                              // a stop that is part of a restart for changed parameters
	dedup                                    // its predecessors have to be looked through for doubles
	tracking                                 // on the way of the search for circles
	exported                                 // is part of the transition
	dangling                                 // stops what a migration left on its source
)

// The tasks that the scheduler itself speaks of. A delete is done by the
// executor of the node, which forgets the resource; forgetting (taskForget) is
// only a change of the recorded history, for nodes that are not there.
const (
	taskStart, taskStop, taskPromote, taskDemote            = "start", "stop", "promote", "demote"
	taskStarted, taskStopped, taskPromoted, taskDemoted     = "running", "stopped", "promoted", "demoted"
	taskMonitor, taskCancel, taskNotify, taskNotified       = "monitor", "cancel", "notify", "notified"
	taskMigrateTo, taskMigrateFrom, taskReload              = "migrate_to", "migrate_from", "reload-agent"
	taskDelete, taskClearFailcount, taskFence, taskShutdown = "delete", "clear_failcount", "stonith", "do_shutdown"
	taskForget                                              = "lrm_delete"
	taskOneOrMore, taskLoadStopped, taskAllStopped          = "one-or-more", "load_stopped", "all_stopped"
)

// action is a vertex while the transition is computed.
type action struct {
	number   int // order of creation
	task     string
	key      string // the task as part of the action's name: differs from task for notifications and gates
	interval int64  // ms
	rsc      *resource
	node     *node
	op       *opDef      // its configuration, nil if there is none
	settings *opSettings // with which it runs, nil where it has no resource
	onDC     bool        // changes the recorded history only, so its node may be offline
	flags    actionFlags
	needs    requirement
	kind     Kind
	target   int // the exit code that counts as success
	priority int
	detail   string            // of fencing: reboot, off, on
	delay    int64             // ms
	meta     map[string]string // further CRM_meta_* attributes (notifications, migrations, restarts)
	params   map[string]string // instead of the resource's own
	reason   string            // why it is there, in words
	blocked  string            // why it cannot happen
	cause    *action           // another one that makes it necessary; reason is asked of that one
	barrier  *action           // another one that has to happen first and cannot
	stuck    bool              // part of the transition, but waits for what is not
	circular bool              // waits for itself

	minRunnable int // of needsAny: how many predecessors have to be runnable
	runnableNow int

	before []edge // predecessors, the latest at the end
	after  []edge // successors; edge.action is the successor
	seen   int    // generation counter of searches
	id     ActionID
}

// edge is an ordering between two actions.
type edge struct {
	action *action
	effect effect // of a predecessor: what is still in force
	made   effect // what it was made with
}

func (a *action) is(f actionFlags) bool { return a.flags&f == f }
func (a *action) set(f actionFlags)     { a.flags |= f }
func (a *action) clear(f actionFlags)   { a.flags &^= f }

// opDef is a configured operation.
type opDef struct {
	id       string
	name     string
	interval int64 // ms
	role     Role  // of monitors: the role in which they run; "" is Started
	enabled  bool
	repeated bool // another one has the same name and interval: neither is done again and again
	xml      *cib.Node
	meta     map[string]string // its own meta attributes and XML attributes, without op_defaults
}

// onFail is what the failure of an operation leads to, the mildest first.
type onFail uint8

const (
	onFailIgnore onFail = iota
	onFailDemote
	onFailRestart
	onFailReset // of a remote connection: fence the remote node
	onFailRestartContainer
	onFailBan // the resource may not run on the node any more
	onFailBlock
	onFailStop
	onFailStandby
	onFailFence
)
