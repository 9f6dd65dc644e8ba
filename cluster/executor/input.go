package executor

import "github.com/takt-ha/takt/agent"

// Input is something that happened. The types below are the inputs of Core.
type Input interface{ input() }

type (
	// Restore is what an earlier daemon left on disk; the first input, if any.
	// Only what is of this boot of the machine belongs into it: after a reboot
	// nothing runs any more. What was in flight is ended (EndProcess) and
	// probed, monitors and watches go on.
	Restore struct {
		Meta      Meta
		Resources []Kept // of different resources, in any order
	}

	// Submit asks for one operation. It gets exactly one Answer with its ID: the
	// record of the operation, or an error as Executor.Do documents them.
	Submit struct {
		ID      uint64 // never used before for a Submit or a Fence
		Command Command
	}
	// Withdraw says that nobody waits for the answer of a Submit or Fence any
	// more. If it has none yet it gets it now, of kind Timeout; an operation that
	// has not begun and that nobody else waits for is taken back.
	Withdraw struct {
		ID    uint64
		Cause error // nil: not said
	}
	// Fence makes the core refuse whatever is older than a stamp, also what is
	// queued, and ends Seal. Its Answer has no record: without an error nothing
	// older will begin any more, and what has begun stands in Snapshot. Errors:
	// Stale (a newer stamp was seen), Unavailable (the stamp cannot be recorded,
	// or a Seal came meanwhile, or the executor stops).
	Fence struct {
		ID    uint64
		Stamp Stamp
		// Seals is what Core.Seals said before the caller made sure that this node
		// may act: a Seal since then has been told better. 0: not said.
		Seals uint64
	}
	// Seal lets nothing begin that a coordinator has asked for, queued or to come,
	// until the next Fence, and aborts starts in flight; with Keep they go on. What
	// the node does by itself (a negative action) begins, whatever its stamp.
	// There is no answer.
	Seal struct{ Keep bool }
	// Halt ends monitors and watches, refuses what is queued or comes later, and
	// waits for operations in flight: Stopped is the last effect. Idempotent.
	Halt struct{}

	// Began names the process group that runs an operation; it is optional, and
	// may come at any time between Run and Finished.
	Began struct {
		Call    int64 // of the Run
		Process Process
	}
	// Finished ends a Run. It comes exactly once for each, however late: while it
	// is missing the resource is stuck. What still ran after the time-out must
	// have been ended by whoever carries out Run.
	Finished struct {
		Call   int64 // of the Run
		Result agent.Result
		// Called is false if the agent was not called at all, e.g. for want of
		// one (Status NotInstalled); the resource then is what it was.
		Called bool
	}
	// WatchEnded ends a Watch, exactly once for each.
	WatchEnded struct {
		ID uint64
		// Failure is what the watch saw, in words; "": nothing, it ended by
		// itself or by Unwatch.
		Failure string
		// Unable says that the agent cannot watch.
		Unable bool
	}
	// ProcessEnded answers an EndProcess, exactly once for each.
	ProcessEnded struct {
		ID  uint64
		Err error // the processes may still be there
	}
	// Wrote answers a SaveMeta, SaveResource or RemoveResource, exactly once for each.
	Wrote struct {
		ID  uint64
		Err error // nil: it is on disk
	}
	// Tick says that time has passed; asked for by Wake. Any other input does as well.
	Tick struct{}
)

func (Restore) input()      {}
func (Submit) input()       {}
func (Withdraw) input()     {}
func (Fence) input()        {}
func (Seal) input()         {}
func (Halt) input()         {}
func (Began) input()        {}
func (Finished) input()     {}
func (WatchEnded) input()   {}
func (ProcessEnded) input() {}
func (Wrote) input()        {}
func (Tick) input()         {}
