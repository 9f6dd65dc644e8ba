package share_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director/directortest"
	"github.com/takt-ha/takt/director/share"
	"github.com/takt-ha/takt/internal/netif"
)

// node is a machine that shares, and its link.
type node struct {
	*directortest.Machine
	link netif.Link
}

func newNode(t *testing.T, name, address string) *node {
	n := &node{Machine: directortest.NewMachine(t, name)}
	n.Plug("br0", "e0", address+"/16")
	n.Do(func() {
		var err error
		if n.link, err = netif.LinkByName("e0"); err != nil {
			t.Error(err)
		}
	})
	return n
}

func run(t *testing.T, args ...string) { t.Helper(); directortest.Run(t, args...) }

const port = 7000

// shared has an address on three nodes and a client.
type shared struct {
	t      *testing.T
	ip     netip.Addr
	nodes  []*node
	client *node
	as     []share.Address
	asked  int // how often
}

func newShared(t *testing.T, hash share.Hash) *shared {
	s := &shared{t: t, ip: netip.MustParseAddr("10.7.0.100")}
	directortest.Bridge(t, "br0")
	for i := range 3 {
		n := newNode(t, fmt.Sprintf("n%d", i), fmt.Sprintf("10.7.0.%d", i+1))
		a := share.Address{IP: s.ip, Link: n.link, MAC: share.DefaultMAC(s.ip), Total: 3, Hash: hash}
		n.Do(func() {
			if err := a.Take(i); err != nil {
				t.Error(err)
			}
			run(t, "ip", "address", "add", "10.7.0.100/16", "dev", "e0")
		})
		n.Serve(netip.AddrPortFrom(s.ip, port))
		s.nodes, s.as = append(s.nodes, n), append(s.as, a)
	}
	s.client = newNode(t, "client", "10.7.1.0")
	if t.Failed() {
		t.FailNow()
	}
	return s
}

// ask sends each flow one datagram and returns who answered which: a flow that two nodes answer fails the test.
func (s *shared) ask(flows []*net.UDPConn) map[int]string {
	s.t.Helper()
	s.asked++
	question := func(i int) string { return fmt.Sprintf("%d.%d", s.asked, i) }
	who := map[int]string{}
	for i, c := range flows {
		answer := make([]byte, 100)
		for end := time.Now().Add(20 * time.Second); who[i] == ""; { // the first one waits for ARP, and the network may lose one
			if _, err := c.Write([]byte(question(i))); err != nil {
				s.t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			n, err := c.Read(answer)
			if number, name, _ := strings.Cut(string(answer[:n]), " "); number == question(i) {
				who[i] = name
			} else if time.Now().After(end) {
				s.t.Fatalf("flow %d from %s gets no answer: %v", i, c.LocalAddr(), err)
			}
		}
	}
	for i, c := range flows {
		for more := s.arrived(c); more != ""; more = s.arrived(c) {
			if number, name, _ := strings.Cut(more, " "); number == question(i) && name != who[i] {
				s.t.Errorf("flow %d was answered by %s and by %s", i, who[i], name)
			}
		}
	}
	return who
}

// arrived takes a datagram that is there already; "" if there is none. (A read whose deadline is now would look for none.)
func (s *shared) arrived(c *net.UDPConn) string {
	s.t.Helper()
	_ = c.SetReadDeadline(time.Time{})
	raw, err := c.SyscallConn()
	if err != nil {
		s.t.Fatal(err)
	}
	b, n := make([]byte, 100), 0
	if err := raw.Read(func(fd uintptr) bool { n, _, _ = unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT); return true }); err != nil {
		s.t.Fatal(err)
	}
	return string(b[:max(n, 0)])
}

// flows opens so many flows, each from another port.
func (s *shared) flows(n int) (list []*net.UDPConn) {
	s.client.Do(func() {
		for range n {
			c, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: s.ip.AsSlice(), Port: port})
			if err != nil {
				s.t.Error(err)
				return
			}
			list = append(list, c)
		}
	})
	s.t.Cleanup(func() {
		for _, c := range list {
			c.Close()
		}
	})
	return list
}

func (s *shared) move(bucket, from, to int) {
	s.t.Helper()
	if from >= 0 {
		s.nodes[from].Do(func() {
			if err := s.as[from].Drop(bucket, func() error { run(s.t, "ip", "-4", "address", "flush", "dev", "e0", "to", s.ip.String()); return nil }); err != nil {
				s.t.Error(err)
			}
		})
	}
	if to >= 0 {
		s.nodes[to].Do(func() {
			if err := s.as[to].Take(bucket); err != nil {
				s.t.Error(err)
			}
		})
	}
}

func (s *shared) held(i int) (held []int) {
	s.t.Helper()
	s.nodes[i].Do(func() {
		var err error
		if held, err = s.as[i].Held(); err != nil {
			s.t.Error(err)
		}
	})
	return held
}

// Each flow belongs to exactly one node; when a bucket moves only its flows do.
func TestFlows(t *testing.T) {
	if !directortest.Inside(t, "nft") {
		return
	}
	s := newShared(t, share.SourceIPSourcePort)
	n := 600
	if v, err := strconv.Atoi(os.Getenv("TAKT_FLOWS")); err == nil {
		n = v
	}
	flows := s.flows(n)
	before := s.ask(flows)
	count := map[string]int{}
	for _, name := range before {
		count[name]++
	}
	for _, n := range s.nodes {
		t.Logf("%s answers for %d of %d flows", n.Name, count[n.Name], len(flows))
		if count[n.Name] < len(flows)/6 {
			t.Errorf("%s answers for too few", n.Name)
		}
	}

	run(t, "ip", "link", "set", "n1-e0", "down") // the machine dies; what it held goes to the third
	s.move(1, -1, 2)
	after := s.ask(flows)
	for i, name := range before {
		if want := map[string]string{"n0": "n0", "n1": "n2", "n2": "n2"}[name]; after[i] != want {
			t.Errorf("flow %d of %s went to %s, not %s", i, name, after[i], want)
		}
	}
	if got := s.held(2); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("the third node holds %v", got)
	}

	s.move(1, 1, -1) // it comes back without it, and then gets it
	run(t, "ip", "link", "set", "n1-e0", "up")
	s.move(1, 2, 1)
	s.nodes[1].Do(func() { run(t, "ip", "address", "replace", "10.7.0.100/16", "dev", "e0") })
	if back := s.ask(flows); fmt.Sprint(back) != fmt.Sprint(before) {
		t.Error("after all is as it was some flows are elsewhere")
	}
}

// Connections work, and errors of routers reach everybody.
func TestConnections(t *testing.T) {
	if !directortest.Inside(t, "nft") {
		return
	}
	s := newShared(t, share.SourceIPSourcePortPorts)
	seen := map[string]bool{}
	s.client.Do(func() {
		run(t, "ping", "-c", "1", "-W", "5", s.ip.String())
		for range 100 {
			c, err := net.DialTimeout("tcp4", netip.AddrPortFrom(s.ip, port).String(), 5*time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			b := make([]byte, 10)
			n, err := c.Read(b)
			if err != nil {
				t.Error(err)
			}
			seen[string(b[:n])] = true
			c.Close()
		}
	})
	if len(seen) != 3 {
		t.Errorf("only %v answered", seen)
	}
}

// Nothing is left, and what others have in nftables stays.
func TestNothingIsLeft(t *testing.T) {
	if !directortest.Inside(t, "nft") {
		return
	}
	s := newShared(t, share.SourceIP)
	n := s.nodes[0]
	var before, after []byte
	n.Do(func() {
		run(t, "nft", "add table ip theirs; add chain ip theirs c { type filter hook prerouting priority 0; }; add rule ip theirs c ip protocol 253 accept")
		before, _ = exec.Command("nft", "list", "table", "ip", "theirs").Output()
	})
	s.move(1, -1, 0)
	s.move(0, 0, -1)
	if got := s.held(0); !slices.Equal(got, []int{1}) {
		t.Errorf("it holds %v", got)
	}
	other := s.as[0]
	other.Hash = share.SourceIPSourcePort
	n.Do(func() {
		if held, err := other.Held(); err != nil || len(held) > 0 {
			t.Errorf("rules of another hash count as its own: %v, %v", held, err)
		}
	})
	s.move(1, 0, -1)
	s.move(1, 0, -1) // twice
	n.Do(func() {
		after, _ = exec.Command("nft", "list", "ruleset").Output()
		if joined, err := netif.HardwareJoined(n.link, s.as[0].MAC); joined || err != nil {
			t.Errorf("the link still takes the shared frames: %v", err)
		}
	})
	if strings.Contains(string(after), "takt") || !strings.Contains(string(after), strings.TrimSpace(string(before))) {
		t.Errorf("afterwards nftables has\n%s", after)
	}
}
