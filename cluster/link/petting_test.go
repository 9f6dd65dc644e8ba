package link

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// watchdogSocket serves a watchdog, and hands over each line that it hears.
func watchdogSocket(t *testing.T) (path string, lines chan string) {
	t.Helper()
	path, lines = filepath.Join(t.TempDir(), "dog"), make(chan string, 1000)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			for s := bufio.NewScanner(conn); s.Scan(); lines <- s.Text() {
				if strings.HasPrefix(s.Text(), "arm") || s.Text() == "disarm" {
					fmt.Fprintln(conn, "ok")
				}
			}
			lines <- "let go"
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return path, lines
}

// hears waits until the watchdog hears a line, and returns all up to it.
func hears(t *testing.T, ctx context.Context, lines chan string, want string) (all []string) {
	t.Helper()
	for {
		select {
		case got := <-lines:
			if all = append(all, got); got == want {
				return all
			}
		case <-ctx.Done():
			t.Fatalf("the watchdog never heard %q, only %q", want, all)
		}
	}
}

// watched starts a pulse that is quorate alone, with a watchdog.
func watched(t *testing.T, ctx context.Context, device string, healthy func() bool) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "p")
	startPulse(t, socket)
	c, err := Attach(ctx, ClientOptions{Socket: socket, Healthy: healthy, Start: func(string) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cfg := pairConfigs(t)[0]
	cfg.Deadtime = 200
	if device != "" {
		cfg.Watchdog = &Watchdog{Device: device, Timeout: 1000}
	}
	if err := c.Configure(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	if err := c.SetView(ctx, View{Voters: []cib.NodeID{1}, State: ManagerUp}); err != nil {
		t.Fatal(err)
	}
	return c
}

var armed = func(ev Event) bool { return ev.Kind == WatchdogMove && ev.Watchdog == 1000 }

// TestWatchdogLeave: armed, petted, disarmed in good order.
func TestWatchdogLeave(t *testing.T) {
	ctx := bounded(t)
	path, lines := watchdogSocket(t)
	c := watched(t, ctx, path, nil)
	await(t, ctx, c, "the arming", armed)
	hears(t, ctx, lines, "arm 1000")
	for range 3 {
		hears(t, ctx, lines, "pet")
	}
	awaitStatus(t, ctx, c, "armed and petted", func(st Status) bool {
		w := st.Watchdog
		return w != nil && w.Armed && w.Timeout == 1000 && w.Device == path && w.Petted >= 0 && w.Petted <= 1000 && w.Error+w.Unfit+w.Pending == ""
	})
	if err := c.SetView(ctx, View{Voters: []cib.NodeID{1}, State: ManagerLeaving}); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	hears(t, ctx, lines, "disarm")
}

// TestWatchdogCrash: a pulse that ends while its node has not left disarms nothing.
func TestWatchdogCrash(t *testing.T) {
	ctx := bounded(t)
	path, lines := watchdogSocket(t)
	c := watched(t, ctx, path, nil)
	await(t, ctx, c, "the arming", armed)
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for _, line := range hears(t, ctx, lines, "let go") {
		if line == "disarm" {
			t.Fatal("a node that has not left disarmed its watchdog")
		}
	}
}

func TestWatchdogReset(t *testing.T) {
	ctx := bounded(t)
	path, lines := watchdogSocket(t)
	c := watched(t, ctx, path, nil)
	await(t, ctx, c, "the arming", armed)
	if err := c.Reset(ctx, "a test"); err != nil {
		t.Fatal(err)
	}
	hears(t, ctx, lines, "reset")
	await(t, ctx, c, "the end of the petting", func(ev Event) bool { return strings.Contains(ev.Reason, unfitReset) })
}

func TestNoWatchdogToReset(t *testing.T) {
	ctx := bounded(t)
	c := watched(t, ctx, "", nil)
	if err := c.Reset(ctx, "a test"); errs.KindOf(err) != errs.Unavailable || errs.HintOf(err) == "" || !strings.Contains(err.Error(), "none is configured") {
		t.Fatalf("without a watchdog: %v", err)
	}
}

// TestWatchdogMissing: one that is not there is said, and nothing else suffers.
func TestWatchdogMissing(t *testing.T) {
	ctx := bounded(t)
	c := watched(t, ctx, filepath.Join(t.TempDir(), "none"), nil)
	if ev := await(t, ctx, c, "the finding", kind(WatchdogMove)); ev.Watchdog != 0 {
		t.Fatalf("%+v", ev)
	}
	awaitStatus(t, ctx, c, "the finding", func(st Status) bool {
		return st.Standing == Quorate && !st.Watchdog.Armed && strings.Contains(st.Watchdog.Error, "softdog")
	})
}

// TestStuckDaemon: a daemon whose health check hangs is not petted for, until it answers again.
func TestStuckDaemon(t *testing.T) {
	ctx := bounded(t)
	path, lines := watchdogSocket(t)
	var stuck atomic.Bool
	release := make(chan struct{})
	c := watched(t, ctx, path, func() bool {
		if stuck.Load() {
			<-release
		}
		return true
	})
	await(t, ctx, c, "the arming", armed)
	hears(t, ctx, lines, "pet")
	stuck.Store(true)
	await(t, ctx, c, "the end of the petting", func(ev Event) bool { return strings.Contains(ev.Reason, unfitDaemon) })
	stuck.Store(false)
	close(release)
	await(t, ctx, c, "the petting again", func(ev Event) bool { return strings.Contains(ev.Reason, "armed and petted") })
}

// still is a watchdog that counts its pets.
type still struct{ pets int }

func (s *still) Pet() error             { s.pets++; return nil }
func (s *still) Reset() error           { return nil }
func (s *still) Disarm() error          { return nil }
func (s *still) Release()               {}
func (s *still) Timeout() time.Duration { return 200 * time.Millisecond }
func (s *still) Remark() string         { return "" }

// TestPettingDoesNotAllocate: the real loop, with an armed watchdog.
func TestPettingDoesNotAllocate(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l, err := newLoop(PulseOptions{Socket: filepath.Join(t.TempDir(), "p"), NoRealtime: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.opt.Log = discard
	cfg := pairConfigs(t)[0]
	cfg.Keepalive, cfg.Deadtime = 5, 400
	if err := l.configure(cfg); err != nil {
		t.Fatal(err)
	}
	l.eng.Attach(l.now())
	l.eng.SetView(View{Voters: []cib.NodeID{1}, State: ManagerUp}, l.now())
	step := func() {
		l.eng.Beat(l.now())
		_ = l.step()
	}
	for range 10 {
		step()
	}
	dog := &still{}
	l.take(l.now(), opened{device: dog})
	step()
	if n := testing.AllocsPerRun(50, step); n != 0 {
		t.Fatalf("%v allocations a step", n)
	}
	for range 1000 { // a slow machine stops the loop, which is unfit for a while then
		if dog.pets >= 3 {
			break
		}
		step()
	}
	if dog.pets < 3 {
		t.Fatalf("petted %d times", dog.pets)
	}
}
