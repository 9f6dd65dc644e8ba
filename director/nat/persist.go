package nat

import (
	"bytes"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
)

// Persistence is a set of clients for each server of a service, and a chain that puts the client into the set and sends it to the server. Both
// are called SERVICE/SERVER. A map from clients to servers would be shorter, but nft aborts when it lists a rule that keeps in one map what
// another has given, and whoever runs "nft list ruleset" has nothing at all.
//
// The sets outlive the process, and what is in them counts for the next one.

// homeName is what the set and the chain of a server of a service are called.
func homeName(s *director.Service, d *director.Destination) string {
	return chainName(s) + "/" + plainName(d.Addr.Addr(), d.Addr.Port())
}

// home is the set of a server's clients. Each client's time is in the rule that keeps it, so that another one needs no other set.
func (fam family) home(t *nftables.Table, name string) *nftables.Set {
	return &nftables.Set{Table: t, Name: name, HasTimeout: true, Dynamic: true, KeyType: fam.address, Size: 1 << 20}
}

// homes are the names that a service wants.
func homes(s *director.Service) (names []string) {
	if s.Persist.Timeout == 0 {
		return nil
	}
	for i := range s.Servers {
		names = append(names, homeName(s, &s.Servers[i]))
	}
	return names
}

// findHomes adds those that an earlier process has left.
func (fam family) findHomes(c *nftables.Conn, name string, homes map[string][]string) {
	sets, err := c.GetSets(fam.table(name))
	if err != nil {
		return // those that are missing are made, and those that are there are no error
	}
	for _, s := range sets {
		if service, _, is := strings.Cut(s.Name, "/"); is {
			key := fam.name(service)
			homes[key] = append(homes[key], s.Name)
		}
	}
}

// name tells apart what is called the same in both families: marks.
func (fam family) name(service string) string { return string(rune('0'+fam.bytes)) + service }

// putHomes makes the sets and chains of a service that are missing, and takes away those that are too many; the service's own chain is empty.
func (f *Forwarder) putHomes(c *nftables.Conn, t *nftables.Table, s *director.Service) error {
	fam := familyOf(s)
	key, want := fam.name(chainName(s)), homes(s)
	for _, name := range f.homes[key] {
		if !slices.Contains(want, name) {
			fam.dropHome(c, t, name)
		}
	}
	for i, name := range want {
		set, chain := fam.home(t, name), &nftables.Chain{Table: t, Name: name}
		if !slices.Contains(f.homes[key], name) {
			if err := c.AddSet(set, nil); err != nil {
				return err
			}
			c.AddChain(chain)
		}
		c.FlushChain(chain)
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: append(fam.client(s),
			&expr.Dynset{SrcRegKey: r, SetName: set.Name, SetID: set.ID, Operation: unix.NFT_DYNSET_OP_UPDATE, Timeout: s.Persist.Timeout})})
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: fam.sendTo(&s.Servers[i])})
	}
	f.pending[key] = want
	return nil
}

// dropHome takes one away; no rule leads there any more.
func (fam family) dropHome(c *nftables.Conn, t *nftables.Table, name string) {
	chain := &nftables.Chain{Table: t, Name: name}
	c.FlushChain(chain)
	c.DelChain(chain)
	c.DelSet(fam.home(t, name))
}

// sendHome are the rules of a service that has persistence: a client that is known goes home, another one to the server of its slot.
func (fam family) sendHome(c *nftables.Conn, t *nftables.Table, chain *nftables.Chain, s *director.Service, p plan) error {
	for _, name := range homes(s) {
		c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: append(fam.client(s), &expr.Lookup{SourceRegister: r, SetName: name},
			&expr.Verdict{Kind: expr.VerdictGoto, Chain: name})})
	}
	if len(p.slots) == 0 {
		return nil
	}
	slots := &nftables.Set{Table: t, Anonymous: true, Constant: true, IsMap: true, KeyType: nftables.TypeInteger, DataType: nftables.TypeVerdict}
	var elements []nftables.SetElement
	for i := range p.slots {
		elements = append(elements, nftables.SetElement{Key: binaryutil.NativeEndian.PutUint32(uint32(i)),
			VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: homeName(s, &p.slots[i])}})
	}
	if err := c.AddSet(slots, elements); err != nil {
		return err
	}
	c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: append(fam.choose(p), chains(slots, r0))})
	return nil
}

// client loads as much of the client's address as counts.
func (fam family) client(s *director.Service) []expr.Any {
	list := []expr.Any{&expr.Payload{DestRegister: r, Base: expr.PayloadBaseNetworkHeader, Offset: fam.source, Len: fam.bytes}}
	if bits := s.Persist.Mask; bits > 0 && bits < int(fam.bytes)*8 {
		mask := make([]byte, fam.bytes)
		for i := range bits {
			mask[i/8] |= 0x80 >> (i % 8)
		}
		list = append(list, &expr.Bitwise{SourceRegister: r, DestRegister: r, Len: fam.bytes, Mask: mask, Xor: bytes.Repeat([]byte{0}, int(fam.bytes))})
	}
	return list
}

// sendTo translates the packet's target to a server. Without a port of its own the packet's stays.
func (fam family) sendTo(d *director.Destination) []expr.Any {
	list := []expr.Any{&expr.Immediate{Register: r, Data: d.Addr.Addr().AsSlice()}}
	nat := &expr.NAT{Type: expr.NATTypeDestNAT, Family: fam.proto, RegAddrMin: r}
	if port := d.Addr.Port(); port != 0 {
		list = append(list, &expr.Immediate{Register: unix.NFT_REG_2, Data: binaryutil.BigEndian.PutUint16(port)})
		nat.RegProtoMin, nat.Specified = unix.NFT_REG_2, true
	}
	return append(list, nat)
}
