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
	table  atomic.Pointer[table]
	marked atomic.Int64 // blocks
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
	words  [pageWords]atomic.Uint64
	marked atomic.Int32 // blocks
	dirty  atomic.Bool
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
		changed += t.page(i).set(int(first-base), int(stop-base))
		first = stop
	}
	if changed != 0 {
		m.marked.Add(changed)
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
			changed += p.clear(int(first-base), int(stop-base))
		}
		first = stop
	}
	if changed != 0 {
		m.marked.Add(-changed)
	}
	return changed
}

// span returns the mask of the bits [lo, hi) in the word that holds lo, and how many there are.
func span(lo, hi int) (mask uint64, n int) {
	n = min(64-lo&63, hi-lo)
	return ^uint64(0) >> (64 - n) << (lo & 63), n
}

func (p *page) set(lo, hi int) int64 {
	changed := 0
	for lo < hi {
		mask, n := span(lo, hi)
		w := &p.words[lo>>6]
		if w.Load()&mask != mask {
			changed += bits.OnesCount64(mask &^ w.Or(mask))
		}
		lo += n
	}
	p.note(changed)
	return int64(changed)
}

func (p *page) clear(lo, hi int) int64 {
	changed := 0
	for lo < hi {
		mask, n := span(lo, hi)
		w := &p.words[lo>>6]
		if w.Load()&mask != 0 {
			changed += bits.OnesCount64(mask & w.And(^mask))
		}
		lo += n
	}
	p.note(-changed)
	return int64(changed)
}

// note counts a change and marks the page for the disk.
func (p *page) note(delta int) {
	if delta == 0 {
		return
	}
	p.marked.Add(int32(delta))
	if !p.dirty.Load() {
		p.dirty.Store(true)
	}
}

// Next returns the next run of marked blocks at or after off: where it starts and
// how many bytes it has, at most MaxRun. n = 0: there is none.
func (m *Map) Next(off int64) (start, n int64) {
	t := m.table.Load()
	if off < 0 {
		off = 0
	}
	first := t.find(off/volume.BlockSize, true)
	if first >= t.blocks {
		return 0, 0
	}
	limit := min(t.blocks, first+MaxRun/volume.BlockSize)
	end := first + 1
	for end < limit && t.has(end) {
		end++
	}
	return first * volume.BlockSize, (end - first) * volume.BlockSize
}

func (t *table) has(b int64) bool {
	p := t.pages[b/PageBlocks].Load()
	in := b % PageBlocks
	return p != nil && p.words[in>>6].Load()>>(in&63)&1 != 0
}

// find returns the first block at or after b whose mark is as wanted, or t.blocks.
func (t *table) find(b int64, want bool) int64 {
	for b < t.blocks {
		i := b / PageBlocks
		in := int(b - i*PageBlocks)
		p := t.pages[i].Load()
		if (p == nil || p.marked.Load() == 0) && want {
			b = (i + 1) * PageBlocks
			continue
		}
		if p == nil {
			return b
		}
		if at := p.find(in, want); at < PageBlocks {
			return min(t.blocks, i*PageBlocks+int64(at))
		}
		b = (i + 1) * PageBlocks
	}
	return t.blocks
}

// find returns the first bit at or after in that is as wanted, or PageBlocks.
func (p *page) find(in int, want bool) int {
	for in < PageBlocks {
		w := p.words[in>>6].Load()
		if !want {
			w = ^w
		}
		if w >>= in & 63; w != 0 {
			return in + bits.TrailingZeros64(w)
		}
		in = in&^63 + 64
	}
	return PageBlocks
}

// Any says whether the range of bytes touches a marked block.
func (m *Map) Any(off, n int64) bool {
	t := m.table.Load()
	first, end := t.touched(off, n)
	return first < end && t.find(first, true) < end
}

// Bytes is how many bytes are marked. It costs nothing.
func (m *Map) Bytes() int64 { return m.marked.Load() * volume.BlockSize }
