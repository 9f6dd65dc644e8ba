package track

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/takt-ha/takt/director"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRiseAndFall(t *testing.T) {
	c := counter{rise: 2, fall: 3}
	var got strings.Builder
	for _, r := range "+--+---++-++" {
		changed := c.ended(r == '+')
		fmt.Fprintf(&got, "%c%v ", map[bool]byte{true: 'U', false: 'd'}[c.up], map[bool]string{true: "!", false: ""}[changed])
	}
	if want := "U! U U U U U d! d U! U U U "; got.String() != want {
		t.Errorf("got  %s\nwant %s", got.String(), want)
	}
	c = counter{rise: 9, fall: 9}
	if !c.ended(false) || c.up {
		t.Error("the first end does not count at once")
	}
}

func TestProcessDelays(t *testing.T) {
	p := process{conf: &director.TrackedProcess{Quorum: 2, QuorumMax: 3, Delay: time.Second, TerminateDelay: 3 * time.Second}}
	now := time.Unix(100, 0)
	for i, s := range []struct {
		n           int
		after       time.Duration
		changed, up bool
	}{{1, 0, true, false}, {2, 0, false, false}, {1, 500, false, false}, {2, 100, false, false}, {2, 1000, true, true},
		{4, 0, false, true}, {4, 2900, false, true}, {3, 50, false, true}, {0, 0, false, true}, {0, 3000, true, false}} {
		now = now.Add(s.after * time.Millisecond)
		if changed := p.counted(s.n, now); changed != s.changed || p.up != s.up {
			t.Fatalf("step %d: changed %v, up %v", i, changed, p.up)
		}
	}
}

func TestWhoIsMeant(t *testing.T) {
	r := running{"postgres", []string{"/usr/bin/postgres", "-D", "/data", "-p", "5432"}}
	for _, c := range []struct {
		c    director.TrackedProcess
		want bool
	}{
		{director.TrackedProcess{Process: "postgres"}, true}, {director.TrackedProcess{Process: "postgre"}, false},
		{director.TrackedProcess{Process: "/usr/bin/postgres", FullCommand: true}, true},
		{director.TrackedProcess{Process: "postgres", Args: []string{"-D", "/data"}, Match: "initial"}, true},
		{director.TrackedProcess{Process: "postgres", Args: []string{"-p"}, Match: "initial"}, false},
		{director.TrackedProcess{Process: "postgres", Args: []string{"-D", "/da"}, Match: "initial"}, true},
		{director.TrackedProcess{Process: "postgres", Args: []string{"-", "/data"}, Match: "initial"}, false},
		{director.TrackedProcess{Process: "postgres", Args: []string{"-D"}, Match: "partial"}, true},
		{director.TrackedProcess{Process: "postgres", Args: []string{"-D", "/da"}, Match: "partial"}, false},
		{director.TrackedProcess{Process: "postgres", Args: []string{"5432", "-D"}, Match: "partial"}, false},
		{director.TrackedProcess{Process: "postgres", Args: []string{"-D", "/data"}, Match: "exact"}, false},
		{director.TrackedProcess{Process: "postgres", Args: []string{"-D", "/data", "-p", "5432"}, Match: "exact"}, true},
	} {
		if got := r.is(&c.c); got != c.want {
			t.Errorf("%+v: %v", c.c, got)
		}
	}
}

// values is what a watcher tells, one after the other.
type values chan Value

// await waits for all of these, in any order.
func (v values) await(t *testing.T, want ...Value) {
	t.Helper()
	limit := time.After(time.Minute)
	for len(want) > 0 {
		select {
		case got := <-v:
			want = slices.DeleteFunc(want, func(w Value) bool { return w == got })
		case <-limit:
			t.Fatalf("waited in vain for %+v", want)
		}
	}
}

func TestWatcher(t *testing.T) {
	dir := t.TempDir()
	script, flag, file, made := filepath.Join(dir, "script"), filepath.Join(dir, "flag"), filepath.Join(dir, "number"), filepath.Join(dir, "made")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntest ! -e "+flag+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := &director.Config{
		Scripts: []director.Script{{Name: "s", Run: director.Command{Args: []string{script}, User: "root"}, Interval: 20 * time.Millisecond, Timeout: 10 * time.Second, Fall: 2},
			{Name: "slow", Run: director.Command{Args: []string{"/bin/sleep", "1000"}, User: "root"}, Interval: 20 * time.Millisecond},
			{Name: "none", Run: director.Command{Args: []string{filepath.Join(dir, "none")}, User: "root"}, Interval: time.Hour, InitFail: true}},
		Files:     []director.TrackedFile{{Name: "f", Path: file}, {Name: "m", Path: made, Create: true, Value: 7}},
		Processes: []director.TrackedProcess{{Name: "p", Process: "sleep", Args: []string{"987654"}, Match: "exact"}},
	}
	v := make(values, 100)
	w := New(func(x Value) { v <- x }, slog.New(slog.DiscardHandler))
	defer w.Close()
	w.Set(c)
	v.await(t, Value{Kind: Script, Name: "s", Up: true}, Value{Kind: Script, Name: "slow"})
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	v.await(t, Value{Kind: Script, Name: "s"})
	if err := os.WriteFile(file, []byte("-5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.await(t, Value{Kind: File, Name: "f", Up: true, Number: -5})
	sleep := exec.Command("sleep", "987654")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	v.await(t, Value{Kind: Process, Name: "p", Up: true})
	_ = sleep.Process.Kill()
	_ = sleep.Wait()
	v.await(t, Value{Kind: Process, Name: "p"})
	w.Set(c) // a reload tells everything anew, but for scripts, which are as before until they say otherwise
	v.await(t, Value{Kind: File, Name: "m", Up: true, Number: 7})
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	v.await(t, Value{Kind: Script, Name: "s", Up: true})
}

// TestNoDescriptors: a process without a descriptor to spare takes nobody for gone.
func TestNoDescriptors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "number")
	if err := os.WriteFile(file, []byte("5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v, said := make(values, 100), make(chan string, 100)
	w := New(func(x Value) { v <- x }, slog.New(slog.NewTextHandler(lines(said), nil)))
	defer w.Close()
	w.Set(&director.Config{Files: []director.TrackedFile{{Name: "f", Path: file}}, Processes: []director.TrackedProcess{{Name: "p", Process: filepath.Base(os.Args[0])}}})
	v.await(t, Value{Kind: File, Name: "f", Up: true, Number: 5}, Value{Kind: Process, Name: "p", Up: true})

	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) //nolint:errcheck // it was so before
	first := <-said
	if !strings.Contains(first, "too many open files") {
		t.Error(first)
	}
	w.Close() // it has looked at the other kind, too, or is about to
	if len(v) > 0 || len(said) > 0 {
		t.Errorf("it tells of %d changes, and says %d more lines", len(v), len(said))
	}
	for _, err := range []error{second(look("/proc")), second(readNumber(file))} {
		if !errors.Is(err, syscall.EMFILE) {
			t.Errorf("without descriptors: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// lines is what is written, a line at a time.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}
