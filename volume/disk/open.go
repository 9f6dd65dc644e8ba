package disk

import (
	"errors"
	"fmt"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/actlog"
	"github.com/takt-ha/takt/volume/bitmap"
	"github.com/takt-ha/takt/volume/meta"
)

// Open opens a replica and checks everything that can be checked. If it crashed
// as a primary, the extents of the activity log are marked in every bitmap, durably,
// before Open returns; the superblock still says Crashed. If it crashed as a secondary that keeps the log (see BeginFor), they
// are marked for all but the writer.
//
// Damage that can be read safely is: a damaged page of a bitmap and a damaged activity log
// count as all marked. See Notes.
func Open(disk osfs.FS, o Options) (*Disk, error) {
	s, err := openStores(disk, &o, false)
	if err != nil {
		return nil, err
	}
	d, err := open(s, o)
	if err != nil {
		s.close()
		return nil, err
	}
	return d, nil
}

func open(s stores, o Options) (*Disk, error) {
	got, err := locate(s.meta, &o)
	if err != nil {
		return nil, err
	}
	if err := o.admit(s, got.super); err != nil {
		return nil, err
	}
	d := &Disk{o: o, fast: s.data.InMemory(), data: s.data, meta: s.meta, id: got.super.Volume, self: got.super.Self, super: got.super,
		idle: make(chan struct{}, 1), closed: make(chan struct{})}
	d.size.Store(got.super.Size)
	d.writer.Store(uint32(got.super.Writer))
	if !got.whole {
		d.note("one copy of the superblock was damaged or older than the other; it is written anew")
	}
	if err := d.loadBitmaps(); err != nil {
		return nil, d.failed("read bitmaps", err)
	}
	if err := d.openLog(); err != nil {
		return nil, d.failed("read activity log", err)
	}
	slots := got.super.ActlogSize
	if o.Extents != 0 {
		slots = o.Extents
	}
	if !got.whole || slots != got.super.ActlogSize {
		next := d.Super() // what was marked may have changed it
		next.ActlogSize = slots
		if err := d.writeSuper(next); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// admit checks that a superblock is the one that is meant, and fits the stores.
func (o *Options) admit(s stores, super meta.Super) error {
	const op = "open volume metadata"
	switch {
	case o.ID != [16]byte{} && super.Volume != o.ID:
		return errs.E(op, errs.Conflict, o.metaPath(), "Check the path in the configuration. Nothing was changed.",
			fmt.Errorf("it belongs to another volume, %x, not to %s, %x", super.Volume, o.Volume, o.ID))
	case super.Self != o.Self:
		return errs.E(op, errs.Conflict, o.metaPath(), "Each node keeps its number while the volume lives. Check the configuration; a copied disk image needs metadata of its own.",
			fmt.Errorf("it belongs to node %d, this is node %d", super.Self, o.Self))
	case super.Layout.Internal != o.internal():
		return errs.E(op, errs.Conflict, o.metaPath(), `Check "meta" in the configuration.`, errors.New("internal metadata where external was expected, or the other way round"))
	case o.Extents != 0 && (o.Extents < meta.MinActlog || o.Extents > meta.MaxActlog):
		return errs.E(op, errs.Invalid, o.metaPath(), "", fmt.Errorf("al-extents %d: want %d to %d", o.Extents, meta.MinActlog, meta.MaxActlog))
	}
	if err := fits(s.data, o.Path, super.Size, "data"); err != nil {
		return err
	}
	return fits(s.meta, o.metaPath(), super.Layout.End(), "data and metadata")
}

// fits checks that a store is as long as it must be.
func fits(f osfs.Device, path string, need int64, what string) error {
	have, err := f.Capacity()
	if err != nil {
		return errs.E("open volume", errs.Other, path, "", err)
	}
	if have < need {
		return errs.E("open volume", errs.Corrupt, path, "It was cut off or replaced. Restore it, or create the replica anew and resync it from a good one.",
			fmt.Errorf("it has %s, the metadata speaks of %s of %s", bytes(have), bytes(need), what))
	}
	return nil
}

func (d *Disk) note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}

func (d *Disk) failed(op string, err error) error {
	return errs.E(op, errs.Other, d.o.metaPath(), "", err)
}

// loadBitmaps reads the bitmaps that are on disk.
func (d *Disk) loadBitmaps() error {
	for p := range volume.NodeID(meta.Nodes) {
		if d.super.Saved&(1<<p) == 0 || p == d.super.Self {
			continue
		}
		m := bitmap.New(d.super.Size)
		bad, err := d.loadBitmap(m, p)
		if err != nil {
			return err
		}
		if bad > 0 {
			d.note("%d pages of the bitmap for node %d were damaged; every block of them counts as different", bad, p)
		}
		d.maps[p] = m
	}
	return nil
}

// batchPages is how many pages are read or written at once.
const batchPages = 256

func (d *Disk) loadBitmap(m *bitmap.Map, p volume.NodeID) (bad int, err error) {
	b := make([]byte, batchPages*meta.Block)
	for page, pages := 0, m.Pages(); page < pages; {
		n := min(batchPages, pages-page)
		if err := readFull(d.meta, b[:n*meta.Block], d.super.Layout.PageAt(d.super.Self, p, page)); err != nil {
			return bad, err
		}
		for i := range n {
			if m.DecodePage(b[i*meta.Block:][:meta.Block], d.super.Volume, p, page+i) != nil {
				bad++
			}
		}
		page += n
	}
	return bad, nil
}

// openLog reads the activity log, marks what it says if the primary crashed, and
// begins it anew.
func (d *Disk) openLog() error {
	ring := make([]byte, meta.ActlogBytes)
	if err := readFull(d.meta, ring, d.super.Layout.Actlog); err != nil {
		return err
	}
	r := actlog.Replay(ring, d.super.Volume, actlog.Extents(d.super.Size))
	if d.super.Crashed || d.super.Writer != 0 {
		if err := d.markHot(r); err != nil {
			return err
		}
	}
	slots := d.super.ActlogSize
	if d.o.Extents != 0 {
		slots = d.o.Extents
	}
	if r.Bad > 0 {
		d.note("%d transactions of the activity log were damaged; it is written anew", r.Bad)
		seq := actlog.Blank(ring, d.super.Volume, slots, r.Seq)
		if err := writeDurable(d.meta, ring, d.super.Layout.Actlog); err != nil {
			return err
		}
		d.log = actlog.New(d.super.Size, slots, seq)
		return d.forgetSeveral()
	}
	d.log = actlog.New(d.super.Size, slots, r.Seq)
	if err := d.writeTransaction(d.log.Clear()); err != nil {
		return err
	}
	return d.forgetSeveral()
}

// forgetSeveral: the log is empty, so it may be one writer's again; else what is in it would count for that one, too, at each crash until
// an orderly end.
func (d *Disk) forgetSeveral() error {
	if d.super.Writer != meta.Several {
		return nil
	}
	return d.setWriter(0)
}

// markHot marks the extents that may differ after a crash, for each peer that they may differ on.
func (d *Disk) markHot(r actlog.Replayed) error {
	if r.All {
		d.note("%s; every block counts as different", r.Why)
	}
	for _, p := range d.doubtful() {
		m := d.Bitmap(p)
		if r.All {
			m.SetAll()
		}
		for _, e := range r.Hot {
			m.Set(int64(e)*volume.ExtentSize, volume.ExtentSize)
		}
	}
	return d.SaveBitmaps()
}
