package keepalived

import (
	"net/netip"
	"slices"

	"github.com/takt-ha/takt/director"
)

// face is what makes packets belong to a virtual server.
type face struct {
	key   director.ServiceKey
	proto director.Protocol
	last  netip.Addr // of a range
	to    uint16
}

func (r *reader) verifyServers() {
	seen := map[face]director.Pos{}
	for _, v := range r.servers {
		r.verifyFaces(v, seen)
		r.verifyFamily(v)
		r.verifyReals(v)
		r.cfg.Servers = append(r.cfg.Servers, v.VirtualServer)
	}
	var unused []string
	for name, set := range r.sets {
		if !set.used {
			unused = append(unused, name)
		}
	}
	slices.Sort(unused)
	for _, name := range unused {
		r.note(r.sets[name].pos, "no virtual_server uses the virtual_server_group %s", name)
	}
}

func (r *reader) verifyFaces(v *server, seen map[face]director.Pos) {
	members := v.Members
	if v.Group == "" {
		members = []director.GroupMember{{From: v.Key.Addr.Addr(), To: v.Key.Addr.Addr(), Port: v.Key.Addr.Port(), Last: v.Key.Addr.Port(), Mark: v.Key.Mark, IPv6: v.Key.IPv6}}
	} else if r.sets[v.Group] == nil {
		r.fail(v.group.pos, "there is no virtual_server_group %q", v.Group)
	} else if len(members) == 0 {
		r.fail(v.group.pos, "the virtual_server_group %s is empty", v.Group)
	}
	for _, m := range members {
		f := face{key: director.ServiceKey{Addr: netip.AddrPortFrom(m.From, m.Port), Mark: m.Mark, IPv6: m.IPv6}, proto: v.Protocol, last: m.To, to: m.Last}
		if m.Mark != 0 {
			f = face{key: director.ServiceKey{Mark: m.Mark, IPv6: m.IPv6}}
		} else if v.bad {
			continue
		}
		if first, twice := seen[f]; twice && first == v.Pos {
			r.fail(v.group.pos, "the virtual_server_group %s has the same address twice: %s", v.Group, faceName(m))
		} else if twice {
			r.fail(v.Pos, "%s: %s is a virtual server at %s already", v.name(), faceName(m), first)
		}
		seen[f] = v.Pos
	}
}

func faceName(m director.GroupMember) string {
	if m.Mark != 0 {
		return "this mark"
	}
	return place(netip.AddrPortFrom(m.From, m.Port))
}

// verifyFamily looks whether IPv4 and IPv6 are mixed, which only tunnels can.
func (r *reader) verifyFamily(v *server) {
	if v.Group != "" && len(v.Members) == 0 || v.Group == "" && v.Key.Mark == 0 && !v.Key.Addr.Addr().IsValid() {
		return
	}
	six := v.six()
	all := v.Servers
	if v.Sorry != nil {
		all = append(slices.Clone(all), *v.Sorry)
	}
	for _, s := range all {
		if a := s.Addr.Addr(); a.IsValid() && a.Is6() != six && s.Method != "TUN" {
			r.fail(s.Pos, "%s: the real server %s is not of the kind of its address: only tunnels carry IPv4 in IPv6, or the other way round", v.name(), a)
		}
	}
}

func (r *reader) verifyReals(v *server) {
	if len(v.Servers) == 0 && !v.bad {
		r.warn(v.Pos, "%s has no real_server", v.name())
	}
	seen := make(map[netip.AddrPort]director.Pos, len(v.Servers))
	for i := range v.Servers {
		s := &v.Servers[i]
		if !s.Addr.Addr().IsValid() {
			continue
		}
		if first, twice := seen[s.Addr]; twice {
			r.fail(s.Pos, "%s: the real server %s is at %s already", v.name(), place(s.Addr), first)
		}
		seen[s.Addr] = s.Pos
		if s.Upper > 0 && s.Lower > s.Upper {
			r.fail(s.Pos, "the real server %s: lthreshold %d is more than uthreshold %d", place(s.Addr), s.Lower, s.Upper)
		}
		for _, c := range s.Checks {
			if s.Addr.Port() == 0 && c.Addr.Port() == 0 && c.Misc == nil && c.File == nil && c.Kind != "PING_CHECK" {
				r.fail(c.Pos, "%s does not know a port: the real server %s has none, so it wants connect_port", c.Kind, s.Addr.Addr())
			}
		}
	}
	if v.Sorry != nil {
		if _, twice := seen[v.Sorry.Addr]; twice {
			r.warn(v.Sorry.Pos, "%s: the sorry_server %s is a real server, too", v.name(), v.Sorry.Addr)
		}
	}
}
