package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/agent/fence/disk"
	"github.com/takt-ha/takt/agent/fence/native"
)

// slotOptions say whose slots are watched, and what that leads to.
type slotOptions struct {
	Node    string
	Boot    string               // changes with each boot of the machine
	Dog     func() time.Duration // time-out of the armed watchdog, 0 if none is
	Cluster [16]byte
	// Doubt is told why this node must not act, because it could not be told to go
	// down by the disks, or was; "" when that is over.
	Doubt func(why string)
	Reset func(why string) // resets this machine at once
	Log   *slog.Logger
}

// slots are this node's slots on the fence disks of the CIB (fence_takt_disk): one
// for each set that a device names.
type slots struct {
	opts slotOptions
	news chan struct{} // there are other sets

	mu    sync.Mutex
	sets  map[string]*slotWatch // by the disks, guarded by mu
	told  string                // guarded by mu: the last doubt
	begun bool                  // guarded by mu: a first CIB was taken in
	doom  string                // guarded by mu: an order was read; for good
}

// slotWatch is one of them.
type slotWatch struct {
	*disk.Watcher
	stop context.CancelFunc
	done chan struct{}
	// first: the device was there when the daemon came. Until its slot was read an
	// order may lie there, so the node must not act yet.
	first bool
}

// slotEvery is how often it is looked whether the slots are being read: well below
// the shortest loop that is of use.
const slotEvery = 100 * time.Millisecond

func newSlots(opts slotOptions) *slots {
	return &slots{opts: opts, news: make(chan struct{}, 1), sets: map[string]*slotWatch{}}
}

// run tells doubts until ctx ends, and then stops to watch. What lies in the slots
// is obeyed by the next daemon.
func (s *slots) run(ctx context.Context) error {
	for {
		var tick <-chan time.Time
		if s.watching() {
			tick = time.After(slotEvery)
		}
		select {
		case <-ctx.Done():
			s.update(nil)
			return nil
		case <-s.news:
		case <-tick:
			s.tell()
		}
	}
}

// watching reports whether there is anything to look at: most clusters have no disk to
// fence with, and ten looks a second at nothing are most of what an idle daemon does.
func (s *slots) watching() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sets) > 0
}

// update watches the disks that these primitives name, and no others.
func (s *slots) update(primitives []fence.Primitive) {
	wanted := map[string][]string{}
	for _, p := range primitives {
		if p.Type != native.Prefix+"disk" {
			continue
		}
		if paths, err := native.DiskParams(p.Params); err == nil {
			wanted[strings.Join(paths, "\n")] = paths
		}
	}
	s.mu.Lock()
	var gone []*slotWatch
	for key, w := range s.sets {
		if wanted[key] == nil {
			gone = append(gone, w)
			delete(s.sets, key)
		}
	}
	for key, paths := range wanted {
		if s.sets[key] == nil {
			s.beginLocked(key, paths)
		}
	}
	s.begun = s.begun || primitives != nil
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
	for _, w := range gone {
		w.stop()
		<-w.done
	}
	s.tell()
}

// beginLocked watches a set; s.mu is held.
func (s *slots) beginLocked(key string, paths []string) {
	w, err := disk.NewWatcher(disk.NewSet(disk.Options{Cluster: s.opts.Cluster}, paths...), disk.WatchOptions{
		Node: s.opts.Node, Boot: s.opts.Boot, Watchdog: s.opts.Dog, Log: s.opts.Log,
		Doom:  func(o disk.Order, from string) { s.fall(fmt.Sprintf("%s ordered by the fence disks: %s", from, o)) },
		Reset: func(disk.Order) { s.opts.Reset("the fence disks order it") },
	})
	if err != nil {
		s.opts.Log.Error("the fence disks cannot be watched", "disks", paths, "error", err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	watch := &slotWatch{Watcher: w, stop: stop, done: make(chan struct{}), first: !s.begun}
	s.sets[key] = watch
	go func() {
		defer close(watch.done)
		if err := w.Run(ctx, false); err != nil && ctx.Err() == nil {
			s.opts.Log.Error("the fence disks are not watched any more", "disks", paths, "error", err)
		}
	}()
}

// fall keeps the node from acting for good: an order was read.
func (s *slots) fall(why string) {
	s.mu.Lock()
	s.doom = why
	s.mu.Unlock()
	s.tell()
}

// tell gives a changed doubt on.
func (s *slots) tell() {
	s.mu.Lock()
	why := s.doubtLocked()
	news := why != s.told
	s.told = why
	s.mu.Unlock()
	if news {
		s.opts.Doubt(why)
	}
}

// doubtLocked says why this node must not act; s.mu is held.
func (s *slots) doubtLocked() string {
	if s.doom != "" {
		return s.doom
	}
	var why []string
	for _, w := range s.sets {
		h := w.Health()
		if h.Ready && h.OK {
			w.first = false
			continue
		}
		if w.first || !h.Read.IsZero() && !h.OK {
			why = append(why, cmp.Or(h.Why, "this node has no slot on the fence disks yet"))
		}
	}
	slices.Sort(why)
	return strings.Join(why, "; ")
}
