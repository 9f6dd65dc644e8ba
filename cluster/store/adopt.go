package store

import (
	"fmt"

	"github.com/takt-ha/takt/cluster/cib"
)

// adopt gives up this node's history for another one: what it had is kept in
// files, then the node becomes an empty learner that never voted there. The
// order on disk: the files, then one new segment that voids all before it, then
// the removal of what is void. A crash leaves the node before or after it all.
func (c *Core) adopt(from cib.NodeID, theirs Lineage, h *hello) {
	if c.snapBusy {
		return // its file would come too late; they will meet again
	}
	told := Superseded{Generation: theirs.Generation, Claimer: theirs.Claimer, From: from, Stranger: !h.Member}
	mine, had := c.hard.Lineage, c.machine.index > 0
	if had {
		kept, err := c.keep(theirs, h)
		if err != nil {
			c.stopOn(keepFailed(c.cfg.Dir, err))
			return
		}
		told.File, told.Changes = kept.file, kept.changes
	}
	told.Words = supersededWords(mine, theirs, told, had, h.Member)
	if err := c.empty(theirs); err != nil {
		c.stopOn(err)
		return
	}
	c.inquiriesEnd(fmt.Errorf("this node gave up its history for %s of node %d", theirs, from))
	c.log.Warn("this node's history gave way to another one", "history", theirs.String(), "from", from, "kept", told.File)
	c.emit(told)
	c.publish(true)
}

// empty makes this node an empty learner of a history.
func (c *Core) empty(theirs Lineage) error {
	h := hardState{Lineage: theirs, Learner: true}
	if theirs.Generation == c.hard.Lineage.Generation {
		h.Left = append(append(h.Left, c.hard.Left...), uint64(c.hard.Lineage.Claimer))
	}
	if err := c.wal.empty(h); err != nil {
		return err
	}
	c.hard = h
	if err := c.dropVoid(); err != nil {
		return err
	}
	if c.machine.root != nil {
		c.old = c.machine.root
	}
	c.machine = newMachine(snapshotMeta{Lineage: theirs}, nil)
	var err error
	if c.storage, err = newStorage(snapshotMeta{}, nil, h); err != nil {
		return err
	}
	return c.anew()
}

// anew begins a history: jobs of the one before are void.
func (c *Core) anew() error {
	c.epoch++
	c.snapIndex, c.digest, c.yieldTo = c.machine.index, digestState{}, 0
	c.failWaiters()
	c.flushReplies()
	if c.lead.Leader != 0 { // before the new state is shown: nobody led this history
		c.lead, c.moved = Leadership{Term: c.lead.Term}, true
		c.emit(Led{c.lead})
	}
	if err := c.newRaft(); err != nil {
		return err
	}
	return c.noteMembership()
}

// dropVoid removes the snapshots and segments of a history that was given up.
// The snapshots are gone for good before the segment is that calls them void.
func (c *Core) dropVoid() error {
	snaps, err := listSnapshots(c.cfg.FS, c.cfg.Dir)
	if err == nil {
		err = removeSnapshots(c.cfg.FS, c.cfg.Dir, snaps)
	}
	if err == nil {
		err = c.cfg.FS.SyncDir("snapshot.voiddir", c.cfg.Dir)
	}
	if err != nil {
		return c.wal.fail(err)
	}
	return c.wal.dropBefore(1)
}

// tellAgain repeats, on a node that still waits for the first state of its new
// history, what it may have had no time to tell.
func (c *Core) tellAgain() {
	now := c.hard.Lineage
	if c.machine.index > 0 || now.Generation == 0 {
		return
	}
	told := Superseded{Generation: now.Generation, Claimer: now.Claimer}
	k, ok := c.recallKept(now)
	if !ok {
		return
	}
	told.File, told.Changes = k.file, k.changes
	told.Words = fmt.Sprintf("This node's history gave way to %s before it was started anew; %s that it had may be missing there, see %s.",
		now, changesWord(k.changes), k.file)
	c.emit(told)
}

func supersededWords(mine, theirs Lineage, told Superseded, had, member bool) string {
	s := fmt.Sprintf("This node's history, %s, gave way to %s, which node %d showed.", mine, theirs, told.From)
	switch {
	case !had:
		s += " It had nothing of its own."
	case told.Changes == 0:
		s += fmt.Sprintf(" Nothing is missing there that this node had; what it had is kept with %s.", told.File)
	default:
		s += fmt.Sprintf(" %s that this node had may be missing there; they are kept in %s.", changesWord(told.Changes), told.File)
	}
	if !member {
		s += " It is no member there: it waits, empty, until the cluster takes it in (takt join)."
	}
	return s
}

func changesWord(n int) string {
	if n == 1 {
		return "1 change"
	}
	return fmt.Sprintf("%d changes", n)
}
