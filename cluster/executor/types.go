// Package executor runs operations on this node's resources: one queue a
// resource, a process group an operation, recurring monitors, and the history
// of the last results.
//
// The daemon makes one Executor with New, hands it each command of the
// coordinator with Do, and passes on what arrives in Notices: changes that
// nobody asked for, such as a monitor that begins to fail or a supervised
// process that ended. A new coordinator is served in two steps: Fence makes
// the executor refuse everything older, then Snapshot tells what is known.
//
// What it knows is kept under /run (gone with a reboot, as the resources are),
// so a daemon that restarts re-attaches to what runs. See DESIGN.md.
package executor

import (
	"cmp"
	"time"

	"github.com/takt-ha/takt/agent"
)

// Stamp orders commands. A command whose stamp is older than the newest that
// this node has seen is refused.
type Stamp = agent.Stamp

// Command asks for one operation.
type Command = agent.Command

// Record is the last result of one operation (resource, action, interval) on this node.
type Record = agent.Record

// The actions that are the executor's own.
const (
	Cancel = agent.Cancel // ends the recurring operation of Command.Interval
	Forget = agent.Forget // drops a resource's history (lrm_delete)
)

// Phase tells the two events of an operation apart.
type Phase string

// The phases.
const (
	Begin Phase = "begin" // the agent is about to be called
	End   Phase = "end"   // the operation has its result
)

// Event is one step of an operation, for the cluster's story.
type Event struct {
	Time   time.Time
	Phase  Phase
	Record Record // at Begin: Status Pending
	// Recurring is set for the polls of a recurring monitor after the first.
	Recurring bool
	// Changed is set at End when the result differs from the one before.
	Changed bool
}

// compareStamps orders by generation, term and transition; the actions of one
// transition have no order.
func compareStamps(a, b Stamp) int {
	return cmp.Or(cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Term, b.Term),
		cmp.Compare(a.Transition, b.Transition))
}

// sameTerm reports whether two stamps are of one coordinator.
func sameTerm(a, b Stamp) bool { return a.Generation == b.Generation && a.Term == b.Term }
