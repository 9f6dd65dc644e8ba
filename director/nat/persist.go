package nat

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/google/nftables"

	"github.com/takt-ha/takt/director"
)

// client is somebody who is sent to the server that he had before.
type client struct {
	key    []byte
	server netip.AddrPort
	left   time.Duration
}

// remember reads which clients an earlier process of this director has sent where; what cannot be read is begun anew.
func (f *Forwarder) remember(c *nftables.Conn) map[string][]client {
	all := map[string][]client{}
	for _, fam := range families {
		t := fam.table(f.name)
		sets, err := c.GetSets(t)
		if err != nil {
			continue // there is no such table
		}
		for _, s := range sets {
			if s.HasTimeout {
				s.Table = t
				all[mapName(fam, s.Name)] = fam.clients(c, s)
			}
		}
	}
	return all
}

func mapName(fam family, name string) string { return fmt.Sprint(fam.ipv6, " ", name) }

func (fam family) clients(c *nftables.Conn, s *nftables.Set) (list []client) {
	elements, err := c.GetSetElements(s)
	if err != nil {
		return nil
	}
	for _, e := range elements {
		if at, ok := fam.server(e.Val); ok && e.Expires > 0 {
			list = append(list, client{e.Key, at, e.Expires})
		}
	}
	return list
}

// putClients makes a service's persistence. Clients stay with servers that stay, also with those of weight 0; the others are sent
// anew.
func (f *Forwarder) putClients(c *nftables.Conn, t *nftables.Table, s, have *director.Service) error {
	fam := familyOf(s)
	was := have.Persist.Timeout
	if f.adopted(have) {
		was = -1
	}
	switch {
	case was == s.Persist.Timeout && was == 0:
		return nil
	case was == s.Persist.Timeout && have.Persist.Mask == s.Persist.Mask:
		return f.prune(c, fam, t, s)
	case was != 0:
		c.DelSet(fam.persistence(t, have))
	}
	if s.Persist.Timeout == 0 {
		return nil
	}
	set := fam.persistence(t, s)
	var elements []nftables.SetElement
	for _, k := range f.before[mapName(fam, set.Name)] {
		if serves(s, k.server) {
			elements = append(elements, nftables.SetElement{Key: k.key, Val: append(k.server.Addr().AsSlice(), word(k.server.Port())...), Timeout: min(k.left, s.Persist.Timeout)})
		}
	}
	return c.AddSet(set, elements)
}

// adopted says whether persistence of a service is that of an earlier process.
func (f *Forwarder) adopted(s *director.Service) bool {
	_, there := f.before[mapName(familyOf(s), "clients-"+chainName(s))]
	return there && s.Scheduler == ""
}

// prune forgets clients of servers that are gone.
func (f *Forwarder) prune(c *nftables.Conn, fam family, t *nftables.Table, s *director.Service) error {
	set := fam.persistence(t, s)
	var gone []nftables.SetElement
	for _, k := range fam.clients(c, set) {
		if !serves(s, k.server) {
			gone = append(gone, nftables.SetElement{Key: k.key, Val: append(k.server.Addr().AsSlice(), word(k.server.Port())...)})
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return c.SetDeleteElements(set, gone)
}
