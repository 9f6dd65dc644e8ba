// Package netif is Takt's view of the machine's network interfaces: links,
// addresses, routes, and what neighbours are told about them. It speaks
// netlink (rtnetlink(7)) and raw packets, never an external program.
//
// All functions act in the network namespace of the process.
package netif

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Link is an interface.
type Link struct {
	Index    int
	Name     string
	Hardware net.HardwareAddr // empty for tunnels and the like
	Up       bool             // administratively
	Loopback bool
	NoARP    bool
	Running  bool // up, and with a carrier
}

// Address is an address on an interface.
type Address struct {
	Index         int          // of the link
	Prefix        netip.Prefix // the address with its network's length
	Broadcast     netip.Addr   // IPv4; zero: none
	Label         string       // IPv4; at most 15 bytes, must begin with the link's name
	NoDAD         bool         // IPv6: usable at once, without looking for duplicates
	NoPrefixRoute bool         // no route to the prefix is made
	Scope         int          // RT_SCOPE_UNIVERSE (0), RT_SCOPE_LINK and so on; rtnetlink(7)
	Peer          netip.Prefix // the other end of a point-to-point link
	Secondary     bool         // another address of the same network came first (read only)
	Preferred     int          // seconds that it is preferred, 0 deprecates at once; < 0 for ever
	Tentative     bool         // IPv6: duplicate detection has not ended (read only)
	Duplicate     bool         // IPv6: somebody else has it (read only)
}

// retry repeats a dump that a change has interrupted (NLM_F_DUMP_INTR).
func retry[T any](dump func() (T, error)) (T, error) {
	for try := 0; ; try++ {
		v, err := dump()
		if try == 10 || !errors.Is(err, netlink.ErrDumpInterrupted) {
			return v, err
		}
	}
}

// LinkByName returns an interface; the error names it.
func LinkByName(name string) (Link, error) {
	l, err := retry(func() (netlink.Link, error) { return netlink.LinkByName(name) })
	if err != nil {
		return Link{}, fmt.Errorf("interface %s: %w", name, err)
	}
	return fromLink(l), nil
}

// LinkByIndex returns an interface.
func LinkByIndex(index int) (Link, error) {
	l, err := retry(func() (netlink.Link, error) { return netlink.LinkByIndex(index) })
	if err != nil {
		return Link{}, fmt.Errorf("interface number %d: %w", index, err)
	}
	return fromLink(l), nil
}

func fromLink(l netlink.Link) Link {
	a := l.Attrs()
	return Link{
		Index: a.Index, Name: a.Name, Hardware: a.HardwareAddr, Up: a.Flags&net.FlagUp != 0,
		Loopback: a.Flags&net.FlagLoopback != 0, NoARP: a.RawFlags&unix.IFF_NOARP != 0,
		Running: a.Flags&net.FlagUp != 0 && a.RawFlags&unix.IFF_RUNNING != 0,
	}
}

// AddVeth makes a pair of connected virtual interfaces (veth(4)), both down.
func AddVeth(name, peer string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: peer}); err != nil {
		return fmt.Errorf("add veth %s: %w", name, err)
	}
	return nil
}

// SetUp brings an interface up; up already is no error.
func SetUp(index int) error {
	return netlink.LinkSetUp(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: index}})
}

// Addresses returns the addresses of all interfaces, sorted by link and address.
func Addresses() ([]Address, error) {
	list, err := retry(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var out []Address
	for _, a := range list {
		if a.IPNet == nil {
			continue
		}
		if prefix, ok := toPrefix(a.IPNet); ok {
			brd, _ := netip.AddrFromSlice(a.Broadcast)
			out = append(out, Address{
				Index: a.LinkIndex, Prefix: prefix, Broadcast: brd.Unmap(), Label: a.Label,
				NoDAD: a.Flags&unix.IFA_F_NODAD != 0, NoPrefixRoute: a.Flags&unix.IFA_F_NOPREFIXROUTE != 0,
				Scope: a.Scope, Secondary: a.Flags&unix.IFA_F_SECONDARY != 0,
				Preferred: a.PreferedLft, Tentative: a.Flags&unix.IFA_F_TENTATIVE != 0, Duplicate: a.Flags&unix.IFA_F_DADFAILED != 0,
			})
		}
	}
	slices.SortFunc(out, func(a, b Address) int {
		if a.Index != b.Index {
			return a.Index - b.Index
		}
		return a.Prefix.Addr().Compare(b.Prefix.Addr())
	})
	return out, nil
}

func toPrefix(n *net.IPNet) (netip.Prefix, bool) {
	ip, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	if !ok || bits == 0 {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(ip.Unmap(), ones), true
}

func fromPrefix(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Add puts an address on a link. That it is there already is no error.
func Add(a Address) error {
	err := netlink.AddrAdd(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: a.Index}}, a.toAdd())
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add %s: %w", a.Prefix, err)
	}
	return nil
}

// Broadcast returns the broadcast address of an address's network (RFC 919), and zero where there is none: with
// IPv6, and in networks of one or two addresses (RFC 3021).
func Broadcast(p netip.Prefix) netip.Addr {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}
	}
	b := p.Addr().As4()
	for i, m := range net.CIDRMask(p.Bits(), 32) {
		b[i] |= ^m
	}
	return netip.AddrFrom4(b)
}

// toAdd returns a as the library takes it.
func (a *Address) toAdd() *netlink.Addr {
	addr := &netlink.Addr{IPNet: fromPrefix(a.Prefix), Label: a.Label, Scope: a.Scope}
	if a.Peer.IsValid() {
		addr.Peer = fromPrefix(a.Peer)
	}
	if a.Prefix.Addr().Is4() {
		addr.Broadcast = net.IPv4zero // the library's word for none: left out, it would make one up
	}
	if a.Broadcast.IsValid() {
		addr.Broadcast = a.Broadcast.AsSlice()
	}
	if a.NoDAD && a.Prefix.Addr().Is6() {
		addr.Flags |= unix.IFA_F_NODAD
	}
	if a.NoPrefixRoute {
		addr.Flags |= unix.IFA_F_NOPREFIXROUTE
	}
	if a.Preferred >= 0 {
		const forever = 1<<32 - 1
		addr.PreferedLft, addr.ValidLft = a.Preferred, forever
	}
	return addr
}

// Remove takes an address from its link. That it is gone already is no error.
func Remove(a Address) error {
	addr := &netlink.Addr{IPNet: fromPrefix(a.Prefix), Label: a.Label}
	err := netlink.AddrDel(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: a.Index}}, addr)
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove %s: %w", a.Prefix, err)
	}
	return nil
}
