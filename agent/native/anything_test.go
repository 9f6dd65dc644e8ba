package native

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent"
)

func load(t *testing.T, s *Set) process {
	t.Helper()
	p, known, err := loadProcess(statePath(s, "anything"))
	if err != nil || !known {
		t.Fatalf("no process: %v", err)
	}
	t.Cleanup(func() { p.signal(syscall.SIGKILL) })
	return p
}

func TestExitIsNoticed(t *testing.T) {
	s := newTestSet(t)
	inv := invocation("anything", "binfile", "/bin/sleep", "cmdline_options", "1000")
	do(t, s, inv, agent.Start, agent.OK)
	p := load(t, s)
	a, _ := s.Agent("anything")
	failure := make(chan string, 1)
	go func() { failure <- a.(agent.Watcher).Watch(t.Context(), inv) }()
	// A second daemon, which is not the parent, notices as well.
	other := New(s.opts)
	defer other.Close()
	b, _ := other.Agent("anything")
	foreign := make(chan string, 1)
	go func() { foreign <- b.(agent.Watcher).Watch(t.Context(), inv) }()
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := <-failure; !strings.Contains(got, "signal: killed") {
		t.Errorf("got %q", got)
	}
	if got := <-foreign; !strings.Contains(got, "has ended") {
		t.Errorf("got %q", got)
	}
	do(t, s, inv, agent.Monitor, agent.NotRunning)
	do(t, s, inv, agent.Stop, agent.OK)
}

func TestWatchEndsWithContext(t *testing.T) {
	s := newTestSet(t)
	inv := invocation("anything", "binfile", "/bin/sleep", "cmdline_options", "1000")
	do(t, s, inv, agent.Start, agent.OK)
	load(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	a, _ := s.Agent("anything")
	if got := a.(agent.Watcher).Watch(ctx, inv); got != "" {
		t.Fatalf("got %q", got)
	}
}

// A starter that dies between the fork and its note leaves a note without a number.
func TestFoundByMarkAfterCrash(t *testing.T) {
	s := newTestSet(t)
	inv := invocation("anything", "binfile", "/bin/sleep", "cmdline_options", "1000")
	do(t, s, inv, agent.Start, agent.OK)
	p := load(t, s)
	if err := saveProcess(statePath(s, "anything"), process{Mark: p.Mark}); err != nil {
		t.Fatal(err)
	}
	do(t, s, inv, agent.Start, agent.OK)
	if again := load(t, s); again != p {
		t.Fatalf("started twice: %+v and %+v", p, again)
	}
}

func TestRecycledNumberIsNotMistaken(t *testing.T) {
	s := newTestSet(t)
	inv := invocation("anything", "binfile", "/bin/sleep", "cmdline_options", "1000")
	do(t, s, inv, agent.Start, agent.OK)
	p := load(t, s)
	stranger := p
	stranger.Start++
	stranger.Mark = "another"
	if err := saveProcess(statePath(s, "anything"), stranger); err != nil {
		t.Fatal(err)
	}
	do(t, s, inv, agent.Monitor, agent.NotRunning)
	do(t, s, inv, agent.Stop, agent.OK)
	if !p.alive() {
		t.Fatal("a stranger was ended")
	}
}

func TestStopEndsTheWholeSession(t *testing.T) {
	s := newTestSet(t)
	file := filepath.Join(t.TempDir(), "pids")
	inv := invocation("anything", "binfile", "/bin/sh", "stop_timeout", "100ms",
		"cmdline_options", `-c 'trap "" TERM; sleep 1000 & echo $! > `+file+`; while :; do sleep 1; done'`)
	inv.Params["cmdline_options"] = strings.Replace(inv.Params["cmdline_options"], "sleep 1000 &", "setsid sleep 1001 & sleep 1000 &", 1)
	do(t, s, inv, agent.Start, agent.OK)
	p := load(t, s)
	await(t, "the workers", func() bool { return len(p.members()) >= 4 })
	do(t, s, inv, agent.Stop, agent.OK)
	if left := p.members(); len(left) != 0 {
		t.Fatalf("left: %v", left)
	}
}

func TestReadyIsAwaited(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	s := newTestSet(t)
	inv := invocation("anything", "binfile", "/bin/sleep", "cmdline_options", "1000", "ready", "tcp:"+address)
	do(t, s, inv, agent.Start, agent.OK)
	do(t, s, inv, agent.Stop, agent.OK)
	listener.Close()
	inv.Timeout = 100 * time.Millisecond
	inv.Action = agent.Start
	a, _ := s.Agent("anything")
	if r := a.Run(t.Context(), inv); r.Status != agent.TimedOut {
		t.Fatalf("got %+v", r)
	}
	inv.Timeout = time.Minute
	do(t, s, inv, agent.Stop, agent.OK)
	inv = invocation("anything", "binfile", "/bin/false", "ready", "tcp:"+address)
	if r := do(t, s, inv, agent.Start, agent.ErrGeneric); !strings.Contains(r.Reason, "exit status 1") {
		t.Fatalf("got %q", r.Reason)
	}
}

func TestMissingProgram(t *testing.T) {
	do(t, newTestSet(t), invocation("anything", "binfile", "/no/such/thing"), agent.Start, agent.ErrInstalled)
	do(t, newTestSet(t), invocation("anything", "binfile", "/bin/sh", "cmdline_options", "a | b"), agent.Start, agent.ErrConfigured)
}

func TestLogfile(t *testing.T) {
	s := newTestSet(t)
	log := filepath.Join(t.TempDir(), "log")
	inv := invocation("anything", "binfile", "/bin/sh", "logfile", log, "env", "GREETING='good day'", "cmdline_options", `-c 'echo "\$GREETING"; sleep 1000'`)
	do(t, s, inv, agent.Start, agent.OK)
	load(t, s)
	await(t, "the log", func() bool {
		data, err := os.ReadFile(log)
		return err == nil && len(data) > 0
	})
	do(t, s, inv, agent.Stop, agent.OK)
}

func TestSplitWords(t *testing.T) {
	for in, want := range map[string][]string{"": nil, "a b": {"a", "b"}, `a 'b c' "d'e" f\ g`: {"a", "b c", "d'e", "f g"}, `''`: {""}, `-c 'x | y; $z'`: {"-c", "x | y; $z"}} {
		if got, err := splitWords(in); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"a|b", "'open", "$x", `"$x"`} {
		if got, err := splitWords(in); err == nil {
			t.Errorf("%q was accepted as %q", in, got)
		}
	}
}

func FuzzSplitWords(f *testing.F) {
	f.Add(`a 'b' "c" \d`)
	f.Fuzz(func(_ *testing.T, s string) { splitWords(s) }) //nolint:errcheck // must not panic
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (a b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21"))
	f.Fuzz(func(_ *testing.T, data []byte) { parseStat(data) })
}

func FuzzParseMounts(f *testing.F) {
	f.Add([]byte("44 43 0:25 / /mnt/a\\040b ro,nosuid - tmpfs x rw,size=4k\n"))
	f.Fuzz(func(_ *testing.T, data []byte) { parseMounts(data) })
}
