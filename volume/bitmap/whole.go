package bitmap

import "github.com/takt-ha/takt/volume"

// SetAll marks every block.
func (m *Map) SetAll() { m.Set(0, m.Size()) }

// ClearAll clears every block. The memory stays: see Free.
func (m *Map) ClearAll() { m.Clear(0, m.Size()) }

// Free clears every block and gives the memory back. Marks that are set meanwhile may be
// lost, and the pages do not count as changed: for maps that never go to a disk.
func (m *Map) Free() {
	m.table.Store(newTable(m.Size()))
	m.marked.Store(0)
}

// Or marks all that other has marked, as far as the Map reaches, and returns how many
// blocks were not marked before. It costs what other has marked.
func (m *Map) Or(other *Map) (changed int64) {
	from := other.table.Load()
	to := m.table.Load()
	for i := range min(len(from.pages), len(to.pages)) {
		src := from.pages[i].Load()
		if src == nil {
			continue
		}
		dst := to.page(int64(i))
		for w := range src.words {
			if v := src.words[w].Load() & to.valid(i, w); v != 0 {
				changed += m.or(dst, w, v)
			}
		}
	}
	return changed
}

// valid is the mask of the bits in word w of page i that stand for blocks of the volume.
func (t *table) valid(i, w int) uint64 {
	left := t.blocks - int64(i)*PageBlocks - int64(w)*64
	switch {
	case left >= 64:
		return ^uint64(0)
	case left <= 0:
		return 0
	}
	return 1<<left - 1
}

// Grow makes the Map cover size bytes; what is new is clear. A smaller size
// changes nothing. Set and Clear may go on meanwhile; other calls of Grow may not.
func (m *Map) Grow(size int64) {
	old := m.table.Load()
	next := newTable(size)
	if next.blocks <= old.blocks {
		return
	}
	for i := range old.pages {
		// Made if missing: who still holds the old table must find the same page.
		next.pages[i].Store(old.page(int64(i)))
	}
	m.table.Store(next)
}

// Runs calls f for each run of marked blocks, in order and not cut, until f returns false.
func (m *Map) Runs(f func(off, n int64) bool) {
	t := m.table.Load()
	for b := t.find(0, t.blocks, true); b < t.blocks; {
		end := t.find(b, t.blocks, false)
		if !f(b*volume.BlockSize, (end-b)*volume.BlockSize) {
			return
		}
		b = t.find(end, t.blocks, true)
	}
}
