package executor

import (
	"time"

	"github.com/takt-ha/takt/agent"
)

// Effect is something to do. The types below are the effects of Core. They are
// to be begun in their order; those that an input answers may end in any.
type Effect interface{ effect() }

type (
	// SaveMeta replaces what holds for the whole node on disk; answered by Wrote.
	// The next one comes only after that.
	SaveMeta struct {
		ID   uint64
		Meta Meta
	}
	// SaveResource replaces what is kept of one resource on disk; answered by
	// Wrote. The next one of the same resource comes only after that.
	SaveResource struct {
		ID   uint64
		Kept Kept // not to be changed
	}
	// RemoveResource removes what is kept of one resource, if anything; answered
	// by Wrote, and ordered as SaveResource.
	RemoveResource struct {
		ID       uint64
		Resource string
	}

	// Run calls an agent. Record.Call identifies it; Record.Command says who
	// asked and why, Invocation what the agent gets: they differ where what is
	// stopped is what was started. Invocation.Timeout from now on the agent has
	// to be ended by whoever carries this out. Answered by Finished.
	Run struct {
		Record     Record // with Status Pending
		Invocation agent.Invocation
	}
	// Abort asks to end a Run before its time. Finished is still to come.
	Abort struct{ Call int64 }

	// Watch asks the agent, if it can, to notice when the resource fails;
	// answered by WatchEnded, which comes at once if it cannot.
	Watch struct {
		ID         uint64
		Invocation agent.Invocation
	}
	// Unwatch ends a Watch. WatchEnded is still to come.
	Unwatch struct{ ID uint64 }

	// EndProcess kills the process group of an operation that an earlier daemon
	// began, and waits until it is gone, for so long at most; answered by
	// ProcessEnded.
	EndProcess struct {
		ID      uint64
		Process Process
		Within  time.Duration
	}

	// Answer ends a Submit or a Fence.
	Answer struct {
		ID     uint64
		Record Record // of a Submit; void with an error but for its Command
		Err    error
	}
	// Notice is a change that no command asked for (see Executor.Notices). Of
	// each operation only the newest counts.
	Notice struct{ Record Record }
	// Observe is one step of an operation, for the cluster's story.
	Observe struct{ Event Event }
	// Warn is what an operator should know.
	Warn struct {
		Text     string // constant for one kind of warning
		Resource string
		Action   string // "": none
		Grave    bool   // the node can not do what it should
		Err      error  // nil: none
	}

	// Wake asks for a Tick at a time; a later Wake replaces it.
	Wake struct{ At time.Time }
	// Stopped says that after Halt nothing is in flight any more.
	Stopped struct{}
)

func (SaveMeta) effect()       {}
func (SaveResource) effect()   {}
func (RemoveResource) effect() {}
func (Run) effect()            {}
func (Abort) effect()          {}
func (Watch) effect()          {}
func (Unwatch) effect()        {}
func (EndProcess) effect()     {}
func (Answer) effect()         {}
func (Notice) effect()         {}
func (Observe) effect()        {}
func (Warn) effect()           {}
func (Wake) effect()           {}
func (Stopped) effect()        {}
