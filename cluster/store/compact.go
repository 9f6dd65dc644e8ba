package store

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// currentSnapshot gives Raft the applied state for a follower that lags too far.
func (l *loop) currentSnapshot() (*pb.Snapshot, error) {
	if l.machine.index == 0 {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	meta := l.machine.meta()
	b, err := encodeSnapshot(meta, l.machine.root)
	if err != nil {
		return nil, err
	}
	return raftSnapshot(meta, b), nil
}

// restore makes a received snapshot durable: the file first, then the log that
// starts behind it. A crash between the two is mended by load.
func (l *loop) restore(snap *pb.Snapshot) (*machine, error) {
	meta, root, err := decodeSnapshot(snap.GetData())
	if err != nil {
		return nil, errs.E("take over a snapshot", errs.Corrupt, nodeObject(l.cfg.Self), "", err)
	}
	if err := saveSnapshot(l.cfg.FS, l.cfg.Dir, meta.Index, snap.GetData()); err != nil {
		return nil, err
	}
	l.hard.Generation = max(l.hard.Generation, meta.Generation)
	if err := l.wal.restart(logStart{meta.Index, meta.Term}, l.hard); err != nil {
		return nil, err
	}
	if err := l.storage.ApplySnapshot(raftSnapshot(meta, nil)); err != nil {
		return nil, err
	}
	l.snapIndex = max(l.snapIndex, meta.Index)
	if err := l.dropOld(); err != nil {
		return nil, err
	}
	return newMachine(meta, root), nil
}

// dropOld removes what the newest snapshot makes superfluous. The log keeps the
// entry at the snapshot's index where it can, to check that both fit.
func (l *loop) dropOld() error {
	if err := dropSnapshots(l.cfg.FS, l.cfg.Dir, l.snapIndex); err != nil {
		return errs.E("drop an old snapshot", errs.Unavailable, l.cfg.Dir, "Mend the disk, then start the node again.", err)
	}
	return l.wal.dropBefore(l.snapIndex)
}

// maybeSnapshot begins a snapshot where one is due. It is written beside the
// loop, from the immutable state.
func (l *loop) maybeSnapshot() {
	if l.snapBusy || l.machine.index < l.snapIndex+l.cfg.SnapshotEntries {
		return
	}
	if !l.s.enter() {
		return
	}
	l.snapBusy = true
	meta, root := l.machine.meta(), l.machine.root
	go func() {
		defer l.s.wg.Done()
		err := l.writeSnapshot(meta, root)
		l.s.call(func() { l.snapshotDone(meta.Index, err) })
	}()
}

// writeSnapshot runs beside the loop and touches only what is immutable.
func (l *loop) writeSnapshot(meta snapshotMeta, root *cib.Node) error {
	b, err := encodeSnapshot(meta, root)
	if err != nil {
		return err
	}
	return saveSnapshot(l.cfg.FS, l.cfg.Dir, meta.Index, b)
}

func (l *loop) snapshotDone(index uint64, err error) {
	l.snapBusy = false
	if err != nil {
		l.stopOn(err)
		return
	}
	l.snapIndex = max(l.snapIndex, index)
	l.stopOn(l.dropOld())
	first, err := l.storage.FirstIndex()
	if err != nil || index < first+l.cfg.KeepEntries {
		return
	}
	l.stopOn(l.storage.Compact(index - l.cfg.KeepEntries))
}
