package disk

import (
	"errors"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/actlog"
	"github.com/takt-ha/takt/volume/bitmap"
	"github.com/takt-ha/takt/volume/meta"
)

// writeDurable writes and makes durable, in one call where the system can.
func writeDurable(f osfs.Device, p []byte, off int64) error {
	_, err := f.WriteAtDurable(p, off)
	if !errors.Is(err, osfs.ErrUnsupported) {
		return err
	}
	if _, err := f.WriteAt(p, off); err != nil {
		return err
	}
	return f.SyncData()
}

// WriteSuper replaces the superblock; it is durable when WriteSuper returns. Sequence,
// Volume, Self, Size, ActlogSize, Layout, Saved and Writer are the disk's own: what s says about
// them does not count. After an error either the old or the new one is on disk.
func (d *Disk) WriteSuper(s meta.Super) error {
	d.superMu.Lock()
	defer d.superMu.Unlock()
	now := d.Super()
	s.Volume, s.Self, s.Size, s.ActlogSize, s.Layout, s.Saved, s.Writer = now.Volume, now.Self, now.Size, now.ActlogSize, now.Layout, now.Saved, now.Writer
	return d.writeSuperLocked(s)
}

// writeSuper writes s with all that it says but the sequence.
func (d *Disk) writeSuper(s meta.Super) error {
	d.superMu.Lock()
	defer d.superMu.Unlock()
	return d.writeSuperLocked(s)
}

// writeSuperLocked needs superMu.
func (d *Disk) writeSuperLocked(s meta.Super) error {
	if err := d.failedBefore(); err != nil {
		return err
	}
	s.Sequence = d.Super().Sequence + 1
	if err := s.Check(); err != nil {
		return errs.E("write superblock", errs.Invalid, d.o.metaPath(), "", err)
	}
	if err := putSuper(d.meta, s); err != nil {
		return d.failed("write superblock", err)
	}
	d.stateMu.Lock()
	d.super = s
	d.stateMu.Unlock()
	return nil
}

// putSuper writes copy A and then copy B, so that at each moment one of them is whole.
func putSuper(f osfs.Device, s meta.Super) error {
	b := meta.Encode(s)
	if err := writeDurable(f, b, s.Layout.Super); err != nil {
		return err
	}
	return writeDurable(f, b, s.Layout.Super+meta.Block)
}

// writeTransaction needs ringMu, since Grow moves the ring.
func (d *Disk) writeTransaction(t actlog.Transaction) error {
	b := make([]byte, meta.Block)
	t.Encode(b, d.id)
	d.alWrites.Add(1)
	return writeDurable(d.meta, b, d.Super().Layout.Actlog+int64(t.Seq%meta.ActlogBlocks)*meta.Block)
}

// SaveBitmaps writes the pages that have changed since they were saved last. Every mark whose Set
// returned before the call is durable when it returns nil.
func (d *Disk) SaveBitmaps() error {
	d.saveMu.Lock()
	defer d.saveMu.Unlock()
	if err := d.failedBefore(); err != nil {
		return err
	}
	var saved uint8
	w := pageWriter{d: d, layout: d.Super().Layout, buf: make([]byte, 0, batchPages*meta.Block)}
	for p := range volume.NodeID(meta.Nodes) {
		d.stateMu.Lock()
		m, onDisk := d.maps[p], d.super.Saved&(1<<p) != 0
		d.stateMu.Unlock()
		if m == nil || !onDisk && m.NextDirty(0) < 0 {
			continue
		}
		w.begin(p, m)
		if onDisk {
			w.changed()
		} else {
			saved |= 1 << p
			w.all()
		}
	}
	if err := w.end(); err != nil {
		w.takeBack()
		return d.failed("write bitmap", err)
	}
	if err := d.markSaved(saved); err != nil {
		w.takeBack()
		return err
	}
	return nil
}

// markSaved notes which bitmaps are on disk from now on.
func (d *Disk) markSaved(saved uint8) error {
	if saved == 0 {
		return nil
	}
	d.superMu.Lock()
	defer d.superMu.Unlock()
	s := d.Super()
	s.Saved |= saved
	return d.writeSuperLocked(s)
}

// pageWriter writes pages, neighbours together.
type pageWriter struct {
	d      *Disk
	layout meta.Layout
	buf    []byte
	peer   volume.NodeID
	m      *bitmap.Map
	also   []*bitmap.Map // count as marked, too
	first  int           // page of the first one in buf
	wrote  []ref         // to be touched again if they do not become durable
	err    error
}

type ref struct {
	m    *bitmap.Map
	page int
}

func (w *pageWriter) begin(p volume.NodeID, m *bitmap.Map, also ...*bitmap.Map) {
	w.flush()
	w.peer, w.m, w.also = p, m, also
}

// pages is how many there is room for: a Map can be larger while the volume grows.
func (w *pageWriter) pages() int { return min(w.m.Pages(), int(w.layout.Bitmap/meta.Block)) }

func (w *pageWriter) changed() {
	for page := w.m.NextDirty(0); page >= 0 && page < w.pages() && w.err == nil; page = w.m.NextDirty(page + 1) {
		w.add(page)
	}
}

func (w *pageWriter) all() {
	for page := range w.pages() {
		if w.err != nil {
			return
		}
		w.add(page)
	}
}

func (w *pageWriter) add(page int) {
	if n := len(w.buf) / meta.Block; n > 0 && (page != w.first+n || n == batchPages) {
		w.flush()
	}
	if len(w.buf) == 0 {
		w.first = page
	}
	at := len(w.buf)
	w.buf = w.buf[:at+meta.Block]
	w.m.EncodePage(w.buf[at:], w.d.id, w.peer, page, w.also...)
	w.wrote = append(w.wrote, ref{w.m, page})
}

func (w *pageWriter) flush() {
	if len(w.buf) == 0 || w.err != nil {
		return
	}
	_, w.err = w.d.meta.WriteAt(w.buf, w.layout.PageAt(w.d.self, w.peer, w.first))
	w.d.bmWrites.Add(uint64(len(w.buf) / meta.Block))
	w.buf = w.buf[:0]
}

// end makes everything durable.
func (w *pageWriter) end() error {
	w.flush()
	if w.err == nil && len(w.wrote) > 0 {
		w.err = w.d.meta.SyncData()
	}
	return w.err
}

// takeBack makes all pages count as changed again: nobody knows whether they are on disk.
func (w *pageWriter) takeBack() {
	for _, r := range w.wrote {
		r.m.Touch(r.page)
	}
}
