package nat

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
)

// family is IPv4 or IPv6, in what the rules differ.
type family struct {
	ipv6           bool
	kind           nftables.TableFamily
	proto          uint32 // of network addresses in rules
	bytes          uint32 // of an address
	source, target uint32 // where in the header the addresses are
	address        nftables.SetDatatype
}

var families = []family{
	{false, nftables.TableFamilyIPv4, unix.NFPROTO_IPV4, 4, 12, 16, nftables.TypeIPAddr},
	{true, nftables.TableFamilyIPv6, unix.NFPROTO_IPV6, 16, 8, 24, nftables.TypeIP6Addr},
}

func familyOf(s *director.Service) family {
	if s.Key.IPv6 || s.Key.Addr.Addr().Is6() {
		return families[1]
	}
	return families[0]
}

func (fam family) table(name string) *nftables.Table {
	return &nftables.Table{Family: fam.kind, Name: "takt-director-" + name}
}

// where is an address and a port, as maps have it.
func (fam family) where() nftables.SetDatatype {
	return nftables.MustConcatSetType(fam.address, nftables.TypeInetService)
}

// The maps from packets to the chains of services: by address, protocol and port; by address and protocol, for services of all ports;
// by mark.
func (fam family) byPort(t *nftables.Table) *nftables.Set {
	return &nftables.Set{Table: t, Name: "services", IsMap: true, Concatenation: true, DataType: nftables.TypeVerdict,
		KeyType: nftables.MustConcatSetType(fam.address, nftables.TypeInetProto, nftables.TypeInetService)}
}

func (fam family) byAddress(t *nftables.Table) *nftables.Set {
	return &nftables.Set{Table: t, Name: "all-ports", IsMap: true, Concatenation: true, DataType: nftables.TypeVerdict,
		KeyType: nftables.MustConcatSetType(fam.address, nftables.TypeInetProto)}
}

func byMark(t *nftables.Table) *nftables.Set {
	return &nftables.Set{Table: t, Name: "marks", IsMap: true, DataType: nftables.TypeVerdict, KeyType: nftables.TypeMark}
}

// entry returns the map that a service stands in, and its key there.
func (fam family) entry(t *nftables.Table, s *director.Service) (*nftables.Set, []byte) {
	if s.Key.Mark != 0 {
		return byMark(t), binaryutil.NativeEndian.PutUint32(s.Key.Mark)
	}
	key := append(s.Key.Addr.Addr().AsSlice(), byte(s.Protocol), 0, 0, 0)
	if s.Key.Addr.Port() == 0 {
		return fam.byAddress(t), key
	}
	return fam.byPort(t), append(key, word(s.Key.Addr.Port())...)
}

// word is a port as maps have it.
func word(port uint16) []byte { return []byte{byte(port >> 8), byte(port), 0, 0} }

// chainName is how a service's chain, counter and persistence are called.
func chainName(s *director.Service) string {
	if s.Key.Mark != 0 {
		return fmt.Sprintf("mark-%d", s.Key.Mark)
	}
	return fmt.Sprintf("%s-%s", s.Protocol, plainName(s.Key.Addr.Addr(), s.Key.Addr.Port()))
}

// plainName is an address and a port in letters that names may have.
func plainName(a netip.Addr, port uint16) string {
	return strings.ReplaceAll(fmt.Sprintf("%s-%d", a, port), ":", "_")
}

// Registers: r is the first with 16 bytes; r0, r1 … are its parts of 4 bytes and those that follow.
const (
	r  = unix.NFT_REG_1
	r0 = unix.NFT_REG32_00
)

// build makes an empty table in place of whatever is there: the maps, and the chains that look in them.
func (fam family) build(c *nftables.Conn, name string) {
	t := fam.table(name)
	c.AddTable(t)
	c.DelTable(t)
	c.AddTable(t)
	port, address, mark := fam.byPort(t), fam.byAddress(t), byMark(t)
	for _, s := range []*nftables.Set{port, address, mark} {
		_ = c.AddSet(s, nil) // fails only with elements
	}
	words := fam.bytes / 4
	at := []expr.Any{
		&expr.Payload{DestRegister: r0, Base: expr.PayloadBaseNetworkHeader, Offset: fam.target, Len: fam.bytes},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: r0 + words},
	}
	rules := [][]expr.Any{
		append(slices.Clone(at), &expr.Payload{DestRegister: r0 + words + 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, chains(port, r0)),
		append(slices.Clone(at), chains(address, r0)),
		{&expr.Meta{Key: expr.MetaKeyMARK, Register: r}, chains(mark, r)},
	}
	for _, hook := range []struct {
		name string
		at   *nftables.ChainHook
	}{{"in", nftables.ChainHookPrerouting}, {"local", nftables.ChainHookOutput}} { // clients may be on this machine
		chain := c.AddChain(&nftables.Chain{Table: t, Name: hook.name, Type: nftables.ChainTypeNAT, Hooknum: hook.at, Priority: nftables.ChainPriorityNATDest})
		for _, e := range rules {
			c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: e})
		}
	}
}

// adopt adds the services that stand in the table of an earlier process, without what they do; it returns false if there is no such table.
func (fam family) adopt(c *nftables.Conn, name string, have map[director.ID]director.Service) bool {
	t := fam.table(name)
	for _, s := range []*nftables.Set{fam.byPort(t), fam.byAddress(t), byMark(t)} {
		set, err := c.GetSetByName(t, s.Name)
		if err != nil {
			return false
		}
		elements, err := c.GetSetElements(set)
		if err != nil {
			return false
		}
		for _, e := range elements {
			s := director.Service{Key: director.ServiceKey{IPv6: fam.ipv6 && len(e.Key) == 4}}
			if len(e.Key) == 4 {
				s.Key.Mark = binaryutil.NativeEndian.Uint32(e.Key)
			} else {
				a, _ := netip.AddrFromSlice(e.Key[:fam.bytes])
				port := uint16(0)
				if rest := e.Key[fam.bytes+4:]; len(rest) > 0 {
					port = uint16(rest[0])<<8 | uint16(rest[1])
				}
				s.Key.Addr, s.Protocol = netip.AddrPortFrom(a, port), director.Protocol(e.Key[fam.bytes])
			}
			have[s.ID()] = s
		}
	}
	return true
}

func chains(s *nftables.Set, key uint32) expr.Any {
	return &expr.Lookup{SourceRegister: key, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: s.Name, SetID: s.ID}
}

// service makes the rules of a service, in the empty chain.
func (fam family) service(c *nftables.Conn, t *nftables.Table, chain *nftables.Chain, s *director.Service) error {
	add := func(e ...expr.Any) { c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: e}) }
	add(&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: chain.Name})
	p := planOf(s)
	if s.Persist.Timeout > 0 {
		return fam.sendHome(c, t, chain, s, p)
	}
	if len(p.slots) == 0 {
		return nil // nobody to send anything to: the connection is refused here
	}
	slots := &nftables.Set{Table: t, Anonymous: true, Constant: true, IsMap: true, KeyType: nftables.TypeInteger, DataType: fam.where()}
	var elements []nftables.SetElement
	for i, d := range p.slots {
		elements = append(elements, nftables.SetElement{Key: binaryutil.NativeEndian.PutUint32(uint32(i)), Val: append(d.Addr.Addr().AsSlice(), word(d.Addr.Port())...)})
	}
	if err := c.AddSet(slots, elements); err != nil {
		return err
	}
	choice := append(fam.choose(p), &expr.Lookup{SourceRegister: r0, DestRegister: r0, IsDestRegSet: true, SetName: slots.Name, SetID: slots.ID})
	add(append(choice, fam.send(s))...)
	return nil
}

// seed is the same on every director of a pair: a client keeps its server when the other takes over.
const seed = 0x74616b74

// choose puts the number of a slot into the first register.
func (fam family) choose(p plan) []expr.Any {
	n := uint32(len(p.slots))
	load := func(offset uint32) expr.Any {
		return &expr.Payload{DestRegister: r0, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: fam.bytes}
	}
	hash := func(bytes uint32) expr.Any {
		return &expr.Hash{SourceRegister: r0, DestRegister: r0, Length: bytes, Modulus: n, Seed: seed, Type: expr.HashTypeJenkins}
	}
	switch p.by {
	case bySource:
		return []expr.Any{load(fam.source), hash(fam.bytes)}
	case bySourcePort:
		return []expr.Any{load(fam.source), &expr.Payload{DestRegister: r0 + fam.bytes/4, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 2}, hash(fam.bytes + 4)}
	case byTarget:
		return []expr.Any{load(fam.target), hash(fam.bytes)}
	}
	return []expr.Any{&expr.Numgen{Register: r0, Modulus: n, Type: unix.NFT_NG_INCREMENTAL}}
}

// send translates the packet's target to the server in the first registers. Without a port of its own the packet's stays.
func (fam family) send(s *director.Service) expr.Any {
	nat := &expr.NAT{Type: expr.NATTypeDestNAT, Family: fam.proto, RegAddrMin: r0}
	if !slices.ContainsFunc(s.Servers, func(d director.Destination) bool { return d.Addr.Port() == 0 }) {
		nat.RegProtoMin, nat.Specified = r0+fam.bytes/4, true
	}
	return nat
}

// put makes services, or makes them anew: each is replaced as a whole.
func (f *Forwarder) put(c *nftables.Conn, list []director.Service) error {
	f.pending = map[string][]string{}
	for i := range list {
		s := &list[i]
		if err := f.putOne(c, s); err != nil {
			return fmt.Errorf("virtual server %s: %w", chainName(s), err)
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("change the rules of director %s (nftables): %w", f.name, err)
	}
	for _, s := range list {
		f.have[s.ID()] = s
	}
	maps.Copy(f.homes, f.pending)
	return nil
}

func (f *Forwarder) putOne(c *nftables.Conn, s *director.Service) error {
	fam := familyOf(s)
	t := fam.table(f.name)
	chain := &nftables.Chain{Table: t, Name: chainName(s)}
	_, there := f.have[s.ID()]
	if there {
		c.FlushChain(chain)
	} else {
		c.AddObject(&nftables.CounterObj{Table: t, Name: chain.Name})
		c.AddChain(chain)
	}
	if err := f.putHomes(c, t, s); err != nil {
		return err
	}
	if err := fam.service(c, t, chain, s); err != nil {
		return err
	}
	if there {
		return nil
	}
	set, key := fam.entry(t, s)
	return c.SetAddElements(set, []nftables.SetElement{{Key: key, VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain.Name}}})
}

// drop takes services away.
func (f *Forwarder) drop(c *nftables.Conn, gone []director.Service) error {
	for _, part := range f.portions(gone) {
		for i := range part {
			s := &part[i]
			fam := familyOf(s)
			t := fam.table(f.name)
			set, key := fam.entry(t, s)
			if err := c.SetDeleteElements(set, []nftables.SetElement{{Key: key, VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: chainName(s)}}}); err != nil {
				return err
			}
			chain := &nftables.Chain{Table: t, Name: chainName(s)}
			c.FlushChain(chain)
			c.DelChain(chain)
			for _, name := range f.homes[fam.name(chainName(s))] {
				fam.dropHome(c, t, name)
			}
			c.DeleteObject(&nftables.CounterObj{Table: t, Name: chain.Name})
		}
		if err := c.Flush(); err != nil {
			f.have = nil
			return fmt.Errorf("take services of director %s away (nftables): %w", f.name, err)
		}
		for _, s := range part {
			delete(f.have, s.ID())
			f.gone = append(f.gone, s)
			delete(f.homes, familyOf(&s).name(chainName(&s)))
		}
	}
	return nil
}
