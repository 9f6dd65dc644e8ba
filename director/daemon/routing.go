package daemon

import (
	"fmt"
	"net/netip"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/internal/netif"
)

// Unrouted is why NAT cannot work on this machine.
type Unrouted struct {
	Pos   director.Pos // of the first virtual server that it concerns
	Words string
}

// NotRouted says for each family whether there are real servers of NAT although this machine passes no packets on: the kernel drops
// what it does not pass on without a word. Nobody sets that here, as keepalived does not: whether a machine is a router is for its
// owner to say.
func NotRouted(c *director.Config) []Unrouted {
	own := map[netip.Addr]bool{}
	all, err := netif.Addresses()
	if err != nil {
		return nil // who cannot ask does not warn
	}
	for _, a := range all {
		own[a.Prefix.Addr()] = true
	}
	return notRouted(c, own, func(key string) int {
		n, err := netif.Sysctl(key)
		if err != nil {
			return 1
		}
		return n
	})
}

func notRouted(c *director.Config, own map[netip.Addr]bool, setting func(key string) int) (list []Unrouted) {
	for _, family := range []struct {
		six  bool
		key  string
		name string
	}{{false, "net/ipv4/ip_forward", "net.ipv4.ip_forward"}, {true, "net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding"}} {
		v, r := firstNAT(c, family.six, own)
		if v == nil || setting(family.key) != 0 {
			continue
		}
		list = append(list, Unrouted{v.Pos, fmt.Sprintf("%s is 0: the kernel passes nothing on to real servers of NAT, such as %s. Set it: sysctl -w %s=1, and in a file of /etc/sysctl.d for the next boot",
			family.name, r.Addr.Addr(), family.name)})
	}
	return list
}

// firstNAT finds a real server on another machine that gets its traffic by NAT.
func firstNAT(c *director.Config, six bool, own map[netip.Addr]bool) (*director.VirtualServer, *director.RealServer) {
	for i := range c.Servers {
		v := &c.Servers[i]
		for k := range v.Servers {
			if needsRoute(&v.Servers[k], six, own) {
				return v, &v.Servers[k]
			}
		}
		if v.Sorry != nil && needsRoute(v.Sorry, six, own) {
			return v, v.Sorry
		}
	}
	return nil, nil
}

func needsRoute(r *director.RealServer, six bool, own map[netip.Addr]bool) bool {
	a := r.Addr.Addr()
	return r.Method == "NAT" && a.Is6() == six && !a.IsLoopback() && !own[a]
}
