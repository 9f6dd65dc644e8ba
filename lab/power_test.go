package lab

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// line is one conversation with a socket of the laboratory.
type line struct {
	t    *testing.T
	conn *net.UnixConn
	in   *bufio.Reader
}

func dialLine(t *testing.T, path string) *line {
	t.Helper()
	conn, err := dialSocket(path)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return &line{t, conn, bufio.NewReader(conn)}
}

func (l *line) say(text string) {
	l.t.Helper()
	_, err := fmt.Fprintln(l.conn, text)
	must(l.t, err)
}

func (l *line) ask(text string) string {
	l.t.Helper()
	l.say(text)
	answer, err := l.in.ReadString('\n')
	must(l.t, err)
	return strings.TrimSpace(answer)
}

func stateOf(t *testing.T, l *Lab, node string) string {
	t.Helper()
	s, err := l.Status()
	must(t, err)
	for _, n := range s.Nodes {
		if n.Name == node {
			return n.State
		}
	}
	t.Fatalf("no node %s", node)
	return ""
}

func TestPowerSwitch(t *testing.T) {
	l := bareLab(t, 2, 1)
	must(t, l.Power(PowerOptions{Delay: time.Millisecond}))
	s := dialLine(t, filepath.Join(l.Dir(), powerFile))
	for _, c := range []struct{ say, want, n2 string }{
		{"list", "n1 n2", "running"},
		{"status n2", "on", "running"},
		{"off n2", "ok", "off"},
		{"off n2", "ok", "off"}, // twice is no error
		{"status n2", "off", "off"},
		{"on n2", "ok", "running"},
		{"off client", `error no node "client" hangs on this switch`, "running"},
		{"melt n2", `error unknown action "melt"`, "running"},
		{"off", "error say off NODE, on NODE, status NODE or list", "running"},
	} {
		if got := s.ask(c.say); got != c.want {
			t.Errorf("%s: %q, want %q", c.say, got, c.want)
		}
		if got := stateOf(t, l, "n2"); got != c.n2 {
			t.Errorf("after %s n2 is %s, want %s", c.say, got, c.n2)
		}
	}
	must(t, l.Power(PowerOptions{Node: "n2", Delay: -1, Fault: PowerLies}))
	if got := s.ask("off n2") + " " + s.ask("status n2"); got != "ok on" {
		t.Errorf("a lying switch: %q", got)
	}
	must(t, l.Power(PowerOptions{Node: "n2", Delay: -1, Fault: PowerFails}))
	if got := s.ask("off n2"); !strings.HasPrefix(got, "error ") {
		t.Errorf("a failing switch: %q", got)
	}
	events, err := l.PowerLog()
	must(t, err)
	var what []string
	for _, e := range events {
		what = append(what, e.Node+" "+e.What)
	}
	if got := strings.Join(what, ", "); got != "n2 off, n2 on" {
		t.Errorf("the log says %s", got)
	}
}

// TestNodeReachesItsSockets asks the switch and the watchdog from within a node.
func TestNodeReachesItsSockets(t *testing.T) {
	l := bareLab(t, 1, 1)
	mustExec(t, l, "n1", "/bin/sh", "-c", "test -S "+PowerSocket+" && test -S "+WatchdogSocket)
}

func TestWatchdog(t *testing.T) {
	l := bareLab(t, 2, 1)
	must(t, l.Pause("n2")) // a watchdog bites a hanging machine, too
	w := dialLine(t, filepath.Join(l.Dir(), "nodes", "n2", watchdogFile))
	if got := w.ask("arm 5"); !strings.HasPrefix(got, "arm takes") {
		t.Errorf("a time-out of 5 ms: %q", got)
	}
	if got := w.ask("arm 60000"); got != "ok" {
		t.Fatalf("arm: %q", got)
	}
	w.say("pet")
	if got := w.ask("disarm"); got != "ok" {
		t.Fatalf("disarm: %q", got)
	}
	if got := w.ask("arm 50"); got != "ok" {
		t.Fatalf("arm: %q", got)
	}
	w.conn.Close() // which disarms nothing
	awaitTrue(t, "the watchdog", func() bool {
		events, err := l.PowerLog()
		must(t, err)
		return len(events) == 2 && events[0].What == "watchdog" && events[1].What == "on"
	})
	if got := stateOf(t, l, "n2"); got != "running" {
		t.Errorf("after its reset n2 is %s", got)
	}
}
