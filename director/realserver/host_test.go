package realserver_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/directortest"
	"github.com/takt-ha/takt/director/realserver"
	"github.com/takt-ha/takt/internal/netif"
)

// scene is a real server and a neighbour that asks.
type scene struct {
	t            *testing.T
	dir          string
	server, asks *directortest.Machine
}

func newScene(t *testing.T) *scene {
	directortest.Bridge(t, "br0")
	s := &scene{t: t, dir: t.TempDir(), server: directortest.NewMachine(t, "server"), asks: directortest.NewMachine(t, "asks")}
	s.server.Plug("br0", "e0", "10.7.0.1/24", "fd07::1/64")
	s.asks.Plug("br0", "e0", "10.7.0.2/24", "fd07::2/64")
	s.asks.Run("sysctl", "-q", "-w", "net.ipv6.neigh.e0.retrans_time_ms=100")
	if t.Failed() {
		t.FailNow()
	}
	return s
}

// answers says whether the neighbour finds out who has an address.
func (s *scene) answers(ip string) (yes bool) {
	s.asks.Do(func() {
		if strings.Contains(ip, ":") { // nobody listens there: who has the address refuses
			c, err := net.Dial("tcp", "["+ip+"]:9")
			if err == nil {
				c.Close()
			} else if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.EHOSTUNREACH) {
				s.t.Error(err)
			}
			yes = errors.Is(err, syscall.ECONNREFUSED)
			return
		}
		yes = exec.Command("arping", "-c", "1", "-w", "1", "-I", "e0", ip).Run() == nil
	})
	return yes
}

// with opens the record on the real server.
func (s *scene) with(f func(*realserver.Host)) {
	s.t.Helper()
	s.server.Do(func() {
		h, err := realserver.Open(s.dir, true)
		if err != nil {
			s.t.Error(err)
			return
		}
		defer h.Close()
		f(h)
	})
}

func (s *scene) apply(wants ...realserver.Want) (items []realserver.Item, changed []string) {
	s.t.Helper()
	s.with(func(h *realserver.Host) {
		var err error
		if items, changed, err = h.Apply(wants); err != nil {
			s.t.Error(err)
		}
	})
	for _, i := range items {
		if !i.OK {
			s.t.Errorf("after apply: %+v", i)
		}
	}
	return items, changed
}

func (s *scene) remove() (out []string) {
	s.with(func(h *realserver.Host) {
		list, err := h.Remove(func(realserver.Want) bool { return true })
		if err != nil {
			s.t.Error(err)
		}
		for _, u := range list {
			out = append(out, strings.TrimSpace(u.Step.String()+" "+u.Leave))
		}
	})
	return out
}

// picture is what apply may change.
func (s *scene) picture() string {
	return s.server.Output("ip", "-o", "address", "show", "dev", "lo") + s.server.Output("sh", "-c", "cat /proc/sys/net/ipv4/conf/*/arp_ignore /proc/sys/net/ipv4/conf/*/arp_announce")
}

func (s *scene) expect(what, ip string, answered bool) {
	s.t.Helper()
	got := s.answers(ip)
	for tries := 0; answered && !got && tries < 10; tries++ { // a busy machine may be too late for the second that it has
		got = s.answers(ip)
	}
	if got != answered {
		s.t.Errorf("%s: a neighbour that asks for %s gets an answer: %v\n%s", what, ip, got, s.picture())
	}
}

// TestSilence: a real server has the address and no neighbour hears of it; all is as before after remove.
func TestSilence(t *testing.T) {
	if !directortest.Inside(t, "arping", "sysctl") {
		return
	}
	s := newScene(t)
	v4, v6 := realserver.Direct(netip.MustParseAddr("10.7.0.100"), "lo", "e0"), realserver.Direct(netip.MustParseAddr("fd07::100"), "lo", "e0")
	before := s.picture()
	s.server.Run("ip", "address", "add", "10.7.0.100/32", "dev", "lo")
	s.expect("with an address and no more", "10.7.0.100", true)
	s.server.Run("ip", "address", "del", "10.7.0.100/32", "dev", "lo")
	s.server.Run("ip", "address", "add", "fd07::100/128", "dev", "e0", "nodad")
	s.expect("on the interface itself", "fd07::100", true)
	s.server.Run("ip", "address", "del", "fd07::100/128", "dev", "e0")
	s.asks.Run("ip", "neigh", "flush", "dev", "e0")

	if _, changed := s.apply(v4, v6); len(changed) != 6 {
		t.Errorf("apply changed %q", changed)
	}
	s.expect("applied", "10.7.0.100", false)
	s.expect("applied", "fd07::100", false)
	s.expect("its own address", "10.7.0.1", true)
	s.expect("its own address", "fd07::1", true)
	s.server.Run("ip", "route", "get", "10.7.0.100", "from", "10.7.0.2", "iif", "e0") // it takes the packets
	s.server.Run("ip", "route", "get", "fd07::100", "from", "fd07::2", "iif", "e0")
	if _, changed := s.apply(v4, v6); len(changed) != 0 {
		t.Errorf("the second apply changed %q", changed)
	}
	s.server.Run("ip", "address", "del", "10.7.0.100/32", "dev", "lo")
	s.server.Run("sysctl", "-q", "-w", "net.ipv4.conf.all.arp_ignore=0")
	if _, changed := s.apply(v4); strings.Join(changed, " ") != "net.ipv4.conf.all.arp_ignore 10.7.0.100/32" {
		t.Errorf("after somebody undid half of it apply changed %q", changed)
	}
	s.remove()
	if after := s.picture(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if files, _ := os.ReadDir(s.dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}

// TestSomebodyElses: an address that is there already is silenced, said, and left.
func TestSomebodyElses(t *testing.T) {
	if !directortest.Inside(t, "arping", "sysctl") {
		return
	}
	s := newScene(t)
	s.server.Run("ip", "address", "add", "10.7.0.100/32", "dev", "lo")
	s.server.Run("ip", "address", "add", "10.7.0.101/32", "dev", "e0")
	s.server.Run("sysctl", "-q", "-w", "net.ipv4.conf.all.arp_announce=2")
	items, _ := s.apply(realserver.Direct(netip.MustParseAddr("10.7.0.100"), "lo", "e0"), realserver.Direct(netip.MustParseAddr("10.7.0.101"), "lo", "e0"))
	s.expect("applied", "10.7.0.100", false)
	words := fmt.Sprintf("%+v", items)
	for _, want := range []string{"not made by Takt, so remove leaves it", "also on e0, where neighbours get an answer"} {
		if !strings.Contains(words, want) {
			t.Errorf("nobody says %q: %s", want, words)
		}
	}
	s.with(func(h *realserver.Host) { // nothing makes a machine silent about the interface that was asked
		if _, _, err := h.Apply([]realserver.Want{realserver.Direct(netip.MustParseAddr("10.7.0.102"), "e0", "e0")}); err == nil || !strings.Contains(err.Error(), "neighbours are answered here") {
			t.Errorf("an address on e0: %v", err)
		}
	})
	s.expect("refused", "10.7.0.102", false)
	s.server.Run("sysctl", "-q", "-w", "net.ipv4.conf.e0.arp_ignore=8")
	if left := strings.Join(s.remove(), "\n"); !strings.Contains(left, "net.ipv4.conf.e0.arp_ignore it is 8 now, which somebody else has set") {
		t.Error(left)
	}
	if p := s.picture(); !strings.Contains(p, "10.7.0.100/32") || strings.Contains(p, "10.7.0.101/32") {
		t.Error(p)
	}
	if all := s.server.Output("sysctl", "-n", "net.ipv4.conf.all.arp_announce", "net.ipv4.conf.all.arp_ignore"); all != "2\n0\n" {
		t.Errorf("arp_announce, which was 2, and arp_ignore, which was 0, are %q", all)
	}
}

// TestLinksThatHaveToBeMade: a dummy and the ends of tunnels are made, and taken away; where the kernel has none nothing else is changed.
func TestLinksThatHaveToBeMade(t *testing.T) {
	if !directortest.Inside(t, "arping", "sysctl") {
		return
	}
	s := newScene(t)
	vip := netip.MustParseAddr("10.7.0.100")
	tun, err := realserver.Tunnel(vip, netip.MustParseAddr("10.7.0.1"), director.Tunnel{}, "e0")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []realserver.Want{realserver.Direct(vip, "vip0", "e0"), tun} {
		before := s.picture()
		links := s.server.Output("ip", "-o", "-br", "link", "show", "up")
		var err error
		s.with(func(h *realserver.Host) { _, _, err = h.Apply([]realserver.Want{w}) })
		switch {
		case err == nil:
			s.expect(w.Link, vip.String(), false)
			if up := s.server.Output("ip", "address", "show", w.Link); !strings.Contains(up, "10.7.0.100/32") {
				t.Error(up)
			}
		case !strings.Contains(err.Error(), "this kernel has no links of the kind "+w.Kind):
			t.Error(err)
		default:
			t.Log(err)
			s.with(func(h *realserver.Host) {
				if left := h.Wants(); len(left) > 0 {
					t.Errorf("what failed at once is still asked for: %v", left)
				}
			})
		}
		s.remove()
		if after := s.picture(); after != before || s.server.Output("ip", "-o", "-br", "link", "show", "up") != links {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	}
}

// TestNamespacesAreApart: each has its own record.
func TestNamespacesAreApart(t *testing.T) {
	if !directortest.Inside(t, "arping", "sysctl") {
		return
	}
	s := newScene(t)
	s.apply(realserver.Direct(netip.MustParseAddr("10.7.0.100"), "lo", "e0"))
	s.asks.Do(func() {
		h, err := realserver.Open(s.dir, false)
		if err != nil || len(h.Wants()) > 0 {
			t.Error(err, h.Wants())
		}
		if at := realserver.Facing(netip.MustParseAddr("10.7.0.100")); at != "e0" {
			t.Errorf("faced on %q", at)
		}
		if _, err := netif.Namespace(); err != nil {
			t.Error(err)
		}
	})
}
