package disk

import (
	"errors"
	"slices"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// A secondary that has a third replica beside it keeps the activity log, too: what a primary writes here the third may not have
// got, or not have made durable, and after a crash nothing in memory tells. The log then is for everybody but the
// writer: that marks itself what this replica may lack. So the superblock names the writer while there is only one.

// BeginFor is Begin for what the replica w writes here.
func (d *Disk) BeginFor(w volume.NodeID, off, n int64) error {
	for !d.TryBeginFor(w, off, n) {
		if err := d.follow(w); err != nil {
			return err
		}
		if err := d.Begin(off, n); err != nil {
			return err
		}
		if d.logsFor(w) {
			return nil
		}
		d.End(off, n) // another writer's name came in between, and the log would not have counted for that one
	}
	return nil
}

// TryBeginFor is TryBegin for what the replica w writes here; false also if the superblock has to say so first.
func (d *Disk) TryBeginFor(w volume.NodeID, off, n int64) bool {
	if !d.logsFor(w) || !d.TryBegin(off, n) {
		return false
	}
	if d.logsFor(w) {
		return true
	}
	d.End(off, n)
	return false
}

// logsFor says whether what is in the log counts, after a crash, as what w may have written. While somebody holds extents that stays so:
// see follow. So it is to be asked when they are held.
func (d *Disk) logsFor(w volume.NodeID) bool {
	now := d.writer.Load()
	return now == uint32(meta.WriterOf(w)) || now == meta.Several
}

// follow notes durably that w writes here. What others have written leaves the log before; if that cannot be, since they
// write still, the log is for everybody.
func (d *Disk) follow(w volume.NodeID) error {
	d.logMu.Lock()
	defer d.logMu.Unlock()
	if d.draining.Load() {
		return ErrClosed
	}
	next := meta.WriterOf(w)
	switch d.Super().Writer {
	case next, meta.Several:
		return nil
	}
	if len(d.log.Hot()) > 0 {
		if err := d.resetLocked(); errs.KindOf(err) == errs.Conflict {
			next = meta.Several
		} else if err != nil {
			return err
		}
	}
	return d.setWriter(next)
}

// Finish ends a secondary's life cleanly: all that others wrote is durable here or marked, so that the next Open finds nothing to
// mark. Nothing happens on a primary that crashes, and to a disk that has failed. To be called after Drain.
func (d *Disk) Finish() error {
	d.logMu.Lock()
	defer d.logMu.Unlock()
	s := d.Super()
	if s.Crashed || s.Writer == 0 || d.failedBefore() != nil {
		return nil
	}
	if err := d.resetLocked(); err != nil {
		return err
	}
	return d.setWriter(0)
}

func (d *Disk) setWriter(w uint8) error {
	d.superMu.Lock()
	defer d.superMu.Unlock()
	s := d.Super()
	s.Writer = w
	if err := d.writeSuperLocked(s); err != nil {
		return err
	}
	d.writer.Store(uint32(w))
	return nil
}

// resetLocked empties the activity log; a Conflict if somebody holds an extent.
func (d *Disk) resetLocked() error {
	if err := d.failedBefore(); err != nil {
		return err
	}
	hot := d.log.Hot()
	picked := d.log.Pick(len(hot), nil)
	if len(picked) != len(hot) {
		d.log.Keep(picked)
		return errs.E("empty activity log", errs.Conflict, d.o.metaPath(), "", errors.New("writes are still in flight"))
	}
	if err := d.evictLocked(picked); err != nil {
		return err
	}
	if len(d.log.Hot()) > 0 {
		return errs.E("empty activity log", errs.Conflict, d.o.metaPath(), "", errors.New("writes were begun meanwhile"))
	}
	d.ringMu.Lock()
	defer d.ringMu.Unlock()
	if err := d.writeTransaction(d.log.Clear()); err != nil {
		return d.fail(d.failed("write activity log", err))
	}
	return nil
}

// doubtful are the peers for which what is in the log counts as different after a crash.
func (d *Disk) doubtful() []volume.NodeID {
	var peers []volume.NodeID
	for p := range volume.NodeID(meta.Nodes) {
		known := d.maps[p] != nil || len(d.o.Peers) == 0 || slices.Contains(d.o.Peers, p)
		if p != d.self && known && (d.super.Crashed || d.super.Writer != meta.WriterOf(p)) {
			peers = append(peers, p)
		}
	}
	return peers
}
