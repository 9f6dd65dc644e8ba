package link

import (
	"fmt"

	"github.com/takt-ha/takt/cluster/detector"
	"github.com/takt-ha/takt/cluster/quorum"
)

var eventKinds = [...]EventKind{detector.PeerUp: PeerUp, detector.PeerLost: PeerLost, detector.PeerManager: PeerManager,
	detector.LinkUp: LinkUp, detector.LinkDown: LinkDown, detector.Paused: SelfPaused}

// report turns a verdict into an event in words.
func (e *engine) report(now int64, v *detector.Verdict) {
	ev := Event{Kind: eventKinds[v.Kind], Peer: v.Peer, Link: v.Link, Manager: v.Manager, Silent: v.Silent / ms}
	if v.Heard > 0 {
		ev.Heard = e.wall() - (now - v.Heard)
	}
	name := e.name(v.Peer)
	switch v.Kind {
	case detector.PeerUp:
		ev.Reason = "in mutual contact with " + name
	case detector.PeerLost:
		ev.Reason = name + " " + lossWords(v)
	case detector.PeerManager:
		ev.Reason = "the daemon of " + name + " is " + managerWord(v.Manager)
	case detector.LinkUp:
		ev.Reason = fmt.Sprintf("link %d to %s works", v.Link+1, name)
	case detector.LinkDown:
		ev.Reason = fmt.Sprintf("link %d: %s %s", v.Link+1, name, lossWords(v))
	case detector.Paused:
		e.pauses++
		ev.Reason = fmt.Sprintf("this node did not run for %d ms: everything it believed about others is void", ev.Silent)
	}
	e.emit(ev)
}

func lossWords(v *detector.Verdict) string {
	switch v.Cause {
	case detector.Left:
		return "left"
	case detector.Deaf:
		return fmt.Sprintf("is heard but has not heard this node for %d ms", v.Silent/ms)
	case detector.NeverSeen:
		return fmt.Sprintf("was not in contact since this node started or paused, %d ms ago", v.Silent/ms)
	}
	return fmt.Sprintf("was silent for %d ms", v.Silent/ms)
}

func managerWord(m ManagerState) string {
	return [...]string{"down", "joining", "up", "leaving"}[min(m, ManagerLeaving)]
}

// status returns everything the engine knows. It allocates: it is made on request.
func (e *engine) status(now int64) Status {
	st := Status{Standing: e.place(), Reason: e.reason, Deadtime: int(e.inForce / ms), Keepalive: e.cfg.Keepalive, Refused: e.refused}
	if e.refused.lastFrom.IsValid() {
		st.Refused.LastFrom = e.refused.lastFrom.String()
	}
	st.Late.Pauses = e.pauses
	if e.det != nil {
		e.fillInput(now)
		st.Reason = quorum.Explain(&e.input, e.standing, e.name)
	}
	for i, p := range e.peers {
		c := e.det.Contact(i)
		ps := PeerStatus{ID: p.ID, Name: p.Name, Alive: c.Alive, Gone: p.gone, Manager: c.Manager, Silent: -1}
		if c.Heard != detector.Never {
			ps.Silent = (now - c.Heard) / ms
		}
		for k := range min(len(p.Addrs), len(e.cfg.Locals)) {
			l := &p.links[k]
			ps.Links = append(ps.Links, LinkStatus{Local: e.cfg.Locals[k].String(), Remote: p.Addrs[k].String(), Up: e.det.LinkUp(p.ID, k),
				Sent: l.sent, Received: l.received, Lost: l.lost, Late: l.late, RTT: l.rtt})
		}
		for j, q := range e.peers {
			if j != i && e.det.Contact(j).Alive && now-q.heardThird(p.ID) < e.inForce {
				ps.HeardBy = append(ps.HeardBy, q.ID)
			}
		}
		st.Peers = append(st.Peers, ps)
	}
	return st
}

// present returns the state as events, for a daemon that attaches.
func (e *engine) present() []Event {
	at := e.wall()
	evs := []Event{{Kind: StandingMove, Standing: e.place(), Reason: e.reason, At: at}}
	for i, p := range e.peers {
		c := e.det.Contact(i)
		for k := range e.cfg.Locals {
			ev := Event{Kind: LinkDown, Peer: p.ID, Link: k, At: at, Reason: "as of the attach"}
			if e.det.LinkUp(p.ID, k) {
				ev.Kind = LinkUp
			}
			evs = append(evs, ev)
		}
		if c.Alive {
			evs = append(evs, Event{Kind: PeerUp, Peer: p.ID, Manager: c.Manager, At: at, Reason: "as of the attach"})
		} else if e.det.Lost(i) {
			evs = append(evs, Event{Kind: PeerLost, Peer: p.ID, Manager: c.Manager, At: at, Reason: "as of the attach"})
			if p.gone {
				evs = append(evs, Event{Kind: PeerGone, Peer: p.ID, At: at, Reason: e.goneWords(i)})
			}
		}
	}
	return evs
}
