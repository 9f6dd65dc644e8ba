package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/takt-ha/takt/director"
)

// heard is an advert that is in order.
type heard struct {
	advert Advert
	from   netip.Addr
	at     time.Duration
}

// receive finds out for whom a datagram is, and lets it act.
func (m *Machine) receive(p *Packet) {
	a, why := p.decode()
	if why == BadLength || why == BadVersion || why == BadKind || why == BadVRID {
		m.refuseStranger(p, a.VRID, why)
		return
	}
	i := m.addressee(p, &a)
	if i == nil {
		m.refuseStranger(p, a.VRID, BadVRID)
		return
	}
	detail := ""
	if why == Fine {
		why, detail = i.check(p, &a, m.now+m.wall)
	}
	if why != Fine {
		if i.refused.note(why, m.now) {
			m.emit(Refuse{Instance: i.conf.Name, Interface: p.Interface, From: p.Src, VRID: a.VRID, Why: why, Detail: detail, Count: i.refused.count[why]})
		}
		return
	}
	i.heard++
	h := &heard{advert: a, from: p.Src, at: min(max(p.At, i.wokeAt), m.now)}
	i.rival.addr, i.rival.priority, i.rival.at = h.from, a.Priority, h.at
	switch {
	case !m.running:
	case i.state == Init && i.leftover && a.Priority > 0:
		m.give(i, false) // what was left is somebody else's now, even while a script is waited for
	case i.state == Backup:
		m.heardAsBackup(i, h)
	case i.state == Master:
		m.heardAsMaster(i, h)
	}
}

func (m *Machine) refuseStranger(p *Packet, vrid int, why Reason) {
	r := m.strangers[p.Interface]
	if r == nil {
		r = &refused{}
		m.strangers[p.Interface] = r
	}
	if r.note(why, m.now) {
		m.emit(Refuse{Interface: p.Interface, From: p.Src, VRID: vrid, Why: why, Count: r.count[why]})
	}
}

// addressee finds the instance. Two may share a virtual router id on one interface if one of them is unicast, or if they
// differ in family, or in their peers.
func (m *Machine) addressee(p *Packet, a *Advert) *instance {
	var best *instance
	for _, i := range m.instances {
		if i.conf.VRID != a.VRID || i.conf.Interface != p.Interface || i.v6() != p.Src.Is6() {
			continue
		}
		unicast := len(i.conf.Unicast) > 0
		if unicast == p.Dst.IsMulticast() || !unicast && p.Dst != i.conf.Group {
			continue
		}
		if unicast && i.peer(p.Src) >= 0 {
			return i
		}
		if best == nil {
			best = i
		}
	}
	return best
}

func (i *instance) peer(addr netip.Addr) int {
	for k, u := range i.conf.Unicast {
		if u.Addr.WithZone("") == addr.WithZone("") {
			return k
		}
	}
	return -1
}

// check says whether an advert is one that this instance listens to; wall is what the wall clock says.
func (i *instance) check(p *Packet, a *Advert, wall time.Duration) (Reason, string) {
	if p.Src == i.source {
		return OwnAdvert, ""
	}
	if a.Version != i.conf.Version {
		return BadVersion, fmt.Sprintf("it is %d, ours %d", a.Version, i.conf.Version)
	}
	if why, detail := i.checkWay(p); why != Fine {
		return why, detail
	}
	if why, detail := i.checkAuth(p, a); why != Fine {
		return why, detail
	}
	if why, detail := i.checkHMAC(p, a, wall); why != Fine {
		return why, detail
	}
	if a.Version == 2 && a.Interval/time.Second != i.conf.Advert/time.Second || a.Interval <= 0 && a.Version == 3 {
		return BadInterval, fmt.Sprintf("it is %s, ours %s", a.Interval, i.conf.Advert)
	}
	if i.conf.CheckEach || i.rival.addr != p.Src {
		return i.checkAddresses(a)
	}
	return Fine, ""
}

func (i *instance) checkWay(p *Packet) (Reason, string) {
	if len(i.conf.Unicast) == 0 {
		if p.TTL != 255 {
			return BadTTL, fmt.Sprintf("it is %d, not 255", p.TTL)
		}
		return Fine, ""
	}
	k := i.peer(p.Src)
	if k < 0 {
		if i.conf.CheckSource || i.limitsTTL() {
			return BadPeer, ""
		}
		return Fine, ""
	}
	u := i.conf.Unicast[k]
	if p.TTL < max(u.MinTTL, i.conf.TTL.Min) || u.MaxTTL > 0 && p.TTL > u.MaxTTL {
		return BadTTL, fmt.Sprintf("it is %d", p.TTL)
	}
	return Fine, ""
}

// limitsTTL reports whether a peer has limits: then only peers count (keepalived.conf(5), unicast_peer).
func (i *instance) limitsTTL() bool {
	return slices.ContainsFunc(i.conf.Unicast, func(u director.Unicast) bool { return u.MinTTL > 0 || u.MaxTTL > 0 })
}

var authNames = map[byte]string{authNone: "none", authPass: "a password", authAH: "AH"}

func (i *instance) checkAuth(p *Packet, a *Advert) (Reason, string) {
	if a.Version != 2 {
		return Fine, ""
	}
	if a.auth != i.auth || p.AH != (i.auth == authAH) {
		return BadAuth, fmt.Sprintf("it has %s, ours %s", authNames[a.auth], authNames[i.auth])
	}
	switch i.auth {
	case authPass:
		if a.pass != i.pass {
			return BadAuth, "the passwords differ"
		}
	case authAH:
		sequence, ok := p.checkAH(i.pass)
		if !ok {
			return BadAuth, "the sums differ, so the passwords may"
		}
		return i.checkSequence(p, sequence)
	}
	return Fine, ""
}

// checkSequence refuses what was heard before. After a silence any number counts: a router that starts anew may begin
// anew, and without a change of keys that cannot be told from a replay.
func (i *instance) checkSequence(p *Packet, sequence uint32) (Reason, string) {
	if r := &i.rival; r.addr == p.Src && p.At-r.at < i.downAfter() && sequence <= r.sequence {
		return Replayed, fmt.Sprintf("number %d after %d", sequence, r.sequence)
	}
	i.rival.sequence = sequence
	i.sequence = max(i.sequence, sequence)
	return Fine, ""
}

func (i *instance) checkAddresses(a *Advert) (Reason, string) {
	if len(a.Addresses) != len(i.adverts) {
		return BadAddresses, fmt.Sprintf("there are %d, ours are %d", len(a.Addresses), len(i.adverts))
	}
	for _, ip := range i.adverts {
		if !slices.Contains(a.Addresses, ip) {
			return BadAddresses, fmt.Sprintf("%s is missing", ip)
		}
	}
	return Fine, ""
}

// heardAsBackup lets the master live on, or go.
func (m *Machine) heardAsBackup(i *instance, h *heard) {
	if h.advert.Priority == 0 {
		m.masterGone(i, h)
		return
	}
	if i.leftover {
		m.give(i, false)
	}
	if i.conf.PreemptDelay > 0 {
		m.delayPreemption(i, h)
	}
	lower := h.advert.Priority < i.priority
	if lower && !i.conf.NoPreempt && (i.preemptAt == never || h.at >= i.preemptAt) {
		return // it is not waited for
	}
	if i.conf.Version == 3 {
		i.wait = h.advert.Interval
	}
	m.rearm(i, h.at)
	m.follow(i)
}

// follow makes backups of those of i's group that are masters: a reload may have put them together.
func (m *Machine) follow(i *instance) {
	u := m.unitOf(i)
	for _, other := range u.members {
		if other.state == Master {
			m.toBackup(other, 0, "with "+i.conf.Name)
		}
	}
	m.notifyGroup(u, BecameBackup)
}

// delayPreemption begins to count when the first lower priority is heard, and forgets it with a higher one.
func (m *Machine) delayPreemption(i *instance, h *heard) {
	switch {
	case h.advert.Priority >= i.priority:
		i.preemptAt = never
	case i.preemptAt == never:
		i.preemptAt = h.at + i.conf.PreemptDelay
	}
}

// masterGone shortens the wait: the master has given up the addresses.
func (m *Machine) masterGone(i *instance, h *heard) {
	i.preemptAt = never
	if i.wants {
		return
	}
	m.say(i, fmt.Sprintf("%s gives up", h.from))
	skew := min(i.skew(), time.Duration(256-i.priority)*handOver/256)
	i.down = max(min(i.down, h.at+skew), i.notBefore)
}

// heardAsMaster settles who is right.
func (m *Machine) heardAsMaster(i *instance, h *heard) {
	switch {
	case h.advert.Priority == 0:
		m.send(i, i.priority)
		return
	case i.doubtful(m.now):
		// It took over while this machine stood still: the addresses are there now.
	case h.advert.Priority < i.priority, h.advert.Priority == i.priority && h.from.Less(i.source):
		m.heardLower(i, h)
		return
	case i.conf.HigherSend:
		m.send(i, i.priority)
	}
	m.yield(i, h)
}

// heardLower keeps the addresses against somebody who should not have them.
func (m *Machine) heardLower(i *instance, h *heard) {
	if !i.conf.LowerSilent {
		m.send(i, i.priority)
		m.announceRival(i)
	}
	m.emit(Notify{Name: i.conf.Name, Event: HeardLower, From: Master, Priority: i.priority,
		Reason: fmt.Sprintf("%s has priority %d", h.from, h.advert.Priority)})
}
