package store

import (
	"fmt"

	"go.etcd.io/raft/v3"

	"github.com/takt-ha/takt/cluster/cib"
)

// ready does one round: disk first, then messages, then the state machine.
func (c *Core) ready() error {
	rd := c.rn.Ready()
	restored, err := c.persist(rd)
	if err != nil {
		return err
	}
	for _, m := range rd.Messages {
		if c.bound() {
			break // it confirms nothing any more
		}
		c.send(cib.NodeID(m.GetTo()), Frame{kind: raftFrame, raft: m})
	}
	if restored != nil {
		c.machine, c.old = restored, nil
		if err := c.noteMembership(); err != nil {
			return err
		}
	}
	for _, e := range rd.CommittedEntries {
		if err := c.apply(e); err != nil {
			return err
		}
	}
	c.rn.Advance(rd)
	c.publish(restored != nil || len(rd.CommittedEntries) > 0)
	return nil
}

// persist makes durable what Raft's messages rely on, and returns the state
// machine that a received snapshot brings, nil without one.
func (c *Core) persist(rd raft.Ready) (*machine, error) {
	var changed *hardState
	if !raft.IsEmptyHardState(rd.HardState) {
		h := rd.HardState
		c.hard.Term, c.hard.Vote, c.hard.Commit = h.GetTerm(), h.GetVote(), h.GetCommit()
		changed = &c.hard
	}
	var restored *machine
	if !raft.IsEmptySnap(rd.Snapshot) {
		var err error
		if restored, err = c.restore(rd.Snapshot); err != nil {
			return nil, err
		}
	}
	if changed != nil || len(rd.Entries) > 0 {
		if err := c.wal.append(changed, rd.Entries, rd.MustSync); err != nil {
			return nil, err
		}
	}
	if err := c.storage.Append(rd.Entries); err != nil {
		return nil, fmt.Errorf("append to the log: %w", err)
	}
	return restored, nil
}

// state is what readers see.
func (c *Core) state() *State {
	st := c.machine.state()
	if st.Waiting = c.old != nil && st.Root == nil; st.Waiting {
		st.Root = c.old
	}
	return st
}

// publish shows readers the new state, tells who leads, and only then answers
// proposals: a proposer finds its change in State.
func (c *Core) publish(applied bool) {
	st := c.rn.BasicStatus()
	now := Leadership{Leader: cib.NodeID(st.Lead), Term: st.GetTerm()}
	leading := st.RaftState == raft.StateLeader
	if c.bound() {
		now.Leader, leading = 0, false
	}
	now.Ready = leading && c.noopOf == now.Term
	if !leading {
		c.failWaiters()
	}
	if applied {
		c.shown = c.state()
		c.emit(Changed{c.shown})
	}
	if before := c.lead; before != now {
		c.lead, c.moved = now, true
		c.leaderChanged(before, now)
		c.emit(Led{now})
	}
	c.flushReplies()
	if applied {
		for _, q := range c.inquiries {
			c.seeApplied(q)
		}
	}
}

func (c *Core) leading() bool { return c.rn.BasicStatus().RaftState == raft.StateLeader }

// State returns the newest applied version.
func (c *Core) State() *State { return c.shown }

// Leadership returns who coordinates, as this node knows it.
func (c *Core) Leadership() Leadership { return c.lead }

// Position returns how much this node's log holds.
func (c *Core) Position() Position {
	last, _ := c.storage.LastIndex() // neither call fails in memory
	term, _ := c.storage.Term(last)
	return Position{
		Generation: c.hard.Lineage.Generation, Claimer: c.hard.Lineage.Claimer, Term: term, Index: last,
		Commit: c.hard.Commit, Voter: c.machine.voter(uint64(c.cfg.Self)) && !c.hard.Learner,
	}
}
