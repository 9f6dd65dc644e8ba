package replica

import (
	"context"
	"fmt"
	"time"

	"github.com/takt-ha/takt/volume/state"
)

// A disk that is detached is out of use at once, and closed when the requests that have it in hand have ended and, on a secondary that
// keeps the activity log, when what was written to it is durable. Until then it is locked against a second user.

const (
	// attachWait is how long an attach waits for the disk that was detached before.
	attachWait = 5 * time.Second
	// detachWait is how long the answer to a detach waits for it.
	detachWait = 30 * time.Second
)

// closing is closed when the disk that was there before is; nil: nothing is being closed.
func (r *Replica) closing() <-chan struct{} {
	r.dropped.Lock()
	defer r.dropped.Unlock()
	select {
	case <-r.dropped.closed:
		return nil
	default:
		return r.dropped.closed
	}
}

// attachAfter is an attach that waits, without holding up anything else, until the disk before is closed.
func (r *Replica) attachAfter(closed <-chan struct{}) {
	select {
	case <-closed:
	case <-time.After(attachWait):
	case <-r.shutdown:
		return
	case <-r.ctx.Done():
		return
	}
	r.loop.Lock()
	defer r.loop.Unlock()
	if r.closing() != nil {
		r.stepLocked(state.DiskGone{
			Op: "attach", Err: "the disk that was detached is still being made durable and closed: attach it again later",
			Hint: fmt.Sprintf("Wait a moment, then: takt volume attach %s", r.cfg.Name),
		})
		return
	}
	if in := r.attach(); in != nil {
		r.stepLocked(in)
	}
}

// Closed waits until the disk that was let go is closed, so that somebody else can have it; not longer than ctx, or than half a
// minute. It returns whether it is.
func (r *Replica) Closed(ctx context.Context) bool {
	closed := r.closing()
	if closed == nil {
		return true
	}
	select {
	case <-closed:
	case <-time.After(detachWait):
	case <-ctx.Done():
	}
	return r.closing() == nil
}

// letGo is the answer to a verb when what it says is true: the step that has given it may not have opened or shut the gate yet. Where
// the verb lets go of the disk it waits until others can have it.
func (r *Replica) letGo(ctx context.Context, verb string, ans answer) (string, error) {
	r.loop.Lock()
	r.loop.Unlock() //nolint:staticcheck // that step is over
	if ans.err == nil && (verb == "detach" || verb == "down") && !r.Closed(ctx) {
		ans.text = "the disk is out of use; until what was written to it is durable, and it is closed, nobody else can have it"
	}
	return ans.text, ans.err
}
