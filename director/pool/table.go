package pool

import (
	"net/netip"
	"slices"

	"github.com/takt-ha/takt/director"
)

// renew brings the table up to date. A change of one virtual server costs little, however many there are: thousands may fail at once.
func (m *Machine) renew() {
	if m.anew {
		m.lay()
		return
	}
	m.table = slices.Clone(m.table)
	for _, v := range m.changed {
		for _, i := range v.faces {
			m.table[i].Servers = v.destinations(m.table[i].Key)
		}
	}
}

// lay makes the table anew, and notes where in it each virtual server is.
func (m *Machine) lay() {
	type face struct {
		director.Service
		of *virtual
	}
	var all []face
	for _, v := range m.virtual {
		v.faces = nil
		for _, id := range IDs(&v.VirtualServer) {
			s := director.Service{Key: id.Key, Protocol: id.Protocol, Scheduler: v.Scheduler, SchedFlags: v.SchedFlags, OnePacket: v.OnePacket, Persist: v.Persist}
			s.Servers = v.destinations(id.Key)
			all = append(all, face{s, v})
		}
	}
	slices.SortStableFunc(all, func(a, b face) int { return a.ID().Compare(b.ID()) })
	m.table = make([]director.Service, 0, len(all))
	for i, f := range all {
		f.of.faces = append(f.of.faces, i)
		m.table = append(m.table, f.Service)
	}
}

// IDs are the faces of a virtual server: one, or those of its group.
func IDs(v *director.VirtualServer) (list []director.ID) {
	add := func(key director.ServiceKey) {
		id := director.ID{Key: key, Protocol: v.Protocol}
		if key.Mark != 0 {
			id.Protocol = 0 // whatever has the mark
		}
		list = append(list, id)
	}
	if v.Group == "" {
		add(v.Key)
	}
	for _, g := range v.Members {
		if g.Mark != 0 {
			add(director.ServiceKey{Mark: g.Mark, IPv6: g.IPv6})
			continue
		}
		for a := g.From; ; a = a.Next() {
			for p := int(g.Port); p <= int(max(g.Port, g.Last)); p++ {
				add(director.ServiceKey{Addr: netip.AddrPortFrom(a, uint16(p))})
			}
			if !a.Less(g.To) {
				break
			}
		}
	}
	return list
}

// destinations are the real servers behind one face, without those that are out of service. Where the sorry server
// serves, nobody else gets anything new.
func (v *virtual) destinations(key director.ServiceKey) []director.Destination {
	sorry := v.Sorry != nil && !v.up
	list := make([]director.Destination, 0, len(v.reals)+1)
	for _, r := range v.reals {
		switch {
		case r.alive && !sorry:
			list = append(list, destination(&r.RealServer, key, r.weight()))
		case r.Inhibit:
			list = append(list, destination(&r.RealServer, key, 0))
		}
	}
	switch {
	case sorry:
		list = append(list, destination(v.Sorry, key, max(v.Sorry.Weight, 1)))
	case v.Sorry != nil && v.SorryInhibit:
		list = append(list, destination(v.Sorry, key, 0))
	}
	slices.SortFunc(list, func(a, b director.Destination) int { return a.Addr.Compare(b.Addr) })
	return list
}

func destination(r *director.RealServer, key director.ServiceKey, weight int) director.Destination {
	at := r.Addr
	if at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), key.Addr.Port())
	}
	return director.Destination{Addr: at, Method: r.Method, Tunnel: r.Tunnel, Weight: weight, Upper: r.Upper, Lower: r.Lower}
}
