package keepalived

import (
	"net/netip"
	"strings"

	"github.com/takt-ha/takt/director"
)

func routingTables() []table {
	return []table{
		{block: "", rows: []row{
			blockOf("static_ipaddress", "", "addresses that stay, whoever is master", "virtual_ipaddress", 0, 0, func(r *reader, _ *call) { r.addrs, r.static = &r.cfg.Static.Addresses, true }, nil),
			blockOf("static_routes", "", "routes that stay", "virtual_routes", 0, 0, func(r *reader, _ *call) { r.lists, r.static = &r.cfg.Static, true }, nil),
			blockOf("static_rules", "", "routing rules that stay", "virtual_rules", 0, 0, func(r *reader, _ *call) { r.lists, r.static = &r.cfg.Static, true }, nil),
			blockOf("track_group", "<GROUP>", "instances that have a fault when a static address or route is lost", "track_group", 1, 1, nil, nil),
		}},
		{block: "track_group", rows: []row{under(ignored("group", "", "a static address, route or rule that is lost is put back; instances have no fault by it"), "list of a track_group")}},
		{block: "list of a track_group", item: func(*reader, *call) {}},
		{block: "virtual_ipaddress", item: virtualAddress},
		{block: "virtual_routes", item: virtualRoute},
		{block: "virtual_rules", item: virtualRule},
	}
}

// prefix reads an address with or without a length.
func (r *reader) prefix(what string, w word) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(w.text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(w.text)
	if err != nil {
		r.fail(w.pos, "%s: %q is no address, with or without /LENGTH", what, w.text)
	}
	return p, err == nil
}

// cursor goes through the words of an item.
type cursor struct {
	r    *reader
	what string
	list []word
	bad  bool
}

// next returns the next word.
func (c *cursor) next() (w word, ok bool) {
	if len(c.list) == 0 || c.bad {
		return word{}, false
	}
	w, c.list = c.list[0], c.list[1:]
	return w, true
}

// value returns the value of an option.
func (c *cursor) value(of word) word {
	w, ok := c.next()
	if !ok && !c.bad {
		c.fail(of, "%s has no value", of.text)
	}
	return w
}

func (c *cursor) fail(w word, format string, args ...any) {
	c.bad = true
	c.r.fail(w.pos, c.what+": "+format, args...)
}

// num is the value of an option, as a number.
func (c *cursor) num(of word, lo, hi int) int {
	w := c.value(of)
	if c.bad {
		return 0
	}
	n, ok := c.r.number(&call{&statement{word: of, args: []word{w}}, nil}, 0, lo, hi)
	c.bad = c.bad || !ok
	return n
}

func (c *cursor) addr(of word) (a netip.Addr) {
	w := c.value(of)
	if !c.bad {
		var ok bool
		a, ok = c.r.address(of.text, w)
		c.bad = !ok
	}
	return a
}

func (c *cursor) dev(of word) string {
	w := c.value(of)
	if c.bad {
		return ""
	}
	return c.r.iface(of.text, w)
}

// virtualAddress reads a line of virtual_ipaddress and its like.
func virtualAddress(r *reader, s *call) {
	p, ok := r.prefix("address", s.word)
	if !ok {
		return
	}
	a := director.Address{Prefix: p, Pos: s.pos}
	c := &cursor{r: r, what: p.Addr().String(), list: s.args}
	for w, ok := c.next(); ok; w, ok = c.next() {
		switch w.text {
		case "dev":
			a.Interface = c.dev(w)
		case "label":
			if a.Label = c.value(w).text; len(a.Label) > 15 {
				c.fail(w, "the label %q is longer than 15 letters", a.Label)
			}
		case "brd", "broadcast":
			a.Broadcast = c.broadcast(w, p)
		case "scope":
			a.Scope = c.scope(w)
		case "peer":
			a.Peer, _ = r.prefix("peer", c.value(w))
		case "preferred_lft":
			v := c.value(w)
			a.Old = v.text != "forever" && v.text != "infinity" && v.text != "inf"
		default:
			c.addressFlag(&a, w)
		}
	}
	if !p.Addr().Is4() && p.Bits() == 128 && !said(s.args, "preferred_lft") {
		a.Old = true
	}
	if r.static && a.Interface == "" {
		a.Interface = r.ifDefault
	}
	if !c.bad {
		*r.addrs = append(*r.addrs, a)
	}
}

func said(list []word, what string) bool {
	for _, w := range list {
		if w.text == what {
			return true
		}
	}
	return false
}

// addressFlag is an option without a value.
func (c *cursor) addressFlag(a *director.Address, w word) {
	switch w.text {
	case "no_track":
		a.NoTrack = true
	case "noprefixroute", "no_prefix_route":
		a.NoPrefix = true
	case "-nodad", "nodad": // always: VRRP itself finds duplicates
	case "home":
		c.r.warn(w.pos, "home is ignored: there is no mobile IPv6")
	case "use_vmac":
		c.r.warn(w.pos, "use_vmac of one address is ignored: there is one interface with the virtual MAC for an instance")
	case "mngtmpaddr", "autojoin":
		c.r.note(w.pos, "%s is ignored: it is of no use for a virtual address", w.text)
	case "track_group":
		c.value(w)
	default:
		c.fail(w, "there is no option %q of an address: want brd, dev, scope, label, peer, home, -nodad, noprefixroute, preferred_lft, no_track", w.text)
	}
}

// broadcast is an address, "+" for the last of the network or "-" for the first.
func (c *cursor) broadcast(of word, p netip.Prefix) netip.Addr {
	w := c.value(of)
	switch {
	case c.bad:
	case !p.Addr().Is4():
		c.fail(of, "an IPv6 address has no broadcast address")
	case w.text == "+" || w.text == "-":
		raw, bits := p.Addr().As4(), p.Bits()
		for i := bits; i < 32; i++ {
			if raw[i/8] &^= 0x80 >> (i % 8); w.text == "+" {
				raw[i/8] |= 0x80 >> (i % 8)
			}
		}
		return netip.AddrFrom4(raw)
	default:
		a, ok := c.r.address("brd", w)
		c.bad = !ok
		return a
	}
	return netip.Addr{}
}

func (c *cursor) scope(of word) string {
	w := c.value(of)
	switch w.text {
	case "site", "link", "host", "nowhere", "global":
		return w.text
	}
	if !c.bad {
		c.r.number(&call{&statement{word: of, args: []word{w}}, nil}, 0, 0, 255)
	}
	return w.text
}

// table is the number of a routing table.
func (c *cursor) table(of word) int {
	w := c.value(of)
	switch w.text {
	case "main":
		return 254
	case "local":
		return 255
	case "default":
		return 253
	}
	if c.bad {
		return 0
	}
	ask := c.r.o.Machine.Table
	if ask != nil {
		if n, is := ask(w.text); is {
			return n
		}
	}
	if w.text != "" && strings.IndexByte("0123456789", w.text[0]) < 0 {
		if ask == nil {
			c.r.note(w.pos, "%s: which number the routing table %q has is known where the director runs", c.what, w.text)
			return 0
		}
		c.fail(w, "there is no routing table %q: want a number, or a name of /etc/iproute2/rt_tables", w.text)
		return 0
	}
	n, ok := c.r.number(&call{&statement{word: of, args: []word{w}}, nil}, 0, 1, 1<<32-1)
	c.bad = !ok
	return n
}
