package executor

import (
	"slices"
	"time"

	"github.com/takt-ha/takt/agent"
)

// opKey names an operation of a resource.
type opKey struct {
	action   string
	interval int64
}

func keyOf(c Command) opKey { return opKey{c.Action, c.Interval} }

// jobKind says why an operation is run.
type jobKind int

const (
	asked   jobKind = iota // a command; for a recurring monitor, its first run
	poll                   // a later run of a recurring monitor
	confirm                // a watch reported a failure: is it true?
	settle                 // an earlier daemon left it in flight
)

// phase is how far a job has come.
type phase int

const (
	queued       phase = iota
	ending             // settle: what the earlier daemon began is being ended
	waitsForEnd        // of an operation that ignores its time-out
	waitsForTurn       // others run, as many as may at once
	recording          // that it will begin is being written
	unwatching         // the watch is ending, lest it report what is meant to happen
	called             // the agent has been called
	concluding         // the result is being written
)

// job is one entry of a resource's queue.
type job struct {
	r         *resource
	cmd       Command
	kind      jobKind
	queued    time.Time
	phase     phase
	begun     bool         // the agent was called, or will be whatever comes
	cancelled bool         // taken back: the result does not count
	callers   []uint64     // who wait for the answer; without any the result becomes a notice
	parked    []*recurring // monitors that it has ended, given back if it does not begin
	turn      bool         // counts among those that run

	record  Record        // as it begins; Call identifies the run
	timeout time.Duration // what is left for the agent
	since   time.Time     // waitsForEnd: when that began
	due     *alarm        // ends the present phase
	watch   uint64        // unwatching: which
	why     string        // confirm: what the watch saw
	left    *InFlight     // settle: what was found
	unended error         // settle: its processes could not be ended
}

// repeats reports whether only changes of the result are of interest.
func (j *job) repeats() bool { return j.kind == poll || j.kind == confirm }

// recurring is a monitor that repeats.
type recurring struct {
	cmd  Command
	next *alarm // nil while it runs, before its first run has ended, and after a Halt
}

// stuck is an operation that ignores its time-out.
type stuck struct {
	call   int64
	action string
}

// resource is what is known of one resource.
//
//	queue ──▶ running: waitsForEnd ▶ waitsForTurn ▶ recording ▶ unwatching ▶ called ▶ concluding
//	                        ▲   refused, taken back: nothing has happened ◀─┘   │
//	                        └────────────── stuck ◀── no end after time-out + grace
type resource struct {
	name    string
	queue   []*job
	running *job // taken from the queue, at most one
	serving bool // serve is at work further up the stack

	inFlight   *InFlight // has begun and has no result
	intent     *InFlight // about to begin: on disk only, nobody else needs to know
	history    map[opKey]Record
	failures   map[opKey]Record
	forgetting bool         // history and failures are being removed from the disk
	recurring  []*recurring // by interval
	active     bool         // may be holding something on this node
	watched    *Command     // with whose parameters it was last seen active
	watch      uint64       // the Watch that counts; 0: none
	rearm      time.Time    // no new watch before this, after one that lied
	unable     agent.ID     // an agent that cannot watch
	stuck      *stuck
	file       file
}

// blank reports whether nothing is known of the resource.
func (r *resource) blank() bool {
	return len(r.history)+len(r.failures)+len(r.recurring)+len(r.queue) == 0 && r.watch == 0 && r.stuck == nil &&
		r.inFlight == nil && r.intent == nil && !r.active && r.running == nil && r.file.writing == 0
}

// pending returns the job that a command duplicates.
func (r *resource) pending(cmd Command) *job {
	for _, j := range r.jobs() {
		if !j.repeats() && !j.cancelled && j.cmd.Stamp == cmd.Stamp && keyOf(j.cmd) == keyOf(cmd) {
			return j
		}
	}
	return nil
}

// jobs are the one that runs and those that wait behind it.
func (r *resource) jobs() []*job {
	if r.running == nil {
		return r.queue
	}
	return append([]*job{r.running}, r.queue...)
}

// busy reports whether anything but polls runs or waits.
func (r *resource) busy() bool {
	return r.stuck != nil || slices.ContainsFunc(r.jobs(), func(j *job) bool { return !j.repeats() })
}

func (c *Core) enqueue(j *job, front bool) {
	if front {
		j.r.queue = slices.Insert(j.r.queue, 0, j)
	} else {
		j.r.queue = append(j.r.queue, j)
	}
	c.serve(j.r)
}

// serve begins the next jobs of a resource until one has to wait for something.
func (c *Core) serve(r *resource) {
	c.touched = append(c.touched, r)
	if r.serving {
		return
	}
	r.serving = true
	for r.running == nil && len(r.queue) > 0 {
		j := r.queue[0]
		r.queue = slices.Delete(r.queue, 0, 1)
		r.running = j
		switch {
		case j.cmd.Action == Forget && j.kind == asked:
			c.forget(j)
		case j.kind == settle:
			c.settle(j)
		default:
			c.operate(j)
		}
	}
	r.serving = false
}

// end ends a job that runs, and begins what comes after it.
func (c *Core) end(j *job, rec Record, err error) {
	c.unset(j.due)
	j.r.running = nil
	c.answer(j, rec, err)
	if j.turn {
		j.turn = false
		c.free++
		c.nextTurn()
	}
	c.serve(j.r)
}

func (c *Core) answer(j *job, rec Record, err error) {
	for _, id := range j.callers {
		delete(c.callers, id)
		c.emit(Answer{ID: id, Record: rec, Err: err})
	}
	j.callers = nil
}

// drop takes jobs back, as far as match says.
func (c *Core) drop(r *resource, match func(*job) bool) {
	for _, j := range r.queue {
		if match(j) {
			c.answer(j, c.takenBack(j), nil)
		}
	}
	r.queue = slices.DeleteFunc(r.queue, match)
	if j := r.running; j != nil && match(j) {
		c.cancel(j)
	}
}

// cancel takes back a job that runs, as far as that is possible.
func (c *Core) cancel(j *job) {
	switch j.phase {
	case concluding:
		return
	case waitsForEnd, waitsForTurn:
		j.cancelled = true
		c.reconsider(j.r)
	case called:
		j.cancelled = true
		c.abort(j)
	default: // seen when it would begin
		j.cancelled = true
	}
}

// takenBack is the record of a job that was cancelled.
func (c *Core) takenBack(j *job) Record {
	return Record{Command: j.cmd, Queued: c.now.Sub(j.queued).Milliseconds(), Changed: c.now,
		Result: agent.Result{Code: agent.Unknown, Status: agent.Cancelled, Started: c.now, Reason: "cancelled before it ended"}}
}
