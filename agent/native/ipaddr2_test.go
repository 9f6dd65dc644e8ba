package native

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/netif"
)

// network makes veth t0 with 10.9.0.1/24 and fd09::1/64, and its peer t1.
func network(t *testing.T) (link, peer netif.Link) {
	t.Helper()
	if err := netif.AddVeth("t0", "t1"); err != nil {
		t.Skipf("no virtual interfaces here: %v", err)
	}
	for _, l := range []struct {
		name string
		link *netif.Link
	}{{"t0", &link}, {"t1", &peer}} {
		var err error
		if *l.link, err = netif.LinkByName(l.name); err != nil {
			t.Fatal(err)
		}
		if err := netif.SetUp(l.link.Index); err != nil {
			t.Fatal(err)
		}
	}
	for _, prefix := range []string{"10.9.0.1/24", "fd09::1/64"} {
		if err := netif.Add(netif.Address{Index: link.Index, Prefix: netip.MustParsePrefix(prefix), NoDAD: true, Preferred: -1}); err != nil {
			t.Fatal(err)
		}
	}
	return link, peer
}

// capture listens to one protocol on a link; the function that it returns waits
// for a frame that matches.
func capture(t *testing.T, on netif.Link, protocol uint16) func(what string, match func([]byte) bool) {
	t.Helper()
	wire := protocol<<8 | protocol>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(wire))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: wire, Ifindex: on.Index}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		t.Fatal(err)
	}
	return func(what string, match func([]byte) bool) {
		t.Helper()
		for buf := make([]byte, 2000); ; {
			n, err := unix.Read(fd, buf)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				t.Fatalf("waited in vain for %s: %v", what, err)
			}
			if match(buf[:n]) {
				return
			}
		}
	}
}

func TestIPaddr2(t *testing.T) {
	if !inNamespace(t, syscall.CLONE_NEWNET) {
		return
	}
	link, peer := network(t)
	s := newTestSet(t)
	inv := invocation("IPaddr2", "ip", "10.9.0.100", "arp_count", "1")
	conform(t, s, inv)

	arp := capture(t, peer, 0x0806)
	garp := func(operation byte) func([]byte) bool {
		return func(f []byte) bool {
			return len(f) >= 42 && f[21] == operation && bytes.Equal(f[28:32], []byte{10, 9, 0, 100}) && bytes.Equal(f[38:42], f[28:32]) && bytes.Equal(f[22:28], link.Hardware)
		}
	}
	do(t, s, inv, agent.Start, agent.OK)
	arp("gratuitous request", garp(1))
	arp("gratuitous reply", garp(2))
	arp("the repetition after 1 s", garp(1))
	s.Announcer().Again()
	arp("the one after a change of membership", garp(1))

	a, _ := s.Agent("IPaddr2")
	failure := make(chan string, 1)
	go func() { failure <- a.(agent.Watcher).Watch(t.Context(), inv) }()
	if err := netif.Remove(netif.Address{Index: link.Index, Prefix: netip.MustParsePrefix("10.9.0.100/24")}); err != nil {
		t.Fatal(err)
	}
	if got := <-failure; !strings.Contains(got, "10.9.0.100") {
		t.Fatalf("noticed as %q", got)
	}
	do(t, s, inv, agent.Monitor, agent.NotRunning)
	do(t, s, inv, agent.Stop, agent.OK)
	testDetails(t, s, link)
}

// testDetails are the cases around gateways, prefixes and places, in the namespace of TestIPaddr2.
func testDetails(t *testing.T, s *Set, link netif.Link) {
	inv := invocation("IPaddr2", "ip", "10.9.0.101", "nic", "t0", "cidr_netmask", "255.255.255.0", "iflabel", "vip", "gateway", "10.9.0.254")
	do(t, s, inv, agent.Start, agent.OK)
	if ok, err := netif.HasGateway(link.Index, netip.MustParseAddr("10.9.0.254")); err != nil || !ok {
		t.Errorf("no default route: %v", err)
	}
	other := invocation("IPaddr2", "ip", "10.9.0.101", "cidr_netmask", "32")
	do(t, s, other, agent.Monitor, agent.ErrGeneric)
	do(t, s, other, agent.Start, agent.ErrGeneric)
	do(t, s, inv, agent.Stop, agent.OK)
	if ok, err := netif.HasGateway(link.Index, netip.MustParseAddr("10.9.0.254")); err != nil || ok {
		t.Errorf("the default route is left: %v", err)
	}
	do(t, s, invocation("IPaddr2", "ip", "192.0.2.1"), agent.Start, agent.ErrArgs)
	do(t, s, invocation("IPaddr2", "ip", "10.9.0.9", "nic", "none"), agent.Start, agent.ErrArgs)
	do(t, s, invocation("IPaddr2", "ip", "10.9.0.9", "nic", "none"), agent.Stop, agent.OK)
}

func TestIPaddr2v6(t *testing.T) {
	if !inNamespace(t, syscall.CLONE_NEWNET) {
		return
	}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		t.Skip("no IPv6 here")
	}
	_, peer := network(t)
	s := newTestSet(t)
	inv := invocation("IPaddr2", "ip", "fd09::100")
	conform(t, s, inv)
	frames := capture(t, peer, 0x86dd)
	do(t, s, inv, agent.Start, agent.OK)
	want := netip.MustParseAddr("fd09::100").As16()
	frames("neighbour advertisement", func(f []byte) bool {
		return len(f) >= 86 && f[54] == 136 && bytes.Equal(f[62:78], want[:])
	})
	conn, err := net.Listen("tcp", "[fd09::100]:0")
	if err != nil {
		t.Fatalf("the address is not usable at once: %v", err)
	}
	conn.Close()
	do(t, s, inv, agent.Stop, agent.OK)
	inv.Params["nodad"] = "false"
	conform(t, s, inv)
}

func TestBadAddressParameters(t *testing.T) {
	s := newTestSet(t)
	for _, params := range [][]string{{"ip", "300.1.1.1"}, {"ip", "0.0.0.0"}, {"ip", "10.0.0.1", "cidr_netmask", "33"}, {"ip", "10.0.0.1", "cidr_netmask", "255.0.255.0"},
		{"ip", "10.0.0.1", "lvs_support", "true"}, {"ip", "fd00::1", "iflabel", "x"}, {"ip", "10.0.0.1", "gateway", "fd00::1"}, {}} {
		do(t, s, invocation("IPaddr2", params...), agent.ValidateAll, agent.ErrConfigured)
	}
	do(t, s, invocation("IPaddr2", "ip", "10.0.0.1/24"), agent.ValidateAll, agent.OK)
	do(t, s, invocation("IPaddr2", "ip", "10.0.0.1", "mac", "03:00:00:00:00:01"), agent.Start, agent.ErrConfigured)
	for _, params := range [][]string{{"ip", "fd00::1"}, {"ip", "10.0.0.1", "mac", "02:00:00:00:00:01"}, {"ip", "10.0.0.1", "clusterip_hash", "colour"}, {"ip", "10.0.0.1", "mac", "x"}} {
		do(t, s, part(invocation("IPaddr2", append(params, "nic", "lo")...), 0), agent.Start, agent.ErrConfigured)
	}
}

// part makes inv one of two instances of a globally unique clone.
func part(inv agent.Invocation, number int) agent.Invocation {
	inv.Resource = fmt.Sprintf("res:%d", number)
	inv.Meta = map[string]string{"globally_unique": "true", "clone_max": "2", "clone": fmt.Sprint(number)}
	return inv
}

// Two instances of a shared address on one node come and go one by one; the address goes with the last.
func TestSharedAddress(t *testing.T) {
	if !inNamespace(t, syscall.CLONE_NEWNET) {
		return
	}
	link, peer := network(t)
	s := newTestSet(t)
	zero := part(invocation("IPaddr2", "ip", "10.9.0.100", "mac", "01:02:03:04:05:06"), 0)
	one := part(invocation("IPaddr2", "ip", "10.9.0.100", "mac", "01:02:03:04:05:06"), 1)
	conform(t, s, zero)
	frames := capture(t, peer, 0x0806)
	do(t, s, zero, agent.Start, agent.OK)
	frames("an announcement of the shared hardware address that comes from the link's own", func(f []byte) bool {
		return len(f) >= 42 && bytes.Equal(f[6:12], link.Hardware) && bytes.Equal(f[22:28], []byte{1, 2, 3, 4, 5, 6}) && bytes.Equal(f[28:32], []byte{10, 9, 0, 100})
	})
	do(t, s, one, agent.Monitor, agent.NotRunning)
	do(t, s, one, agent.Start, agent.OK)
	do(t, s, zero, agent.Stop, agent.OK)
	do(t, s, zero, agent.Monitor, agent.NotRunning)
	do(t, s, one, agent.Monitor, agent.OK)
	if err := netif.Remove(netif.Address{Index: link.Index, Prefix: netip.MustParsePrefix("10.9.0.100/24")}); err != nil {
		t.Fatal(err)
	}
	do(t, s, one, agent.Monitor, agent.ErrGeneric)
	do(t, s, one, agent.Stop, agent.OK)
	do(t, s, one, agent.Monitor, agent.NotRunning)
	whole := invocation("IPaddr2", "ip", "10.9.0.100")
	conform(t, s, whole)
}
