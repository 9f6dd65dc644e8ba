package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/takt-ha/takt/internal/errs"
)

// request asks the leader for something. It travels as JSON to another node.
type request struct {
	ID         proposalID     `json:"id"`
	Generation uint64         `json:"generation"`
	Command    []byte         `json:"command,omitempty"` // of a change; encoded
	Member     *memberRequest `json:"member,omitempty"`

	reply chan answer // buffered for one
}

// answer is what came of a request: applied at Index, refused, or to be tried
// again somewhere else.
type answer struct {
	Index   uint64   `json:"index,omitempty"`
	Refused *refusal `json:"refused,omitempty"`
	Retry   string   `json:"retry,omitempty"` // why not here and now
	Lost    bool     `json:"lost,omitempty"`  // with Retry: it may be in the log all the same
}

type reply struct {
	to     chan<- answer
	answer answer
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
	id := newProposalID()
	b, err := command{ID: id, Base: s.State().Index, Change: &c}.encode()
	if err != nil {
		return State{}, errs.E("change the configuration", errs.Invalid, "", "", err)
	}
	if len(b) > maxRecord/4 {
		return State{}, errs.E("change the configuration", errs.Invalid, "", "Split the change into smaller ones.", fmt.Errorf("it has %d bytes", len(b)))
	}
	return s.route(ctx, "change the configuration", request{ID: id, Command: b})
}

// route brings a request to the leader, wherever that is, until it is answered.
func (s *Store) route(ctx context.Context, op string, req request) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ProposeTimeout)
	defer cancel()
	news, unsubscribe := s.leadNews.subscribe()
	defer unsubscribe()
	maybe, why := false, "there is no leader"
	for ctx.Err() == nil {
		lead := s.Leadership()
		if lead.Leader == s.cfg.Self && !lead.Ready || lead.Leader == 0 {
			why = "there is no leader"
			if !s.pauseForLeader(ctx, news) {
				break
			}
			continue
		}
		a := s.toLeader(ctx, lead, req)
		switch {
		case a.Retry != "":
			maybe, why = maybe || a.Lost, a.Retry
			if s.Leadership() == lead && !s.pauseForLeader(ctx, news) {
				maybe = maybe || ctx.Err() != nil
			}
			if s.ctx.Err() != nil {
				return State{}, s.unsure(op, maybe, s.stopped())
			}
		case a.Refused != nil:
			return State{}, a.Refused.err()
		case req.Member != nil && req.Member.Verb == removeMember && req.Member.Node == s.cfg.Self:
			return s.State(), nil // nobody tells a node that has left
		default:
			return s.waitApplied(ctx, op, a.Index)
		}
	}
	if s.ctx.Err() != nil {
		return State{}, s.unsure(op, maybe, s.stopped())
	}
	return State{}, s.unsure(op, maybe, errors.New(why))
}

// unsure words the end of a request that nobody confirmed.
func (s *Store) unsure(op string, maybe bool, why error) error {
	if maybe {
		return errs.E(op, errs.Timeout, "", "It may or may not have happened: look before you repeat it.", why)
	}
	return errs.E(op, errs.Unavailable, "", "Nothing was changed. See takt status for who is missing, then try again.", why)
}

// pauseForLeader waits until leadership changes, or a little; false at the end of ctx.
func (s *Store) pauseForLeader(ctx context.Context, news <-chan struct{}) bool {
	ctx2, cancel := context.WithTimeout(ctx, s.cfg.TickInterval)
	defer cancel()
	select {
	case <-news:
	case <-ctx2.Done():
	case <-s.ctx.Done():
		return false
	}
	return ctx.Err() == nil
}

func (s *Store) toLeader(ctx context.Context, lead Leadership, req request) answer {
	req.Generation = s.State().Generation
	if lead.Leader == s.cfg.Self {
		return s.submit(ctx, req)
	}
	return s.forward(ctx, lead, req)
}

// submit hands a request to the own loop and waits for its answer.
func (s *Store) submit(ctx context.Context, req request) answer {
	req.reply = make(chan answer, 1)
	select {
	case s.props <- &req:
	case <-ctx.Done():
		return answer{Retry: "the leader is too busy"}
	case <-s.done:
		return answer{Retry: "the store has stopped"}
	}
	select {
	case a := <-req.reply:
		return a
	case <-ctx.Done():
		return answer{Retry: "a majority of the voters did not confirm in time", Lost: true}
	case <-s.done:
		select { // the answer may have come with the end
		case a := <-req.reply:
			return a
		default:
			return answer{Retry: "the store has stopped", Lost: true}
		}
	}
}

// waitApplied returns a state that contains the entry at index.
func (s *Store) waitApplied(ctx context.Context, op string, index uint64) (State, error) {
	news, unsubscribe := s.stateNews.subscribe()
	defer unsubscribe()
	for {
		if st := s.State(); st.Index >= index {
			return st, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return State{}, errs.E(op, errs.Timeout, "", "It has happened, but this node has not heard of it yet.", ctx.Err())
		case <-s.done:
			return State{}, errs.E(op, errs.Timeout, "", "It has happened, but this node has stopped.", s.stopped())
		}
	}
}

// propose is the loop's side: put the request into the log and remember who waits.
func (l *loop) propose(r *request) {
	switch st := l.rn.BasicStatus(); {
	case !l.leading():
		r.reply <- answer{Retry: "this node does not lead"}
	case l.noopOf != st.GetTerm():
		r.reply <- answer{Retry: "the leader has only just been elected"}
	case r.Generation != 0 && r.Generation < l.hard.Generation:
		r.reply <- answer{Refused: refuse("change the configuration", errs.Stale, "", "The node has to join the cluster again.",
			fmt.Errorf("the request is of generation %d, the cluster's is %d", r.Generation, l.hard.Generation))}
	case r.Member != nil:
		l.proposeMember(r)
	default:
		l.proposeChange(r)
	}
}

func (l *loop) proposeChange(r *request) {
	if o, ok := l.machine.recall(r.ID); ok {
		r.reply <- answer{Index: o.Index, Refused: o.Refused}
		return
	}
	if len(l.waiters[r.ID]) == 0 {
		if err := l.rn.Propose(r.Command); err != nil {
			r.reply <- answer{Retry: "the leader takes no changes now: " + err.Error()}
			return
		}
	}
	l.waiters[r.ID] = append(l.waiters[r.ID], r.reply)
}

// failWaiters answers those whose entries this node cannot follow any more.
func (l *loop) failWaiters() {
	lost := answer{Retry: "the leader changed before a majority had confirmed", Lost: true}
	for id, ws := range l.waiters {
		for _, w := range ws {
			w <- lost
		}
		delete(l.waiters, id)
	}
	for _, p := range l.promotes {
		p.req.reply <- answer{Retry: lost.Retry}
	}
	l.promotes, l.confBusy = nil, false
}
