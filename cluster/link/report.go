package link

import (
	"fmt"

	"github.com/takt-ha/takt/cluster/detector"
	"github.com/takt-ha/takt/cluster/quorum"
)

var eventKinds = [...]EventKind{detector.PeerUp: PeerUp, detector.PeerLost: PeerLost, detector.PeerManager: PeerManager,
	detector.LinkUp: LinkUp, detector.LinkDown: LinkDown, detector.Paused: SelfPaused}

// report turns a verdict into an event in words.
func (e *Engine) report(now int64, v *detector.Verdict) {
	ev := Event{Kind: eventKinds[v.Kind], Peer: v.Peer, Link: v.Link, Manager: v.Manager, Silent: v.Silent / ms}
	if v.Heard > 0 {
		ev.Heard = e.wall() - (now - v.Heard)
	}
	if p := e.peer(v.Peer); p != nil && v.Kind == detector.PeerUp {
		ev.Watchdog, p.toldDog = int(p.watchdog), p.watchdog // of other events nobody takes it: judgeDogs tells
		ev.Booted, p.booted = p.booted, false
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

// Status returns everything the engine knows. It allocates: it is made on request.
func (e *Engine) Status(now int64) Status {
	st := Status{Standing: e.standing, Reason: e.reason, Deadtime: int(e.inForce / ms), Keepalive: e.cfg.Keepalive, Refused: e.refused, Watchdog: e.dogStatus(now)}
	if e.refused.lastFrom.IsValid() {
		st.Refused.LastFrom = e.refused.lastFrom.String()
	}
	st.Late.Pauses = e.pauses
	if e.det != nil {
		e.fillInput(now)
		st.Reason = quorum.Explain(&e.input, e.verdict, e.name)
	}
	for i, p := range e.peers {
		c := e.det.Contact(i)
		ps := PeerStatus{ID: p.ID, Name: p.Name, Alive: c.Alive, Gone: p.gone, Manager: c.Manager, Silent: -1}
		if c.Heard != detector.Never {
			ps.Silent = (now - c.Heard) / ms
		}
		ps.Watchdog = e.knownDog(i)
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
