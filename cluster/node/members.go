package node

import (
	"fmt"
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// A coordinator that has lost a node which others still hear can do nothing
// about it: the node is not gone. But a node that hears both can coordinate
// better, so the lead is handed to it.

const (
	// handOverAfter is how long a loss may wait to become certain: after a crash
	// that takes a moment, because all stop hearing the node at once.
	handOverAfter = 200 * time.Millisecond
	// handOverPause keeps two nodes that both miss somebody from handing the
	// lead to and fro.
	handOverPause = 10 * time.Second
)

// handover is what was handed over when.
type handover struct{ last time.Time }

// considerHandover asks who hears a node that stays lost to this coordinator.
func (m *Machine) considerHandover() {
	for _, p := range m.sortedPeers() {
		if p.askAt.IsZero() || m.now.Before(p.askAt) {
			continue
		}
		p.askAt = time.Time{}
		if !p.Alive && !p.Gone && m.leading() {
			m.emit(WhoHears{p.Node})
		}
	}
}

// onHeard hands the lead to a working voter that hears the lost node.
func (m *Machine) onHeard(in Heard) {
	p := m.peer(in.Peer)
	if p.Alive || p.Gone || !m.leading() || !m.handover.last.IsZero() && m.now.Sub(m.handover.last) < handOverPause {
		return
	}
	for _, id := range in.By {
		if q := m.peers[id]; q != nil && q.Working && slices.Contains(m.log.Voters, id) {
			m.transfer(id, fmt.Sprintf("%s hears %s, which %s does not", m.name(id), m.name(in.Peer), m.cfg.Name))
			return
		}
	}
}

// handOver gives the lead to another working voter, the lowest id first.
func (m *Machine) handOver(why string) {
	for _, p := range m.sortedPeers() {
		if m.leading() && p.Working && slices.Contains(m.log.Voters, p.Node) {
			m.transfer(p.Node, why)
			return
		}
	}
	m.report("failure", m.cfg.Name, fmt.Sprintf("%s should hand the lead over (%s), and no other voter is there to take it", m.cfg.Name, why))
}

func (m *Machine) transfer(to cib.NodeID, why string) {
	m.handover.last = m.now
	m.report("membership", m.name(to), fmt.Sprintf("%s takes the lead: %s", m.name(to), why))
	m.emit(Transfer{To: to, Why: why})
}

// votes is the giving of votes.
type votes struct {
	giving cib.NodeID // Promote is under way; 0: none
	last   cib.NodeID // who was last tried: others have their turn first
	again  time.Time  // no Promote before this; zero: none is due
}

// promoteAgain is how long after a Promote that changed nothing the next one follows.
const promoteAgain = 200 * time.Millisecond

// promote gives a learner that is there its vote, one at a time.
func (m *Machine) promote() {
	if m.votes.giving != 0 || m.now.Before(m.votes.again) {
		return
	}
	m.votes.again = time.Time{}
	if !m.leading() || len(m.log.Voters) >= m.cfg.MaxVoters {
		return
	}
	if id := m.nextVoter(); id != 0 {
		m.votes.giving, m.votes.last = id, id
		m.emit(Promote{id})
	}
}

// nextVoter returns the learner whose turn it is, 0 if there is none. One that does
// not catch up does not keep the others from it.
func (m *Machine) nextVoter() cib.NodeID {
	var first, next cib.NodeID
	for _, id := range slices.Sorted(slices.Values(m.log.Learners)) {
		p := m.peers[id]
		switch {
		case p == nil || !p.Alive || p.Manager == Down:
		case id > m.votes.last && next == 0:
			next = id
		case first == 0:
			first = id
		}
	}
	if next != 0 {
		return next
	}
	return first
}

// onPromoted takes the answer. The log has mostly said so before; a node that is a
// learner all the same may have lost its vote again meanwhile, so it has its turn
// like any other, after a pause in which the log here may catch up.
func (m *Machine) onPromoted(in Promoted) {
	if in.Node == m.votes.giving {
		m.votes.giving = 0
	}
	if in.Err != nil || slices.Contains(m.log.Learners, in.Node) {
		m.votes.again = m.now.Add(promoteAgain)
	}
	if in.Err == nil {
		m.report("membership", m.name(in.Node), m.name(in.Node)+" has caught up and got a vote")
	}
}
