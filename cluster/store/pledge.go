package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

const pledgeOp = "bind the log"

// Pledge binds this node's log, durably: it takes part in nothing of its present
// generation any more (no vote, no confirmation, no campaign), and waits for the
// given one, which claimer may force. That generation's arrival ends it. A zero
// generation takes it back. A pledge for a generation that is not newer than the
// present one is errs.Stale.
func (s *Store) Pledge(ctx context.Context, generation uint64, claimer cib.NodeID) error {
	_, err := s.ask(ctx, pledgeOp, func(id RequestID, _ time.Duration) Event {
		return Pledge{ID: id, To: Lineage{generation, claimer}}
	})
	return err
}

// Pledged returns what the log is bound by; zero if it is free.
func (c *Core) Pledged() Lineage {
	if !c.bound() {
		return Lineage{}
	}
	return c.hard.Pledge
}

// bound reports whether the log takes part in nothing of its generation.
func (c *Core) bound() bool { return c.hard.Pledge.Generation > c.hard.Lineage.Generation }

// Pending returns the voters as a change would have them that is in the log and not
// known to be committed; nil: there is none.
func (c *Core) Pending() []cib.NodeID {
	last, _ := c.storage.LastIndex() // never fails in memory
	if last <= c.machine.index {
		return nil
	}
	es, err := c.storage.Entries(c.machine.index+1, last+1, ^uint64(0))
	if err != nil {
		return nil // it has just been overtaken by a snapshot
	}
	var voters []cib.NodeID
	for _, e := range es {
		if e.GetType() != pb.EntryConfChange && e.GetType() != pb.EntryConfChangeV2 {
			continue
		}
		if cc, err := decodeConf(e); err == nil {
			if voters == nil {
				voters = nodeIDs(c.machine.conf.GetVoters())
			}
			voters = votersAfter(voters, cc)
		}
	}
	slices.Sort(voters)
	return voters
}

// votersAfter returns the voters after a change.
func votersAfter(voters []cib.NodeID, cc *pb.ConfChangeV2) []cib.NodeID {
	for _, ch := range cc.GetChanges() {
		id := cib.NodeID(ch.GetNodeId())
		voters = slices.DeleteFunc(voters, func(v cib.NodeID) bool { return v == id })
		if ch.GetType() == pb.ConfChangeAddNode {
			voters = append(voters, id)
		}
	}
	return voters
}

// pledge is the loop's side of Store.Pledge. What Raft knows stays as it is: it
// hears and says nothing while the log is bound.
func (c *Core) pledge(ev Pledge) {
	c.settle()
	if c.fatal == nil && ev.To.Generation != 0 && ev.To.Generation <= c.hard.Lineage.Generation {
		c.emit(Answered{ID: ev.ID, Err: errs.E(pledgeOp, errs.Stale, nodeObject(c.cfg.Self), "Look again: another generation has come.",
			fmt.Errorf("asked for generation %d, and this node is of generation %d", ev.To.Generation, c.hard.Lineage.Generation))})
		return
	}
	if c.fatal == nil {
		c.hard.Pledge = ev.To
		c.stopOn(c.wal.append(&c.hard, nil, true))
	}
	if c.fatal != nil {
		c.emit(Answered{ID: ev.ID, Err: errs.E(pledgeOp, errs.Unavailable, nodeObject(c.cfg.Self), "", errors.New("the store has stopped"))})
		return
	}
	c.armed = false
	if ev.To.Generation != 0 {
		c.failWaiters()
	}
	c.publish(false)
	c.settle()
	c.emit(Answered{ID: ev.ID, State: c.shown})
}
