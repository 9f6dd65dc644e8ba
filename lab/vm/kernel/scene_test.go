package kernel

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director/directortest"
	"github.com/takt-ha/takt/lab/vm"
)

// Addresses of every scene.
const (
	vip4, vip6 = "192.0.2.10", "2001:db8:1::10"
	gate4      = "10.0.0.1" // on the director that forwards: the servers' way to the client
	gate6      = "2001:db8:2::1"
)

// scene is a client, directors and real servers.
type scene struct {
	t         *testing.T
	client    *directortest.Machine
	directors []*balancer
	servers   []*directortest.Machine
}

// newScene makes machines. Servers that answer directly are on the client's network, too. A test has networks of its own.
func newScene(t *testing.T, k kind, directors int, direct bool) *scene {
	t.Helper()
	if !vm.Inside() {
		t.Skip("runs in the virtual machine of TestKernel alone")
	}
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	for _, b := range []string{"front", "back"} {
		directortest.Bridge(t, b)
	}
	s := &scene{t: t, client: directortest.NewMachine(t, "client")}
	s.client.Plug("front", "e0", "192.0.2.1/24", "192.0.2.2/24", "2001:db8:1::1/64", "2001:db8:1::2/64")
	for i := range directors {
		s.directors = append(s.directors, newBalancer(t, k, i+1))
	}
	for i := range 3 {
		s.servers = append(s.servers, newServer(t, i+1, direct))
	}
	if t.Failed() {
		t.FailNow()
	}
	return s
}

// lone is a scene with one director, which holds the addresses.
func lone(t *testing.T, k kind, direct bool) (*scene, *balancer) {
	t.Helper()
	s := newScene(t, k, 1, direct)
	s.holds(s.directors[0])
	return s, s.directors[0]
}

// holds gives a director the addresses, without VRRP: so that they are no source of its own connections.
func (s *scene) holds(d *balancer) {
	for _, a := range []string{vip4 + "/32 dev e0", vip6 + "/128 dev e0 nodad preferred_lft 0", gate4 + "/32 dev e1", gate6 + "/128 dev e1 nodad preferred_lft 0"} {
		d.Run(append([]string{"ip", "address", "add"}, strings.Fields(a)...)...)
	}
}

func newServer(t *testing.T, n int, direct bool) *directortest.Machine {
	m := directortest.NewMachine(t, fmt.Sprint("r", n))
	m.Plug("back", "e0", fmt.Sprintf("10.0.0.2%d/24", n), fmt.Sprintf("2001:db8:2::2%d/64", n))
	if !direct {
		m.Run("ip", "route", "add", "default", "via", gate4)
		m.Run("ip", "-6", "route", "add", "default", "via", gate6)
		return m
	}
	m.Plug("front", "e1", fmt.Sprintf("192.0.2.2%d/24", n), fmt.Sprintf("2001:db8:1::2%d/64", n))
	return m
}

// set writes to /proc/sys as the calling thread's network sees it.
func set(t *testing.T, values ...string) {
	t.Helper()
	for _, v := range values {
		name, value, _ := strings.Cut(v, "=")
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// serve makes every server answer at an own address and at others, on a port.
func (s *scene) serve(port uint16, more ...string) {
	s.t.Helper()
	for i, m := range s.servers {
		own := []string{fmt.Sprintf("10.0.0.2%d", i+1), fmt.Sprintf("2001:db8:2::2%d", i+1)}
		for _, a := range append(own, more...) {
			m.Serve(netip.AddrPortFrom(netip.MustParseAddr(a), port))
		}
	}
}

// patience bounds each wait: no measure of anything.
const patience = 40 * time.Second

// soon polls.
func (s *scene) soon(f func() bool) bool {
	tick := time.NewTicker(250 * time.Millisecond) // each look starts a program, which is dear there
	defer tick.Stop()
	for end := time.Now().Add(patience); !f(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// await ends the test if something does not come.
func (s *scene) await(what string, f func() bool) {
	s.t.Helper()
	if !s.soon(f) {
		for _, d := range s.directors {
			s.t.Logf("%s:\n%s", d.Name, d.table())
		}
		s.t.Fatal("waited in vain: " + what)
	}
}

// output is what a program on a machine prints, and "" if it fails.
func output(m *directortest.Machine, args ...string) (out string) {
	m.Do(func() {
		b, err := exec.Command(args[0], args[1:]...).Output()
		if err == nil {
			out = string(b)
		}
	})
	return out
}
