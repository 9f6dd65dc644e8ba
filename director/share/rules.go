package share

import (
	"encoding/binary"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// table holds the rules for packets to the address; arp those for what the node says about it.
func (a Address) table() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyIPv4, Name: "takt-share-" + a.IP.String()}
}

func (a Address) arp() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyARP, Name: "takt-share-" + a.IP.String()}
}

// buckets is the set of those held here. Its name tells what the rules were made for: rules of an address that is
// configured anew are not taken for its own.
func (a Address) buckets() *nftables.Set {
	name := fmt.Sprintf("%s-%d-%x-%d", a.Hash, a.Total, []byte(a.MAC), a.Link.Index)
	return &nftables.Set{Table: a.table(), Name: name, KeyType: nftables.TypeInteger}
}

// build makes both tables anew, in place of whatever is there.
func (a Address) build(c *nftables.Conn) {
	for _, t := range []*nftables.Table{a.table(), a.arp()} {
		c.AddTable(t)
		c.DelTable(t)
		c.AddTable(t)
	}
	_ = c.AddSet(a.buckets(), nil) // fails only with elements
	taken := c.AddChain(&nftables.Chain{Table: a.table(), Name: "take"})
	policy := nftables.ChainPolicyAccept
	in := c.AddChain(&nftables.Chain{Table: a.table(), Name: "in", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting,
		Priority: nftables.ChainPriorityRaw, Policy: &policy})
	c.AddRule(&nftables.Rule{Table: in.Table, Chain: in, Exprs: append(a.toUs(), &expr.Verdict{Kind: expr.VerdictGoto, Chain: taken.Name})})
	for _, r := range a.deciding() {
		c.AddRule(&nftables.Rule{Table: taken.Table, Chain: taken, Exprs: r})
	}
	out := c.AddChain(&nftables.Chain{Table: a.arp(), Name: "out", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookRef(arpOut),
		Priority: nftables.ChainPriorityFilter, Policy: &policy})
	c.AddRule(&nftables.Rule{Table: out.Table, Chain: out, Exprs: a.answering()})
}

// arpOut is NF_ARP_OUT of the kernel's linux/netfilter_arp.h: the hooks of ARP have numbers of their own.
const arpOut = 1

// Registers: 1 is the first of 16 bytes, 9 to 11 follow one another with 4 bytes each.
const (
	reg  = unix.NFT_REG_1
	word = unix.NFT_REG32_01
)

// toUs matches packets to the address on the link.
func (a Address) toUs() []expr.Any {
	ip := a.IP.As4()
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIF, Register: reg},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: binary.NativeEndian.AppendUint32(nil, uint32(a.Link.Index))},
		&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: ip[:]},
	}
}

// take makes a packet one for this machine: what comes to a hardware multicast address is no packet that TCP looks at.
func take() []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: reg, Data: []byte{unix.PACKET_HOST}},
		&expr.Meta{Key: expr.MetaKeyPKTTYPE, SourceRegister: true, Register: reg},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictAccept},
	}
}

func protocol(p byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: []byte{p}},
	}
}

var drop = []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}}

// deciding is what happens to a packet to the address. Errors of routers about a packet of some node, and the later
// fragments of one, have no ports of it and come to everybody: who has nothing to do with them throws them away.
func (a Address) deciding() [][]expr.Any {
	rules := [][]expr.Any{
		append([]expr.Any{
			&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 6, Len: 2},
			&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 2, Mask: []byte{0x1f, 0xff}, Xor: []byte{0, 0}},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: []byte{0, 0}},
		}, take()...),
		append(append(protocol(unix.IPPROTO_ICMP),
			&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: []byte{8}}, // echo request
		), take()...),
	}
	if ports := map[Hash]uint32{SourceIPSourcePort: 2, SourceIPSourcePortPorts: 4}[a.Hash]; ports > 0 {
		for _, p := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_SCTP, unix.IPPROTO_UDPLITE, unix.IPPROTO_DCCP} {
			rules = append(rules, append(append(protocol(p), a.mine(ports)...), take()...), append(protocol(p), drop...))
		}
	}
	return append(rules, append(a.mine(0), take()...), drop)
}

// seed is the same on all nodes: without one each kernel draws its own.
const seed = 0x74616b74

// mine matches packets whose hash is in a bucket that is held: over the source address and so many bytes of ports.
func (a Address) mine(ports uint32) []expr.Any {
	list := []expr.Any{&expr.Payload{DestRegister: word, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}}
	length := uint32(4)
	if ports > 0 {
		list = append(list, &expr.Payload{DestRegister: word + 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: ports})
		length = 8 // a short value is filled up with zeroes
	}
	return append(list,
		&expr.Hash{SourceRegister: word, DestRegister: reg, Length: length, Modulus: uint32(a.Total), Seed: seed, Type: expr.HashTypeJenkins},
		&expr.Lookup{SourceRegister: reg, SetName: a.buckets().Name})
}

// answering puts the shared hardware address into what this node says in ARP about the address (RFC 826: the sender's
// hardware address is 8 bytes into the packet, its protocol address 14).
func (a Address) answering() []expr.Any {
	ip := a.IP.As4()
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyOIF, Register: reg},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: binary.NativeEndian.AppendUint32(nil, uint32(a.Link.Index))},
		&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 14, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: ip[:]},
		&expr.Immediate{Register: reg, Data: a.MAC},
		&expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 8, Len: 6},
	}
}
