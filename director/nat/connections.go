package nat

import (
	"net/netip"
	"slices"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/internal/netif"
)

// index finds the service that a connection came to. One that came by a mark cannot be told from its addresses: it belongs to
// whoever has its server.
type index struct {
	exact map[director.ID]*director.Service
	marks []*director.Service
}

func newIndex(list []director.Service) index {
	x := index{exact: map[director.ID]*director.Service{}}
	for i := range list {
		x.exact[list[i].ID()] = &list[i]
		if list[i].Key.Mark != 0 {
			x.marks = append(x.marks, &list[i])
		}
	}
	return x
}

func (x index) of(c netif.Connection) *director.Service {
	for _, port := range []uint16{c.Asked.Port(), 0} {
		id := director.ID{Key: director.ServiceKey{Addr: netip.AddrPortFrom(c.Asked.Addr(), port)}, Protocol: director.Protocol(c.Protocol)}
		if s := x.exact[id]; s != nil {
			return s
		}
	}
	for _, s := range x.marks {
		if serves(s, c.Server) {
			return s
		}
	}
	return nil
}

func serves(s *director.Service, at netip.AddrPort) bool {
	return slices.ContainsFunc(s.Servers, func(d director.Destination) bool {
		return d.Addr == at || d.Addr.Port() == 0 && d.Addr.Addr() == at.Addr()
	})
}

// lost says whether a service had servers that it has no more.
func lost(had, has *director.Service) bool {
	return slices.ContainsFunc(had.Servers, func(d director.Destination) bool { return !serves(has, d.Addr) })
}

// endConnections ends those of services that are gone, and those to servers that are not in service any more: what the
// kernel follows it would send there for ever. A server of weight 0 keeps its own. Where no service has lost anybody nothing is looked at:
// a look at all connections takes its time. What fails is done by the next call.
func (f *Forwarder) endConnections(want map[director.ID]director.Service) error {
	var gone, smaller []director.Service
	for _, s := range f.gone {
		if _, back := want[s.ID()]; !back {
			gone = append(gone, s)
		}
	}
	for id := range f.smaller {
		if s, ok := want[id]; ok {
			smaller = append(smaller, s)
		}
	}
	director.SortServices(smaller)
	for _, fam := range families {
		mine := func(s director.Service) bool { return familyOf(&s).ipv6 == fam.ipv6 }
		if !slices.ContainsFunc(gone, mine) && !slices.ContainsFunc(smaller, mine) {
			continue
		}
		dead, living := newIndex(gone), newIndex(smaller)
		_, err := netif.ForgetConnections(fam.ipv6, func(c netif.Connection) bool {
			if s := dead.of(c); s != nil && s.Key.Mark == 0 {
				return true
			}
			s := living.of(c)
			return s != nil && !serves(s, c.Server)
		})
		if err != nil {
			return err
		}
	}
	f.gone, f.smaller = nil, map[director.ID]bool{}
	return nil
}

// countConnections counts those that servers have now.
func countConnections(list []director.Service, ipv6 bool, all map[director.ID]director.Counts) error {
	now, err := netif.Connections(ipv6)
	if err != nil {
		return err
	}
	x := newIndex(list)
	for _, c := range now {
		s := x.of(c)
		if s == nil {
			continue
		}
		if n, is := all[s.ID()].Servers[c.Server]; is {
			n.Active++
			all[s.ID()].Servers[c.Server] = n
		}
	}
	return nil
}
