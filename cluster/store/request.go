package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// request asks the leader for something. It travels as JSON to another node.
type request struct {
	ID      RequestID      `json:"id"`
	Command []byte         `json:"command,omitempty"` // of a change; encoded
	Member  *memberRequest `json:"member,omitempty"`
}

// answer is what came of a request: applied at Index, refused, or to be tried
// again somewhere else.
type answer struct {
	ID      RequestID `json:"id"`
	Index   uint64    `json:"index,omitempty"`
	Refused *refusal  `json:"refused,omitempty"`
	Retry   string    `json:"retry,omitempty"` // why not here and now
	Lost    bool      `json:"lost,omitempty"`  // with Retry: it may be in the log all the same
}

func (r *request) String() string {
	if r.Member != nil {
		return fmt.Sprintf("%s node %d", r.Member.Verb, r.Member.Node)
	}
	return fmt.Sprintf("change %x, %d bytes", r.ID[:4], len(r.Command))
}

func (a *answer) String() string {
	switch {
	case a.Retry != "":
		return fmt.Sprintf("%x retry: %s", a.ID[:4], a.Retry)
	case a.Refused != nil:
		return fmt.Sprintf("%x refused: %s", a.ID[:4], a.Refused.Kind)
	}
	return fmt.Sprintf("%x applied at %d", a.ID[:4], a.Index)
}

// check refuses what no node of ours asks.
func (r *request) check() error {
	if (r.Member == nil) == (len(r.Command) == 0) {
		return errors.New("a request carries one command or one membership change")
	}
	if r.Member != nil {
		return nil
	}
	c, err := decodeCommand(r.Command)
	if err == nil && (c.Change == nil || c.ID != r.ID) {
		err = errors.New("the command is not the request's change")
	}
	return err
}

// phase is how far a request of this node has come.
//
//	waiting ──leader ready──▶ asked ──applied at index──▶ known ──applied here──▶ answered
//	   ▲──────retry, lost───────┘
type phase uint8

const (
	waiting phase = iota // for a leader, or for the time to try again
	asked                // the leader at, which may be this node
	known                // it has happened at index; this node's state lags
)

// inquiry is a request of this node's own until it is answered.
type inquiry struct {
	op       string
	req      request
	transfer cib.NodeID // successor, for a hand-over; 0 else
	deadline time.Time

	phase phase
	at    Leadership    // that was asked
	maybe bool          // it may be in a log
	why   string        // not yet
	retry time.Time     // when to try again; zero: when leadership changes
	pause time.Duration // before the next repetition
	index uint64        // of known
	done  bool
}

// An answer is waited for so long before the request goes out again, doubled
// each time.
const (
	firstRepeat = time.Second
	lastRepeat  = 8 * time.Second
)

// inquire begins a request.
func (c *Core) inquire(q *inquiry, within time.Duration) {
	if within <= 0 {
		within = c.cfg.ProposeTimeout
	}
	q.deadline, q.why, q.pause = c.now.Add(within), "there is no leader", firstRepeat
	c.inquiries = append(c.inquiries, q)
	c.byID[q.req.ID] = q
	c.drive(q)
}

// drive takes a request on: to the leader, wherever that is.
func (c *Core) drive(q *inquiry) {
	lead := c.lead
	switch {
	case q.done:
	case q.transfer != 0:
		c.driveTransfer(q)
	case lead.Leader == 0 || lead.Leader == c.cfg.Self && !lead.Ready:
		q.phase, q.why, q.retry = waiting, "there is no leader", time.Time{}
	case lead.Leader == c.cfg.Self:
		q.phase, q.at, q.retry = asked, lead, time.Time{}
		c.submit(c.cfg.Self, &q.req)
	default:
		q.phase, q.at, q.retry = asked, lead, c.now.Add(q.pause)
		q.pause = min(2*q.pause, lastRepeat)
		q.maybe = true // whatever the answer is: a copy of the frame may come late
		c.send(lead.Leader, Frame{kind: requestFrame, request: &q.req})
	}
}

// answered takes what a leader said to a request of this node.
func (c *Core) answered(from cib.NodeID, a *answer) {
	q := c.byID[a.ID]
	switch {
	case q == nil || q.phase == known:
	case a.Retry != "":
		if q.phase == asked && q.at.Leader == from {
			c.again(q, a.Retry, a.Lost)
		}
	case a.Refused != nil:
		c.finish(q, a.Refused.err())
	case q.req.Member != nil && q.req.Member.Verb == Remove && q.req.Member.Node == c.cfg.Self:
		c.finish(q, nil) // nobody tells a node that has left
	default:
		q.phase, q.index, q.retry = known, a.Index, time.Time{}
		c.seeApplied(q)
	}
}

// again tries a request anew: at once if somebody else leads by now, else after a while.
func (c *Core) again(q *inquiry, why string, lost bool) {
	q.maybe, q.why = q.maybe || lost, why
	if c.lead != q.at {
		c.drive(q)
		return
	}
	q.phase, q.pause, q.retry = waiting, firstRepeat, c.now.Add(c.cfg.TickInterval)
}

func (c *Core) seeApplied(q *inquiry) {
	if q.phase == known && c.shown.Index >= q.index {
		c.finish(q, nil)
	}
}

// finish answers a request of this node for good.
func (c *Core) finish(q *inquiry, err error) {
	if q.done {
		return
	}
	q.done = true
	delete(c.byID, q.req.ID)
	if q.transfer != 0 {
		c.endTransfer()
	}
	out := Answered{ID: q.req.ID, Err: err}
	if err == nil {
		out.State = c.shown
	}
	c.emit(out)
}

// giveUp answers a request that nobody confirmed in time.
func (c *Core) giveUp(q *inquiry, why error) {
	maybe := q.maybe || q.phase == asked
	switch {
	case q.transfer != 0:
		c.finish(q, errs.E(q.op, errs.Timeout, nodeObject(q.transfer), "Check that the node answers.", why))
	case q.phase == known:
		c.finish(q, errs.E(q.op, errs.Timeout, "", "It has happened, but this node has not heard of it yet.", why))
	case maybe:
		c.finish(q, errs.E(q.op, errs.Timeout, "", "It may or may not have happened: look before you repeat it.", why))
	default:
		c.finish(q, errs.E(q.op, errs.Unavailable, "", "Nothing was changed. See takt status for who is missing, then try again.", why))
	}
}

func (q *inquiry) reason() error {
	if q.phase == asked {
		return errors.New("a majority of the voters did not confirm in time")
	}
	return errors.New(q.why)
}

// inquiriesDue repeats, gives up and forgets requests as time passes.
func (c *Core) inquiriesDue() {
	for _, q := range c.inquiries {
		switch {
		case q.done:
		case !c.now.Before(q.deadline):
			c.giveUp(q, q.reason())
		case !q.retry.IsZero() && !c.now.Before(q.retry):
			c.drive(q)
		}
	}
	c.inquiries = slices.DeleteFunc(c.inquiries, func(q *inquiry) bool { return q.done })
}

// inquiriesMoved follows a change of leadership: the old leader may never answer.
func (c *Core) inquiriesMoved() {
	for _, q := range c.inquiries {
		if q.done || q.phase == known || q.phase == asked && q.at.Leader == c.lead.Leader && q.at.Term == c.lead.Term {
			continue
		}
		if q.phase == asked {
			q.maybe, q.why = true, "the leader changed before it answered"
		}
		c.drive(q)
	}
}

// inquiriesLost repeats what was asked of a peer that cannot be reached.
func (c *Core) inquiriesLost(peer cib.NodeID) {
	for _, q := range c.inquiries {
		if !q.done && q.phase == asked && q.at.Leader == peer && peer != c.cfg.Self {
			c.again(q, fmt.Sprintf("the leader, node %d, does not answer", peer), true)
		}
	}
}

// inquiriesEnd answers every request: the store ends, or its history does.
func (c *Core) inquiriesEnd(why error) {
	for _, q := range c.inquiries {
		if !q.done {
			c.giveUp(q, why)
		}
	}
	c.inquiries = nil
}

// inquiryDue is when inquiriesDue has something to do; zero: never.
func (c *Core) inquiryDue() time.Time {
	var at time.Time
	for _, q := range c.inquiries {
		for _, t := range [...]time.Time{q.deadline, q.retry} {
			if !q.done && !t.IsZero() && (at.IsZero() || t.Before(at)) {
				at = t
			}
		}
	}
	return at
}
