package router

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/vrrp"
	"github.com/takt-ha/takt/internal/netif"
)

// hands change the machine's network: addresses, routes, rules, macvlans, and what neighbours are told.
type hands struct {
	log     *slog.Logger
	session *netif.Session
	speaker *netif.Announcer
	links   map[string]netif.Link
	held    map[place]holding
	macs    map[string]mac      // macvlans by name
	doors   map[netip.Addr]bool // addresses that were shut
}

// place is an address on an interface.
type place struct {
	link string
	ip   netip.Addr
}

// holding is an address that an instance holds.
type holding struct {
	of      *director.Instance
	address director.Address
	before  bool // it was there before, and is the machine's own
}

type mac struct {
	link netif.Link
	own  netip.Addr // link-local, for adverts over IPv6
}

func newHands(log *slog.Logger) (*hands, error) {
	session, err := netif.OpenSession()
	if err != nil {
		return nil, err
	}
	speaker, err := netif.OpenAnnouncer()
	if err != nil {
		session.Close()
		return nil, err
	}
	return &hands{log: log, session: session, speaker: speaker, links: map[string]netif.Link{}, held: map[place]holding{}, macs: map[string]mac{}, doors: map[netip.Addr]bool{}}, nil
}

func (h *hands) close() {
	h.session.Close()
	h.speaker.Close()
}

// see takes note of the interfaces that exist.
func (h *hands) see(links []netif.Link) {
	clear(h.links)
	for _, l := range links {
		h.links[l.Name] = l
	}
	for name, m := range h.macs {
		if l, ok := h.links[name]; !ok || l.Index != m.link.Index {
			delete(h.macs, name)
		}
	}
}

// macName is what an instance's macvlan is called.
func macName(i *director.Instance) string {
	return cmp.Or(i.MAC.Interface, "vrrp."+strconv.Itoa(i.VRID))
}

// linkOf is the interface that an address is on.
func linkOf(i *director.Instance, own string) string {
	switch {
	case own != "":
		return own
	case i.MAC != nil:
		return macName(i)
	}
	return i.Interface
}

var scopes = map[string]int{"": unix.RT_SCOPE_UNIVERSE, "global": unix.RT_SCOPE_UNIVERSE, "site": unix.RT_SCOPE_SITE,
	"link": unix.RT_SCOPE_LINK, "host": unix.RT_SCOPE_HOST, "nowhere": unix.RT_SCOPE_NOWHERE}

func scopeOf(word string) int {
	if n, ok := scopes[word]; ok {
		return n
	}
	n, _ := strconv.Atoi(word)
	return n
}

// address is a as the kernel takes it.
func address(a *director.Address, index int) netif.Address {
	out := netif.Address{Index: index, Prefix: a.Prefix, Broadcast: a.Broadcast, Label: a.Label, Peer: a.Peer, Scope: scopeOf(a.Scope),
		NoDAD: true, NoPrefixRoute: a.NoPrefix, Preferred: -1} // the protocol itself finds duplicates
	if a.Old {
		out.Preferred = 0
	}
	return out
}

func all(e *vrrp.Estate) []director.Address {
	return append(append([]director.Address(nil), e.Addresses...), e.Routing.Addresses...)
}

// door shuts an address, or opens one that was shut.
func (h *hands) door(i *director.Instance, ip netip.Addr, closed bool) {
	var err error
	switch was := h.doors[ip]; {
	case closed && !was:
		err = shut(ip)
	case !closed && was:
		err = unshut(ip)
	}
	if h.doors[ip] = closed; !closed {
		delete(h.doors, ip)
	}
	if err != nil {
		h.log.Error("no_accept cannot be carried out", "instance", i.Name, "address", ip, "error", err)
	}
}

func (h *hands) add(e *vrrp.AddAddresses) {
	for _, a := range all(&e.Estate) {
		name := linkOf(e.Of, a.Interface)
		if e.Of.Promote {
			// A kernel without the switch goes on without it.
			_ = os.WriteFile("/proc/sys/net/ipv4/conf/"+name+"/promote_secondaries", []byte("1"), 0)
		}
		if _, there := h.links[name]; !there {
			h.log.Warn("an address waits for its interface", "instance", e.Of.Name, "address", a.Prefix, "interface", name)
			continue
		}
		h.door(e.Of, a.Prefix.Addr(), !e.Of.Accept && !e.Owner)
		existed, err := h.session.Add(address(&a, h.links[name].Index))
		if err != nil {
			h.log.Error("an address cannot be added", "instance", e.Of.Name, "address", a.Prefix, "interface", name, "error", err)
			continue
		}
		p := place{name, a.Prefix.Addr()}
		h.held[p] = holding{e.Of, a, e.Owner && (existed || h.held[p].before)}
	}
	for _, t := range e.Estate.Routing.Routes {
		if err := h.session.AddRoute(h.route(e.Of, &t)); err != nil {
			h.log.Error("a route cannot be added", "instance", e.Of.Name, "error", err)
		}
	}
	for _, t := range e.Estate.Routing.Rules {
		if err := h.session.AddRule(rule(&t)); err != nil {
			h.log.Error("a rule cannot be added", "instance", e.Of.Name, "error", err)
		}
	}
}

// remove takes away what add has given, the other way round.
func (h *hands) remove(e *vrrp.RemoveAddresses) {
	for _, t := range e.Estate.Routing.Rules {
		if err := h.session.RemoveRule(rule(&t)); err != nil {
			h.log.Error("a rule cannot be removed", "instance", e.Of.Name, "error", err)
		}
	}
	for _, t := range e.Estate.Routing.Routes {
		if err := h.session.RemoveRoute(h.route(e.Of, &t)); err != nil {
			h.log.Error("a route cannot be removed", "instance", e.Of.Name, "error", err)
		}
	}
	for _, a := range all(&e.Estate) {
		p := place{linkOf(e.Of, a.Interface), a.Prefix.Addr()}
		before := h.held[p].before
		delete(h.held, p)
		l, ok := h.links[p.link]
		if before || !ok {
			continue
		}
		if err := h.session.Remove(address(&a, l.Index)); err != nil {
			h.log.Error("an address cannot be removed", "instance", e.Of.Name, "address", a.Prefix, "interface", p.link, "error", err)
		}
		if !e.Of.Accept && !e.Owner {
			h.doors[p.ip] = true // perhaps an earlier process shut it
		}
		h.door(e.Of, p.ip, false)
	}
}

var kinds = map[string]int{"blackhole": unix.RTN_BLACKHOLE, "unreachable": unix.RTN_UNREACHABLE, "prohibit": unix.RTN_PROHIBIT, "throw": unix.RTN_THROW}

func (h *hands) route(i *director.Instance, t *director.Route) netif.Route {
	out := netif.Route{To: t.To, Via: t.Via, Source: t.Source, Table: t.Table, Scope: scopeOf(t.Scope), Metric: t.Metric, Kind: kinds[t.Kind], MTU: t.MTU, OnLink: t.OnLink}
	if t.Interface != "" {
		out.Index = h.links[t.Interface].Index
	}
	if t.Interface == "" && !t.Via.IsValid() && t.Kind == "" && len(t.Hops) == 0 {
		out.Index = h.links[linkOf(i, "")].Index
	}
	if t.Scope == "" && !t.Via.IsValid() && t.Kind == "" && len(t.Hops) == 0 && t.To.Addr().Is4() {
		out.Scope = unix.RT_SCOPE_LINK
	}
	for _, hop := range t.Hops {
		out.Hops = append(out.Hops, netif.Hop{Via: hop.Via, Index: h.links[hop.Interface].Index, Weight: hop.Weight})
	}
	return out
}

func rule(t *director.Rule) netif.Rule {
	return netif.Rule{From: t.From, To: t.To, In: t.In, Out: t.Out, Mark: t.Mark, Mask: t.Mask, Priority: t.Priority, Table: t.Table, IPv6: t.IPv6}
}

func (h *hands) announce(e *vrrp.Announce) {
	name := linkOf(e.Of, e.Interface)
	for range e.Rounds {
		for _, ip := range e.Addresses {
			if err := h.speaker.Announce(h.links[name], ip); err != nil {
				h.log.Debug("neighbours were not told", "instance", e.Of.Name, "error", err)
			}
		}
	}
}

// restore puts back what somebody else has taken away, and tells the neighbours.
func (h *hands) restore(there []netif.Address) {
	seen := map[place]bool{}
	names := map[int]string{}
	for name, l := range h.links {
		names[l.Index] = name
	}
	for _, a := range there {
		seen[place{names[a.Index], a.Prefix.Addr()}] = true
	}
	for p, held := range h.held { // no order is seen from outside
		l, ok := h.links[p.link]
		if seen[p] || held.address.NoTrack || !ok || !l.Up {
			continue
		}
		if existed, err := h.session.Add(address(&held.address, l.Index)); err == nil && !existed {
			h.log.Warn("somebody removed an address of a master; it was put back", "instance", held.of.Name, "address", held.address.Prefix, "interface", p.link)
			_ = h.speaker.Announce(l, p.ip)
		}
	}
}

// macvlan makes the interface with the virtual router's own hardware address (RFC 5798 section 7.3).
func (h *hands) macvlan(i *director.Instance, base netif.Link, source netip.Addr) (netif.Link, error) {
	name := macName(i)
	m, ok := h.macs[name]
	if !ok {
		l, err := newMacvlan(i, name, base.Index)
		if err != nil {
			return netif.Link{}, err
		}
		m = mac{link: l}
		h.links[name] = l
	}
	if isV6(i) && source.IsValid() && m.own != source && !i.MAC.XmitBase {
		// Without an address of its own the kernel lets nothing out by it; the base's is as good, for it is the same node.
		if _, err := h.session.Add(netif.Address{Index: m.link.Index, Prefix: netip.PrefixFrom(source, 64), NoDAD: true, Preferred: -1}); err != nil {
			return netif.Link{}, err
		}
		m.own = source
	}
	h.macs[name] = m
	return m.link, nil
}

func newMacvlan(i *director.Instance, name string, base int) (netif.Link, error) {
	hw := net.HardwareAddr{0, 0, 0x5e, 0, 1, byte(i.VRID)}
	if isV6(i) {
		hw[4] = 2
	}
	if i.MAC.Hardware != "" {
		parsed, err := net.ParseMAC(i.MAC.Hardware)
		if err != nil {
			return netif.Link{}, fmt.Errorf("the address %q of %s is no hardware address: %w", i.MAC.Hardware, name, err)
		}
		hw = parsed
	}
	l, err := netif.AddMacvlan(base, name, hw)
	if err != nil {
		return netif.Link{}, err
	}
	quiet(name)
	if err := netif.SetUp(l.Index); err != nil {
		return netif.Link{}, fmt.Errorf("bring %s up: %w", name, err)
	}
	l.Up, l.Running = true, true
	return l, nil
}

// quiet lets a macvlan answer for its own addresses alone, hear its own kind, and make up none. A kernel without one of
// these switches goes on without it.
func quiet(name string) {
	for key, value := range map[string]string{"ipv4/conf/%s/arp_ignore": "1", "ipv4/conf/%s/accept_local": "1", "ipv4/conf/%s/rp_filter": "0",
		"ipv6/conf/%s/addr_gen_mode": "1", "ipv6/conf/%s/accept_ra": "0", "ipv6/conf/%s/autoconf": "0"} {
		_ = os.WriteFile("/proc/sys/net/"+strings.Replace(key, "%s", name, 1), []byte(value), 0)
	}
}

// prune removes macvlans that no instance uses any more.
func (h *hands) prune(cfg *director.Config) {
	used := map[string]bool{}
	for k := range cfg.Instances {
		if i := &cfg.Instances[k]; i.MAC != nil {
			used[macName(i)] = true
		}
	}
	for name, m := range h.macs {
		if !used[name] {
			h.drop(name, m)
		}
	}
}

func (h *hands) drop(name string, m mac) {
	if err := netif.RemoveLink(m.link.Index); err != nil {
		h.log.Warn("a macvlan cannot be removed", "interface", name, "error", err)
	}
	delete(h.macs, name)
}

// leave removes every macvlan.
func (h *hands) leave() {
	for name, m := range h.macs {
		h.drop(name, m)
	}
}
