package state

import (
	"fmt"

	"github.com/takt-ha/takt/volume"
)

// checkQuorum counts who is in contact. A diskless node counts: it is there to break ties. In a cluster
// the store's quorum counts instead, which sees more than the replicas.
func (m *Machine) checkQuorum() {
	had := m.quorum
	m.quorum = m.hasQuorum()
	switch {
	case had && !m.quorum:
		m.event("quorum", m.quorumWords())
		if m.role == volume.Primary {
			m.hook("quorum-lost", nil)
		}
	case !had && m.quorum:
		m.event("quorum", "there is quorum again")
	}
}

func (m *Machine) hasQuorum() bool {
	switch {
	case m.cfg.Quorum.Need == 0:
		return true
	case m.cfg.Cluster:
		return m.set.quorate
	}
	return m.voters() >= m.quorumNeed()
}

// voters are this node and those in contact that would know of newer data: not one without a disk
// that has just started, nor a disk that was replaced.
func (m *Machine) voters() int {
	n := 0
	if m.countsSelf() {
		n++
	}
	for _, p := range m.peers {
		if p.up() && m.counts(p) {
			n++
		}
	}
	return n
}

// countsSelf says whether this node is a voter: by what it would say of a peer. Without its disk it may count where any two quorums
// share one more node, besides itself.
func (m *Machine) countsSelf() bool {
	switch {
	case m.attached || m.super.Gen.Fresh():
		return true
	case m.selfHasDisk():
		return 2*m.quorumNeed()-len(m.cfg.Nodes) > 1
	}
	return m.super.Seen != 0 || m.vouched
}

// counts says whether p is a voter. What a node without its disk has heard it forgets in a crash, and then it would
// count with what its disk knows; one that is diskless by design does not count at all after a crash.
func (m *Machine) counts(p *peer) bool {
	if p.hasDisk() && p.disk == volume.Diskless {
		return false
	}
	return p.seen != 0 || p.vouched || m.super.Gen.Fresh()
}

// countAll: a user vouches for it that those in contact need not know better.
func (m *Machine) countAll() {
	m.vouched = true
	for _, p := range m.peers {
		p.vouched = p.vouched || p.up()
	}
}

func (m *Machine) quorumNeed() int {
	switch n := len(m.cfg.Nodes); m.cfg.Quorum.Need {
	case volume.Majority:
		return n/2 + 1
	case volume.All:
		return n
	default:
		return m.cfg.Quorum.Need
	}
}

func (m *Machine) quorumWords() string {
	if m.cfg.Cluster {
		return "the cluster has no quorum here"
	}
	words := fmt.Sprintf("no quorum: %d of %d nodes are in contact, %d are needed", m.voters(), len(m.cfg.Nodes), m.quorumNeed())
	if !m.countsSelf() {
		words += "; this node does not count: it " + notCounted(m.selfHasDisk())
	}
	for _, p := range m.peers {
		if p.up() && !m.counts(p) {
			words += "; node " + p.node.Name + " does not count: it " + notCounted(p.hasDisk() && p.disk == volume.Diskless)
		}
	}
	return words
}

func notCounted(lostDisk bool) string {
	if lostDisk {
		return "has no disk now"
	}
	return "has just started and cannot know who has the newest data"
}
