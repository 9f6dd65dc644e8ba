package replica

import (
	"sync"

	"github.com/takt-ha/takt/volume"
)

// span is a range of the volume that somebody holds: a write in flight, or a
// block that is being read for a resync.
type span struct {
	off, n  int64
	waiters []func() // called, without locks, when the span is released
}

// meets says whether two ranges touch a common block. Bytes are not enough: the target of a resync fetches
// a block before it changes a part of it, and would put back what another write has changed in it meanwhile.
func (s *span) meets(off, n int64) bool {
	return s.off/volume.BlockSize <= (off+n-1)/volume.BlockSize && off/volume.BlockSize <= (s.off+s.n-1)/volume.BlockSize
}

// locks keeps overlapping requests apart. Spans are found by the extents that they touch.
type locks struct {
	mu     sync.Mutex
	extent [1 << 10][]*span
}

// take gives the span to the caller and returns true; or, if somebody holds a
// part of it, returns false and calls again later: the caller then asks anew.
func (l *locks) take(s *span, again func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := s.off / volume.ExtentSize; e*volume.ExtentSize < s.off+s.n; e++ {
		for _, o := range l.extent[e%int64(len(l.extent))] {
			if o.meets(s.off, s.n) {
				o.waiters = append(o.waiters, again)
				return false
			}
		}
	}
	for e := s.off / volume.ExtentSize; e*volume.ExtentSize < s.off+s.n; e++ {
		slot := &l.extent[e%int64(len(l.extent))]
		*slot = append(*slot, s)
	}
	return true
}

// wait is take for callers that may block.
func (l *locks) wait(s *span) {
	for {
		free := make(chan struct{})
		if l.take(s, func() { close(free) }) {
			return
		}
		<-free
	}
}

// drop releases the span and wakes who waits for it.
func (l *locks) drop(s *span) {
	l.mu.Lock()
	for e := s.off / volume.ExtentSize; e*volume.ExtentSize < s.off+s.n; e++ {
		slot := &l.extent[e%int64(len(l.extent))]
		for i, o := range *slot {
			if o == s {
				last := len(*slot) - 1
				(*slot)[i], (*slot)[last] = (*slot)[last], nil
				*slot = (*slot)[:last]
				break
			}
		}
	}
	waiters := s.waiters
	s.waiters = nil
	l.mu.Unlock()
	for _, again := range waiters {
		again()
	}
}
