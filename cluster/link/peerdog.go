package link

import (
	"fmt"
	"math"
	"slices"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/quorum"
	"github.com/takt-ha/takt/internal/mutant"
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

// certify notes what the watchdog of the i-th peer, which is gone, may prove.
func (e *Engine) certify(now int64, i int, dog uint32) {
	p := e.peers[i]
	p.goneAt, p.goneDog, p.withheld = now, dog, 0
	if dog != 0 && !e.unfitByItsVoters(now, i) && !mutant.Off(mutant.OwnVoters) {
		p.goneDog, p.withheld = 0, dog
	}
}

// unfitByItsVoters tells whether the i-th peer, which is gone by this node's voters,
// is not quorate by those that it goes by itself either: else it is petted on. It
// is so if they are the same, or if a majority of the peer's has not heard it, and this
// node is not behind the others in what the peer said. What the peer may have learned
// since, somebody of this side must have agreed to: so nobody here may know of newer voters.
func (e *Engine) unfitByItsVoters(now int64, i int) bool {
	p := e.peers[i]
	var w []quorum.Witness
	if !e.heardLater(i, e.det.Contact(i).Heard+e.inForce) {
		w = e.witnesses(now, i)
	}
	for _, s := range [...]*said{&p.voters, &p.pending} {
		voters := s.list()
		if len(voters) == 0 || !same(voters, e.view.Voters) && !quorum.Denied(now, voters, w, e.inForce, e.inForce*3/10) {
			continue
		}
		if e.agree(i, voters) {
			return true
		}
	}
	return false
}

// agree tells whether everybody in contact who votes by voters or this node's goes by
// these, or by the change of them that this node has in its log: it does not know of a later one,
// which the i-th peer, out of contact, may go by already.
func (e *Engine) agree(i int, voters []cib.NodeID) bool {
	for j, q := range e.peers {
		if j == i || !e.det.Contact(j).Alive || !e.votes(q.ID) && !slices.Contains(voters, q.ID) {
			continue
		}
		for _, s := range [...]*said{&q.voters, &q.pending} {
			known := s.list()
			if s.n != 0 && !same(known, e.view.Voters) && !same(known, e.view.Pending) && !same(known, voters) {
				return false
			}
		}
	}
	return true
}

// same tells whether two lists name the same voters.
func same(a, b []cib.NodeID) bool {
	for _, id := range a {
		if !slices.Contains(b, id) {
			return false
		}
	}
	return len(a) == len(b)
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
