package vrrp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/takt-ha/takt/director"
)

// Defaults of keepalived.conf(5).
const (
	garpDelay  = 5 * time.Second
	garpRepeat = 5
)

// again is when a master tells its neighbours once more.
type again struct {
	second  time.Duration // the second set after a change
	rounds  int           // of it
	refresh time.Duration
	extra   time.Duration // garp_extra_if
	set     bool          // the two moments are valid
}

func (a *again) next() time.Duration {
	if !a.set {
		return never
	}
	return min(a.second, a.refresh, a.extra)
}

// announceNew tells where the addresses are now, and plans to tell it again.
func (m *Machine) announceNew(i *instance) {
	g := &i.conf.Garp
	i.again = again{second: never, rounds: g.Repeat, refresh: never, extra: never, set: true}
	if g.Delay > 0 {
		i.again.second = m.now + g.Delay
	}
	if g.RefreshEvery > 0 {
		i.again.refresh = m.now + g.RefreshEvery
	}
	if g.ExtraEvery > 0 {
		i.again.extra = m.now + g.ExtraEvery
	}
	m.announce(i, g.Repeat)
}

// announceRival repeats it because somebody else may have told otherwise.
func (m *Machine) announceRival(i *instance) {
	g := &i.conf.Garp
	if g.LowerDelay > 0 {
		i.again.second, i.again.rounds = m.now+g.LowerDelay, g.LowerRepeat
	}
	m.announce(i, g.LowerRepeat)
}

// refresh tells it once more if that is due.
func (m *Machine) refresh(i *instance) {
	if !i.again.set || i.listens {
		return
	}
	if m.now >= i.again.second {
		i.again.second = never
		m.announce(i, i.again.rounds)
	}
	if m.now >= i.again.refresh {
		i.again.refresh = m.now + i.conf.Garp.RefreshEvery
		m.announce(i, i.conf.Garp.RefreshRepeat)
	}
	if m.now >= i.again.extra {
		i.again.extra = m.now + i.conf.Garp.ExtraEvery
		m.announceExtra(i)
	}
}

// backOn tells the neighbours of an interface that works again what is there. An instance whose own interface it is begins
// from FAULT; this is for addresses on other interfaces.
func (m *Machine) backOn(name string) {
	for _, i := range m.instances {
		if i.state != Master {
			continue
		}
		own := Estate{}
		for _, a := range i.estate().Addresses {
			if a.Interface == name || i.conf.Alone && a.Interface == "" && i.conf.Interface == name {
				own.Addresses = append(own.Addresses, a)
			}
		}
		if own.empty() {
			continue
		}
		m.emit(AddAddresses{Of: i.conf, Estate: own})
		m.announceOn(i, name, i.conf.Garp.Repeat)
	}
}

// announceExtra keeps switches from forgetting interfaces by which no adverts go: a macvlan, and, if wanted, all others.
func (m *Machine) announceExtra(i *instance) {
	for _, name := range i.on() {
		if name == "" && i.conf.MAC != nil || i.conf.Garp.ExtraAll {
			m.announceOn(i, name, 1)
		}
	}
}

// on lists the interfaces that the addresses are on; "" is the instance's own.
func (i *instance) on() (names []string) {
	for _, a := range i.estate().Addresses {
		if !slices.Contains(names, a.Interface) {
			names = append(names, a.Interface)
		}
	}
	return names
}

func (m *Machine) announce(i *instance, rounds int) {
	for _, name := range i.on() {
		m.announceOn(i, name, rounds)
	}
}

// announceOn tells the neighbours of one interface, at once or one packet after the other.
func (m *Machine) announceOn(i *instance, name string, rounds int) {
	if rounds <= 0 {
		return
	}
	var now, v4, v6 []netip.Addr
	for _, a := range i.estate().Addresses {
		ip := a.Prefix.Addr()
		switch {
		case a.Interface != name && !(i.conf.Alone && a.Interface == "" && name == i.conf.Interface):
		case ip.Is4() && i.conf.Garp.Interval > 0:
			v4 = append(v4, ip)
		case ip.Is6() && i.conf.Garp.NAInterval > 0:
			v6 = append(v6, ip)
		default:
			now = append(now, ip)
		}
	}
	if len(now) > 0 {
		m.emit(Announce{Of: i.conf, Interface: name, Addresses: now, Rounds: rounds})
	}
	m.queue(i, name, v4, rounds, i.conf.Garp.Interval)
	m.queue(i, name, v6, rounds, i.conf.Garp.NAInterval)
	m.drainLanes()
}

// lane spaces the packets of one interface and family.
type lane struct {
	name    string // of the interface
	v6      bool
	at      time.Duration // the next one may go
	waiting []single
}

// single is one packet that waits.
type single struct {
	of    *director.Instance
	on    string // as the Announce has it
	ip    netip.Addr
	every time.Duration
}

func (l *lane) next() time.Duration {
	if len(l.waiting) == 0 {
		return never
	}
	return l.at
}

func (m *Machine) queue(i *instance, on string, ips []netip.Addr, rounds int, every time.Duration) {
	if len(ips) == 0 {
		return
	}
	name := on
	if name == "" {
		name = i.conf.Interface
	}
	k := slices.IndexFunc(m.lanes, func(l *lane) bool { return l.name == name && l.v6 == ips[0].Is6() })
	if k < 0 {
		k = len(m.lanes)
		m.lanes = append(m.lanes, &lane{name: name, v6: ips[0].Is6()})
	}
	for range rounds {
		for _, ip := range ips {
			m.lanes[k].waiting = append(m.lanes[k].waiting, single{i.conf, on, ip, every})
		}
	}
}

// drainLanes lets go what may go.
func (m *Machine) drainLanes() {
	for _, l := range m.lanes {
		for len(l.waiting) > 0 && m.now >= l.at {
			s := l.waiting[0]
			l.waiting, l.at = l.waiting[1:], m.now+s.every
			m.emit(Announce{Of: s.of, Interface: s.on, Addresses: []netip.Addr{s.ip}, Rounds: 1})
		}
	}
}

// forgetLanes drops what waits of an instance: its addresses are gone.
func (m *Machine) forgetLanes(i *instance) {
	for _, l := range m.lanes {
		l.waiting = slices.DeleteFunc(l.waiting, func(s single) bool { return s.of.Name == i.conf.Name })
	}
}
