package link

import (
	"net/netip"
	"slices"

	"github.com/takt-ha/takt/cluster/detector"
)

// refuse counts a datagram that was not accepted.
func (e *Engine) refuse(counter *int64, from netip.AddrPort, why string) {
	(*counter)++
	e.refused.lastFrom, e.refused.LastWhy = from, why
}

// Receive takes one datagram that arrived on a link. Whatever it refuses leaves no trace but a count.
// at is when it arrived: not before the turn before, not after this one. from is only for people.
func (e *Engine) Receive(at int64, link int, from netip.AddrPort, b []byte) {
	var h header
	r := &e.refused
	switch err := parseHeader(b, &h); {
	case err == errVersion || err == errMagic:
		e.refuse(&r.Version, from, err.Error())
		return
	case err != nil:
		e.refuse(&r.Truncated, from, err.Error())
		return
	}
	switch {
	case h.cluster != e.cluster:
		e.refuse(&r.ForeignCluster, from, "belongs to another cluster (its id differs, whatever its name)")
	case h.sender == e.cfg.Self:
		e.refuseSelf(from, &h, b)
	case e.peer(h.sender) == nil:
		e.refuse(&r.UnknownNode, from, "its sender is not a configured peer")
	case h.receiver != e.cfg.Self || int(h.link) != link:
		e.refuse(&r.UnknownNode, from, "addressed to another node or link: the address lists of the nodes differ")
	default:
		e.admit(at, e.peer(h.sender), &h, from, b)
	}
}

// refuseSelf counts a datagram that claims this node's own id.
func (e *Engine) refuseSelf(from netip.AddrPort, h *header, b []byte) {
	switch {
	case h.incarnation == e.incarnation:
		e.refuse(&e.refused.Replayed, from, "this node's own heartbeat came back")
	case e.derive <= 0:
		e.refuse(&e.refused.BadKey, from, "too many unknown senders")
	default:
		e.derive--
		putNonce(&e.nonce, h.link, h.counter)
		key := e.derived(e.cfg.Key, h.sender, h.receiver, h.incarnation)
		if _, err := key.Open(e.opened[:0], e.nonce[:], b[headerSize:], b[:headerSize]); err != nil {
			e.refuse(&e.refused.BadKey, from, "claims this node's id and is sealed with another key")
			return
		}
		e.refuse(&e.refused.DuplicateNode, from, "another live node has this node's id")
	}
}

// admit opens a datagram of a configured peer and acts on it if it is live.
func (e *Engine) admit(now int64, p *peer, h *header, from netip.AddrPort, b []byte) {
	r := &e.refused
	if p.identity.Over(h.incarnation) {
		e.refuse(&r.OldIncarnation, from, "from an earlier life of its sender")
		return
	}
	s, plain := e.open(now, p, h, b)
	switch {
	case plain == nil:
		e.refuse(&r.BadKey, from, "sealed with another key, or damaged")
		return
	case !s.windows[h.link].accept(h.counter):
		e.refuse(&r.Replayed, from, "seen before, or older than the replay window")
		return
	}
	if err := parseBody(plain, &e.in); err != nil {
		e.refuse(&r.Truncated, from, err.Error())
		return
	}
	heard := e.in.echoed
	if e.in.challenge == e.incarnation {
		heard = e.incarnation // a challenge proves life as well as an echo does
	}
	switch p.identity.Admit(e.det.Undisturbed(), h.incarnation, heard, e.incarnation) {
	case detector.Promoted:
		e.begins(p)
		p.forget()
		e.accept(now, p, h)
	case detector.Current:
		e.accept(now, p, h)
	case detector.Duplicate:
		e.refuse(&r.DuplicateNode, from, "two live nodes have one id: its sender's, or this node's as its sender hears it")
	case detector.Unproven:
		e.refuse(&r.OldIncarnation, from, "it does not show that it hears this node's present life: a recording, or nothing from here reaches it")
	case detector.Superseded:
		e.refuse(&r.OldIncarnation, from, "from an earlier life of its sender")
	case detector.Pending: // the next heartbeat challenges it
	}
}

// begins notes another life of a peer: of its pulse, and of its machine if the boot is
// another one. Where that is not known it is of the pulse alone.
func (e *Engine) begins(p *peer) {
	booted := p.boot != Boot{} && e.in.boot != Boot{} && p.boot != e.in.boot
	if e.in.boot != (Boot{}) {
		p.boot = e.in.boot
	}
	if !e.inContact(p) {
		p.booted = p.booted || booted
		return
	}
	words := "the heartbeats of " + p.Name + " have started anew; the machine was running all the time, or it is not known"
	if booted {
		words = p.Name + " has booted without having been missed"
	}
	e.emit(Event{Kind: PeerAnew, Peer: p.ID, Manager: e.in.manager, Booted: booted, Reason: words})
}

func (e *Engine) inContact(p *peer) bool {
	for i := range e.det.Len() {
		if c := e.det.Contact(i); c.Peer == p.ID {
			return c.Alive
		}
	}
	return false
}

// open finds or makes the session of a datagram and opens it; plain is nil if no key fits.
func (e *Engine) open(now int64, p *peer, h *header, b []byte) (s *session, plain []byte) {
	s = p.session(h.incarnation)
	fresh := s == nil
	if fresh {
		s = &session{incarnation: h.incarnation}
	}
	putNonce(&e.nonce, h.link, h.counter)
	for k, key := range [2][]byte{e.cfg.Key, e.cfg.OldKey} {
		if len(key) == 0 {
			continue
		}
		if s.aead[k] == nil {
			if e.derive <= 0 {
				return s, nil
			}
			e.derive--
			s.aead[k] = e.derived(key, h.sender, h.receiver, h.incarnation)
		}
		plain, err := s.aead[k].Open(e.opened[:0], e.nonce[:], b[headerSize:], b[:headerSize])
		if err != nil {
			continue
		}
		if fresh {
			p.keep(s)
		}
		s.used = now
		return s, plain
	}
	return s, nil
}

// session returns the session of a life, nil if none is held.
func (p *peer) session(incarnation uint64) *session {
	for _, s := range p.sessions {
		if s != nil && s.incarnation == incarnation {
			return s
		}
	}
	return nil
}

// keep stores a session in place of the longest unused one that is not the present life's.
func (p *peer) keep(s *session) {
	slot := -1
	for i, old := range p.sessions {
		if old == nil {
			slot = i
			break
		}
		if old.incarnation != p.identity.Current() && (slot < 0 || old.used < p.sessions[slot].used) {
			slot = i
		}
	}
	p.sessions[slot] = s
}

// forget drops what belonged to the peer's life before.
func (p *peer) forget() {
	p.echo = [MaxLinks]heardOn{}
	p.nrep, p.leader, p.term, p.deadtime = 0, 0, 0, 0
	p.voters, p.pending = said{}, said{}
	for k := range p.links {
		p.links[k].top, p.links[k].at = 0, 0
	}
}

// accept acts on a datagram of a peer's present life that knows this node's.
func (e *Engine) accept(now int64, p *peer, h *header) {
	in, k := &e.in, int(h.link)
	a := detector.Arrival{Peer: p.ID, Link: k, Manager: in.manager}
	if in.echoed == e.incarnation {
		for i := range in.echoes[:in.links] {
			a.Echoes[i], a.Holds[i] = in.echoes[i].sent, int64(in.echoes[i].hold)*1000
		}
	}
	e.count(now, p, k, h.counter)
	if in.sent <= p.newest() {
		a.Manager = e.managerOf(p) // overtaken on another link: its state is old
	} else {
		p.report(now, slices.Max(a.Echoes[:]), in)
	}
	if in.sent > p.echo[k].sent {
		p.echo[k] = heardOn{sent: in.sent, at: now}
	}
	e.det.Heard(now, &a)
}

// newest returns the send time of the newest datagram heard on any link.
func (p *peer) newest() int64 {
	t := int64(0)
	for k := range p.echo {
		t = max(t, p.echo[k].sent)
	}
	return t
}

// managerOf returns the last known state of the peer's daemon.
func (e *Engine) managerOf(p *peer) ManagerState {
	for i := range e.peers {
		if e.peers[i] == p {
			return e.det.Contact(i).Manager
		}
	}
	return ManagerDown
}

// report keeps what the peer says about others.
// after is a moment after which it said so.
func (p *peer) report(now, after int64, in *body) {
	p.leader, p.term, p.deadtime, p.watchdog = in.leader, in.term, int64(in.deadtime)*ms, in.watchdog
	p.repAt, p.repAfter, p.nrep = now, after, int(in.n)
	copy(p.reported[:], in.contacts[:in.n])
	p.voters, p.pending = in.voters, in.pending
}

// count keeps the statistics of a link.
func (e *Engine) count(now int64, p *peer, k int, counter uint64) {
	c := &p.links[k]
	c.received++
	if c.at != 0 && now-c.at > 2*int64(e.cfg.Keepalive)*ms {
		c.late++
	}
	c.at = now
	switch {
	case c.top != 0 && counter > c.top:
		c.lost += int64(counter - c.top - 1)
	case counter < c.top && c.lost > 0:
		c.lost-- // it was only late
	}
	c.top = max(c.top, counter)
	if int(e.in.links) <= k || e.in.echoed != e.incarnation || e.in.echoes[k].sent == 0 {
		return
	}
	rtt := (now-e.in.echoes[k].sent)/1000 - int64(e.in.echoes[k].hold)
	switch {
	case rtt < 0: // clocks do not run that differently: a rounding
	case c.rtt < 0:
		c.rtt = rtt
	default:
		c.rtt += (rtt - c.rtt) / 8
	}
}

// compose seals the next heartbeat to a peer on a link. The bytes are valid until the next call.
func (e *Engine) compose(now int64, p *peer, link int, challenge uint64) []byte {
	p.tx[link]++
	e.counters = max(e.counters, p.tx[link])
	h := header{link: uint8(link), cluster: e.cluster, sender: e.cfg.Self, receiver: p.ID, incarnation: e.incarnation, counter: p.tx[link]}
	putHeader(e.sealed[:], &h)
	d := &e.out
	d.sent, d.echoed, d.challenge = now, p.identity.Current(), challenge
	d.leader, d.term, d.deadtime, d.watchdog = e.view.Leader, e.view.Term, uint32(e.cfg.Deadtime), e.advertised()
	d.boot = e.boot
	d.manager, d.links = e.managerState(now), uint8(len(e.cfg.Locals))
	for k := range d.echoes[:d.links] {
		d.echoes[k] = echo{}
		if p.echo[k].sent != 0 {
			d.echoes[k] = echo{sent: p.echo[k].sent, hold: micros(now - p.echo[k].at)}
		}
	}
	e.listContacts(now, p)
	d.voters.set(e.view.Voters)
	d.pending.set(e.view.Pending)
	putNonce(&e.nonce, h.link, h.counter)
	plain := appendBody(e.opened[:0], d)
	return p.seal.Seal(e.sealed[:headerSize], e.nonce[:], plain, e.sealed[:headerSize])
}

// listContacts fills in how well this node hears the others.
func (e *Engine) listContacts(now int64, to *peer) {
	n := 0
	for i, p := range e.peers {
		if p == to || n == maxContacts {
			continue
		}
		c := e.det.Contact(i)
		e.out.contacts[n] = contact{node: p.ID, heard: age(now, c.Heard), since: listening(now, c.Since), watchdog: coarse(p.watchdog)}
		n++
	}
	e.out.n = uint8(n)
}

// age returns how long ago t was, in µs.
func age(now, t int64) uint32 {
	if t == detector.Never {
		return notHeard
	}
	return micros(now - t)
}
