package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

// network is routers on virtual time, with a segment for each name of an interface.
type network struct {
	now     time.Duration
	routers []*router
	flights []flight
	delay   func() time.Duration
	lost    func(from, to *router, on string) bool
	log     strings.Builder
	sends   bool // the transcript has every advert
	after   func()
}

type flight struct {
	at   time.Duration
	to   *router
	data Packet
}

// router is a machine with what a shell would know.
type router struct {
	name   string
	cfg    *director.Config
	source map[string]netip.Addr // by instance
	links  map[string]bool
	tracks []Track
	m      *Machine      // nil: off
	wall   time.Duration // what its wall clock is ahead of the others'
	last   Datagram      // that it heard
	pause  time.Duration
	frozen bool     // with its network: nothing is queued meanwhile
	queue  []Packet // received while paused
	held   map[string]bool
	slept  time.Duration // when the pause began
}

func newNetwork() *network {
	return &network{delay: func() time.Duration { return 200 * time.Microsecond }, lost: func(_, _ *router, _ string) bool { return false }, after: func() {}}
}

func (n *network) router(name string) *router {
	for _, r := range n.routers {
		if r.name == name {
			return r
		}
	}
	return nil
}

func (n *network) start(r *router) {
	r.m = New(r.cfg)
	for name, up := range r.links {
		n.step(r, Link{name, up})
	}
	for _, i := range r.cfg.Instances {
		n.step(r, Source{i.Name, r.source[i.Name]})
	}
	for _, t := range r.tracks {
		n.step(r, t)
	}
	n.step(r, n.clock(r))
	n.step(r, Start{Sequence: uint32(n.now/time.Second) + 1})
}

// clock is what a router's wall clock says: it is 2025.
func (n *network) clock(r *router) Clock {
	return Clock{Unix: time.Duration(1750000000)*time.Second + n.now + r.wall}
}

// crash ends a router; keep leaves its addresses where they are, as a killed process does.
func (n *network) crash(r *router, keep bool) {
	r.m, r.pause, r.queue = nil, 0, nil
	if !keep {
		r.held = map[string]bool{}
	}
}

func (n *network) step(r *router, in Input) {
	for _, e := range r.m.Step(n.now, in) {
		n.carryOut(r, e)
	}
	n.after()
}

func (n *network) print(r *router, name, format string, args ...any) {
	fmt.Fprintf(&n.log, "%9.3f %s/%s: %s\n", n.now.Seconds(), r.name, name, fmt.Sprintf(format, args...))
}

func (n *network) carryOut(r *router, e Effect) {
	switch e := e.(type) {
	case Send:
		n.send(r, &e)
	case AddAddresses:
		for _, a := range e.Estate.Addresses {
			r.held[a.Prefix.Addr().String()] = true
		}
		n.print(r, e.Of.Name, "add %s", words(&e.Estate))
	case RemoveAddresses:
		for _, a := range e.Estate.Addresses {
			delete(r.held, a.Prefix.Addr().String())
		}
		left := ""
		if e.Leftover {
			left = " (if an earlier process left it)"
		}
		n.print(r, e.Of.Name, "remove %s%s", words(&e.Estate), left)
	case Announce:
		on := ""
		if e.Interface != "" {
			on = " on " + e.Interface
		}
		n.print(r, e.Of.Name, "announce %v %d times%s", e.Addresses, e.Rounds, on)
	case Notify:
		kind, why := "", ""
		if e.Group {
			kind = "group "
		}
		if e.Reason != "" {
			why = ": " + e.Reason
		}
		n.print(r, e.Name, "%s%s, priority %d%s", kind, e.Event, e.Priority, why)
	case Refuse:
		detail := ""
		if e.Detail != "" {
			detail = " (" + e.Detail + ")"
		}
		n.print(r, e.Instance, "advert of %s on %s ignored: %s%s, %d so far", e.From, e.Interface, e.Why, detail, e.Count)
	case Say:
		n.print(r, e.Instance, "%s", e.Words)
	}
}

func words(e *Estate) string {
	var out []string
	for _, a := range e.Addresses {
		out = append(out, a.Prefix.String())
	}
	for _, t := range e.Routing.Routes {
		out = append(out, "route "+t.To.String())
	}
	return strings.Join(out, " ")
}

// send puts an advert on its segment, as bytes.
func (n *network) send(r *router, s *Send) {
	if n.sends || s.Advert.Priority == 0 {
		n.print(r, s.Of.Name, "send priority %d", s.Advert.Priority)
	}
	if len(s.Of.Unicast) == 0 {
		n.fly(r, s, s.Of.Group, nil)
	}
	for _, u := range s.Of.Unicast {
		n.fly(r, s, u.Addr, &u.Addr)
	}
}

func (n *network) fly(r *router, s *Send, dst netip.Addr, only *netip.Addr) {
	b := s.Packet(Path{Src: s.Source, Dst: dst, TTL: 255})
	d := Datagram{Interface: s.Of.Interface, Src: s.Source, Dst: dst, TTL: 255, Data: b}
	if s.Source.Is4() {
		d.Header, d.Data, d.AH = b[:ipv4Size], b[ipv4Size:], b[9] == ProtocolAH
	}
	if !r.links[d.Interface] {
		return
	}
	for _, to := range n.routers {
		if to == r || only != nil && !slices.Contains(addresses(to), *only) || n.lost(r, to, d.Interface) {
			continue
		}
		to.last = d
		n.flights = append(n.flights, flight{n.now + n.delay(), to, Packet{Datagram: d}})
	}
}

func addresses(r *router) (out []netip.Addr) {
	for _, a := range r.source {
		out = append(out, a)
	}
	return out
}

// run lets time pass.
func (n *network) run(until time.Duration) {
	for {
		next := until
		for _, r := range n.routers {
			if r.m != nil {
				next = min(next, max(r.m.Next(), r.pause, n.now))
			}
		}
		for _, f := range n.flights {
			next = min(next, max(f.at, n.now))
		}
		n.now = next
		n.arrive()
		for _, r := range n.routers {
			n.turn(r)
		}
		if n.now >= until && !n.due() {
			return
		}
	}
}

func (n *network) due() bool {
	for _, r := range n.routers {
		if r.m != nil && n.now >= r.pause && r.m.Next() <= n.now {
			return true
		}
	}
	return slices.ContainsFunc(n.flights, func(f flight) bool { return f.at <= n.now })
}

func (n *network) arrive() {
	var later, now []flight
	for _, f := range n.flights {
		if f.at > n.now {
			later = append(later, f)
		} else {
			now = append(now, f)
		}
	}
	n.flights = later
	for _, f := range now {
		f.data.At = f.at
		if f.to.m == nil || !f.to.links[f.data.Interface] || f.to.pause > n.now && f.to.frozen {
			continue
		}
		if f.to.pause > n.now {
			f.to.queue = append(f.to.queue, f.data)
			continue
		}
		n.step(f.to, f.data)
	}
}

// turn is what a shell does when it wakes: it says how long it did not run, reads what has come, and lets happen what is due.
func (n *network) turn(r *router) {
	if r.m == nil || n.now < r.pause {
		return
	}
	if r.pause > 0 {
		if late := n.now - max(r.m.Next(), r.slept); late > 0 {
			n.step(r, Paused{late})
		}
		r.pause = 0
		queue := r.queue
		r.queue = nil
		for _, p := range queue {
			n.step(r, p)
		}
	}
	if r.m.Next() <= n.now {
		n.step(r, Tick{})
	}
}
