package store

import (
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
)

// currentSnapshot gives Raft the applied state for a follower that lags too far.
func (c *Core) currentSnapshot() (*pb.Snapshot, error) {
	if c.machine.index == 0 {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	meta := c.machine.meta()
	b, err := encodeSnapshot(meta, c.machine.root)
	if err != nil {
		return nil, err
	}
	return raftSnapshot(meta, b), nil
}

// restore makes a received snapshot durable: the file first, then the log that
// starts behind it. A crash between the two is mended by load.
func (c *Core) restore(snap *pb.Snapshot) (*machine, error) {
	meta, root, err := decodeSnapshot(snap.GetData())
	if err != nil {
		return nil, errs.E("take over a snapshot", errs.Corrupt, nodeObject(c.cfg.Self), "", err)
	}
	if err := saveSnapshot(c.cfg.FS, c.cfg.Dir, meta.Index, snap.GetData()); err != nil {
		return nil, err
	}
	if meta.Generation >= c.hard.Lineage.Generation {
		c.hard.Lineage = meta.Lineage
	}
	if err := c.wal.restart(logStart{meta.Index, meta.Term}, c.hard); err != nil {
		return nil, err
	}
	if err := c.storage.ApplySnapshot(raftSnapshot(meta, nil)); err != nil {
		return nil, err
	}
	c.snapIndex = max(c.snapIndex, meta.Index)
	if err := c.dropOld(); err != nil {
		return nil, err
	}
	return newMachine(meta, root), nil
}

// dropOld removes what the newest snapshot makes superfluous. The log keeps the
// entry at the snapshot's index where it can, to check that both fit.
func (c *Core) dropOld() error {
	if err := dropSnapshots(c.cfg.FS, c.cfg.Dir, c.snapIndex); err != nil {
		return errs.E("drop an old snapshot", errs.Unavailable, c.cfg.Dir, "Mend the disk, then start the node again.", err)
	}
	return c.wal.dropBefore(c.snapIndex)
}

// maybeSnapshot begins a snapshot where one is due. It is written beside the
// core, from the immutable state.
func (c *Core) maybeSnapshot() {
	if c.snapBusy || c.machine.index < c.snapIndex+c.cfg.SnapshotEntries {
		return
	}
	c.snapBusy = true
	meta, root, disk, dir := c.machine.meta(), c.machine.root, c.cfg.FS, c.cfg.Dir
	var err error
	c.emit(Run{&Job{
		Name: fmt.Sprintf("write the snapshot of %d", meta.Index),
		work: func() { err = writeSnapshot(disk, dir, meta, root) },
		done: func() { c.snapshotDone(meta.Index, err) },
	}})
}

func writeSnapshot(disk osfs.FS, dir string, meta snapshotMeta, root *cib.Node) error {
	b, err := encodeSnapshot(meta, root)
	if err != nil {
		return err
	}
	return saveSnapshot(disk, dir, meta.Index, b)
}

func (c *Core) snapshotDone(index uint64, err error) {
	c.snapBusy = false
	if err != nil {
		c.stopOn(err)
		return
	}
	c.snapIndex = max(c.snapIndex, index)
	c.stopOn(c.dropOld())
	first, err := c.storage.FirstIndex()
	if err == nil && index >= first+c.cfg.KeepEntries {
		c.stopOn(c.storage.Compact(index - c.cfg.KeepEntries))
	}
	for _, f := range c.takeForces() {
		c.force(f)
	}
}

// snapshotSent tells Raft whether a follower has taken a snapshot.
func (c *Core) snapshotSent(ev SnapshotSent) {
	status := raft.SnapshotFinish
	if ev.Err != nil {
		status = raft.SnapshotFailure
		c.log.Warn("could not send a snapshot; it is sent again", "to", ev.To, "error", ev.Err)
	}
	c.rn.ReportSnapshot(uint64(ev.To), status)
}
