package link

import "github.com/takt-ha/takt/cluster/detector"

// patience is how long, in ns, the daemon may give no sign of life until
// heartbeats call it down, unless half of the watchdog's time-out is shorter.
const patience = 5000 * ms

// Attach notes that a daemon is there, and forgets events that none has taken:
// it gets the state (see Present), not the story.
func (e *Engine) Attach(now int64) {
	e.attached = true
	e.events = e.events[:0]
	if e.beatAt == 0 {
		e.beatAt = now
	}
}

// Detach notes that the daemon is gone. Heartbeats say so from now on, unless it left.
func (e *Engine) Detach() {
	e.attached = false
	if e.view.State != ManagerLeaving {
		e.view.State = ManagerDown
	}
}

// SetView takes what the daemon says about the cluster; heartbeats carry it at once.
func (e *Engine) SetView(v View, now int64) {
	v.Clean = v.Clean && e.standing != Quorate // else it was said of a loss that is over
	e.view = v
	e.sendAt = now
}

// Beat notes a sign of life of the daemon.
func (e *Engine) Beat(now int64) { e.beatAt = now }

// stuck tells whether the daemon has given no sign of life for d ns.
func (e *Engine) stuck(now, d int64) bool { return now-e.beatAt >= d }

// managerState is what heartbeats say: what the daemon said last, if one is
// attached and alive, or it left by its own word.
func (e *Engine) managerState(now int64) ManagerState {
	switch {
	case e.view.State == ManagerLeaving:
		return ManagerLeaving
	case !e.attached || e.stuck(now, e.cfg.patience()):
		return ManagerDown
	}
	return e.view.State
}

// patience is how long, in ns, a daemon may give no sign of life.
func (c *Config) patience() int64 {
	if w := c.Watchdog; w != nil {
		return min(patience, int64(w.Timeout)*ms/2)
	}
	return patience
}

// Present returns the state as events, for a daemon that attaches.
func (e *Engine) Present() []Event {
	if e.det == nil {
		return nil
	}
	at := e.wall()
	evs := []Event{{Kind: StandingMove, Standing: e.standing, Reason: e.reason, At: at}}
	if e.dog.armed {
		evs = append(evs, e.dogEvent())
		evs[1].At = at
	}
	for i, p := range e.peers {
		c := e.det.Contact(i)
		for k := range e.cfg.Locals {
			ev := Event{Kind: LinkDown, Peer: p.ID, Link: k, At: at, Reason: "as of the attach"}
			if e.det.LinkUp(p.ID, k) {
				ev.Kind = LinkUp
			}
			evs = append(evs, ev)
		}
		evs = e.presentPeer(evs, i, p, c)
	}
	return evs
}

func (e *Engine) presentPeer(evs []Event, i int, p *peer, c detector.Contact) []Event {
	ev := Event{Kind: PeerUp, Peer: p.ID, Manager: c.Manager, Watchdog: int(p.watchdog), At: e.wall(), Reason: "as of the attach"}
	switch {
	case c.Alive:
		p.toldDog = p.watchdog
	case e.det.Lost(i):
		ev.Kind = PeerLost
	default:
		return evs
	}
	evs = append(evs, ev)
	if p.gone {
		ev.Kind, ev.Watchdog, ev.Reason = PeerGone, int(p.goneDog), e.goneWords(i)
		evs = append(evs, ev)
	}
	return evs
}
