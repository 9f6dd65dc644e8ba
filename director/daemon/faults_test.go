package daemon_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/daemon"
	"github.com/takt-ha/takt/internal/errs"
)

// TestNothingIsNoConfiguration: a reload that finds an empty file, or one that has only begun, is refused; one that begins so does what it says.
func TestNothingIsNoConfiguration(t *testing.T) {
	a := listener(t)
	s := newScene(t, nil)
	s.conf = web(s.dir, at(a))
	end := s.begin()
	s.await("the server", func() bool { return s.kernel.String() != "" })
	before := s.kernel.String()
	s.set(&director.Config{Global: director.Global{RouterID: "d1"}}, nil)
	err := s.client.Reload(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no virtual_server") || !strings.Contains(errs.HintOf(err), "The old configuration stays in force") {
		t.Errorf("an empty configuration: %v", err)
	}
	if st, err := s.client.Status(t.Context()); err != nil || len(st.Servers) != 1 || s.kernel.String() != before {
		t.Errorf("afterwards: %+v, %v, %s", st, err, s.kernel)
	}
	end()
	end = s.begin()
	if err := s.client.Reload(t.Context()); err != nil {
		t.Errorf("nothing after nothing: %v", err)
	}
	end()
}

// TestKernelFails: while the kernel does not take what it is to do, status says so, what it has stays, and it is asked again.
func TestKernelFails(t *testing.T) {
	a, b := listener(t), listener(t)
	s := newScene(t, nil)
	s.conf = web(s.dir, at(a))
	end := s.begin()
	defer end()
	s.await("the server", func() bool { return s.kernel.String() != "" })
	before := s.kernel.String()
	s.kernel.mu.Lock()
	s.kernel.fails = 1 << 30
	s.kernel.mu.Unlock()
	s.set(web(s.dir, at(b)), nil)
	if err := s.client.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await("the failure in the status", func() bool {
		st, err := s.client.Status(t.Context())
		return err == nil && st.Forwarding == "memory: busy"
	})
	if s.kernel.String() != before {
		t.Errorf("what was there has gone: %s", s.kernel)
	}
	s.kernel.mu.Lock()
	s.kernel.fails = 0
	s.kernel.mu.Unlock()
	s.await("the next try", func() bool { return s.kernel.String() != before })
	s.await("the end of the failure in the status", func() bool {
		st, err := s.client.Status(t.Context())
		return err == nil && st.Forwarding == ""
	})
}

// loser is a kernel whose rules others take away.
type loser struct {
	*kernel
	mu   sync.Mutex
	lost bool
}

func (l *loser) Lost() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.lost
	l.lost = false
	return was, nil
}

// TestTakenAway: what somebody takes away is made again.
func TestTakenAway(t *testing.T) {
	a := listener(t)
	s := newScene(t, nil)
	s.conf = web(s.dir, at(a))
	l := &loser{kernel: s.kernel}
	o := s.options()
	o.Ways = []daemon.Named{{Name: "memory", Forwarder: l}}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- daemon.Run(ctx, o, s.reload, func() {}) }()
	s.await("the server", func() bool { return s.kernel.String() != "" })
	s.kernel.mu.Lock()
	s.kernel.have = nil
	s.kernel.mu.Unlock()
	l.mu.Lock()
	l.lost = true
	l.mu.Unlock()
	s.await("the server, again", func() bool { return s.kernel.String() != "" })
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestFullDisk: a director that cannot make its lock or its socket says which file it is, and leaves what an earlier process has put into the kernel.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "nr_inodes=2,size=64k"); err != nil {
		t.Skip("a small file system cannot be made here:", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	s := newScene(t, nil)
	s.dir = dir
	s.conf = web(s.dir, at(listener(t)))
	s.kernel.have = []director.Service{{Key: director.ServiceKey{Mark: 7}}}
	for _, file := range []string{"director-test.sock", "director-test.lock"} {
		ctx, stop := context.WithTimeout(t.Context(), patience)
		err := daemon.Run(ctx, s.options(), nil, func() { t.Error("it runs") })
		stop()
		if err == nil || !strings.Contains(err.Error(), "no space left on device") || !strings.Contains(err.Error(), filepath.Join(dir, file)) {
			t.Errorf("without room for %s: %v", file, err)
		}
		if len(s.kernel.have) != 1 || s.kernel.removed {
			t.Errorf("without room for %s the kernel was touched", file)
		}
		if err := os.Remove(filepath.Join(dir, "director-test.lock")); err != nil && file != "director-test.lock" {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "other"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullLog: a log that cannot be written stops nothing.
func TestFullLog(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	s := newScene(t, nil)
	s.conf = web(s.dir, at(listener(t)))
	o := s.options()
	o.Log = slog.New(slog.NewTextHandler(full, nil))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- daemon.Run(ctx, o, nil, func() {}) }()
	s.await("the server", func() bool { return s.kernel.String() != "" })
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
