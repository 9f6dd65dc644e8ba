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

// Position is how much a node's log holds. Of two logs of one history the
// greater one has every entry that was ever acknowledged.
type Position struct {
	Generation uint64     `json:"generation"`
	Claimer    cib.NodeID `json:"claimer"` // who forced that generation; 0: nobody, it is the first
	Term       uint64     `json:"term"`    // Raft term of the newest entry
	Index      uint64     `json:"index"`   // of the newest entry
	Commit     uint64     `json:"commit"`  // of the newest entry known as committed
	Voter      bool       `json:"voter"`   // the node has a vote, by its own log; a learner's log may lack acknowledged entries
}

// Less orders positions: generation, term, index.
func (p Position) Less(q Position) bool {
	if p.Generation != q.Generation {
		return p.Generation < q.Generation
	}
	if p.Term != q.Term {
		return p.Term < q.Term
	}
	return p.Index < q.Index
}

// Forced asks for a forced change of the voters.
type Forced struct {
	Generation uint64 // the next one: State.Generation + 1; anything else is errs.Stale
	Author     string
	Reason     string // in words: the proof, or whose word it is
	Insist     bool   // an operator insists: also on a learner, whose log may lack acknowledged changes
}

// Superseded says that this node's history gave way to another one's. It may be
// said again after a restart, then without From.
type Superseded struct {
	Generation uint64     // now
	Claimer    cib.NodeID // now
	From       cib.NodeID // who showed it
	File       string     // what was superseded is kept there
	Changes    int        // changes that this node had and the other history may not have
	Stranger   bool       // this node is no member there: it waits, empty, until it is taken in
	Words      string
}

// Force makes this node the only voter under the next generation, and every other
// member a learner. All that stands in its log counts from then on, since it may
// have been acknowledged. It returns when this node leads and has written all
// of it; after a power loss before that it may or may not have happened.
//
// Nothing but proof that all other voters outside this node's half are off, or
// an operator who knows, justifies it. Errors: errs.Stale if f.Generation is not
// the next one; errs.Conflict on a learner, unless f.Insist; errs.NotFound on a
// node that has no state.
func (s *Store) Force(ctx context.Context, f Forced) (State, error) {
	return s.ask(ctx, forceOp, func(id RequestID, _ time.Duration) Event { return Force{ID: id, Forced: f} })
}

const forceOp = "take the cluster over"

// force is the loop's side of Store.Force.
func (c *Core) force(ev Force) {
	if c.snapBusy {
		c.forces = append(c.forces, ev) // its file would come too late
		return
	}
	c.settle()
	if c.fatal != nil {
		c.forces = append(c.forces, ev) // answered at the end
		return
	}
	if no := c.refuseForce(ev.Forced); no != nil {
		c.emit(Answered{ID: ev.ID, Err: no})
		return
	}
	c.log.Warn("this node takes the cluster over", "generation", ev.Generation, "author", ev.Author, "reason", ev.Reason)
	if err := c.claim(ev.Generation); err != nil {
		c.stopOn(err)
		c.forces = append(c.forces, ev)
		return
	}
	c.settle()
	c.emit(Answered{ID: ev.ID, State: c.shown})
}

func (c *Core) refuseForce(f Forced) error {
	gen := c.hard.Lineage.Generation
	switch {
	case c.machine.index == 0:
		return errs.E(forceOp, errs.NotFound, nodeObject(c.cfg.Self), "Do it on a node that has a copy of the cluster's state.", errors.New("this node has none"))
	case f.Generation != gen+1:
		return errs.E(forceOp, errs.Stale, nodeObject(c.cfg.Self), "Look again: somebody else may have taken the cluster over.",
			fmt.Errorf("asked for generation %d, and this node is of generation %d", f.Generation, gen))
	case c.hard.Learner && !f.Insist:
		return errs.E(forceOp, errs.Conflict, nodeObject(c.cfg.Self), "Do it on a node that had a vote; only if all of those are lost for good, insist.",
			errors.New("this node had no vote: its copy may lack changes that were confirmed"))
	}
	return nil
}

// claim begins the next generation: a snapshot of all that the log holds, with
// this node as the only voter, one entry and one term ahead. Its file's rename
// is the one moment from which it counts; load mends what is missing behind it.
func (c *Core) claim(generation uint64) error {
	last, _ := c.storage.LastIndex() // never fails in memory
	if err := c.applyAll(last); err != nil {
		return err
	}
	m := c.machine
	f := fork{Lineage: Lineage{generation, c.cfg.Self}, Index: m.index, Term: m.term}
	m.pass(m.index+1, c.hard.Term+1)
	m.lineage, m.forks = f.Lineage, append(slices.Clone(m.forks), f)
	m.conf = onlyVoter(c.cfg.Self, m.members())
	meta := m.meta()
	if err := writeSnapshot(c.cfg.FS, c.cfg.Dir, meta, m.root); err != nil {
		return err
	}
	c.hard = hardState{Term: m.term, Commit: m.index, Lineage: m.lineage}
	if err := c.wal.restart(logStart{m.index, m.term}, c.hard); err != nil {
		return err
	}
	var err error
	if c.storage, err = newStorage(meta, nil, c.hard); err != nil {
		return err
	}
	if err := c.anew(); err != nil {
		return err
	}
	if err := c.dropOld(); err != nil {
		return err
	}
	c.publish(true)
	return c.rn.Campaign()
}

// applyAll applies what the log holds and nobody has confirmed yet.
func (c *Core) applyAll(last uint64) error {
	if last <= c.machine.index {
		return nil
	}
	es, err := c.storage.Entries(c.machine.index+1, last+1, ^uint64(0))
	if err != nil {
		return errs.E(forceOp, errs.Corrupt, c.cfg.Dir, "", err)
	}
	for _, e := range es {
		if err := c.apply(e); err != nil {
			return err
		}
	}
	return nil
}

// onlyVoter is the members with all votes but one taken away.
func onlyVoter(self cib.NodeID, members []cib.NodeID) *pb.ConfState {
	cs := &pb.ConfState{Voters: []uint64{uint64(self)}}
	for _, id := range members {
		if id != self {
			cs.Learners = append(cs.Learners, uint64(id))
		}
	}
	return pb.EnsureConfState(cs)
}

func (c *Core) takeForces() []Force {
	fs := c.forces
	c.forces = nil
	return fs
}

// forcesEnd answers those who asked for what did not come to its end.
func (c *Core) forcesEnd(why error) {
	for _, f := range c.takeForces() {
		c.emit(Answered{ID: f.ID, Err: errs.E(forceOp, errs.Timeout, nodeObject(c.cfg.Self),
			"It may or may not have happened: look at the generation once the node runs again.", why)})
	}
}
