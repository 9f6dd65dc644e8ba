// Package bitmap holds which blocks of a volume differ on a peer: one bit for
// each 4 KiB. Pure; safe for concurrent use (atomic words), without locks.
//
// Bits are kept in pages as they are on disk: 510 words of 64 bits each, which cover
// 127.5 MiB of data. A page in which nothing was ever marked takes no memory.
package bitmap

import (
	"math/bits"
	"sync/atomic"

	"github.com/takt-ha/takt/volume"
)

const (
	pageWords = 510
	// PageBlocks is how many blocks one page covers.
	PageBlocks = pageWords * 64
	// PageBytes is how many bytes of data one page covers.
	PageBytes = PageBlocks * volume.BlockSize
	// MaxRun is the longest run that Next returns, in bytes.
	MaxRun = 1 << 20
)

// Map is the set of marked blocks. The zero value is of no use: see New.
type Map struct {
	table atomic.Pointer[table]
	// marked counts blocks. It grows before a mark is set and shrinks after one was cleared, so
	// that 0 always means that nothing is marked.
	marked atomic.Int64
}

// table is the pages of a Map of one size.
type table struct {
	blocks int64
	pages  []atomic.Pointer[page]
}

// page is one page of bits.
//
// dirty is set after a word was changed and taken back before the words are read for
// the disk, so a change that has returned is in the page that is encoded next.
type page struct {
	words [pageWords]atomic.Uint64
	dirty atomic.Bool
}

// New makes a Map for size bytes with nothing marked.
func New(size int64) *Map {
	m := &Map{}
	m.table.Store(newTable(size))
	return m
}

func newTable(size int64) *table {
	blocks := max(0, (size+volume.BlockSize-1)/volume.BlockSize)
	return &table{blocks: blocks, pages: make([]atomic.Pointer[page], (blocks+PageBlocks-1)/PageBlocks)}
}

// touched returns the blocks that the range of bytes touches, as [first, end).
func (t *table) touched(off, n int64) (first, end int64) {
	if n <= 0 || off < 0 {
		return 0, 0
	}
	end = t.blocks
	if n <= end*volume.BlockSize-off { // no overflow whatever n is
		end = (off + n + volume.BlockSize - 1) / volume.BlockSize
	}
	return off / volume.BlockSize, end
}

// within returns the blocks that lie wholly in the range; the last block of the
// volume counts as whole.
func (t *table) within(off, n int64) (first, end int64) {
	if n <= 0 || off < 0 {
		return 0, 0
	}
	end = t.blocks
	if n < end*volume.BlockSize-off {
		end = (off + n) / volume.BlockSize
	}
	return (off + volume.BlockSize - 1) / volume.BlockSize, end
}

// page returns a page, made if it was not there.
func (t *table) page(i int64) *page {
	slot := &t.pages[i]
	if p := slot.Load(); p != nil {
		return p
	}
	slot.CompareAndSwap(nil, new(page)) // who loses takes the winner's
	return slot.Load()
}

// Size is how many bytes the Map covers, a multiple of a block.
func (m *Map) Size() int64 { return m.table.Load().blocks * volume.BlockSize }

// Set marks every block that the range of bytes touches, as far as the Map
// reaches, and returns how many blocks were not marked before.
func (m *Map) Set(off, n int64) (changed int64) {
	t := m.table.Load()
	first, end := t.touched(off, n)
	for first < end {
		i := first / PageBlocks
		base := i * PageBlocks
		stop := min(end, base+PageBlocks)
		changed += m.set(t.page(i), int(first-base), int(stop-base))
		first = stop
	}
	return changed
}

// Clear clears every block that lies wholly in the range of bytes and returns how
// many were marked.
func (m *Map) Clear(off, n int64) (changed int64) {
	t := m.table.Load()
	first, end := t.within(off, n)
	for first < end {
		i := first / PageBlocks
		base := i * PageBlocks
		stop := min(end, base+PageBlocks)
		if p := t.pages[i].Load(); p != nil {
			changed += m.clear(p, int(first-base), int(stop-base))
		}
		first = stop
	}
	return changed
}

// span returns the mask of the bits [lo, hi) in the word that holds lo, and how many there are.
func span(lo, hi int) (mask uint64, n int) {
	n = min(64-lo&63, hi-lo)
	return ^uint64(0) >> (64 - n) << (lo & 63), n
}

// set marks the bits [lo, hi) of a page.
func (m *Map) set(p *page, lo, hi int) (changed int64) {
	for lo < hi {
		mask, n := span(lo, hi)
		changed += m.or(p, lo>>6, mask)
		lo += n
	}
	return changed
}

// or marks the bits of mask in a word.
func (m *Map) or(p *page, word int, mask uint64) (changed int64) {
	w := &p.words[word]
	missing := mask &^ w.Load()
	if missing == 0 {
		return 0
	}
	expected := ones(missing)
	m.marked.Add(expected)
	if changed = ones(mask &^ w.Or(mask)); changed != expected {
		m.marked.Add(changed - expected)
	}
	p.note()
	return changed
}

// clear clears the bits [lo, hi) of a page.
func (m *Map) clear(p *page, lo, hi int) (changed int64) {
	for lo < hi {
		mask, n := span(lo, hi)
		if w := &p.words[lo>>6]; w.Load()&mask != 0 {
			changed += ones(mask & w.And(^mask))
		}
		lo += n
	}
	if changed != 0 {
		m.marked.Add(-changed)
		p.note()
	}
	return changed
}

// note marks a page that has changed for the disk.
func (p *page) note() {
	if !p.dirty.Load() {
		p.dirty.Store(true)
	}
}

func ones(v uint64) int64 { return int64(bits.OnesCount64(v)) }

// Next returns the next run of marked blocks at or after off: where it starts and
// how many bytes it has, at most MaxRun. n = 0: there is none.
func (m *Map) Next(off int64) (start, n int64) {
	t := m.table.Load()
	if m.marked.Load() == 0 {
		return 0, 0
	}
	first := t.find(max(0, off)/volume.BlockSize, t.blocks, true)
	if first >= t.blocks {
		return 0, 0
	}
	end := t.find(first, min(t.blocks, first+MaxRun/volume.BlockSize), false)
	return first * volume.BlockSize, (end - first) * volume.BlockSize
}

// find returns the first block in [b, end) whose mark is as wanted, or end.
func (t *table) find(b, end int64, want bool) int64 {
	for b < end {
		i := b / PageBlocks
		p := t.pages[i].Load()
		base := i * PageBlocks
		if p == nil && !want {
			return b
		}
		if p != nil {
			stop := min(end-base, PageBlocks)
			if at := p.find(int(b-base), int(stop), want); at < int(stop) {
				return base + int64(at)
			}
		}
		b = base + PageBlocks
	}
	return end
}

// find returns the first bit in [in, stop) that is as wanted, or stop.
func (p *page) find(in, stop int, want bool) int {
	for in < stop {
		w := p.words[in>>6].Load()
		if !want {
			w = ^w
		}
		if w >>= in & 63; w != 0 {
			return min(stop, in+bits.TrailingZeros64(w))
		}
		in = in&^63 + 64
	}
	return stop
}

// Any says whether the range of bytes touches a marked block.
func (m *Map) Any(off, n int64) bool {
	if m.marked.Load() == 0 {
		return false
	}
	t := m.table.Load()
	first, end := t.touched(off, n)
	return first < end && t.find(first, end, true) < end
}

// Bytes is how many bytes are marked. It costs nothing. While marks are being set it can
// be too high by those; it is never too low.
func (m *Map) Bytes() int64 { return m.marked.Load() * volume.BlockSize }
