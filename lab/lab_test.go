package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be the one that the laboratory re-executes.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "lab" {
		code := standIn(os.Args[2:])
		// Past the race detector, which sleeps for a second in every exit.
		unix.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(code), 0, 0)
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // for the supervisors
	os.Exit(m.Run())
}

// standIn does what the takt binary does for `takt lab serve` and the hidden
// commands.
func standIn(args []string) int {
	ours, err := Hidden(args)
	if !ours && args[0] == "serve" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		err = Serve(ctx, args[1], "")
	}
	if !ours && args[0] == "ask-broker" {
		err = standInBroker(args[1])
	}
	if !ours && args[0] == "beat" {
		err = standInPulse(args[1], args[2])
	}
	if !ours && args[0] == "probe" {
		err = standInProbe(args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func bareLab(t *testing.T, nodes, links int) *Lab {
	t.Helper()
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	l, err := Up(ctx, Options{Dir: filepath.Join(t.TempDir(), "lab"), Nodes: nodes, Links: links, Bare: true, Attached: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.Background(), true); err != nil {
			t.Error(err)
		}
	})
	return l
}

func mustExec(t *testing.T, l *Lab, node string, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := l.Exec(ctx, node, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestExec(t *testing.T) {
	l := bareLab(t, 1, 1)
	if got := mustExec(t, l, "n1", "/bin/sh", "-c", "hostname; echo $$ >&2; cat /proc/1/cmdline | tr '\\0' ' '"); !strings.HasPrefix(got, "n1\n") || !strings.Contains(got, "lab node-init") {
		t.Errorf("host name and PID 1: got %q", got)
	}
	for _, c := range []struct {
		script string
		code   int
	}{{"exit 7", 7}, {"kill -9 $$", 137}, {"echo words >&2; exit 1", 1}} {
		_, err := l.Exec(context.Background(), "n1", "/bin/sh", "-c", c.script)
		var exit *ExitError
		if !errors.As(err, &exit) || exit.Code != c.code {
			t.Errorf("%q: got %v, want exit status %d", c.script, err, c.code)
		}
	}
	_, err := l.Exec(context.Background(), "n1", "no-such-command")
	if err == nil || !strings.Contains(err.Error(), "no such command") {
		t.Errorf("unknown command: got %v", err)
	}
	if _, err := l.Exec(context.Background(), "n9", "true"); err == nil || !strings.Contains(err.Error(), "n9") {
		t.Errorf("unknown node: got %v", err)
	}
}

func TestExecEndsWithItsCaller(t *testing.T) {
	l := bareLab(t, 1, 1)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := l.Exec(ctx, "n1", "/bin/sh", "-c", "echo $$ > "+l.Dir()+"/pid; exec sleep 1000")
		ended <- err
	}()
	pid := awaitFile(t, filepath.Join(l.Dir(), "pid"))
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	awaitTrue(t, "the command to end", func() bool {
		_, err := l.Exec(context.Background(), "n1", "/bin/sh", "-c", "! kill -0 "+strings.TrimSpace(pid))
		return err == nil
	})
}

func TestFileSystem(t *testing.T) {
	l := bareLab(t, 1, 1)
	script := `set -e
test -d /etc/takt; test -d /var/lib/takt
test "$(ls /run)" = lab; ls -A /tmp
echo kept > /var/lib/takt/f; echo kept > /etc/takt/f
echo gone > /run/f; echo gone > /etc/lab-test; echo gone > /tmp/f
echo seen > ` + l.Dir() + `/f
if touch /usr/lab-test 2>/dev/null; then echo "host is writable"; fi
test -r /etc/passwd; test -c /dev/null; test -d /sys/class/net/eth1`
	if out := mustExec(t, l, "n1", "/bin/sh", "-c", script); strings.Contains(out, "writable") {
		t.Error(out)
	}
	must(t, l.Crash("n1"))
	must(t, l.Start("n1"))
	got := mustExec(t, l, "n1", "/bin/sh", "-c", "cat /var/lib/takt/f /etc/takt/f; cat /run/f /tmp/f /etc/lab-test 2>/dev/null; true")
	if got != "kept\nkept\n" {
		t.Errorf("after a crash: got %q", got)
	}
	if _, err := os.Stat("/etc/lab-test"); err == nil {
		t.Error("a node wrote to the host's /etc")
	}
}

func TestDownLeavesNothing(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	before := hostState(t)
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30)) // longer than a socket address
	l, err := Up(context.Background(), Options{Dir: dir, Nodes: 2, Links: 2, Bare: true})
	must(t, err)
	mustExec(t, l, "n1", "/bin/sh", "-c", "sleep 1000 >/dev/null 2>&1 </dev/null &")
	if _, err := Up(context.Background(), Options{Dir: dir, Nodes: 2, Bare: true}); err == nil || !strings.Contains(err.Error(), "runs there already") {
		t.Errorf("second laboratory in one folder: got %v", err)
	}
	must(t, l.Down(context.Background(), false))
	// The kernel ends what was in its namespaces a little after the supervisor itself.
	awaitTrue(t, "nothing is left behind of what was not there before:\n"+before, func() bool { return hostState(t) == before })
	left, _ := filepath.Glob(dir + "/*.sock")
	if _, err := os.Stat(filepath.Join(dir, stateFile)); err == nil || len(left) > 0 {
		t.Errorf("runtime files left: %v", left)
	}
	if _, err := os.Stat(filepath.Join(dir, "supervisor.log")); err != nil {
		t.Errorf("the log should stay: %v", err)
	}
}

// TestKilledSupervisor checks that nothing survives it, and that the folder can
// be used again.
func TestKilledSupervisor(t *testing.T) {
	l := bareLab(t, 1, 1)
	mustExec(t, l, "n1", "/bin/sh", "-c", "sleep 4321 >/dev/null 2>&1 </dev/null &")
	must(t, syscall.Kill(l.State().PID, syscall.SIGKILL))
	must(t, l.awaitEnd(context.Background()))
	// The kernel ends what was in its namespaces a little after the supervisor itself.
	awaitTrue(t, "nothing is left behind", func() bool {
		s := hostState(t)
		return !strings.Contains(s, l.Dir()) && !strings.Contains(s, "4321")
	})
	again, err := Up(context.Background(), Options{Dir: l.Dir(), Nodes: 1, Links: 1, Bare: true, Attached: true})
	must(t, err)
	mustExec(t, again, "n1", "true")
	must(t, again.Down(context.Background(), false))
}

// hostState lists what a laboratory could leave: our interfaces, mounts, and
// processes that descend from a laboratory.
func hostState(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	links, err := os.ReadDir("/sys/class/net")
	must(t, err)
	for _, l := range links {
		fmt.Fprintln(&b, l.Name())
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, t.Name()) {
			b.WriteString(line)
		}
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, c := range commands {
		data, _ := os.ReadFile(c)
		if line := strings.ReplaceAll(string(data), "\x00", " "); strings.Contains(line, t.Name()) || strings.Contains(line, "sleep 4321") {
			fmt.Fprintln(&b, c, line)
		}
	}
	return b.String()
}

func awaitTrue(t *testing.T, what string, check func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	must(t, await(ctx, "wait for "+what, func() (bool, string) { return check(), "not yet" }))
}

func awaitFile(t *testing.T, path string) string {
	t.Helper()
	var data []byte
	awaitTrue(t, path, func() bool {
		data, _ = os.ReadFile(path)
		return strings.HasSuffix(string(data), "\n")
	})
	return string(data)
}
