package torture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
)

// cell is the piece of a volume that the ledger has an eye on, in bytes: what every disk writes whole.
const cell = 512

// entry is one write as the writer knows it. Times are those of the ledger's clock.
type entry struct {
	seq     uint64
	zero    bool
	begun   uint64
	acked   uint64 // 0: not, or not yet
	durable uint64 // acknowledged with FUA, or by a flush that began after acked; 0: not
}

// ledger remembers for each cell what may stand there.
type ledger struct {
	mu    sync.Mutex
	now   uint64
	cells [][]*entry
	fresh []*entry // acknowledged and not durable
}

func newLedger(size int64) *ledger {
	l := &ledger{cells: make([][]*entry, size/cell), now: 1}
	first := &entry{zero: true, begun: 1, acked: 1, durable: 1}
	for i := range l.cells {
		l.cells[i] = []*entry{first}
	}
	return l
}

func (l *ledger) size() int64 { return int64(len(l.cells)) * cell }

func (l *ledger) tickLocked() uint64 {
	l.now++
	return l.now
}

// begin notes a write of n bytes at off before it is sent.
func (l *ledger) begin(off, n int64, zero bool) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &entry{begun: l.tickLocked(), zero: zero}
	e.seq = e.begun
	for i := off / cell; i < (off+n)/cell; i++ {
		l.cells[i] = append(l.cells[i], e)
	}
	return e
}

// ended notes that a write was acknowledged.
func (l *ledger) ended(e *entry, off, n int64, fua bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.acked = l.tickLocked()
	if fua {
		e.durable = e.acked
	} else {
		l.fresh = append(l.fresh, e)
	}
	for i := off / cell; i < (off+n)/cell; i++ {
		l.cells[i] = possible(l.cells[i], isDurable)
	}
}

// flushBegins returns the time from before which a flush makes everything durable.
func (l *ledger) flushBegins() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tickLocked()
}

// flushed notes that a flush that began at the time was acknowledged.
func (l *ledger) flushed(began uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.tickLocked()
	l.fresh = slices.DeleteFunc(l.fresh, func(e *entry) bool {
		if e.acked < began {
			e.durable = at
		}
		return e.acked < began
	})
}

func isAcked(e *entry) uint64   { return e.acked }
func isDurable(e *entry) uint64 { return e.durable }

// possible are the writes of a cell that may stand there: those after whose end no other began that holds. One that was
// never acknowledged has no end; check settles it.
func possible(all []*entry, holds func(*entry) uint64) []*entry {
	last := uint64(0) // begin of the youngest that holds
	for _, e := range all {
		if holds(e) != 0 {
			last = max(last, e.begun)
		}
	}
	var left []*entry
	for _, e := range all {
		if e.acked == 0 || e.acked >= last {
			left = append(left, e)
		}
	}
	return left
}

// check compares what is on the volume with what may be there. power: what was not flushed may be lost. With settle, what
// was found is what stands there from now on, also after a loss of power: nothing is in flight any more, and
// everything was flushed.
func (l *ledger) check(data []byte, power, settle bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.tickLocked()
	holds := isAcked
	if power {
		holds = isDurable
	}
	var bad []string
	count := 0
	for i := range l.cells {
		piece := data[i*cell : (i+1)*cell]
		var found *entry
		for _, e := range possible(l.cells[i], holds) {
			if bytes.Equal(piece, e.content(i)) {
				found = e
			}
		}
		if found == nil {
			if count++; len(bad) < 5 {
				bad = append(bad, l.wordsLocked(i, piece, holds))
			}
			continue
		}
		if settle {
			e := &entry{seq: found.seq, zero: found.zero, begun: now, acked: now, durable: now}
			l.cells[i] = []*entry{e}
		}
	}
	if count == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d pieces hold what cannot be there: %q", count, len(l.cells), bad)
}

// wordsLocked describes a piece that is wrong.
func (l *ledger) wordsLocked(i int, piece []byte, holds func(*entry) uint64) string {
	what := fmt.Sprintf("garbage %x", piece[:16])
	if bytes.Equal(piece, make([]byte, cell)) {
		what = "zeroes"
	} else if sum := crc32.ChecksumIEEE(piece[4:]); sum == binary.LittleEndian.Uint32(piece) {
		what = fmt.Sprintf("write %d of piece %d", binary.LittleEndian.Uint64(piece[4:]), binary.LittleEndian.Uint64(piece[12:]))
	}
	s := fmt.Sprintf("at %d: %s; allowed:", i*cell, what)
	for _, e := range possible(l.cells[i], holds) {
		s += fmt.Sprintf(" %+v", *e)
	}
	return s
}

// content is what the write puts into a cell: checksum, sequence, number of the cell, and filling.
func (e *entry) content(i int) []byte {
	b := make([]byte, cell)
	if e.zero {
		return b
	}
	binary.LittleEndian.PutUint64(b[4:], e.seq)
	binary.LittleEndian.PutUint64(b[12:], uint64(i))
	x := e.seq*0x9E3779B97F4A7C15 + uint64(i)
	for k := 20; k+8 <= cell; k += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(b[k:], x)
	}
	binary.LittleEndian.PutUint32(b, crc32.ChecksumIEEE(b[4:]))
	return b
}

// bytes is the content of a write of n bytes at off.
func (e *entry) bytes(off, n int64) []byte {
	b := make([]byte, 0, n)
	for i := off / cell; i < (off+n)/cell; i++ {
		b = append(b, e.content(int(i))...)
	}
	return b
}
