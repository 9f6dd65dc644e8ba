package lab

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// watchdogFile is the socket of a node's watchdog, below D/nodes/NAME: the timer
// that resets the machine unless it is petted. Its protocol is that of package
// internal/watchdog. It lives in the supervisor, as a real one lives outside the
// processor that it watches, and goes on counting when the node hangs.
const watchdogFile = "watchdog.sock"

// WatchdogSocket is the watchdog as a node finds it.
const WatchdogSocket = "/run/lab/watchdog.sock"

// timer is the watchdog of one node.
//
//	idle ──arm──▶ counting ──pet──▶ counting ──time-out──▶ node off, then on; idle
//	                  └──disarm, node loses its power──▶ idle
type timer struct {
	node string
	bite func(node string)

	mu      sync.Mutex // guards what follows
	timeout time.Duration
	clock   *time.Timer // nil: idle
}

// serveWatchdog answers a node's connections to its watchdog.
func (s *supervisor) serveWatchdog(t *timer, l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			s.log.Error("the watchdog has ended", "node", t.node, "error", err)
			return
		}
		go t.serve(conn)
	}
}

// serve takes one connection's lines; that it breaks disarms nothing.
func (t *timer) serve(conn *net.UnixConn) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if answer := t.command(strings.Fields(lines.Text())); answer != "" {
			if _, err := fmt.Fprintln(conn, answer); err != nil {
				return
			}
		}
	}
}

func (t *timer) command(words []string) (answer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case len(words) == 1 && words[0] == "pet":
		if t.clock != nil {
			t.clock.Reset(t.timeout)
		}
		return ""
	case len(words) == 1 && words[0] == "reset":
		t.stopLocked()
		go t.bite(t.node)
		return ""
	case len(words) == 1 && words[0] == "disarm":
		t.stopLocked()
		return "ok"
	case len(words) == 2 && words[0] == "arm":
		ms, err := strconv.Atoi(words[1])
		if err != nil || ms < 10 || ms > 600_000 {
			return "arm takes 10 to 600000 milliseconds"
		}
		t.stopLocked()
		t.timeout = time.Duration(ms) * time.Millisecond
		t.clock = time.AfterFunc(t.timeout, func() { t.runOut() })
		return "ok"
	}
	return "say arm MILLISECONDS, pet, reset or disarm"
}

func (t *timer) stopLocked() {
	if t.clock != nil {
		t.clock.Stop()
		t.clock = nil
	}
}

// disarm is the loss of power.
func (t *timer) disarm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopLocked()
}

func (t *timer) runOut() {
	t.mu.Lock()
	armed := t.clock != nil
	t.stopLocked()
	t.mu.Unlock()
	if armed {
		t.bite(t.node)
	}
}

// bite resets a node.
func (s *supervisor) bite(node string) {
	s.log.Info("the watchdog resets a node", "node", node)
	err := s.setPower(node, "off", "watchdog")
	time.Sleep(s.config.Boot) // whoever asked for the reset does not wait
	if err == nil {
		err = s.setPower(node, "on", "on")
	}
	if err != nil {
		s.log.Error("the watchdog could not reset a node", "node", node, "error", err)
	}
}

// addPower makes the power switch and the watchdogs.
func (s *supervisor) addPower() error {
	l, err := listenSocket(filepath.Join(s.config.Dir, powerFile))
	if err != nil {
		return err
	}
	go s.servePower(l)
	for _, node := range s.plugs() {
		if err := makeNodeFolders(s.config.Dir, node); err != nil {
			return err
		}
		l, err := listenSocket(filepath.Join(s.config.Dir, "nodes", node, watchdogFile))
		if err != nil {
			return err
		}
		t := &timer{node: node, bite: s.bite}
		s.timers[node] = t
		go s.serveWatchdog(t, l)
	}
	return nil
}
