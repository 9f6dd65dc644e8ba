package executor

import (
	"context"
	"slices"
	"sync"
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

// job is one entry of a resource's queue. The executor's mutex guards it until
// done is closed; rec and err are final from then on.
type job struct {
	cmd       Command
	kind      jobKind
	queued    time.Time
	ctx       context.Context
	cancel    context.CancelFunc
	cancelled bool      // taken back: the result does not count
	begun     bool      // the agent may have been called
	waiters   int       // callers of Do; without any the result becomes a notice
	why       string    // confirm: what the watch saw
	left      *inFlight // settle: what was found

	done chan struct{}
	rec  Record
	err  error
}

func newJob(cmd Command, kind jobKind) *job {
	j := &job{cmd: cmd, kind: kind, queued: time.Now(), done: make(chan struct{})}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	return j
}

func (j *job) answer(rec Record, err error) {
	j.rec, j.err = rec, err
	j.cancel()
	close(j.done)
}

func (j *job) fail(err error) { j.answer(Record{Command: j.cmd}, err) }

// recurring reports whether only changes of the result are of interest.
func (j *job) recurring() bool { return j.kind == poll || j.kind == confirm }

// inFlight is an operation that has begun and has no result.
type inFlight struct {
	Record  Record   `json:"record"`
	Process *Process `json:"process,omitempty"` // leads its process group; nil: unknown
	// Poll is set for runs that nobody waits for; a restart need not settle them.
	Poll bool `json:"poll,omitempty"`
}

// recurring is a monitor that repeats.
type recurring struct {
	cmd   Command
	timer *time.Timer // nil before the first run has ended
}

// resource is what is known of one resource. Executor.mu guards all but saveMu.
//
//	queue ──pop──▶ running ──slot, stamp──▶ inFlight ──result──▶ history
//	                                           └─ no end after time-out + grace ─▶ stuck
type resource struct {
	name    string
	queue   []*job
	running *job // popped from queue, at most one
	working bool // a worker serves the queue

	inFlight  *inFlight
	history   map[opKey]Record
	failures  map[opKey]Record
	recurring map[int64]*recurring // by interval
	active    bool                 // may be holding something on this node
	watched   *Command             // whose parameters it was last seen active with
	watch     *watch               // nil: none
	rearm     time.Time            // no new watch before this, after one that lied
	stuck     <-chan struct{}      // closed when the operation that ignores its time-out ends
	stuckBy   string               // its action

	saveMu sync.Mutex // serializes writes of its file; taken before Executor.mu
}

func newResource(name string) *resource {
	return &resource{name: name, history: make(map[opKey]Record), failures: make(map[opKey]Record),
		recurring: make(map[int64]*recurring)}
}

// blankLocked reports whether nothing is known of the resource. Executor.mu is held.
func (r *resource) blankLocked() bool {
	return len(r.history)+len(r.failures)+len(r.recurring)+len(r.queue) == 0 && r.watch == nil &&
		r.stuck == nil && r.inFlight == nil && !r.active && r.running == nil && !r.working
}

// pendingLocked returns the job that a command duplicates. Executor.mu is held.
func (r *resource) pendingLocked(c Command) *job {
	all := r.queue
	if r.running != nil {
		all = append([]*job{r.running}, all...)
	}
	for _, j := range all {
		if !j.recurring() && !j.cancelled && j.cmd.Stamp == c.Stamp && keyOf(j.cmd) == keyOf(c) {
			return j
		}
	}
	return nil
}

// busyLocked reports whether anything but polls runs or waits. Executor.mu is held.
func (r *resource) busyLocked() bool {
	return r.stuck != nil || r.running != nil && !r.running.recurring() ||
		slices.ContainsFunc(r.queue, func(j *job) bool { return !j.recurring() })
}

func (r *resource) takeQueueLocked() []*job {
	q := r.queue
	r.queue = nil
	return q
}

// dropLocked takes queued jobs back and cancels the running one, as far as
// match says. Executor.mu is held.
func (r *resource) dropLocked(match func(*job) bool) {
	r.queue = slices.DeleteFunc(r.queue, func(j *job) bool {
		if !match(j) {
			return false
		}
		j.answer(cancelledRecord(j), nil)
		return true
	})
	if j := r.running; j != nil && match(j) {
		j.cancelled = true
		j.cancel()
	}
}

// cancelRecurringLocked ends the recurring monitor of one interval. Executor.mu is held.
func (r *resource) cancelRecurringLocked(interval int64) {
	if rc := r.recurring[interval]; rc != nil {
		if rc.timer != nil {
			rc.timer.Stop()
		}
		delete(r.recurring, interval)
	}
	r.dropLocked(func(j *job) bool {
		return j.cmd.Action == agent.Monitor && j.cmd.Interval == interval && j.kind != settle
	})
}

// cancelAllRecurringLocked ends every recurring monitor and what a watch
// wanted confirmed. Executor.mu is held.
func (r *resource) cancelAllRecurringLocked() {
	for _, rc := range r.recurring {
		if rc.timer != nil {
			rc.timer.Stop()
		}
	}
	clear(r.recurring)
	r.dropLocked(func(j *job) bool {
		return j.recurring() || j.kind == asked && j.cmd.Action == agent.Monitor && j.cmd.Interval > 0
	})
}

// stopRecurringLocked stops polling but remembers what to poll, for the next
// daemon. Executor.mu is held.
func (r *resource) stopRecurringLocked() {
	for _, rc := range r.recurring {
		if rc.timer != nil {
			rc.timer.Stop()
		}
	}
	r.dropLocked((*job).recurring)
}

func cancelledRecord(j *job) Record {
	now := time.Now()
	return Record{Command: j.cmd, Queued: now.Sub(j.queued).Milliseconds(), Changed: now,
		Result: agent.Result{Code: agent.Unknown, Status: agent.Cancelled, Started: now, Reason: "cancelled before it ended"}}
}

// enqueueLocked adds a job and sees to it that a worker serves the queue.
// e.mu is held and e.stopping is false.
func (e *Executor) enqueueLocked(r *resource, j *job, front bool) {
	if front {
		r.queue = slices.Insert(r.queue, 0, j)
	} else {
		r.queue = append(r.queue, j)
	}
	if !r.working {
		r.working = true
		e.work.Go(func() { e.serve(r) })
	}
}

// serve runs a resource's jobs one after the other until there is none.
func (e *Executor) serve(r *resource) {
	for {
		e.mu.Lock()
		if len(r.queue) == 0 {
			r.working = false
			if r.blankLocked() && e.resources[r.name] == r {
				delete(e.resources, r.name)
			}
			e.mu.Unlock()
			return
		}
		j := r.queue[0]
		r.queue = r.queue[1:]
		r.running = j
		e.mu.Unlock()

		rec, err := e.perform(r, j)

		e.mu.Lock()
		r.running = nil
		e.mu.Unlock()
		j.answer(rec, err)
	}
}

func (e *Executor) perform(r *resource, j *job) (Record, error) {
	switch {
	case j.cmd.Action == Forget:
		return e.forget(r, j)
	case j.kind == settle:
		return e.settle(r, j)
	}
	return e.operate(r, j)
}
