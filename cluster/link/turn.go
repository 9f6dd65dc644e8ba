package link

import "github.com/takt-ha/takt/cluster/quorum"

// A turn of the engine is Wake, Receive for everything that has arrived, Step.
// Then the shell takes the Events, and sleeps until Next at the latest.

// Wake begins a turn at now. What that is later than the moment that Next named
// is this node's own lateness, and not charged to peers.
func (e *Engine) Wake(now int64) {
	if e.det != nil {
		e.verdicts = e.det.Advance(now, e.verdicts[:0])
	}
}

// Step ends a turn: it makes the verdicts at now from all that was received,
// sends heartbeats if they are due, and pets the watchdog if it may.
func (e *Engine) Step(now int64) {
	e.tick(now)
	e.judgeDog(now)
	if e.due(now) {
		e.send(now)
	}
}

// tick makes the verdicts at now, after everything queued was received.
func (e *Engine) tick(now int64) {
	e.derive = maxDerive
	if e.det == nil {
		return
	}
	e.verdicts = e.det.Judge(e.verdicts)
	for i := range e.verdicts {
		e.report(now, &e.verdicts[i])
	}
	e.verdicts = e.verdicts[:0]
	e.judgeDogs()
	e.judgeStanding(now)
	e.judgeGone(now)
}

// due tells whether heartbeats are to be sent at now.
func (e *Engine) due(now int64) bool { return now >= e.sendAt }

// send sends one round of heartbeats.
func (e *Engine) send(now int64) {
	if e.det == nil {
		e.sendAt = now + 1000*ms
		return
	}
	every := int64(e.cfg.Keepalive) * ms
	if e.sendAt += every; e.sendAt <= now {
		e.sendAt = now + every // rounds that were missed are not made up for
	}
	for _, p := range e.peers {
		challenge := p.identity.Challenge(e.det.Undisturbed())
		for k := range e.cfg.Locals {
			if e.outlet.Send(p.ID, k, e.compose(now, p, k, challenge)) {
				p.links[k].sent++
			}
		}
	}
	e.rounds++
}

// Next returns when the next turn is due at the latest. The shell's lateness
// counts from then. A turn may come earlier.
func (e *Engine) Next() int64 {
	if e.det == nil {
		return e.sendAt
	}
	next := e.sendAt
	if e.nextGone > 0 {
		next = min(next, e.nextGone)
	}
	if at := e.nextPet(); at > 0 {
		next = min(next, at)
	}
	if e.standing != Isolated {
		next = min(next, quorum.Expiry(&e.input))
	}
	return e.det.Next(next)
}

// Events returns what has happened since the last call, in order. The slice is
// the engine's again at the next turn.
func (e *Engine) Events() []Event {
	evs := e.events
	e.events = e.events[:0]
	return evs
}

// emit queues an event for the daemon.
func (e *Engine) emit(ev Event) {
	ev.At = e.wall()
	e.events = append(e.events, ev)
}
