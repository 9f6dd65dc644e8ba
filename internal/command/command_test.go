package command_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/internal/command"
)

func sh(script string) command.Spec {
	return command.Spec{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}}
}

func TestExitAndStreams(t *testing.T) {
	spec := sh("cat; echo err >&2; exit 3")
	spec.Stdin = []byte("in\n")
	pid := 0
	spec.Started = func(p int) { pid = p }
	out := command.Run(t.Context(), spec)
	if out.Exit != 3 || out.Stdout != "in\n" || out.Stderr != "err\n" || out.Signal != 0 || out.Err != nil || pid == 0 {
		t.Fatalf("got %+v, pid %d", out, pid)
	}
}

func TestSignalIsReported(t *testing.T) {
	if out := command.Run(t.Context(), sh("kill -9 $$")); out.Signal != syscall.SIGKILL || out.Exit != -1 {
		t.Fatalf("got %+v", out)
	}
}

func TestMissingProgram(t *testing.T) {
	if out := command.Run(t.Context(), command.Spec{Path: "/nowhere/at-all"}); out.Err == nil {
		t.Fatalf("got %+v", out)
	}
}

func TestMuchOutputIsBounded(t *testing.T) {
	spec := sh("head -c 100000000 /dev/zero; echo the end")
	spec.Limit = 1000
	out := command.Run(t.Context(), spec)
	if len(out.Stdout) != 1000 || !strings.HasSuffix(out.Stdout, "the end\n") || out.Dropped != 100000000+8-1000 {
		t.Fatalf("kept %d, dropped %d, ends %q", len(out.Stdout), out.Dropped, out.Stdout[max(0, len(out.Stdout)-9):])
	}
}

// A daemon that an agent starts keeps the agent's output open.
func TestDaemonDoesNotHoldUp(t *testing.T) {
	began := time.Now()
	out := command.Run(t.Context(), sh("sleep 60 & echo $!; exit 0"))
	pid, err := strconv.Atoi(strings.TrimSpace(out.Stdout))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	if out.Exit != 0 || time.Since(began) > 30*time.Second {
		t.Fatalf("got %+v after %s", out, time.Since(began))
	}
	if syscall.Kill(pid, 0) != nil {
		t.Fatal("the daemon was ended with its starter")
	}
}

// The time-out ends the group, those that left it, and those that ignore SIGTERM.
func TestTimeoutEndsAll(t *testing.T) {
	spec := sh(`trap "" TERM; setsid sh -c 'trap "" TERM; echo $$; while :; do sleep 1; done' & sleep 60 & echo $!; while :; do sleep 1; done`)
	spec.Grace = 100 * time.Millisecond
	var pids []string
	for spec.Timeout = 500 * time.Millisecond; len(pids) != 2; spec.Timeout *= 3 { // a busy machine may need longer to begin them
		out := command.Run(t.Context(), spec)
		if !out.TimedOut || out.Cancelled || spec.Timeout > 20*time.Second {
			t.Fatalf("got %+v", out)
		}
		pids = strings.Fields(out.Stdout)
	}
	for _, pid := range pids {
		await(t, "process "+pid+" to end", func() bool { return ended(pid) })
	}
}

// Swept, a program takes with it what it has started, but for what has left its group.
func TestSweep(t *testing.T) {
	spec := sh(`sleep 60 >&- 2>&- & echo $!; setsid sleep 60 >&- 2>&- & echo $!
		until [ "$(cut -d " " -f 6 /proc/$!/stat)" = $! ]; do sleep 0.01; done; exit 3`)
	spec.Sweep = true
	out := command.Run(t.Context(), spec)
	pids := strings.Fields(out.Stdout)
	if out.Exit != 3 || len(pids) != 2 {
		t.Fatalf("got %+v", out)
	}
	await(t, "process "+pids[0]+" to end", func() bool { return ended(pids[0]) })
	own, err := strconv.Atoi(pids[1])
	if err != nil {
		t.Fatal(err)
	}
	if syscall.Kill(own, syscall.SIGKILL) != nil {
		t.Error("what has a group of its own was ended, too")
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	spec := command.Spec{Path: "/bin/sleep", Args: []string{"60"}} // a shell may tell of its child's end first
	spec.Started = func(int) { cancel() }
	if out := command.Run(ctx, spec); !out.Cancelled || out.TimedOut || out.Signal != syscall.SIGTERM {
		t.Fatalf("got %+v", out)
	}
}

// ended also takes a zombie, which waits for init alone.
func ended(pid string) bool {
	data, err := os.ReadFile("/proc/" + pid + "/stat")
	return err != nil || strings.Contains(string(data), ") Z ")
}

func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestLeave: what a program leaves in the background may go on writing, after its end was told.
func TestLeave(t *testing.T) {
	for _, leave := range []bool{true, false} {
		dir := t.TempDir()
		for _, name := range []string{"/in", "/out"} {
			if err := syscall.Mkfifo(dir+name, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		spec := sh(`(trap '' PIPE; read x < ` + dir + `/in; if echo word 2> /dev/null; then x=fine; else x=broken; fi; echo $x > ` + dir + `/out) & echo begun`)
		spec.Leave = leave
		if out := command.Run(t.Context(), spec); out.Exit != 0 || out.Stdout != "begun\n" {
			t.Fatalf("got %+v", out)
		}
		if err := os.WriteFile(dir+"/in", []byte("go on\n"), 0); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "fine\n", false: "broken\n"}[leave]
		if got, err := os.ReadFile(dir + "/out"); err != nil || string(got) != want {
			t.Errorf("leave %v: it says %q, want %q: %v", leave, got, want, err)
		}
	}
}
