package keepalived

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/director"
)

// Options of routes and rules that are passed over, with the number of their values.
var (
	routeFine  = []string{"proto", "protocol"}
	routeWords = []string{"tos", "dsfield", "preference", "pref", "hoplimit", "advmss", "rtt", "rttvar", "reordering", "window", "cwnd", "ssthresh", "realms", "realm", "rto_min", "initcwnd",
		"initrwnd", "features", "congctl", "fastopen_no_cookie", "ttl-propagate", "quickack", "expires", "encap", "nhid"}
	routeFlags = []string{"append", "pervasive", "inet", "inet6"}
	ruleWords  = []string{"tos", "dsfield", "realms", "suppress_prefixlength", "suppress_prefixlen", "suppress_ifgroup", "uidrange", "protocol", "ip_proto", "ipproto", "sport", "dport", "tunnel-id", "goto"}
)

// virtualRoute reads a line of virtual_routes or static_routes.
func virtualRoute(r *reader, s *call) {
	c := &cursor{r: r, what: "route", list: append([]word{s.word}, s.args...)}
	x := director.Route{Pos: s.pos}
	six := said(c.list, "inet6")
	for w, ok := c.next(); ok; w, ok = c.next() {
		switch w.text {
		case "via", "gw":
			x.Via = c.via(w)
		case "or":
			x.Hops = append(x.Hops, director.Hop{Via: x.Via, Weight: 1}, director.Hop{Via: c.addr(w), Weight: 1})
			x.Via = netip.Addr{}
		case "nexthop":
			c.hops(&x)
		case "dev", "oif":
			x.Interface = c.dev(w)
		case "src", "from":
			x.Source = c.addr(w)
		case "to":
			c.target(&x, c.value(w), six)
		default:
			if !c.routeOption(&x, w) {
				c.target(&x, w, six)
			}
		}
	}
	c.finishRoute(&x, s)
}

// routeOption reads one of the less common options.
func (c *cursor) routeOption(x *director.Route, w word) bool {
	switch w.text {
	case "table":
		x.Table = c.table(w)
	case "metric", "priority":
		x.Metric = c.num(w, 0, math.MaxUint32)
	case "scope":
		x.Scope = c.scope(w)
	case "blackhole", "unreachable", "prohibit", "throw":
		x.Kind = w.text
	case "unicast", "local":
	case "mtu":
		if len(c.list) > 0 && c.list[0].text == "lock" {
			c.next()
		}
		x.MTU = c.num(w, 1, 1<<16)
	case "onlink":
		x.OnLink = true
	case "no_track":
		x.NoTrack = true
	case "track_group", "vrf":
		c.value(w)
		if w.text == "vrf" {
			c.r.warn(w.pos, "vrf of a route is ignored: name its table")
		}
	default:
		return c.passed(w, routeWords, routeFlags)
	}
	return true
}

// passed passes over an option that has no effect here.
func (c *cursor) passed(w word, words, flags []string) bool {
	switch {
	case slices.Contains(routeFine, w.text):
		c.value(w)
		c.r.note(w.pos, "%s is ignored: Takt marks what is its own by itself", w.text)
	case slices.Contains(words, w.text):
		if len(c.list) > 0 && c.list[0].text == "lock" {
			c.next()
		}
		c.value(w)
		c.r.warn(w.pos, "%s is ignored here", w.text)
	case slices.Contains(flags, w.text):
		if w.text == "append" {
			c.r.warn(w.pos, "append is ignored: a route replaces one of the same kind")
		}
	default:
		return false
	}
	return true
}

// via is a gateway, with or without its family before it.
func (c *cursor) via(of word) netip.Addr {
	if len(c.list) > 1 && (c.list[0].text == "inet" || c.list[0].text == "inet6") {
		c.next()
	}
	return c.addr(of)
}

// target is where a route leads to.
func (c *cursor) target(x *director.Route, w word, six bool) {
	switch {
	case c.bad:
	case x.To.IsValid():
		c.fail(w, "there is no option %q of a route", w.text)
	case w.text == "default" && six:
		x.To = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	case w.text == "default":
		x.To = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	default:
		p, ok := c.r.prefix("route", w)
		x.To, c.bad = p.Masked(), !ok
	}
}

// hops reads all of "nexthop via ADDRESS dev INTERFACE weight NUMBER onlink nexthop ...".
func (c *cursor) hops(x *director.Route) {
	h := director.Hop{Weight: 1}
	for w, ok := c.next(); ok; w, ok = c.next() {
		switch w.text {
		case "nexthop":
			x.Hops, h = append(x.Hops, h), director.Hop{Weight: 1}
		case "via":
			h.Via = c.via(w)
		case "dev":
			h.Interface = c.dev(w)
		case "weight":
			h.Weight = c.num(w, 1, 256)
		case "onlink":
			x.OnLink = true
		default:
			if !c.passed(w, []string{"encap", "realms"}, nil) {
				c.fail(w, "there is no option %q of a nexthop: want via, dev, weight, onlink", w.text)
			}
		}
	}
	x.Hops = append(x.Hops, h)
}

func (c *cursor) finishRoute(x *director.Route, s *call) {
	if len(x.Hops) > 0 && x.Interface != "" {
		for i := range x.Hops {
			if x.Hops[i].Interface == "" {
				x.Hops[i].Interface = x.Interface
			}
		}
		x.Interface = ""
	}
	switch {
	case c.bad:
	case !x.To.IsValid():
		c.r.fail(s.pos, "route: it leads nowhere: want ADDRESS/LENGTH or default")
	case x.Via.IsValid() && x.Via.Is4() != x.To.Addr().Is4() || x.Source.IsValid() && x.Source.Is4() != x.To.Addr().Is4():
		c.r.fail(s.pos, "route: IPv4 and IPv6 are mixed")
	case x.Kind == "" && !x.Via.IsValid() && x.Interface == "" && len(x.Hops) == 0:
		c.r.fail(s.pos, "route: want via ADDRESS, or dev INTERFACE")
	default:
		c.r.lists.Routes = append(c.r.lists.Routes, *x)
	}
}

// virtualRule reads a line of virtual_rules or static_rules.
func virtualRule(r *reader, s *call) {
	c := &cursor{r: r, what: "rule", list: append([]word{s.word}, s.args...)}
	x := director.Rule{Pos: s.pos, IPv6: said(c.list, "inet6")}
	for w, ok := c.next(); ok; w, ok = c.next() {
		switch w.text {
		case "from":
			x.From = c.side(w)
		case "to":
			x.To = c.side(w)
		case "iif", "dev":
			x.In = c.dev(w)
		case "oif":
			x.Out = c.dev(w)
		case "table", "lookup":
			x.Table = c.table(w)
		case "preference", "pref", "order", "priority":
			x.Priority = c.num(w, 0, math.MaxUint32)
		case "fwmark":
			c.mark(&x, w)
		case "no_track":
			x.NoTrack = true
		case "track_group":
			c.value(w)
		case "inet", "inet6", "l3mdev":
			if w.text == "l3mdev" {
				c.r.warn(w.pos, "l3mdev is ignored: name the table")
			}
		default:
			if !c.passed(w, ruleWords, nil) {
				c.fail(w, "there is no option %q of a rule", w.text)
			}
		}
	}
	c.finishRule(&x, s)
}

func (c *cursor) side(of word) netip.Prefix {
	w := c.value(of)
	if c.bad || w.text == "all" || w.text == "default" {
		return netip.Prefix{}
	}
	p, ok := c.r.prefix(of.text, w)
	c.bad = !ok
	return p.Masked()
}

func (c *cursor) mark(x *director.Rule, of word) {
	w := c.value(of)
	if c.bad {
		return
	}
	text, mask, _ := strings.Cut(w.text, "/")
	n, err := strconv.ParseUint(text, 0, 32)
	m, err2 := uint64(0), error(nil)
	if mask != "" {
		m, err2 = strconv.ParseUint(mask, 0, 32)
	}
	if err != nil || err2 != nil {
		c.fail(w, "%q is no mark, with or without /MASK", w.text)
	}
	x.Mark, x.Mask = uint32(n), uint32(m)
}

func (c *cursor) finishRule(x *director.Rule, s *call) {
	from, to := x.From.IsValid(), x.To.IsValid()
	x.IPv6 = x.IPv6 || from && x.From.Addr().Is6() || to && x.To.Addr().Is6()
	switch {
	case c.bad:
	case from && to && x.From.Addr().Is4() != x.To.Addr().Is4():
		c.r.fail(s.pos, "rule: IPv4 and IPv6 are mixed")
	case x.Table == 0 && !said(s.args, "goto"):
		c.r.fail(s.pos, "rule: want table NUMBER")
	case x.Table == 0: // goto, of which there was a warning
	default:
		if x.Priority == 0 {
			c.r.warn(s.pos, "rule: without a preference the kernel chooses one, and rules may come in any order: say \"preference NUMBER\"")
		}
		c.r.lists.Rules = append(c.r.lists.Rules, *x)
	}
}
