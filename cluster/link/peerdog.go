package link

import (
	"fmt"
	"math"
)

// judgeDogs reports peers whose watchdog has changed.
func (e *Engine) judgeDogs() {
	for i, p := range e.peers {
		if p.watchdog == p.toldDog || !e.det.Contact(i).Alive {
			continue
		}
		p.toldDog = p.watchdog
		reason := p.Name + " has no armed watchdog any more"
		if p.watchdog != 0 {
			reason = fmt.Sprintf("%s has armed its watchdog of %d ms", p.Name, p.watchdog)
		}
		e.emit(Event{Kind: PeerWatchdog, Peer: p.ID, Watchdog: int(p.watchdog), Reason: reason})
	}
}

// armedAt returns the time-out in ms of the watchdog that the i-th peer had
// armed when it can last have been quorate, 0 if that is not certain. Its
// majority shares a voter with those who call it gone, and that voter
// heard it; so each of them must have heard of an armed watchdog, and the longest counts.
func (e *Engine) armedAt(i int) uint32 {
	p := e.peers[i]
	longest := uint64(p.watchdog)
	for j, q := range e.peers {
		if j == i || !e.det.Contact(j).Alive || !e.votes(q.ID) {
			continue
		}
		w := uint64(q.watchdogOf(p.ID)) * watchdogUnit
		if w == 0 {
			return 0
		}
		longest = max(longest, w)
	}
	if p.watchdog == 0 {
		return 0
	}
	return uint32(min(longest, math.MaxUint32))
}

// knownDog is what Status says of the i-th peer's watchdog.
func (e *Engine) knownDog(i int) int {
	switch p := e.peers[i]; {
	case e.det.Contact(i).Alive:
		return int(p.watchdog)
	case p.gone:
		return int(p.goneDog)
	}
	return int(e.armedAt(i))
}
