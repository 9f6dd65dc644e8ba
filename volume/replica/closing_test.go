package replica

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/state"
)

// stall is a disk whose next sync (wanted) or durable write (durably), or whose writes, wait, once that is wanted, until they are let
// through.
type stall struct {
	osfs.FS
	wanted  atomic.Bool
	durably atomic.Bool
	writes  atomic.Bool
	reached chan struct{} // closed when a sync waits
	release func()
	let     chan struct{}
}

type stallDevice struct {
	osfs.Device
	s *stall
}

func newStall() *stall {
	s := &stall{FS: osfs.OS{}, reached: make(chan struct{}), let: make(chan struct{})}
	s.release = sync.OnceFunc(func() { close(s.let) })
	return s
}

func (s *stall) OpenFile(op, name string, flag int, perm os.FileMode) (osfs.File, error) {
	f, err := s.FS.OpenFile(op, name, flag, perm)
	if err != nil {
		return nil, err
	}
	return stallDevice{f.(osfs.Device), s}, nil
}

func (stallDevice) InMemory() bool { return false }

func (d stallDevice) SyncData() error {
	d.s.wait(&d.s.wanted)
	return d.Device.SyncData()
}

func (d stallDevice) WriteAtDurable(p []byte, off int64) (int, error) {
	d.s.wait(&d.s.durably)
	return d.Device.WriteAtDurable(p, off)
}

func (d stallDevice) WriteAt(p []byte, off int64) (int, error) {
	if d.s.writes.Load() {
		<-d.s.let
	}
	return d.Device.WriteAt(p, off)
}

func (s *stall) wait(wanted *atomic.Bool) {
	if wanted.CompareAndSwap(true, false) {
		close(s.reached)
		<-s.let
	}
}

// comes waits for a channel to be closed.
func comes(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s: it never comes", what)
	}
}

// TestResizeBesideEviction: the primary's log is full, and an eviction waits for a flush of the peer, which answers that it has grown
// before it answers the flush.
func TestResizeBesideEviction(t *testing.T) {
	const e, large = volume.ExtentSize, 96 << 20
	sites := pairOf(t, 2, 64<<20, func(c *volume.Config) { c.Disk.Extents = 7 })
	slow := newStall()
	sites[1].fs = slow
	s := begin(t, sites)
	t.Cleanup(slow.release) // before the replicas end
	for x := range int64(7) {
		s[0].write(x*e, fill(4096, byte(x)))
	}
	d, evicting := s[0].r.disk.Load(), make(chan struct{})
	once := sync.OnceFunc(func() { close(evicting) })
	d.OnEvict(func(extents []uint32) error {
		once()
		s[0].r.leaving(d, extents)
		return s[0].r.flushPeers()
	})
	slow.wanted.Store(true)
	hot := front.Request{Op: front.Write, Data: fill(4096, 8)}
	cold := front.Request{Op: front.Write, Offset: 9 * e, Data: fill(4096, 9)}
	first := s[0].begin(s[0].r, &hot)
	s[0].until("something is not flushed", func(st volume.Status) bool { return st.Peers[0].Unflushed > 0 || st.Peers[0].Pending > 0 })
	second := s[0].begin(s[0].r, &cold)
	comes(t, "an eviction", evicting)
	comes(t, "the peer's flush", slow.reached)
	asked := make(chan error, 1)
	go func() { asked <- s[0].ask(state.Asked{Verb: "resize", Size: large}) }()
	s[1].until("grown", func(st volume.Status) bool { return st.Size == large })
	slow.release()
	if err := <-asked; err != nil {
		t.Fatal(err)
	}
	comes(t, "the hot write's end", first)
	comes(t, "the cold write's end", second)
	if hot.Err != nil || cold.Err != nil || s[0].r.Status().Size != large {
		t.Error(hot.Err, cold.Err, s[0].r.Status().Size)
	}
	settled(t, s)
}

// TestAttachWhileClosing: a detach is answered when the disk is closed, and an attach waits for that without holding up the rest.
func TestAttachWhileClosing(t *testing.T) {
	sites := pairOf(t, 3, 8<<20, nil)
	slow := newStall()
	sites[1].fs = slow
	s := begin(t, sites)
	t.Cleanup(slow.release) // before the replicas end
	s[0].r.rounds.Lock()    // the sync that is held up is to be the detach's, not one of a flush …
	flushes := sync.OnceFunc(s[0].r.rounds.Unlock)
	defer flushes()
	s[0].write(0, fill(4096, 1))
	if err := s[1].r.disk.Load().SaveBitmaps(); err != nil { // … and one of data
		t.Fatal(err)
	}
	slow.wanted.Store(true)
	detached, attached := make(chan error, 1), make(chan error, 1)
	go func() { detached <- s[1].ask(state.Asked{Verb: "detach"}) }()
	s[1].until("without a disk", func(st volume.Status) bool { return st.Disk == volume.Diskless })
	comes(t, "a sync", slow.reached)
	flushes()
	go func() { attached <- s[1].ask(state.Asked{Verb: "attach"}) }()
	s[1].until("waiting for the old disk", func(st volume.Status) bool { return st.Disk == volume.Attaching })
	if len(detached)+len(attached) > 0 {
		t.Error("it was answered before the disk was closed")
	}
	slow.release()
	if err := <-detached; err != nil {
		t.Error(err)
	}
	if err := <-attached; err != nil {
		t.Error(err)
	}
	settled(t, s)
}
