package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// Transfer hands the leadership to another voter and returns when that one
// leads. On a node that does not lead it does nothing if to leads already, else
// it is errs.Conflict. At the end of ctx or of Config.ProposeTimeout it is
// errs.Timeout; changes that were proposed meanwhile go to whoever leads then.
func (s *Store) Transfer(ctx context.Context, to cib.NodeID) error {
	_, err := s.ask(ctx, "hand the leadership over", func(id RequestID, within time.Duration) Event {
		return Transfer{ID: id, To: to, Within: within}
	})
	return err
}

// driveTransfer asks the successor to stand for election, if this node leads,
// again and again: the request may have been lost, or have come too early.
func (c *Core) driveTransfer(q *inquiry) {
	to, lead := uint64(q.transfer), c.leaderID()
	fail := func(kind errs.Kind, hint string, err error) {
		c.finish(q, errs.E(q.op, kind, nodeObject(q.transfer), hint, err))
	}
	switch {
	case !c.machine.voter(to):
		fail(errs.Invalid, "Choose a voter.", errors.New("it has no vote"))
	case lead == to && c.lead.Leader == q.transfer:
		c.finish(q, nil)
	case lead == to: // seen, and told at the end of this Step
		q.retry = c.now.Add(c.cfg.Stagger)
	case lead != 0 && lead != uint64(c.cfg.Self):
		fail(errs.Conflict, "Ask the leader.", fmt.Errorf("node %d leads", lead))
	default: // under way, or the successor is being elected
		q.why, q.retry = "it has not taken over", c.now.Add(c.cfg.Stagger)
		if c.leading() {
			c.endTransfer() // gives up an attempt under way
			c.rn.TransferLeader(to)
		}
	}
}

// endTransfer lets a leader that handed over in vain take changes again.
func (c *Core) endTransfer() {
	if c.leading() {
		c.rn.TransferLeader(uint64(c.cfg.Self))
	}
}
