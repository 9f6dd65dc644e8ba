package replica

import (
	"sync"

	"github.com/takt-ha/takt/volume"
)

// span is a range of the volume that somebody holds: a write in flight, or a
// block that is being read for a resync.
type span struct {
	off, n  int64
	reads   bool     // a block that is being read for a resync or verify, which a write may wait for
	waiters []waiter // told, without locks, when the span is released
}

// waiter wants a span that somebody holds: it asks anew.
type waiter interface{ again() }

// freed is a waiter that blocks.
type freed chan struct{}

func (f freed) again() { close(f) }

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
// part of it, returns false and tells w later.
func (l *locks) take(s *span, w waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := s.off / volume.ExtentSize; e*volume.ExtentSize < s.off+s.n; e++ {
		for _, o := range l.extent[e%int64(len(l.extent))] {
			if o.meets(s.off, s.n) {
				o.waiters = append(o.waiters, w)
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

// writes says whether somebody who writes holds a part of the range.
func (l *locks) writes(off, n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := off / volume.ExtentSize; e*volume.ExtentSize < off+n; e++ {
		for _, o := range l.extent[e%int64(len(l.extent))] {
			if !o.reads && o.meets(off, n) {
				return true
			}
		}
	}
	return false
}

// wait is take for callers that may block.
func (l *locks) wait(s *span) {
	for {
		free := make(freed)
		if l.take(s, free) {
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
	for _, w := range waiters {
		w.again()
	}
}
