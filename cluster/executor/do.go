package executor

import (
	"context"
	"time"
)

// Do runs one command to its end and returns its record. A failed operation is
// a Record, not an error. Commands of one resource run in the order of their
// arrival. A command with a stamp that is known joins the one in flight or
// gets the result of the one that has ended: it is not run again.
//
// Errors: Invalid (the command makes no sense), Stale (its stamp is older than
// one seen, also if a newer one comes while it is queued), Conflict (forget
// while an operation is in flight), Unavailable (the executor stops, or cannot
// record the new stamp). In these cases nothing was run. Timeout: ctx ended;
// the operation goes on if it had begun, and its result is then a notice.
func (e *Executor) Do(ctx context.Context, cmd Command) (Record, error) {
	id, answer := e.caller()
	e.step(Submit{ID: id, Command: cmd})
	select {
	case a := <-answer:
		return a.Record, a.Err
	case <-ctx.Done():
	}
	e.step(Withdraw{ID: id, Cause: ctx.Err()})
	a := <-answer
	return a.Record, a.Err
}

// Fence makes the executor refuse whatever is older than a stamp, also what is
// queued, and ends Seal. When it returns nil, nothing older will begin any more;
// what is in flight stands in Snapshot. It fails as Stale if a newer one was seen,
// as Unavailable if the stamp cannot be recorded or Seal is called meanwhile.
func (e *Executor) Fence(s Stamp) error { return e.FenceSince(s, 0) }

// FenceSince is Fence, but refused as Unavailable if Seal was called since Seals
// returned a number: for a caller who looks first whether this node may act, and
// must not undo a Seal that came between.
func (e *Executor) FenceSince(s Stamp, seals uint64) error {
	id, answer := e.caller()
	e.step(Fence{ID: id, Stamp: s, Seals: seals})
	return (<-answer).Err
}

// Seals counts the calls of Seal, from 1.
func (e *Executor) Seals() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.core.Seals()
}

// Seal lets nothing begin that a coordinator has asked for, queued or to come,
// until the next Fence, and ends starts in flight: this node is cut off, and stops
// by itself what runs here. With keep they go on: it may not have to stop.
func (e *Executor) Seal(keep bool) { e.step(Seal{Keep: keep}) }

// Newest returns the newest stamp seen. What the node does by itself carries it,
// with a negative action that no coordinator gives.
func (e *Executor) Newest() Stamp {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.core.Newest()
}

// Snapshot returns the last result of each operation, and what is in flight
// with Status Pending, sorted by resource, action, interval and call.
func (e *Executor) Snapshot() []Record {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.core.Snapshot(time.Now())
}

// Failures returns the last failure of each operation, sorted as in Snapshot.
// A later success does not remove it; Forget does.
func (e *Executor) Failures() []Record {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.core.Failures()
}

// Active returns, sorted, the resources that may hold something on this node:
// started or seen running, and not confirmed stopped since; and those of which an
// agent still runs that should have ended.
func (e *Executor) Active() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.core.Active()
}

// caller makes the place for one answer.
func (e *Executor) caller() (id uint64, answer <-chan Answer) {
	ch := make(chan Answer, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ids++
	e.callers[e.ids] = ch
	return e.ids, ch
}
