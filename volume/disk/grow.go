package disk

import (
	"fmt"
	"io/fs"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/bitmap"
	"github.com/takt-ha/takt/volume/meta"
)

// Grow makes room for size bytes of data, online; 0: as much as the store has. A
// backing file grows with it, a block device must have grown before. What is new counts as
// different on every peer that has a bitmap (a Clear takes it back if both sides are
// known to be zero), durably before the new size counts.
//
// New metadata is written beside the old one, and one write of the superblock goes over
// to it. Interrupted at any point, Open finds the one or the other. Internal metadata that has to move needs
// room behind the old: a backing file is lengthened by as much as that takes, a block device must have grown by more
// than its metadata takes.
//
// It does not wait for Begin, which may have to wait for peers: who is told to grow may be the one who hears their answers.
// What is leaving the activity log at that moment is in it still, wherever that is by then.
func (d *Disk) Grow(size int64) error {
	d.ringMu.Lock()
	defer d.ringMu.Unlock()
	d.saveMu.Lock()
	defer d.saveMu.Unlock()
	d.superMu.Lock()
	defer d.superMu.Unlock()
	if err := d.failedBefore(); err != nil {
		return err
	}
	old := d.Super()
	g, err := d.planGrow(old, size)
	if err != nil || g.next.Size == old.Size {
		return err
	}
	if err := d.moveLocked(&g); err != nil {
		d.shorten(g)
		return errs.E("grow volume", errs.Other, d.o.Path, "The volume is as large as before.", err)
	}
	if err := d.writeSuperLocked(g.next); err != nil {
		return d.fail(err) // the size is the old one or the new one, and so is the place of everything else
	}
	for _, m := range g.maps {
		if m == nil {
			continue
		}
		m.Set(old.Size, g.next.Size-old.Size)
	}
	d.forgetOld(old, g.next)
	d.size.Store(g.next.Size)
	return nil
}

// Room says how many bytes of data fit on the store as long as it is, and how many
// Grow could make it hold: a backing file grows with the volume, a block device must have grown before.
func (d *Disk) Room() (has, could int64, err error) {
	length, err := d.data.Capacity()
	if err != nil {
		return 0, 0, d.failed("measure volume", err)
	}
	has = most(d.Super(), length)
	could = has
	if d.lengthens() {
		could = meta.MaxSize
	}
	return has, could, nil
}

// lengthens says that the backing store is a file, which grows as it is told.
func (d *Disk) lengthens() bool {
	fi, err := d.data.Stat()
	return err == nil && fi.Mode()&fs.ModeDevice == 0
}

// most is how many bytes of data a store of that length can be made to hold without being lengthened.
func most(s meta.Super, length int64) int64 {
	if !s.Layout.Internal {
		return max(s.Size, min(length, meta.MaxSize)/volume.BlockSize*volume.BlockSize)
	}
	largest := meta.Largest(length)
	if largest <= s.Size || beside(s.Layout, meta.Internal(length, largest)) {
		return max(s.Size, largest)
	}
	// The metadata has to stay where it is: as much as fits before it, and its bitmaps have bits for.
	stays := min(s.Layout.Bitmaps, s.Layout.Bitmap/meta.Block*meta.PageBlocks*volume.BlockSize)
	if meta.Internal(length, stays) != s.Layout {
		return s.Size
	}
	return max(s.Size, stays)
}

// beside says whether new metadata can be written without touching the old, or page by page in its place.
func beside(old, next meta.Layout) bool { return next == old || next.Bitmaps >= old.End() }

// growth is what Grow is about to do.
type growth struct {
	next     meta.Super
	old      meta.Super
	dataWas  int64 // lengths of the stores before
	metaWas  int64
	dataNeed int64
	metaNeed int64
	maps     [meta.Nodes]*bitmap.Map
}

func (d *Disk) planGrow(old meta.Super, size int64) (g growth, err error) {
	g = growth{next: old, old: old}
	if g.dataWas, err = d.data.Capacity(); err != nil {
		return g, d.failed("grow volume", err)
	}
	if g.metaWas, err = d.meta.Capacity(); err != nil {
		return g, d.failed("grow volume", err)
	}
	internal := old.Layout.Internal
	if size == 0 {
		size = most(old, g.dataWas)
	}
	if size < old.Size || size%volume.BlockSize != 0 || size > meta.MaxSize {
		return g, errs.E("grow volume", errs.Invalid, d.o.Path, fmt.Sprintf("A volume only grows, by multiples of %d bytes.", volume.BlockSize),
			fmt.Errorf("from %s to %s", bytes(old.Size), bytes(size)))
	}
	g.next.Size = size
	g.dataNeed = size
	if !internal {
		g.next.Layout = externalAfter(old.Layout, size)
		g.metaNeed = g.next.Layout.End()
		return g, nil
	}
	g.dataNeed = max(g.dataWas, size+meta.Overhead(size))
	if !beside(old.Layout, meta.Internal(g.dataNeed, size)) && size > old.Size {
		need := old.Layout.End() + meta.Overhead(size)
		if !d.lengthens() {
			return g, errs.E("grow volume", errs.Invalid, d.o.Path, fmt.Sprintf("Enlarge the device by %s more, or give the volume external metadata.", bytes(need-g.dataWas)),
				fmt.Errorf("the device has grown by less than the metadata takes (%s), so the new would lie on the old", bytes(meta.Overhead(size))))
		}
		g.dataNeed = need
	}
	g.next.Layout = meta.Internal(g.dataNeed, size)
	return g, nil
}

// externalAfter finds a place for larger bitmaps that does not touch the old ones.
func externalAfter(old meta.Layout, size int64) meta.Layout {
	l := meta.External(size)
	need := volume.MaxPeers * l.Bitmap
	switch {
	case l.Bitmap == old.Bitmap:
		l.Bitmaps = old.Bitmaps
	case l.Bitmaps+need > old.Bitmaps:
		l.Bitmaps = old.Bitmaps + volume.MaxPeers*old.Bitmap
	}
	return l
}

// moveLocked writes the new metadata, all but the superblock.
func (d *Disk) moveLocked(g *growth) error {
	if _, err := lengthen(d.data, d.o.Path, g.dataWas, g.dataNeed); err != nil {
		return err
	}
	if d.meta != d.data {
		if _, err := lengthen(d.meta, d.o.metaPath(), g.metaWas, g.metaNeed); err != nil {
			return err
		}
	}
	d.log.Grow(g.next.Size)
	if g.next.Layout.Actlog != g.old.Layout.Actlog {
		ring := make([]byte, meta.ActlogBytes)
		d.log.Rewrite(ring, g.old.Volume)
		if _, err := d.meta.WriteAt(ring, g.next.Layout.Actlog); err != nil {
			return err
		}
	}
	if err := d.moveBitmaps(g); err != nil {
		return err
	}
	if err := d.data.Sync(); err != nil { // its length, too
		return err
	}
	return d.meta.Sync()
}

// moveBitmaps writes all bitmaps for the new size to their new place.
func (d *Disk) moveBitmaps(g *growth) error {
	d.stateMu.Lock()
	g.maps = d.maps
	d.stateMu.Unlock()
	added := bitmap.New(g.next.Size)
	added.Set(g.old.Size, g.next.Size-g.old.Size)
	w := pageWriter{d: d, layout: g.next.Layout, buf: make([]byte, 0, batchPages*meta.Block)}
	for p, m := range g.maps {
		if m == nil {
			continue
		}
		m.Grow(g.next.Size)
		w.begin(volume.NodeID(p), m, added)
		w.all()
		g.next.Saved |= 1 << p
	}
	err := w.end()
	w.takeBack() // if this fails later on, the old place must get them
	return err
}

// shorten gives back what a failed Grow has taken, so that the metadata is at the end again.
func (d *Disk) shorten(g growth) {
	if d.lengthens() && d.Super().Size == g.old.Size {
		_ = d.data.Truncate(g.dataWas) // best effort: Open searches, too
	}
}

// forgetOld zeroes the old internal metadata, which is data now, or will be. Nobody may write there yet. If that fails, the
// blocks read as what was there: they count as different anyway.
func (d *Disk) forgetOld(old, next meta.Super) {
	d.use.RLock()
	defer d.use.RUnlock()
	if old.Layout.Internal && old.Layout != next.Layout && !d.shut {
		_ = d.zeroWhole(old.Layout.Bitmaps, old.Layout.End()-old.Layout.Bitmaps, false)
	}
}
