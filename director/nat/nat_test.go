package nat_test

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/directortest"
	"github.com/takt-ha/takt/director/nat"
)

// farm is a client, a director with the virtual address, and three servers behind it.
type farm struct {
	t                *testing.T
	client, director *directortest.Machine
	servers          []*directortest.Machine
	f                *nat.Forwarder
	ipv6             bool
}

func newFarm(t *testing.T, ipv6 bool) *farm {
	directortest.Bridge(t, "front")
	directortest.Bridge(t, "back")
	f := &farm{t: t, client: directortest.NewMachine(t, "client"), director: directortest.NewMachine(t, "director"), f: nat.New("test"), ipv6: ipv6}
	f.client.Plug("front", "e0", "10.7.0.9/24", "fd07::9/64")
	f.director.Plug("front", "e0", "10.7.0.1/24", "10.7.0.100/24", "fd07::1/64", "fd07::100/64")
	f.director.Plug("back", "e1", "10.8.0.254/24", "fd08::fe/64")
	f.director.Do(func() {
		for _, path := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
			if err := os.WriteFile(path, []byte("1"), 0o644); err != nil {
				t.Skip("forwarding cannot be switched on here:", err)
			}
		}
	})
	for i := range 3 {
		s := directortest.NewMachine(t, string(rune('a'+i)))
		s.Plug("back", "e0", fmt.Sprintf("10.8.0.%d/24", i+1), fmt.Sprintf("fd08::%d/64", i+1))
		s.Run("ip", "route", "add", "default", "via", "10.8.0.254")
		s.Run("ip", "-6", "route", "add", "default", "via", "fd08::fe")
		s.Serve(netip.AddrPortFrom(netip.IPv6Unspecified(), 8000))
		f.servers = append(f.servers, s)
	}
	if t.Failed() {
		t.FailNow()
	}
	return f
}

func (f *farm) at(ip4, ip6 string, port uint16) netip.AddrPort {
	if f.ipv6 {
		return netip.AddrPortFrom(netip.MustParseAddr(ip6), port)
	}
	return netip.AddrPortFrom(netip.MustParseAddr(ip4), port)
}

// service is the virtual server with weights for a, b and c; < 0 leaves one out.
func (f *farm) service(scheduler string, p director.Protocol, weights ...int) director.Service {
	s := director.Service{Key: director.ServiceKey{Addr: f.at("10.7.0.100", "fd07::100", 80)}, Protocol: p, Scheduler: scheduler}
	for i, w := range weights {
		if w >= 0 {
			s.Servers = append(s.Servers, director.Destination{Addr: f.at(fmt.Sprintf("10.8.0.%d", i+1), fmt.Sprintf("fd08::%d", i+1), 8000), Method: "NAT", Weight: w})
		}
	}
	return s
}

func (f *farm) apply(list ...director.Service) {
	f.t.Helper()
	f.director.Do(func() {
		if err := f.f.Apply(list); err != nil {
			f.t.Fatal(err)
		}
	})
}

// dial opens a connection and returns who answers it.
func (f *farm) dial() (c net.Conn, who string) {
	f.t.Helper()
	f.client.Do(func() {
		var err error
		if c, err = net.DialTimeout("tcp", f.at("10.7.0.100", "fd07::100", 80).String(), 5*time.Second); err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			f.t.Error(err)
		}
		who = strings.TrimSpace(line)
	})
	if c != nil {
		f.t.Cleanup(func() { c.Close() })
	}
	return c, who
}

// answers is who answers so many connections, one after the other; "-" is nobody.
func (f *farm) answers(n int) (all string) {
	f.t.Helper()
	for range n {
		c, who := f.dial()
		if c == nil {
			who = "-"
		} else {
			c.Close()
		}
		all += who
	}
	return all
}

func rotation(got, of string) bool {
	return len(got) == len(of) && strings.Contains(of+of, got)
}

func TestTurns(t *testing.T) {
	for _, ipv6 := range []bool{false, true} {
		t.Run(map[bool]string{false: "IPv4", true: "IPv6"}[ipv6], func(t *testing.T) {
			if directortest.Inside(t, "nft") {
				turns(newFarm(t, ipv6))
			}
		})
	}
}

func turns(f *farm) {
	t := f.t
	f.apply(f.service("rr", director.TCP, 1, 1, 1))
	if got := f.answers(6); !rotation(got, "abcabc") {
		t.Errorf("in turn: %s", got)
	}
	c, who := f.dial()
	if c == nil {
		t.Fatal("nobody answers")
	}
	drained := map[string][]int{"a": {0, 1, 1}, "b": {1, 0, 1}, "c": {1, 1, 0}}[who]
	f.apply(f.service("rr", director.TCP, drained...))
	if got := f.answers(6); strings.Contains(got, who) || strings.Contains(got, "-") {
		t.Errorf("%s is drained, and answers: %s", who, got)
	}
	if !alive(c) {
		t.Error("a drained server lost its connection")
	}
	var n map[director.ID]director.Counts
	f.director.Do(func() {
		var err error
		if n, err = f.f.Counts(); err != nil {
			t.Error(err)
		}
	})
	s := f.service("rr", director.TCP, 1, 1, 1)
	counts := n[s.ID()]
	if counts.Connections < 13 || counts.Servers[s.Servers[who[0]-'a'].Addr].Active == 0 {
		t.Errorf("counted: %+v", counts)
	}
	for i := range drained {
		drained[i] = map[int]int{0: -1, 1: 1}[drained[i]]
	}
	f.apply(f.service("rr", director.TCP, drained...))
	if alive(c) {
		t.Error("a connection to a server that is out goes on")
	}
	f.apply(f.service("rr", director.TCP, 0, -1, -1))
	if got := f.answers(1); got != "-" {
		t.Errorf("without servers %s answers", got)
	}
	f.apply()
	f.nothing()
}

// alive says whether a connection still carries a line there and back.
func alive(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte("x")); err != nil {
		return false
	}
	b := make([]byte, 10)
	_, err := c.Read(b)
	return err == nil
}

// nothing says that no service is left, and after Remove no table either; what others have stays.
func (f *farm) nothing() {
	f.t.Helper()
	f.director.Run("nft", "add table ip theirs; add chain ip theirs c { type nat hook prerouting priority dstnat; }; add rule ip theirs c ip daddr 192.0.2.1 counter accept")
	if out := f.director.Output("nft", "list", "ruleset"); strings.Contains(out, "takt") { // the kernel follows no connections for nothing
		f.t.Errorf("left are\n%s", out)
	}
	f.director.Do(func() {
		if err := f.f.Remove(); err != nil {
			f.t.Error(err)
		}
	})
	if out := f.director.Output("nft", "list", "ruleset"); strings.Contains(out, "takt") || !strings.Contains(out, "192.0.2.1") {
		f.t.Errorf("left are\n%s", out)
	}
}

func TestHashesAndWeights(t *testing.T) {
	if !directortest.Inside(t, "nft") {
		return
	}
	f := newFarm(t, false)
	f.apply(f.service("wrr", director.TCP, 3, 1, -1))
	if got := f.answers(8); strings.Count(got, "a") != 6 || strings.Count(got, "b") != 2 {
		t.Errorf("by weights 3 and 1: %s", got)
	}
	for _, scheduler := range []string{"sh", "mh", "dh"} {
		f.apply(f.service(scheduler, director.TCP, 1, 1, 1))
		if got := f.answers(6); strings.Count(got, got[:1]) != 6 {
			t.Errorf("%s: one client meets %s", scheduler, got)
		}
	}
	spread := f.service("sh", director.TCP, 1, 1, 1)
	spread.SchedFlags = []string{"sh-port"}
	f.apply(spread)
	if got := f.answers(40); strings.Count(got, got[:1]) == 40 {
		t.Errorf("sh-port: %s", got)
	}
}

// A client stays with its server for the time of persistence: when a new process takes over, when the server is drained, and not
// when it is gone.
func TestPersistence(t *testing.T) {
	if !directortest.Inside(t, "nft") {
		return
	}
	f := newFarm(t, false)
	sticky := func(weights ...int) director.Service {
		s := f.service("rr", director.TCP, weights...)
		s.Persist = director.Persistence{Timeout: time.Hour, Mask: 24}
		return s
	}
	f.apply(sticky(1, 1, 1))
	who := f.answers(1)
	same := strings.Repeat(who, 4)
	if got := f.answers(4); got != same {
		t.Errorf("the client of %s meets %s", who, got)
	}
	f.client.Run("ip", "address", "add", "10.7.0.77/24", "dev", "e0")
	f.client.Run("ip", "route", "replace", "10.7.0.0/24", "dev", "e0", "src", "10.7.0.77")
	if got := f.answers(4); got != same {
		t.Errorf("its neighbour meets %s", got)
	}
	f.f = nat.New("test") // the process was killed; another one begins
	f.apply(sticky(1, 1, 1), f.other())
	if got := f.answers(4); got != same {
		t.Errorf("after a takeover it meets %s", got)
	}
	zero := map[string][]int{"a": {0, 1, 1}, "b": {1, 0, 1}, "c": {1, 1, 0}}[who]
	f.apply(sticky(zero...), f.other())
	if got := f.answers(4); got != same {
		t.Errorf("%s is drained, and the client meets %s", who, got)
	}
	gone := map[string][]int{"a": {-1, 1, 1}, "b": {1, -1, 1}, "c": {1, 1, -1}}[who]
	f.apply(sticky(gone...), f.other())
	if got := f.answers(4); strings.Contains(got, who) || strings.Count(got, got[:1]) != 4 || strings.Contains(got, "-") {
		t.Errorf("%s is gone, and the client meets %s", who, got)
	}
	f.apply()
	f.nothing()
}

// TestNftReadsIt: nft lists what is made, in both families, with hashes, masks, marks and all ports. An nft that aborts at our rules is of no
// use to anybody else on the machine either.
func TestNftReadsIt(t *testing.T) {
	for _, ipv6 := range []bool{false, true} {
		t.Run(map[bool]string{false: "IPv4", true: "IPv6"}[ipv6], func(t *testing.T) {
			if directortest.Inside(t, "nft") {
				readable(newFarm(t, ipv6))
			}
		})
	}
}

func readable(f *farm) {
	t := f.t
	port := uint16(100)
	var list []director.Service
	for _, scheduler := range []string{"rr", "wrr", "sh", "mh", "dh", "fo"} {
		for _, mask := range []int{0, 24} {
			for _, timeout := range []time.Duration{0, time.Hour} {
				s := f.service(scheduler, director.TCP, 3, 1, 0)
				s.Key.Addr = netip.AddrPortFrom(s.Key.Addr.Addr(), port)
				s.Persist = director.Persistence{Timeout: timeout, Mask: mask}
				list = append(list, s)
				port++
			}
		}
	}
	mark := f.service("rr", 0, 1, 1, 1)
	mark.Key, mark.Persist.Timeout = director.ServiceKey{Mark: 7, IPv6: f.ipv6}, time.Minute
	all := f.service("sh", director.UDP, 1, 1, 1)
	all.Key.Addr, all.Persist.Timeout = netip.AddrPortFrom(all.Key.Addr.Addr(), 0), time.Minute
	for i := range all.Servers {
		all.Servers[i].Addr = netip.AddrPortFrom(all.Servers[i].Addr.Addr(), 0)
	}
	f.apply(append(list, mark, all)...)
	if out := f.director.Output("nft", "list", "ruleset"); strings.Count(out, "dnat") < 6*2*(1+3) {
		t.Errorf("nft lists\n%s", out)
	}
	f.director.Run("nft", "-j", "list", "ruleset")
}

func (f *farm) other() director.Service {
	s := f.service("rr", director.TCP, 1, 1, 1)
	s.Key.Addr = netip.AddrPortFrom(s.Key.Addr.Addr(), 81)
	return s
}

// A new process finds what an earlier one has left: no connection breaks, what is not wanted goes, and forwarding never stops.
func TestTakeover(t *testing.T) {
	if !directortest.Inside(t, "nft") {
		return
	}
	f := newFarm(t, false)
	f.apply(f.service("rr", director.TCP, 1, 1, 1), f.other())
	c, _ := f.dial()
	if c == nil {
		t.Fatal("nobody answers")
	}
	f.f = nat.New("test")
	f.apply(f.service("rr", director.TCP, 1, 1, 1))
	if !alive(c) {
		t.Error("a connection broke")
	}
	if out := f.director.Output("nft", "list", "ruleset"); strings.Contains(out, "-81") {
		t.Errorf("the service that is not wanted any more is there:\n%s", out)
	}
	if got := f.answers(3); !rotation(got, "abc") {
		t.Errorf("afterwards %s", got)
	}
	f.apply()
	f.nothing()
}

// TestRest: a new process that has nothing to forward takes away what an earlier one left, and begins anew when there is something.
func TestRest(t *testing.T) {
	if !directortest.Inside(t, "nft") {
		return
	}
	f := newFarm(t, false)
	f.apply(f.service("rr", director.TCP, 1, 1, 1))
	f.f = nat.New("test")
	f.apply()
	if got := f.answers(1); got != "-" {
		t.Errorf("%s answers", got)
	}
	f.nothing()
	for range 2 {
		f.apply(f.service("rr", director.TCP, 1, 1, 1))
		if got := f.answers(3); !rotation(got, "abc") {
			t.Errorf("it is back, and %s answer", got)
		}
		f.apply()
		f.apply()
	}
}

// TestFlushed: rules that somebody has taken away are noticed, and are there again after the next Apply; connections go on meanwhile.
func TestFlushed(t *testing.T) {
	if !directortest.Inside(t, "nft") {
		return
	}
	f := newFarm(t, false)
	sticky := f.other()
	sticky.Persist.Timeout = time.Minute
	lost := func() (lost bool) {
		f.director.Do(func() {
			var err error
			if lost, err = f.f.Lost(); err != nil {
				t.Error(err)
			}
		})
		return lost
	}
	if lost() {
		t.Error("what was never made is lost")
	}
	f.apply(f.service("rr", director.TCP, 1, 1, 1), sticky)
	c, _ := f.dial()
	if c == nil || lost() {
		t.Fatal("it does not even begin")
	}
	for _, how := range []string{"flush ruleset", "delete table ip takt-director-test", "delete table ip6 takt-director-test"} {
		f.director.Run("nft", how)
		if !lost() {
			t.Errorf("%s: nobody notices", how)
		}
		f.apply(f.service("rr", director.TCP, 1, 1, 1), sticky)
		if got := f.answers(3); !rotation(got, "abc") || lost() || !alive(c) {
			t.Errorf("%s: afterwards %s", how, got)
		}
	}
	f.director.Run("nft", "delete table ip takt-director-test") // and before anybody looks, a change
	var err error
	f.director.Do(func() { err = f.f.Apply([]director.Service{f.service("rr", director.TCP, 1, 1, -1), sticky}) })
	if err == nil {
		t.Error("rules in a table that is not there are no error")
	}
	f.apply(f.service("rr", director.TCP, 1, 1, -1), sticky)
	if got := f.answers(2); !rotation(got, "ab") {
		t.Errorf("after a failure: %s", got)
	}
	f.apply()
	f.nothing()
}

// Datagrams go by flows; marks and all ports make services, too.
func TestDatagramsMarksAndPorts(t *testing.T) {
	if !directortest.Inside(t, "nft") {
		return
	}
	f := newFarm(t, false)
	udp := f.service("rr", director.UDP, 1, 1, 1)
	f.apply(udp)
	if got := f.ask(3); !rotation(got, "abc") {
		t.Errorf("datagrams: %s", got)
	}
	f.director.Run("nft", "add table ip marks; add chain ip marks c { type filter hook prerouting priority mangle; }; add rule ip marks c ip daddr 10.7.0.100 tcp dport 80 meta mark set 7")
	marked := f.service("rr", 0, 1, 1, 1)
	marked.Key = director.ServiceKey{Mark: 7}
	every := f.service("sh", director.TCP, 1, 1, 1)
	every.Key.Addr = netip.AddrPortFrom(netip.MustParseAddr("10.7.0.1"), 0)
	for i := range every.Servers {
		every.Servers[i].Addr = netip.AddrPortFrom(every.Servers[i].Addr.Addr(), 0)
	}
	f.apply(udp, marked, every)
	if got := f.answers(3); !rotation(got, "abc") {
		t.Errorf("by mark: %s", got)
	}
	f.client.Do(func() {
		c, err := net.DialTimeout("tcp", "10.7.0.1:8000", 5*time.Second)
		if err != nil {
			t.Fatal("all ports:", err)
		}
		c.Close()
	})
	f.apply(udp)
	f.apply(udp, marked)
	if got := f.answers(3); !rotation(got, "abc") {
		t.Errorf("by mark, again: %s", got)
	}
}

// ask sends datagrams, each from a port of its own.
func (f *farm) ask(n int) (all string) {
	f.t.Helper()
	f.client.Do(func() {
		for range n {
			c, err := net.Dial("udp", f.at("10.7.0.100", "fd07::100", 80).String())
			if err != nil {
				f.t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			_, _ = c.Write([]byte("q"))
			b := make([]byte, 100)
			k, err := c.Read(b)
			if err != nil {
				f.t.Error(err)
			}
			all += strings.TrimPrefix(string(b[:k]), "q ")
			c.Close()
		}
	})
	return all
}
