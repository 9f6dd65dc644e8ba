package realserver

import (
	"fmt"
	"net/netip"

	"github.com/takt-ha/takt/director"
)

// tunnel is the end of a tunnel by the family of what is in it and of what is around it.
type tunnel struct {
	kind           string
	inner6, outer6 bool
}

// ends are the links that the kernel's modules bring along for tunnels from anywhere, and their kinds (ip-link(8)).
var ends = map[tunnel][2]string{
	{"", false, false}: {"tunl0", "ipip"}, {"", true, false}: {"sit0", "sit"}, {"", true, true}: {"ip6tnl0", "ip6tnl"},
	{"gue", false, false}: {"tunl0", "ipip"}, {"gue", true, false}: {"sit0", "sit"}, {"gue", true, true}: {"ip6tnl0", "ip6tnl"},
	{"gre", false, false}: {"gre0", "gre"}, {"gre", true, false}: {"gre0", "gre"}, {"gre", false, true}: {"ip6gre0", "ip6gre"}, {"gre", true, true}: {"ip6gre0", "ip6gre"},
}

// Tunnel returns the want of an address whose packets come through a tunnel to outer, an address of this machine.
func Tunnel(vip, outer netip.Addr, t director.Tunnel, facing string) (Want, error) {
	end, ok := ends[tunnel{t.Kind, vip.Is6(), outer.Is6()}]
	if !ok {
		return Want{}, fmt.Errorf("%s cannot come to %s through a tunnel: the kernel has none at hand for IPv4 in IPv6; give the real server an IPv4 address, or use gre", vip, outer)
	}
	return Want{Addr: vip, Method: "TUN", Link: end[0], Kind: end[1], Facing: facing}, nil
}

// Direct returns the want of an address by direct routing, on lo or on another link; one that is not lo is a dummy if it has
// to be made.
func Direct(vip netip.Addr, link, facing string) Want {
	w := Want{Addr: vip, Method: "DR", Link: link, Facing: facing}
	if link != "lo" {
		w.Kind = "dummy"
	}
	return w
}

// Wants returns what this machine shall serve as a real server of a director with configuration c: the addresses of all virtual
// servers that have one of its own addresses for a real server. own returns the interface of an address of this machine, ""
// for others; on is where addresses of direct routing go. notes say what needs more than that.
func Wants(c *director.Config, own func(netip.Addr) string, on string) (wants []Want, notes []string) {
	for i := range c.Servers {
		v := &c.Servers[i]
		reals := v.Servers
		if v.Sorry != nil {
			reals = append(append([]director.RealServer(nil), reals...), *v.Sorry)
		}
		for k := range reals {
			r := &reals[k]
			rip := r.Addr.Addr()
			if rip.IsLoopback() || own(rip) == "" {
				continue
			}
			w, n := serve(v, r, own(rip), on)
			wants, notes = append(wants, w...), append(notes, n...)
		}
	}
	return merge(nil, wants), unique(notes)
}

// serve returns what one real server needs for one virtual server.
func serve(v *director.VirtualServer, r *director.RealServer, facing, on string) (wants []Want, notes []string) {
	if r.Method == "NAT" {
		return nil, []string{fmt.Sprintf("%s: %s gets its traffic by NAT: it needs no address, and the director for its router", v.Pos, r.Addr.Addr())}
	}
	if r.Tunnel.Kind == "gue" && r.Method == "TUN" {
		notes = append(notes, fmt.Sprintf("%s: packets come in UDP (gue), which takes one command more: ip fou add port %d gue", r.Pos, r.Tunnel.Port))
	}
	addresses, marked := faces(v)
	if marked {
		notes = append(notes, fmt.Sprintf("%s: what has a firewall mark may be for any address: name those with --address", v.Pos))
	}
	for _, vip := range addresses {
		if r.Method != "TUN" {
			wants = append(wants, Direct(vip, on, facing))
			continue
		}
		w, err := Tunnel(vip, r.Addr.Addr(), r.Tunnel, facing)
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s: %v", r.Pos, err))
			continue
		}
		wants = append(wants, w)
	}
	return wants, notes
}

// faces returns the addresses of a virtual server, and whether some of it is known by marks alone.
func faces(v *director.VirtualServer) (list []netip.Addr, marked bool) {
	members := v.Members
	if v.Group == "" {
		members = []director.GroupMember{{From: v.Key.Addr.Addr(), To: v.Key.Addr.Addr(), Mark: v.Key.Mark}}
	}
	for _, m := range members {
		if m.Mark != 0 {
			marked = true
			continue
		}
		for a := m.From; ; a = a.Next() {
			list = append(list, a)
			if !a.Less(m.To) {
				break
			}
		}
	}
	return list, marked
}

func unique(list []string) (out []string) {
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}
