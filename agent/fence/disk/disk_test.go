package disk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takt-ha/takt/agent/fence/disk"
	"github.com/takt-ha/takt/internal/osfs"
)

// shelf is three disks that everybody sees, and what is wrong with them.
type shelf struct {
	mem   *osfs.Mem
	fault *osfs.Faulty
	hang  *hanging
	paths []string
	times disk.Times
}

// hanging lets every call on some disks hang until it is mended.
type hanging struct {
	osfs.FS
	mu     sync.Mutex
	closed map[string]chan struct{}
}

func (h *hanging) OpenFile(op, name string, flag int, perm os.FileMode) (osfs.File, error) {
	h.mu.Lock()
	wait := h.closed[name]
	h.mu.Unlock()
	if wait != nil {
		<-wait
	}
	return h.FS.OpenFile(op, name, flag, perm)
}

func (h *hanging) close(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed[name] = make(chan struct{})
}

func (h *hanging) mend(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.closed[name])
	delete(h.closed, name)
}

func newShelf(t *testing.T, n int) *shelf {
	t.Helper()
	s := &shelf{mem: osfs.NewMem(), times: disk.DefaultTimes(0)}
	s.fault = osfs.NewFaulty(s.mem)
	s.hang = &hanging{FS: s.fault, closed: map[string]chan struct{}{}}
	for i := range n {
		s.paths = append(s.paths, fmt.Sprintf("/d%d", i+1))
	}
	if _, err := s.set().Create(t.Context(), disk.CreateOptions{Slots: 4, Times: s.times}); err != nil {
		t.Fatal(err)
	}
	return s
}

// set is the disks as one machine has them open.
func (s *shelf) set() *disk.Set {
	return disk.NewSet(disk.Options{FS: s.hang, IO: 300 * time.Millisecond}, s.paths...)
}

// lose makes every call on some disks fail.
func (s *shelf) lose(paths ...string) {
	s.fault.FailIf(func(_, name string) bool {
		for _, p := range paths {
			if p == name {
				return true
			}
		}
		return false
	}, syscall.EIO)
}

// machine is a node with its watchdog: it is off when it was reset, or when its
// watchdog was not petted for too long.
type machine struct {
	name    string
	watcher *disk.Watcher
	stop    context.CancelFunc
	done    chan error

	mu     sync.Mutex
	log    []string
	off    time.Time // zero: it runs
	petted time.Time
	armed  time.Duration
}

// boot starts a machine: its watcher and its watchdog.
func (s *shelf) boot(t *testing.T, name, boot string) *machine {
	t.Helper()
	m := &machine{name: name, done: make(chan error, 1), petted: time.Now(), armed: s.times.Watchdog}
	w, err := disk.NewWatcher(s.set(), disk.WatchOptions{Node: name, Boot: boot,
		Watchdog: func() time.Duration { m.mu.Lock(); defer m.mu.Unlock(); return m.armed },
		Doom:     func(o disk.Order, from string) { m.note("doom " + o.String() + " from " + from) },
		Reset:    func(o disk.Order) { m.note("reset " + o.String()); m.fall() },
		Exit:     func(from string) { m.note("exit from " + from) },
	})
	if err != nil {
		t.Fatal(err)
	}
	m.watcher = w
	ctx, stop := context.WithCancel(t.Context())
	m.stop = stop
	go func() { m.done <- w.Run(ctx, false) }()
	go m.pet(ctx)
	return m
}

func (m *machine) note(s string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = append(m.log, s)
}

func (m *machine) fall() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off.IsZero() {
		m.off = time.Now()
	}
	m.stop()
}

// pet pets the watchdog while the watcher is well, and falls when it runs out.
func (m *machine) pet(ctx context.Context) {
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		h := m.watcher.Health()
		m.mu.Lock()
		if h.OK || h.Read.IsZero() {
			m.petted = time.Now()
		}
		dead := m.armed > 0 && time.Since(m.petted) >= m.armed
		m.mu.Unlock()
		if dead {
			m.fall()
			return
		}
	}
}

func (m *machine) isOff() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.off.IsZero()
}

func (m *machine) story() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.log, ", ")
}

// end stops what is left of a machine.
func (m *machine) end() {
	m.stop()
	<-m.done
}

// well waits until a watcher is.
func (m *machine) well(t *testing.T) {
	t.Helper()
	for range 100 {
		if h := m.watcher.Health(); h.OK && h.Ready {
			return
		}
		time.Sleep(100 * time.Millisecond) // of the bubble's time
	}
	t.Fatalf("%s is not well: %+v", m.name, m.watcher.Health())
}

func story(t *testing.T, disks int, f func(t *testing.T, s *shelf)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newShelf(t, disks)) })
}

func TestPill(t *testing.T) {
	for _, disks := range []int{1, 3} {
		story(t, disks, func(t *testing.T, s *shelf) {
			n1, n2 := s.boot(t, "n1", "a"), s.boot(t, "n2", "b")
			defer n1.end()
			n1.well(t)
			n2.well(t)
			began := time.Now()
			sent, err := s.set().Off(t.Context(), "n2", disk.Reboot, "n1")
			if took := time.Since(began); err != nil || !sent.Acked || took < s.times.Wait || took > s.times.Wait+s.times.Loop {
				t.Fatalf("%+v, %v after %s", sent, err, took)
			}
			if got := n2.story(); got != "doom reboot from n1, reset reboot" || n2.off.Sub(began) > 2*s.times.Loop {
				t.Errorf("n2: %s after %s", got, n2.off.Sub(began))
			}
			if off, err := s.set().IsOff(t.Context(), "n2"); !off || err != nil {
				t.Errorf("the slot does not say that n2 is off: %v", err)
			}
			if n1.isOff() || n1.story() != "" {
				t.Errorf("n1: %s", n1.story())
			}
			// It boots: the order is void, and the slot says on before long.
			again := s.boot(t, "n2", "c")
			defer again.end()
			again.well(t)
			time.Sleep(4 * s.times.Loop)
			if off, err := s.set().IsOff(t.Context(), "n2"); off || err != nil || again.isOff() {
				t.Errorf("off %v, %v, %s", off, err, again.story())
			}
		})
	}
}

// Whatever one of three disks does, the order arrives, and nobody else falls.
func TestOneDiskOfThreeLost(t *testing.T) {
	for name, lose := range map[string]func(s *shelf){
		"fails":   func(s *shelf) { s.lose("/d2") },
		"hangs":   func(s *shelf) { s.hang.close("/d2") },
		"is gone": func(s *shelf) { s.mem.Remove("test", "/d2") },
		"is torn": func(s *shelf) { scribble(s, "/d2", 0, 8192, 0xa5) },
		"foreign": func(s *shelf) { scribble(s, "/d2", 0, 4096, 0x11) },
		"emptied": func(s *shelf) { scribble(s, "/d2", 0, 1<<16, 0) },
		"short":   func(s *shelf) { truncate(s, "/d2", 4096) },
	} {
		t.Run(name, func(t *testing.T) {
			story(t, 3, func(t *testing.T, s *shelf) {
				n1, n2 := s.boot(t, "n1", "a"), s.boot(t, "n2", "b")
				defer n1.end()
				n1.well(t)
				n2.well(t)
				lose(s)
				before, _ := s.mem.ReadFile("test", "/d2")
				time.Sleep(30 * time.Second)
				if n1.isOff() || n2.isOff() {
					t.Fatalf("a node fell: %+v", n1.watcher.Health())
				}
				if _, err := s.set().Off(t.Context(), "n2", disk.Off, "n1"); err != nil || n2.story() != "doom off from n1, reset off" {
					t.Errorf("%v, %s", err, n2.story())
				}
				if name == "hangs" {
					s.hang.mend("/d2")
				}
				// It may be somebody else's by now.
				if after, _ := s.mem.ReadFile("test", "/d2"); name != "hangs" && name != "short" && string(after) != string(before) {
					t.Errorf("it was written to")
				}
			})
		})
	}
}

// scribble writes over a disk.
func scribble(s *shelf, path string, from, n int64, with byte) {
	f, err := s.mem.OpenFile("test", path, os.O_RDWR, 0)
	if err != nil {
		panic(err)
	}
	data := make([]byte, n)
	for i := range data {
		data[i] = with
	}
	if _, err := f.WriteAt(data, from); err != nil {
		panic(err)
	}
}

func truncate(s *shelf, path string, size int64) {
	f, err := s.mem.OpenFile("test", path, os.O_RDWR, 0)
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		panic(err)
	}
}

// A node that sees too few disks is off, by its watchdog, before anybody takes it for off.
func TestBlindNodeIsReset(t *testing.T) {
	for _, how := range []string{"fail", "hang"} {
		story(t, 3, func(t *testing.T, s *shelf) {
			// n2 sees the disks through a cable of its own.
			cable := &hanging{FS: osfs.NewFaulty(s.mem), closed: map[string]chan struct{}{}}
			mine := *s
			mine.hang = cable
			n2 := mine.boot(t, "n2", "b")
			n2.well(t)
			cut := time.Now()
			if how == "fail" {
				cable.FS.(*osfs.Faulty).FailIf(func(_, name string) bool { return name != "/d1" }, syscall.EIO)
			} else {
				cable.close("/d2")
				cable.close("/d3")
			}
			// The order is written at once, but only to disks that n2 does not see.
			s.lose("/d1")
			sent, err := s.set().Off(t.Context(), "n2", disk.Off, "n1")
			if err != nil || sent.Acked {
				t.Fatalf("%+v, %v", sent, err)
			}
			if !n2.isOff() || n2.off.Sub(cut) >= s.times.Wait {
				t.Errorf("n2 fell after %s, and counted as off after %s", n2.off.Sub(cut), s.times.Wait)
			}
			if n2.story() != "" {
				t.Errorf("n2 saw the order: %s", n2.story())
			}
			if how == "hang" {
				cable.mend("/d2")
				cable.mend("/d3")
			}
		})
	}
}

func TestWithoutWatchdogNothingIsProven(t *testing.T) {
	story(t, 3, func(t *testing.T, s *shelf) {
		n2 := s.boot(t, "n2", "b")
		n2.mu.Lock()
		n2.armed = 0
		n2.mu.Unlock()
		n2.well(t)
		time.Sleep(2 * s.times.Loop)
		sent, err := s.set().Off(t.Context(), "n2", disk.Off, "n1")
		if err == nil || !sent.Acked || !strings.Contains(err.Error(), "no armed watchdog") || !strings.Contains(err.Error(), "has read that") {
			t.Errorf("%+v, %v", sent, err)
		}
		if off, err := s.set().IsOff(t.Context(), "n2"); off || err != nil {
			t.Errorf("the slot says off; %v", err)
		}
	})
	story(t, 1, func(t *testing.T, s *shelf) {
		n2 := s.boot(t, "n2", "b")
		defer n2.end()
		n2.mu.Lock()
		n2.armed = time.Minute
		n2.mu.Unlock()
		n2.well(t)
		time.Sleep(2 * s.times.Loop)
		if _, err := s.set().Off(t.Context(), "n2", disk.Off, "n1"); err == nil || !strings.Contains(err.Error(), "longer than the 5s") {
			t.Errorf("%v", err)
		}
	})
}

// An order that came while the daemon was away is obeyed when it comes back.
func TestDaemonWasAway(t *testing.T) {
	story(t, 3, func(t *testing.T, s *shelf) {
		n2 := s.boot(t, "n2", "b")
		n2.well(t)
		n2.end()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.set().Off(ctx, "n2", disk.Off, "n1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		back := s.boot(t, "n2", "b")
		defer back.end()
		time.Sleep(3 * s.times.Loop)
		if !back.isOff() || back.story() != "doom off from n1, reset off" {
			t.Errorf("%s", back.story())
		}
	})
}

// A node that boots while it is being fenced counts as off for that, and lives.
func TestBootsMeanwhile(t *testing.T) {
	story(t, 3, func(t *testing.T, s *shelf) {
		n2 := s.boot(t, "n2", "b")
		n2.well(t)
		var again *machine
		go func() {
			time.Sleep(3 * s.times.Loop)
			again = s.boot(t, "n2", "c")
		}()
		sent, err := s.set().Off(t.Context(), "n2", disk.Reboot, "n1")
		if err != nil || sent.Took >= s.times.Wait || !strings.Contains(sent.Why, "booted since") {
			t.Fatalf("%+v, %v", sent, err)
		}
		if off, err := s.set().IsOff(t.Context(), "n2"); !off || err != nil {
			t.Errorf("whoever asks at once does not see that it was off: %v", err)
		}
		time.Sleep(30 * time.Second)
		if again.isOff() {
			t.Errorf("the new boot obeyed: %s", again.story())
		}
		again.end()
	})
}

func TestTwoWriters(t *testing.T) {
	story(t, 3, func(t *testing.T, s *shelf) {
		n3 := s.boot(t, "n3", "c")
		n3.well(t)
		var all sync.WaitGroup
		for i, from := range []string{"n1", "n2", "n1", "n2"} {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 2 * time.Second)
				if _, err := s.set().Off(t.Context(), "n3", disk.Reboot, from); err != nil {
					t.Errorf("%s: %v", from, err)
				}
			})
		}
		all.Wait()
		if !n3.isOff() || !strings.HasPrefix(n3.story(), "doom reboot") || strings.Count(n3.story(), "doom") != 1 {
			t.Errorf("%s", n3.story())
		}
		if off, err := s.set().IsOff(t.Context(), "n3"); !off || err != nil {
			t.Errorf("off %v, %v", off, err)
		}
	})
}

func TestNotes(t *testing.T) {
	story(t, 3, func(t *testing.T, s *shelf) {
		n2 := s.boot(t, "n2", "b")
		n2.well(t)
		for range 3 {
			if err := s.set().Note(t.Context(), "n2", disk.Test, "n1"); err != nil {
				t.Fatal(err)
			}
		}
		if n2.isOff() || n2.story() != "" {
			t.Errorf("a test did something: %s", n2.story())
		}
		if err := s.set().Note(t.Context(), "n2", disk.Exit, "n1"); err != nil || n2.story() != "exit from n1" {
			t.Errorf("%v, %s", err, n2.story())
		}
		<-n2.done
		n2.stop()
		if _, slots, err := s.set().Slots(t.Context()); err != nil || len(slots) != 1 || slots[0].Owner.State != disk.Left {
			t.Errorf("%+v, %v", slots, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := s.set().Note(ctx, "n2", disk.Test, "n1"); err == nil || !strings.Contains(err.Error(), "it is left by its slot") {
			t.Errorf("a node that does not watch has read a test: %v", err)
		}
		if _, err := s.set().Off(t.Context(), "n7", disk.Off, "n1"); !errors.Is(err, disk.ErrNoSlot) {
			t.Errorf("an unknown node: %v", err)
		}
	})
}

// Nodes that come at once get slots of their own; one too many is refused.
func TestSlots(t *testing.T) {
	story(t, 3, func(t *testing.T, s *shelf) {
		var nodes []*machine
		for i := range 4 {
			nodes = append(nodes, s.boot(t, fmt.Sprintf("n%d", i+1), "a"))
		}
		time.Sleep(20 * time.Second)
		for _, n := range nodes {
			n.well(t)
			defer n.end()
		}
		_, slots, err := s.set().Slots(t.Context())
		if err != nil || len(slots) != 4 {
			t.Errorf("%+v, %v", slots, err)
		}
		five := s.boot(t, "n5", "a")
		defer five.end()
		time.Sleep(5 * time.Second)
		if h := five.watcher.Health(); h.OK || h.Ready || !strings.Contains(h.Why, "all 4 slots") {
			t.Errorf("%+v", h)
		}
	})
}
