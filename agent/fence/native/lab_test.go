package native_test

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/agent/fence/native"
)

// powerStrip answers as a laboratory's power switch does, or as its script says.
type powerStrip struct {
	socket string

	mu     sync.Mutex
	off    map[string]bool   // guarded by mu
	script map[string]string // answers by request, guarded by mu; "" hangs
	asked  []string          // guarded by mu
}

func newPowerStrip(t *testing.T) *powerStrip {
	t.Helper()
	s := &powerStrip{socket: filepath.Join(t.TempDir(), "power.sock"), off: map[string]bool{}, script: map[string]string{}}
	l, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

func (s *powerStrip) serve(conn net.Conn) {
	defer conn.Close()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		answer := s.answer(lines.Text())
		if answer == "" {
			continue
		}
		fmt.Fprintln(conn, answer)
	}
}

func (s *powerStrip) answer(request string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, request)
	if a, ok := s.script[request]; ok {
		return a
	}
	action, node, _ := strings.Cut(request, " ")
	switch action {
	case "list":
		return "n1 n2"
	case "status":
		if s.off[node] {
			return "off"
		}
		return "on"
	}
	s.off[node] = action == "off"
	return "ok"
}

func (s *powerStrip) say(request, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script[request] = answer
}

func (s *powerStrip) requests() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := strings.Join(s.asked, ", ")
	s.asked = nil
	return asked
}

func registry(t *testing.T, opts native.Options) *fence.Registry {
	t.Helper()
	r := fence.NewRegistry(fence.Options{Native: native.All(opts), Folders: []string{t.TempDir()},
		Settings: fence.Settings{Timeout: 30 * time.Second, Verify: 20 * time.Millisecond, Poll: time.Millisecond, Pause: time.Millisecond}})
	t.Cleanup(r.Close)
	return r
}

// device makes a device without errors; params are name=value.
func device(t *testing.T, r *fence.Registry, kind string, params ...string) *fence.Device {
	t.Helper()
	d, findings := r.Device(t.Context(), primitive(kind, params...), []string{"n1", "n2"})
	if d == nil {
		t.Fatalf("no device: %v", findings)
	}
	return d
}

func primitive(kind string, params ...string) fence.Primitive {
	p := fence.Primitive{ID: "f", Type: native.Prefix + kind, Params: fence.Params{}}
	for _, pair := range params {
		name, value, _ := strings.Cut(pair, "=")
		p.Params[name] = value
	}
	return p
}

func TestLab(t *testing.T) {
	s := newPowerStrip(t)
	d := device(t, registry(t, native.Options{}), "lab", "socket="+s.socket, "pcmk_host_list=n1 n2")
	for _, c := range []struct {
		action, node string
		power        fence.Power
		requests     string
	}{
		{fence.Off, "n2", fence.PowerOff, "off n2, status n2"}, {fence.Status, "n2", fence.PowerOff, "status n2"},
		{fence.On, "n2", fence.PowerOn, "on n2, status n2"}, {fence.Status, "n1", fence.PowerOn, "status n1"},
		{fence.Reboot, "n1", fence.PowerOn, "off n1, status n1, on n1, status n1"}, {fence.Monitor, "", "", "list"},
	} {
		r := d.Do(t.Context(), c.action, c.node)
		if got := s.requests(); !r.OK || r.Power != c.power || got != c.requests {
			t.Errorf("%s %s: %+v, asked %q", c.action, c.node, r, got)
		}
		if (c.action == fence.Off || c.action == fence.Reboot) && r.Proof != fence.ByStatus {
			t.Errorf("%s: proof %q", c.action, r.Proof)
		}
	}
}

// Without a list of nodes the switch is asked once, and not when a node is to be
// switched off.
func TestLabKnowsItsNodes(t *testing.T) {
	s := newPowerStrip(t)
	d := device(t, registry(t, native.Options{}), "lab", "socket="+s.socket)
	for node, can := range map[string]bool{"n1": true, "n2": true, "n3": false} {
		if target, err := d.Targets(t.Context(), node); err != nil || target.Can != can {
			t.Errorf("%s: %+v, %v", node, target, err)
		}
	}
	if got := s.requests(); got != "list" {
		t.Errorf("asked %s", got)
	}
	if r := d.Do(t.Context(), fence.Off, "n2"); !r.OK || s.requests() != "off n2, status n2" {
		t.Errorf("%+v", r)
	}
}

func TestLabFaults(t *testing.T) {
	s := newPowerStrip(t)
	d := device(t, registry(t, native.Options{}), "lab", "socket="+s.socket, "pcmk_host_list=n1 n2")
	hasty := device(t, registry(t, native.Options{}), "lab", "socket="+s.socket, "pcmk_host_list=n1 n2", "pcmk_off_timeout=100ms")
	for _, c := range []struct{ request, answer, want string }{
		{"off n2", "error the outlet of n2 does not answer", "the outlet of n2 does not answer"},
		{"off n2", "ok, sure", "it should be ok"},
		{"off n2", "", "did not end in time"},
		{"off n2", "ok", "its status is on"}, // it lies: nothing was done
		{"status n2", "perhaps", "it should be on or off"},
	} {
		s.say(c.request, c.answer)
		d := d
		if c.answer == "" {
			d = hasty
		}
		if r := d.Do(t.Context(), fence.Off, "n2"); r.OK || !strings.Contains(r.Reason, c.want) {
			t.Errorf("%s: %s: %+v", c.request, c.answer, r)
		}
	}
	gone := device(t, registry(t, native.Options{}), "lab", "socket=/nowhere/power.sock", "pcmk_host_list=n1 n2")
	if r := gone.Do(t.Context(), fence.Off, "n2"); r.OK || !strings.Contains(r.Reason, "takt lab up --fence") {
		t.Errorf("%+v", r)
	}
}
