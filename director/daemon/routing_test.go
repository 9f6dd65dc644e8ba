package daemon

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/takt-ha/takt/director"
)

// TestNotRouted: who would pass on packets to other machines by NAT, and is no router, is told, once for each family.
func TestNotRouted(t *testing.T) {
	real := func(method, at string) director.RealServer {
		return director.RealServer{Method: method, Addr: netip.MustParseAddrPort(at)}
	}
	virtual := func(line int, list ...director.RealServer) director.VirtualServer {
		return director.VirtualServer{Pos: director.Pos{File: "c", Line: line, Col: 1}, Servers: list}
	}
	sorry := virtual(4, real("DR", "10.0.0.2:80"))
	sorry.Sorry = &director.RealServer{Method: "NAT", Addr: netip.MustParseAddrPort("10.0.0.4:80")}
	own := map[netip.Addr]bool{netip.MustParseAddr("10.0.0.9"): true}
	off := map[string]int{}
	v4 := map[string]int{"net/ipv4/ip_forward": 1}
	for _, x := range []struct {
		name     string
		servers  []director.VirtualServer
		settings map[string]int
		want     []string
	}{
		{"nobody", nil, off, nil},
		{"direct routing and tunnels need no router", []director.VirtualServer{virtual(1, real("DR", "10.0.0.2:80"), real("TUN", "10.0.0.2:80"))}, off, nil},
		{"this machine itself", []director.VirtualServer{virtual(1, real("NAT", "127.0.0.1:80"), real("NAT", "10.0.0.9:80"))}, off, nil},
		{"both families", []director.VirtualServer{virtual(1, real("NAT", "10.0.0.2:80")), virtual(2, real("NAT", "[fd00::2]:80")), virtual(3, real("NAT", "[fd00::3]:80"))}, off,
			[]string{"c:1:1 net.ipv4.ip_forward is 0: ", "c:2:1 net.ipv6.conf.all.forwarding is 0: "}},
		{"a router", []director.VirtualServer{virtual(1, real("NAT", "10.0.0.2:80"))}, v4, nil},
		{"a router of IPv4 alone", []director.VirtualServer{virtual(1, real("NAT", "10.0.0.2:80"), real("NAT", "[fd00::2]:80"))}, v4, []string{"such as fd00::2. Set it: sysctl -w net.ipv6.conf.all.forwarding=1"}},
		{"a sorry server", []director.VirtualServer{sorry}, off, []string{"such as 10.0.0.4"}},
	} {
		got := notRouted(&director.Config{Servers: x.servers}, own, func(key string) int { return x.settings[key] })
		if len(got) != len(x.want) {
			t.Errorf("%s: %v", x.name, got)
			continue
		}
		for i, u := range got {
			if !strings.Contains(u.Pos.String()+" "+u.Words, x.want[i]) {
				t.Errorf("%s: %v, want %q", x.name, u, x.want[i])
			}
		}
	}
}
