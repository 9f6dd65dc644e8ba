package router

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// With no_accept the master routes for its addresses, but nobody reaches the machine by them, unless it owns them (RFC 5798
// section 6.1, Accept_Mode). Each such address has a table of its own, named after it: who comes after a process that was
// killed finds it.

// reg is the register that the rules work with.
const reg = 1

func shutTable(ip netip.Addr) *nftables.Table {
	t := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: "takt-vrrp-" + ip.String()}
	if ip.Is6() {
		t.Family = nftables.TableFamilyIPv6
	}
	return t
}

// shut drops what comes for an address. Neighbours still find out who has it.
func shut(ip netip.Addr) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("drop packets to %s: %w", ip, err)
	}
	t := shutTable(ip)
	c.AddTable(t)
	c.DelTable(t)
	c.AddTable(t)
	// Behind IPVS, which takes what it forwards between the filters and here.
	last := nftables.ChainPriorityRef(*nftables.ChainPriorityNATSource + 10)
	in := c.AddChain(&nftables.Chain{Table: t, Name: "in", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: last})
	offset := uint32(16) // of the destination in the header
	if ip.Is6() {
		offset = 24
		for _, kind := range []byte{135, 136} { // neighbour solicitation and advertisement (RFC 4861)
			c.AddRule(&nftables.Rule{Table: t, Chain: in, Exprs: append(icmp6(kind), &expr.Verdict{Kind: expr.VerdictAccept})})
		}
	}
	c.AddRule(&nftables.Rule{Table: t, Chain: in, Exprs: []expr.Any{
		&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(ip.BitLen() / 8)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: ip.AsSlice()},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("drop packets to %s: %w", ip, err)
	}
	return nil
}

func icmp6(kind byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: []byte{unix.IPPROTO_ICMPV6}},
		&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: []byte{kind}},
	}
}

// unshut lets everything through again. That nothing was shut is no error.
func unshut(ip netip.Addr) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("take packets to %s: %w", ip, err)
	}
	c.DelTable(shutTable(ip))
	if err := c.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("take packets to %s: %w", ip, err)
	}
	return nil
}
