package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

func newRequestID() RequestID {
	var id RequestID
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// Propose changes the CIB: it returns once the change is committed and applied
// on this node, with a state that contains it. On a follower the change goes to
// the leader. If leadership moves meanwhile it is proposed again under the same
// id, so that it is applied once.
//
// Errors: whatever the change was refused for (then nothing has changed);
// errs.Unavailable if there is no leader within ctx and Config.ProposeTimeout;
// errs.Timeout if it was proposed but not confirmed: it may or may not happen.
func (s *Store) Propose(ctx context.Context, c Change) (State, error) {
	return s.ask(ctx, "change the configuration", func(id RequestID, within time.Duration) Event {
		return Propose{ID: id, Change: c, Within: within}
	})
}

// ask brings a request to the core and waits for its answer.
func (s *Store) ask(ctx context.Context, op string, event func(RequestID, time.Duration) Event) (State, error) {
	id, reply := newRequestID(), make(chan Answered, 1)
	within := s.cfg.ProposeTimeout
	if end, ok := ctx.Deadline(); ok {
		within = max(time.Nanosecond, min(within, time.Until(end)))
	}
	unsure := func(kind errs.Kind, hint string, why error) (State, error) {
		return State{}, errs.E(op, kind, "", hint, why)
	}
	s.asked.Store(id, reply)
	defer s.asked.Delete(id)
	select {
	case s.events <- event(id, within):
	case <-ctx.Done():
		return unsure(errs.Unavailable, "Nothing was changed: try again.", ctx.Err())
	case <-s.done:
		return unsure(errs.Unavailable, "Nothing was changed.", s.stopped())
	}
	select {
	case a := <-reply:
		return a.result()
	case <-ctx.Done():
		s.post(Cancel{id})
	case <-s.done:
	}
	grace := time.NewTimer(s.cfg.TickInterval) // the core knows best, unless its disk hangs
	defer grace.Stop()
	select {
	case a := <-reply:
		return a.result()
	case <-grace.C:
	case <-s.done:
		select { // the answer came before the end
		case a := <-reply:
			return a.result()
		default:
		}
	}
	why := ctx.Err()
	if why == nil {
		why = s.stopped()
	}
	return unsure(errs.Timeout, "It may or may not have happened: look before you repeat it.", why)
}

func (a Answered) result() (State, error) {
	if a.Err != nil {
		return State{}, a.Err
	}
	return *a.State, nil
}

func badChange(n int) error {
	return errs.E("change the configuration", errs.Invalid, "", "Split the change into smaller ones.", fmt.Errorf("it has %d bytes", n))
}
