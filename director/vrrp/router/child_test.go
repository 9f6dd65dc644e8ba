package router

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/vrrp"
)

// TestChild: a router in a process of its own does what one in this process does, comes back when it dies, and gives up in order.
func TestChild(t *testing.T) {
	ready(t)
	p := newPair(t, fast, 150, 100)
	s := p.sides[0]
	s.write()
	events := make(chan string, 100)
	t.Setenv("TAKT_TEST_SERVE", "1")
	c, err := Spawn(Options{Config: s.config(), Log: slog.New(slog.DiscardHandler), Notify: func(n vrrp.Notify) { events <- string(n.Event) }},
		"ip", "netns", "exec", s.ns, os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want ...string) {
		t.Helper()
		for _, w := range want {
			select {
			case got := <-events:
				if got != w {
					t.Fatalf("it is %s, expected %s", got, w)
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("no %s", w)
			}
		}
	}
	expect("BACKUP", "MASTER")
	if st, err := c.Status(); err != nil || len(st.Instances) != 1 || st.Instances[0].State != vrrp.Master || !s.holds() {
		t.Fatalf("%v: %+v", err, st)
	}
	kill(t, s.ns)
	expect("BACKUP", "MASTER")
	cfg := s.config()
	cfg.Scripts = []director.Script{{Name: "x", InitFail: true}}
	cfg.Instances[0].Track.Scripts = []director.Tracked{{Name: "x", Default: true}}
	if err := c.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	expect("FAULT")
	c.Track(vrrp.Track{Kind: vrrp.TrackScript, Name: "x", Up: true})
	expect("BACKUP", "MASTER")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	expect("STOP")
	if s.holds() {
		t.Error("the addresses are still there")
	}
	if _, err := c.Status(); err == nil {
		t.Error("a process that has ended answers")
	}
}

// kill kills what runs in a namespace.
func kill(t *testing.T, ns string) {
	t.Helper()
	out, err := commandOutput("ip", "netns", "pids", ns)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range strings.Fields(out) {
		var n int
		if _, err := fmt.Sscan(pid, &n); err == nil {
			_ = syscall.Kill(n, syscall.SIGKILL)
		}
	}
}
