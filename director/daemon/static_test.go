package daemon_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/daemon"
	"github.com/takt-ha/takt/director/directortest"
	"github.com/takt-ha/takt/director/pool"
	"github.com/takt-ha/takt/director/vrrp"
)

// TestPipesHaveReaders: the program of a pipe gets its path and reads each line; one that ends is started again, and at a reload the
// states are told anew.
func TestPipesHaveReaders(t *testing.T) {
	s := newScene(t, nil)
	s.conf = &director.Config{Instances: []director.Instance{{Name: "VI_1"}},
		Global: director.Global{ReloadLines: true, VRRPFIFO: filepath.Join(s.dir, "fifo"),
			VRRPScript: director.Command{Args: []string{"/bin/sh", "-c", `while read line; do echo "$line" >>"` + s.dir + `/notes"; case "$line" in *BACKUP*) exit 3;; esac; done <"$0"`}, User: "root"}}}
	end := s.begin()
	notes := func(want string) func() bool {
		return func() bool {
			text, _ := os.ReadFile(filepath.Join(s.dir, "notes"))
			return strings.HasSuffix(string(text), want)
		}
	}
	s.router.o.Notify(vrrp.Notify{Name: "VI_1", Event: vrrp.BecameBackup, Priority: 100})
	s.await("the first reader", notes("INSTANCE \"VI_1\" BACKUP 100\n"))
	s.router.o.Notify(vrrp.Notify{Name: "VI_1", Event: vrrp.BecameMaster, Priority: 101})
	s.await("the second reader", notes("BACKUP 100\nINSTANCE \"VI_1\" MASTER 101\n"))
	if err := s.client.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await("the states after a reload", notes("MASTER 101\nINSTANCE \"VI_1\" MASTER 0\n"))
	end()
}

// TestStaticRouting: what is static is there while the director runs, comes back when somebody takes it away, waits for its interface,
// and goes with the director, but for what was there before.
func TestStaticRouting(t *testing.T) {
	if !directortest.Inside(t) {
		return
	}
	directortest.Run(t, "ip", "link", "add", "s0", "type", "veth", "peer", "name", "s1")
	directortest.Run(t, "ip", "link", "set", "s0", "up")
	directortest.Run(t, "ip", "link", "set", "s1", "up")
	directortest.Run(t, "ip", "addr", "add", "10.5.0.1/24", "dev", "s0")
	ip := func(args ...string) func() string {
		return func() string { out, _ := exec.Command("ip", args...).CombinedOutput(); return string(out) }
	}
	has := func(show func() string, what string) func() bool {
		return func() bool { return strings.Contains(show(), what) }
	}
	not := func(f func() bool) func() bool { return func() bool { return !f() } }
	address := func(a, dev string) director.Address {
		return director.Address{Prefix: netip.MustParsePrefix(a), Interface: dev}
	}
	s := newScene(t, nil)
	both := director.Routing{Addresses: []director.Address{address("10.5.0.1/24", "s0"), address("10.6.0.1/24", "s1"), address("10.7.0.1/24", "late")},
		Routes: []director.Route{{To: netip.MustParsePrefix("192.168.7.0/24"), Via: netip.MustParseAddr("10.6.0.9"), Interface: "s1"},
			{To: netip.MustParsePrefix("192.168.9.0/24"), Via: netip.MustParseAddr("10.6.0.9"), Interface: "s1", NoTrack: true}},
		Rules: []director.Rule{{From: netip.MustParsePrefix("192.168.8.0/24"), Table: 77, Priority: 500}}}
	s.conf = &director.Config{Static: both}
	end := s.begin()
	s.await("the address", has(ip("addr", "show", "s1"), "10.6.0.1/24"))
	s.await("the route", has(ip("route"), "192.168.7.0/24 via 10.6.0.9"))
	s.await("the rule", has(ip("rule"), "from 192.168.8.0/24 lookup 77"))
	s.await("the route that is not tracked", has(ip("route"), "192.168.9.0/24 via 10.6.0.9"))
	directortest.Run(t, "ip", "addr", "del", "10.6.0.1/24", "dev", "s1") // the kernel takes the routes with it
	s.await("the address again", has(ip("addr", "show", "s1"), "10.6.0.1/24"))
	s.await("the route again", has(ip("route"), "192.168.7.0/24 via 10.6.0.9"))
	if strings.Contains(ip("route")(), "192.168.9.0/24") {
		t.Error("a route with no_track was put back")
	}
	directortest.Run(t, "ip", "link", "add", "late", "type", "veth", "peer", "name", "later")
	s.await("the address that waited", has(ip("addr", "show", "late"), "10.7.0.1/24"))
	less := both
	less.Rules, less.Addresses = nil, both.Addresses[:2]
	s.set(&director.Config{Static: less}, nil)
	if err := s.client.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await("no rule", not(has(ip("rule"), "lookup 77")))
	s.await("no address on late", not(has(ip("addr", "show", "late"), "10.7.0.1/24")))
	end()
	if all := ip("addr")(); strings.Contains(all, "10.6.0.1/24") || !strings.Contains(all, "10.5.0.1/24") {
		t.Errorf("afterwards there is:\n%s", all)
	}
}

// TestPlan: each service goes to the first forwarder that can carry it, and who cannot says why.
func TestPlan(t *testing.T) {
	a := netip.MustParseAddrPort("10.0.0.2:80")
	c := web(t.TempDir(), a)
	c.Servers = append(c.Servers, web(t.TempDir(), a).Servers[0])
	c.Servers[0].Alpha = true
	c.Servers[1].Key.Addr, c.Servers[1].Scheduler = netip.MustParseAddrPort("10.0.0.9:80"), "lblc"
	plan := daemon.Plan(c, []daemon.Named{{Name: "memory", Forwarder: &kernel{}}})
	good, bad := plan[pool.IDs(&c.Servers[0])[0]], plan[pool.IDs(&c.Servers[1])[0]]
	if good != (daemon.Way{Forwarder: "memory", Note: "wrr instead"}) || bad.Forwarder != "" || !strings.Contains(bad.Error, "lblc is beyond it") {
		t.Errorf("%+v, %+v", good, bad)
	}
}
