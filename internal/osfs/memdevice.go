package osfs

import (
	"io/fs"
	"slices"
)

var _ Device = (*memFile)(nil)

// holeUnit is the size of a hole in a Mem, in bytes.
const holeUnit = 4096

func (f *memFile) Lock() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.okLocked("lock", false); err != nil {
		return err
	}
	if h := f.node.holder; h != nil && h != f && !h.closed && h.epoch == f.disk.epoch {
		return &fs.PathError{Op: "lock", Path: f.name, Err: ErrLocked}
	}
	f.node.holder = f
	return nil
}

func (f *memFile) Capacity() (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (f *memFile) SyncData() error { return f.Sync() }

// WriteAtDurable leaves other writes as they were: lost in a crash if they are not synced.
func (f *memFile) WriteAtDurable(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.okLocked("write", true); err != nil {
		return 0, err
	}
	n := f.node
	n.data = writeAt(n.data, p, off)
	n.forget(off, off+int64(len(p)))
	n.durable = writeAt(n.durable, p, off)
	return len(p), nil
}

// forget takes a range out of the writes that are not synced: what they say about
// it has been overtaken.
func (n *memNode) forget(from, to int64) {
	var rest []memWrite
	for _, w := range n.pending {
		end := w.off + int64(len(w.data))
		if w.truncate || end <= from || w.off >= to {
			rest = append(rest, w)
			continue
		}
		if w.off < from {
			rest = append(rest, memWrite{off: w.off, data: w.data[:from-w.off]})
		}
		if end > to {
			rest = append(rest, memWrite{off: to, data: w.data[to-w.off:]})
		}
	}
	n.pending = rest
}

func (f *memFile) Zero(off, n int64) error  { return f.zero("zero", off, n) }
func (f *memFile) Punch(off, n int64) error { return f.zero("punch", off, n) }

func (f *memFile) zero(call string, off, n int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.okLocked(call, true); err != nil {
		return err
	}
	if n = min(n, int64(len(f.node.data))-off); n > 0 {
		f.node.write(make([]byte, n), off)
	}
	return nil
}

func (f *memFile) Allocate(_, _ int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.okLocked("allocate", true)
}

// NextData takes 4 KiB of zeroes for a hole.
func (f *memFile) NextData(off int64) (start, end int64, err error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.okLocked("seek", false); err != nil {
		return 0, 0, err
	}
	data := f.node.data
	size := int64(len(data))
	hole := func(at int64) bool {
		return !slices.ContainsFunc(data[at:min(size, at+holeUnit)], func(b byte) bool { return b != 0 })
	}
	for start = off / holeUnit * holeUnit; start < size && hole(start); {
		start += holeUnit
	}
	for end = start; end < size && !hole(end); {
		end += holeUnit
	}
	return min(size, max(off, start)), min(size, max(off, end)), nil
}

func (f *memFile) ReadCached(p []byte, off int64) bool {
	n, err := f.ReadAt(p, off)
	return n == len(p) && err == nil
}

func (f *memFile) InMemory() bool { return true }
