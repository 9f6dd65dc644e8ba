// Package actlog is the activity log: which extents of 4 MiB may differ from the peers
// after a crash, because they were written lately. It holds a limited number of them; the
// one that was not used for longest makes room. Pure: volume/disk does the I/O, in
// the order of "What is durable, and when" in volume/DESIGN.md.
//
// The life of an extent:
//
//	      Admit, transaction on disk, Commit          Pick
//	out ────────────────────────────────────▶ in ──────────────▶ leaving
//	 ▲                                        ▲ ▲                 │   │
//	 │                                        │ └──── Hold ───────┘   │
//	 └──────────── Evict ─────────────────────┼───────────────────────┘
//	                                          └── Keep ───────────────┘
//
// Hold and Drop take no lock and may be called by any goroutine at any time. All other
// methods belong to one caller at a time; but Grow and Rewrite may be called beside those that put
// nothing into a slot or out of it (Pick, Keep, Wait, Has, Free, Held, Hot).
package actlog

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/takt-ha/takt/volume"
)

// None is the number that no extent has.
const None = ^uint32(0)

// The state of an extent is one word, so that a hot extent costs one exchange:
// bits 0–31 when it was used last, counted in transactions; bits 32–55 how many
// hold it; then whether it is in the log on disk and whether it is about to leave.
const (
	oneHolder = 1 << 32
	holders   = 0xffffff << 32
	in        = 1 << 62
	leaving   = 1 << 63
)

const chunkExtents = 8192

type chunk [chunkExtents]atomic.Uint64

// Log is the activity log of one volume in memory.
type Log struct {
	chunks  atomic.Pointer[[]*chunk] // by extent; chunks never move
	now     atomic.Uint32            // transactions so far
	waiting atomic.Bool              // somebody wants to hear of an extent that nobody holds any more

	slots  []uint32       // what is in the log on disk: the extent in each slot, or None
	slotOf map[uint32]int // the inverse
	told   []uint64       // the last transaction that named each slot
	free   []int          // empty slots, the next one last
	cursor int            // the next slot to be repeated in a transaction
	seq    uint64         // of the last transaction
}

// New makes an empty log for a volume of size bytes with so many slots. seq is the number of
// the last transaction on disk.
func New(size int64, slots int, seq uint64) *Log {
	l := &Log{slots: make([]uint32, slots), slotOf: make(map[uint32]int), told: make([]uint64, slots), seq: seq}
	l.now.Store(1)
	for i := slots - 1; i >= 0; i-- {
		l.slots[i] = None
		l.free = append(l.free, i)
	}
	l.chunks.Store(&[]*chunk{})
	l.Grow(size)
	return l
}

// Extents is how many extents size bytes have.
func Extents(size int64) uint32 {
	return uint32((size + volume.ExtentSize - 1) / volume.ExtentSize)
}

// Grow makes room for the extents of size bytes.
func (l *Log) Grow(size int64) {
	chunks := slices.Clone(*l.chunks.Load())
	for int64(len(chunks))*chunkExtents < int64(Extents(size)) {
		chunks = append(chunks, new(chunk))
	}
	l.chunks.Store(&chunks)
}

func (l *Log) word(e uint32) *atomic.Uint64 {
	return &(*l.chunks.Load())[e/chunkExtents][e%chunkExtents]
}

// Hold keeps extent e in the log if it is there on disk, until Drop; false: it is not, and is not held.
func (l *Log) Hold(e uint32) bool {
	w := l.word(e)
	now := uint64(l.now.Load())
	for {
		old := w.Load()
		if old&in == 0 {
			return false
		}
		if w.CompareAndSwap(old, old&(in|holders)+oneHolder|now) {
			return true
		}
	}
}

// Drop ends a Hold. It returns true if somebody waits for extents that nobody holds
// (see Wait) and this has become one.
func (l *Log) Drop(e uint32) bool {
	return l.word(e).Add(^uint64(oneHolder-1))&holders == 0 && l.waiting.Load()
}

// Wait says whether Drop shall report extents that nobody holds any more.
func (l *Log) Wait(on bool) { l.waiting.Store(on) }

// Held says whether somebody holds an extent.
func (l *Log) Held() bool {
	for _, e := range l.slots {
		if e != None && l.word(e).Load()&holders != 0 {
			return true
		}
	}
	return false
}

// Has says whether extent e is in the log on disk.
func (l *Log) Has(e uint32) bool { return l.word(e).Load()&in != 0 }

// Free is how many extents can be admitted without an eviction.
func (l *Log) Free() int { return len(l.free) }

// Slots is how many extents the log can hold.
func (l *Log) Slots() int { return len(l.slots) }

// Seq is the number of the last transaction.
func (l *Log) Seq() uint64 { return l.seq }

// Pick chooses up to n extents to make room: those that nobody holds, the coldest
// first, and none of spare. They are leaving from now on, until Evict or Keep.
func (l *Log) Pick(n int, spare []uint32) []uint32 {
	coldest := make([]idle, 0, n+1) // ascending
	for _, e := range l.slots {
		if e == None || slices.Contains(spare, e) {
			continue
		}
		w := l.word(e).Load()
		c := idle{uint32(w), e}
		if w&(holders|leaving) != 0 || len(coldest) == n && (n == 0 || c.cmp(coldest[n-1]) > 0) {
			continue
		}
		at, _ := slices.BinarySearchFunc(coldest, c, idle.cmp)
		coldest = slices.Insert(coldest, at, c)
		coldest = coldest[:min(n, len(coldest))]
	}
	var picked []uint32
	for _, c := range coldest {
		w := l.word(c.extent)
		if old := w.Load(); old&(in|holders|leaving) == in && w.CompareAndSwap(old, old|leaving) {
			picked = append(picked, c.extent)
		}
	}
	return picked
}

// idle is an extent that nobody holds.
type idle struct{ used, extent uint32 }

// cmp puts what was used longest ago first. The count of transactions may wrap round:
// then some extents leave too early, which costs time alone.
func (c idle) cmp(d idle) int {
	if c.used != d.used {
		return cmp.Compare(c.used, d.used)
	}
	return cmp.Compare(c.extent, d.extent)
}

// Keep takes Pick back.
func (l *Log) Keep(picked []uint32) {
	for _, e := range picked {
		l.word(e).And(^uint64(leaving))
	}
}

// Evict takes the picked extents out of the log, but for those that somebody has held since.
// It is right only after everything in them is durable here and on the peers or marked
// on disk as different. On disk they leave with the next transaction.
func (l *Log) Evict(picked []uint32) (gone []uint32) {
	for _, e := range picked {
		w := l.word(e)
		if old := w.Load(); old&leaving != 0 && w.CompareAndSwap(old, 0) {
			gone = append(gone, e)
		}
	}
	for _, e := range gone {
		slot := l.slotOf[e]
		delete(l.slotOf, e)
		l.slots[slot] = None
		l.free = append(l.free, slot)
	}
	return gone
}

// Hot returns the extents in the log, in ascending order.
func (l *Log) Hot() []uint32 {
	var hot []uint32
	for _, e := range l.slots {
		if e != None {
			hot = append(hot, e)
		}
	}
	slices.Sort(hot)
	return hot
}
