package link

import (
	"fmt"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/detector"
	"github.com/takt-ha/takt/cluster/quorum"
)

// judgeGone finds which lost peers are gone, and reports them. What was said of
// one holds only for as long as this node is not isolated, and nobody in contact
// hears the peer: it may be quorate again without this node.
func (e *Engine) judgeGone(now int64) {
	e.nextGone = 0
	for i, p := range e.peers {
		if !e.det.Lost(i) {
			p.gone, p.byWord, p.doubted = false, false, 0
			continue
		}
		gone, next := e.gone(now, i)
		if next > 0 && (e.nextGone == 0 || next < e.nextGone) {
			e.nextGone = next
		}
		alone := !gone && (p.byWord || !p.gone) && e.alone(now, i)
		switch {
		case gone && (!p.gone || p.byWord):
			p.gone, p.byWord = true, false
			e.certify(now, i, e.armedAt(i))
			e.emit(Event{Kind: PeerGone, Peer: p.ID, Watchdog: int(p.goneDog), Reason: e.goneWords(i)})
		case gone && p.withheld != 0 && e.unfitByItsVoters(now, i):
			e.certify(now, i, p.withheld)
			e.emit(Event{Kind: PeerGone, Peer: p.ID, Watchdog: int(p.goneDog), Reason: e.goneWords(i)})
		case alone && !p.gone:
			p.gone, p.byWord, p.goneAt, p.goneDog, p.withheld = true, true, now, 0, 0
			e.emit(Event{Kind: PeerGone, Peer: p.ID, Reason: e.goneWords(i)})
		case !p.gone || gone || alone || !p.byWord && next == 0 && e.standing != Isolated:
			p.doubted = 0
		case e.standing != Isolated && !e.lasts(now, &p.doubted): // it may be back any moment
		default:
			p.gone, p.byWord = false, false
			e.emit(Event{Kind: PeerLost, Peer: p.ID, Watchdog: int(p.watchdog), Reason: e.doubtWords(p)})
		}
	}
}

// alone tells whether the i-th peer, which this node hears but which does not hear
// this node, says itself that it has heard too few voters for a majority or a tie.
// Nobody would call it gone else for as long as it is heard, and what it has
// stopped would run nowhere. It is no proof for a watchdog: the peer may hear the
// others again at any moment, and be petted, before it can tell.
func (e *Engine) alone(now int64, i int) bool {
	p := e.peers[i]
	slack := e.inForce * 3 / 10
	if p.byWord {
		slack += e.inForce // it may have fallen silent: until that is certain its last word holds
	}
	if e.standing != Quorate || now-p.repAt >= slack {
		return false
	}
	return e.hearsFew(now, p, e.view.Voters) && (p.voters.n == 0 || e.hearsFew(now, p, p.voters.list()))
}

// hearsFew tells whether a peer says that it has heard neither a majority nor half of some voters.
func (e *Engine) hearsFew(now int64, p *peer, voters []cib.NodeID) bool {
	count := 0
	for _, v := range voters {
		if v == e.cfg.Self {
			continue // it has not answered this node for a dead time: it is lost
		}
		if at, knows := p.mayHaveHeard(v); v == p.ID || !knows || now-at < e.inForce {
			count++
		}
	}
	size := quorum.Weigh(count, len(voters))
	return size != quorum.Majority && size != quorum.Tie
}

// lasts tells whether something that is still so has been so for a few rounds,
// in which two nodes find each other again. since is 0 while it is not so.
func (e *Engine) lasts(now int64, since *int64) bool {
	if *since == 0 {
		*since = now
	}
	return now-*since >= 3*int64(e.cfg.Keepalive)*ms
}

// gone tells whether the i-th peer is, and when that may change without news; 0 if it does not.
func (e *Engine) gone(now int64, i int) (gone bool, next int64) {
	if c := e.det.Contact(i); c.Manager == detector.Leaving {
		return !e.heardLater(i, c.Heard+e.inForce), 0
	}
	if e.standing == Isolated {
		return false, 0
	}
	w := e.witnesses(now, i)
	gone, next = quorum.Gone(now, e.view.Voters, w, e.inForce, e.inForce*3/10)
	if gone && len(e.view.Pending) > 0 {
		return quorum.Gone(now, e.view.Pending, w, e.inForce, e.inForce*3/10)
	}
	return gone, next
}

// heardLater tells whether anybody in contact heard the i-th peer after t: one
// that left has come back without this node.
func (e *Engine) heardLater(i int, t int64) bool {
	for j, q := range e.peers {
		if j != i && e.det.Contact(j).Alive && q.heardThird(e.peers[i].ID) > t {
			return true
		}
	}
	return false
}

func (e *Engine) doubtWords(p *peer) string {
	if e.standing == Isolated {
		return p.Name + " may be alive without this node, which is isolated"
	}
	return p.Name + " is heard again, by this node or one in contact with it"
}

func (e *Engine) goneWords(i int) string {
	if e.det.Contact(i).Manager == detector.Leaving {
		return e.peers[i].Name + " left"
	}
	if e.peers[i].byWord {
		return e.peers[i].Name + " is heard, and says itself that it hears no majority"
	}
	words := fmt.Sprintf("nobody in contact has heard %s for %d ms", e.peers[i].Name, e.inForce/ms)
	if e.peers[i].withheld != 0 {
		words += "; the silence of its watchdog proves nothing: it goes by other voters than this node, and may have a majority of them"
	}
	return words
}

// witnesses gathers what this node and those in contact say about the i-th peer.
// Whoever does not name it, does not know. Nor does a word count that may be
// under way since before the dead time.
func (e *Engine) witnesses(now int64, i int) []quorum.Witness {
	id := e.peers[i].ID
	c := e.det.Contact(i)
	w := append(e.words[:0], quorum.Witness{Node: e.cfg.Self, Said: now, Heard: max(c.Heard, c.Since), Knows: true})
	for j, q := range e.peers {
		if j == i || !e.det.Contact(j).Alive {
			continue
		}
		heard, knows := q.mayHaveHeard(id)
		w = append(w, quorum.Witness{Node: q.ID, Said: q.repAt, Heard: heard, Knows: knows && now-q.repAfter < e.inForce})
	}
	e.words = w
	return w
}
