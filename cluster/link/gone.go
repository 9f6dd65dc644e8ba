package link

import (
	"fmt"

	"github.com/takt-ha/takt/cluster/detector"
	"github.com/takt-ha/takt/cluster/quorum"
)

// judgeGone finds which lost peers are gone, and reports them.
func (e *engine) judgeGone(now int64) {
	e.nextGone = 0
	for i, p := range e.peers {
		if !e.det.Lost(i) {
			p.gone = false
			continue
		}
		if p.gone {
			continue
		}
		var next int64
		if e.det.Contact(i).Manager == detector.Leaving {
			p.gone = true
		} else {
			p.gone, next = quorum.Gone(now, e.view.Voters, e.witnesses(now, i), e.inForce, e.inForce*3/10)
		}
		if p.gone {
			e.emit(Event{Kind: PeerGone, Peer: p.ID, Reason: e.goneWords(i)})
		}
		if next > 0 && (e.nextGone == 0 || next < e.nextGone) {
			e.nextGone = next
		}
	}
}

func (e *engine) goneWords(i int) string {
	if e.det.Contact(i).Manager == detector.Leaving {
		return e.peers[i].Name + " left"
	}
	return fmt.Sprintf("no majority has heard %s for %d ms", e.peers[i].Name, e.inForce/ms)
}

// witnesses gathers what this node and those in contact say about the i-th peer.
func (e *engine) witnesses(now int64, i int) []quorum.Witness {
	id := e.peers[i].ID
	w := append(e.words[:0], quorum.Witness{Node: e.cfg.Self, Said: now, Heard: e.det.Contact(i).Heard, Knows: true})
	for j, q := range e.peers {
		if j == i || !e.det.Contact(j).Alive {
			continue
		}
		heard := q.heardThird(id)
		// A full list may leave nodes out: what it does not name it does not deny.
		knows := heard != detector.Never || q.nrep < maxContacts
		w = append(w, quorum.Witness{Node: q.ID, Said: q.repAt, Heard: heard, Knows: knows})
	}
	e.words = w
	return w
}
