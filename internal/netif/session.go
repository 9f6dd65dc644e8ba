package netif

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Session is a netlink socket that stays open, for who changes addresses and must not wait: a call is one round to the
// kernel. It is not safe for concurrent use.
type Session struct{ handle *netlink.Handle }

// OpenSession opens one.
func OpenSession() (*Session, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	return &Session{h}, nil
}

// Close ends it.
func (s *Session) Close() { s.handle.Close() }

// Add puts an address on a link; existed tells that it was there already, which is no error.
func (s *Session) Add(a Address) (existed bool, err error) {
	err = s.handle.AddrAdd(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: a.Index}}, a.toAdd())
	if errors.Is(err, unix.EEXIST) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("add %s: %w", a.Prefix, err)
	}
	return false, nil
}

// Remove takes an address from its link. That it is gone already is no error.
func (s *Session) Remove(a Address) error {
	addr := &netlink.Addr{IPNet: fromPrefix(a.Prefix)}
	if a.Peer.IsValid() {
		addr.Peer = fromPrefix(a.Peer)
	}
	err := s.handle.AddrDel(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: a.Index}}, addr)
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove %s: %w", a.Prefix, err)
	}
	return nil
}

// Route is an entry of a routing table.
type Route struct {
	To     netip.Prefix // /0 is the default
	Via    netip.Addr
	Index  int // of the link; 0: that which leads to Via
	Source netip.Addr
	Table  int // 0 is main
	Scope  int // rtnetlink(7)
	Metric int
	Kind   int // RTN_UNICAST (or 0), RTN_BLACKHOLE and so on
	MTU    int
	OnLink bool
	Hops   []Hop
}

// Hop is one of several ways of a route.
type Hop struct {
	Via    netip.Addr
	Index  int
	Weight int // from 1
}

func (r *Route) library() *netlink.Route {
	out := &netlink.Route{LinkIndex: r.Index, Dst: fromPrefix(r.To), Table: r.Table, Scope: netlink.Scope(r.Scope), Priority: r.Metric,
		Type: r.Kind, MTU: r.MTU, Family: family(r.To.Addr())}
	if r.Via.IsValid() {
		if r.Via.Is4() == r.To.Addr().Is4() {
			out.Gw = r.Via.AsSlice()
		} else {
			out.Via = &netlink.Via{AddrFamily: family(r.Via), Addr: r.Via.AsSlice()}
		}
	}
	if r.Source.IsValid() {
		out.Src = r.Source.AsSlice()
	}
	if r.OnLink {
		out.Flags = int(netlink.FLAG_ONLINK)
	}
	for _, h := range r.Hops {
		n := &netlink.NexthopInfo{LinkIndex: h.Index, Hops: max(h.Weight, 1) - 1}
		if h.Via.IsValid() {
			n.Gw = h.Via.AsSlice()
		}
		out.MultiPath = append(out.MultiPath, n)
	}
	return out
}

// AddRoute makes a route, in the place of one that differs in its way alone.
func (s *Session) AddRoute(r Route) error {
	if err := s.handle.RouteReplace(r.library()); err != nil {
		return fmt.Errorf("add route to %s: %w", r.To, err)
	}
	return nil
}

// RemoveRoute removes a route. That it is gone already is no error.
func (s *Session) RemoveRoute(r Route) error {
	if err := s.handle.RouteDel(r.library()); err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove route to %s: %w", r.To, err)
	}
	return nil
}

// Rule is an entry of the routing policy.
type Rule struct {
	From, To netip.Prefix // zero: all
	In, Out  string
	Mark     uint32
	Mask     uint32 // 0: all of Mark
	Priority int    // 0: the kernel's choice
	Table    int
	IPv6     bool
}

func (r *Rule) library() *netlink.Rule {
	out := netlink.NewRule()
	out.Family, out.Table, out.IifName, out.OifName, out.Mark = netlink.FAMILY_V4, r.Table, r.In, r.Out, r.Mark
	if r.IPv6 {
		out.Family = netlink.FAMILY_V6
	}
	if r.From.IsValid() {
		out.Src = fromPrefix(r.From)
	}
	if r.To.IsValid() {
		out.Dst = fromPrefix(r.To)
	}
	if r.Mask != 0 {
		out.Mask = &r.Mask
	}
	if r.Priority != 0 {
		out.Priority = r.Priority
	}
	return out
}

// AddRule makes a rule. That it is there already is no error.
func (s *Session) AddRule(r Rule) error {
	if err := s.handle.RuleAdd(r.library()); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add rule for table %d: %w", r.Table, err)
	}
	return nil
}

// RemoveRule removes a rule. That it is gone already is no error.
func (s *Session) RemoveRule(r Rule) error {
	if err := s.handle.RuleDel(r.library()); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove rule for table %d: %w", r.Table, err)
	}
	return nil
}

// AddMacvlan makes a link with a hardware address of its own on another one, private to it: what comes for that address
// comes by it. One that exists already with both is taken.
func AddMacvlan(base int, name string, hardware net.HardwareAddr) (Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.HardwareAddr = name, base, hardware
	err := netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_PRIVATE})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return Link{}, fmt.Errorf("add macvlan %s: %w", name, err)
	}
	l, lookErr := retry(func() (netlink.Link, error) { return netlink.LinkByName(name) })
	if lookErr != nil {
		return Link{}, fmt.Errorf("macvlan %s: %w", name, lookErr)
	}
	if err != nil && (l.Type() != "macvlan" || l.Attrs().ParentIndex != base || l.Attrs().HardwareAddr.String() != hardware.String()) {
		return Link{}, fmt.Errorf("interface %s exists, and is not the macvlan with address %s that is wanted: remove or rename it", name, hardware)
	}
	return fromLink(l), nil
}

// RemoveLink removes a link. That it is gone already is no error.
func RemoveLink(index int) error {
	err := netlink.LinkDel(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: index}})
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove interface number %d: %w", index, err)
	}
	return nil
}

// Links returns all interfaces.
func Links() ([]Link, error) {
	list, err := retry(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	out := make([]Link, 0, len(list))
	for _, l := range list {
		out = append(out, fromLink(l))
	}
	return out, nil
}

// Announcer is Announce with a socket that stays open: to open and close one for each address costs milliseconds.
type Announcer struct{ fd int }

// OpenAnnouncer opens one. It receives nothing.
func OpenAnnouncer() (*Announcer, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	return &Announcer{fd}, nil
}

// Close ends it.
func (a *Announcer) Close() { _ = unix.Close(a.fd) }

// Announce tells the neighbours on a link that ip is here.
func (a *Announcer) Announce(link Link, ip netip.Addr) error {
	if link.Loopback || link.NoARP || len(link.Hardware) != 6 {
		return nil
	}
	list, err := frames(link, ip, link.Hardware)
	if err != nil {
		return err
	}
	for _, frame := range list {
		to := &unix.SockaddrLinklayer{Ifindex: link.Index, Halen: 6}
		copy(to.Addr[:], frame[:6])
		if err := unix.Sendto(a.fd, frame, 0, to); err != nil {
			return fmt.Errorf("announce %s on %s: %w", ip, link.Name, err)
		}
	}
	return nil
}
