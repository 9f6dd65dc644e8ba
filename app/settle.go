package app

import (
	"context"
	"sync"
)

// settle lets callers wait until the cluster has nothing left to do.
type settle struct {
	mu    sync.Mutex
	index uint64 // newest CIB version for which nothing was left to do
	wake  chan struct{}
}

func newSettle() *settle { return &settle{wake: make(chan struct{})} }

func (s *settle) reached(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index = index
	close(s.wake)
	s.wake = make(chan struct{})
}

// newest is the index of the newest CIB for which nothing was left to do, 0 if there was none.
func (s *settle) newest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index
}

// wait returns true when nothing was left to do as of index or later, false
// when ctx ends or news come first.
func (s *settle) wait(ctx context.Context, index uint64, news <-chan struct{}) bool {
	for {
		s.mu.Lock()
		done, wake := s.index >= index, s.wake
		s.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-wake:
		case <-news:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
