package node

import (
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/quorum"
)

// peer is another node as the heartbeats see it.
type peer struct {
	PeerIs
	goneAt time.Time // when PeerGone came: it cannot have been quorate since
	askAt  time.Time // when to ask who hears it; zero: not
	lost   bool      // it was said to be lost, and PeerGone may follow
}

func (m *Machine) peer(id cib.NodeID) *peer {
	p := m.peers[id]
	if p == nil {
		p = &peer{PeerIs: PeerIs{Node: id}}
		m.peers[id] = p
	}
	return p
}

// sortedPeers returns the peers by id.
func (m *Machine) sortedPeers() []*peer {
	list := make([]*peer, 0, len(m.peers))
	for _, p := range m.peers {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *peer) int { return int(int64(a.Node) - int64(b.Node)) })
	return list
}

// onPeer takes the news of a peer. When the leader is lost the followers do not
// wait for an election time-out.
func (m *Machine) onPeer(in Peer) {
	if in.Node == m.cfg.Self {
		m.own, m.knows.stale = in.Watchdog, true
		return
	}
	p := m.peer(in.Node)
	if in.Kind == PeerAnew {
		m.startedAnew(p, in)
		return
	}
	p.Reason = in.Reason
	switch in.Kind {
	case PeerUp:
		if in.Booted && !p.Alive {
			m.provenOff(p)
		}
		p.Alive, p.Gone, p.Left, p.Manager, p.Watchdog = true, false, false, in.Manager, in.Watchdog
		p.goneAt, p.askAt = time.Time{}, time.Time{}
		m.isHeard(p)
	case PeerLost:
		if p.Gone {
			m.isHeard(p) // by somebody else: it is back, and may be quorate
		}
		p.Gone, p.goneAt, p.lost = false, time.Time{}, true
		p.Alive, p.Left, p.Manager = false, in.Manager == Leaving, Down
		if m.leading() {
			p.askAt = m.now.Add(handOverAfter)
		}
	case PeerGone:
		p.Gone, p.goneAt, p.askAt, p.Watchdog = true, m.now, time.Time{}, in.Watchdog
	case PeerManager:
		p.Manager = in.Manager
	case PeerWatchdog:
		p.Watchdog = in.Watchdog
	}
	p.Working = p.Alive && p.Manager == Up
	m.emit(p.PeerIs)
	if in.Node == m.log.Leader && in.Kind != PeerGone && in.Kind != PeerWatchdog && !p.Working {
		m.emit(LeaderLost{})
	}
	m.knows.stale = true
	if p.Gone {
		m.provenOff(p) // first: quorum would have it switched off once more
	}
	m.toQuorum(quorum.Seen{Node: p.Node, Alive: p.Alive, Gone: p.Gone, Left: p.Left})
	m.toControl(controller.Peer{ID: p.Node, Alive: p.Alive, Working: p.Working, Gone: p.Gone, Left: p.Left, Booted: in.Kind == PeerUp && in.Booted, Reason: p.Reason})
}

// startedAnew takes it that a peer is another life of the same node. If its machine has
// booted while a proof waited for it to fall silent, it has been off and is back, faster than
// anybody could miss it. That only its heartbeats were restarted proves nothing.
func (m *Machine) startedAnew(p *peer, in Peer) {
	if o := m.off[p.Node]; o == nil || o.doubt.IsZero() || !in.Booted {
		return
	}
	m.onPeer(Peer{Kind: PeerLost, Node: p.Node, Manager: Down, Reason: in.Reason})
	m.provenOff(p)
	m.onPeer(Peer{Kind: PeerUp, Node: p.Node, Manager: in.Manager, Reason: in.Reason})
}

// provenOff lets a proof about a peer count that waits: it is gone, or has booted.
func (m *Machine) provenOff(p *peer) {
	if o := m.off[p.Node]; o != nil && !o.doubt.IsZero() {
		m.spread(o)
	}
}

func (m *Machine) leading() bool { return m.log.Ready && m.log.Leader == m.cfg.Self }

// tellMembers tells the fencer who is there.
func (m *Machine) tellMembers() {
	list := make([]fencer.Member, 0, len(m.knows.names))
	for _, id := range m.knows.ids {
		list = append(list, m.member(id))
	}
	if slices.EqualFunc(list, m.told.members, sameMember) {
		return
	}
	m.told.members = list
	m.toFencer(fencer.Members{List: list})
}

func sameMember(a, b fencer.Member) bool {
	if a.Node != b.Node || a.State != b.State || a.Watchdog != b.Watchdog || len(a.Attributes) != len(b.Attributes) {
		return false
	}
	for name, value := range a.Attributes {
		if b.Attributes[name] != value {
			return false
		}
	}
	return true
}

// member is a node as the fencer has to see it.
func (m *Machine) member(id cib.NodeID) fencer.Member {
	n := fencer.Member{Node: fencer.Node(m.knows.names[id]), Attributes: m.knows.attributes[id]}
	if id == m.cfg.Self {
		n.State = fencer.Alive
		if m.paused = m.paused && !m.quorum.Fit(); m.paused {
			n.State = fencer.Suspect // it may have been taken for dead meanwhile
		}
		return n
	}
	p := m.peers[id]
	switch {
	case p == nil:
	case p.Alive:
		n.State = fencer.Alive
	case p.Left || m.confirmedOff(id):
		n.State = fencer.Away
	default:
		n.State = fencer.Suspect
		n.Watchdog = m.watchdog(p)
	}
	return n
}

// watchdog is what the silence of a peer's watchdog may prove here. In a tie that is
// something to the half with the lowest voter alone: the nodes of that one pet
// theirs on, and the other half must not take them for dead.
func (m *Machine) watchdog(p *peer) fencer.Watchdog {
	if !p.Watchdog.Armed || m.place != quorum.Quorate && !m.claim.watchdog {
		return fencer.Watchdog{}
	}
	return fencer.Watchdog{Armed: true, Timeout: p.Watchdog.Timeout, Quorate: p.goneAt}
}
