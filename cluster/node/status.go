package node

import (
	"maps"
	"slices"

	"github.com/takt-ha/takt/cluster/controller"
)

// Status returns what the machine knows.
func (m *Machine) Status() Status {
	s := Status{
		Place: m.place, Quorum: m.quorum.Standing(), Fencing: m.fencer.Open(), Fenced: m.fencer.History(),
		Pending: controller.Pending{Leading: m.control.Leading(), Term: m.log.Term},
	}
	s.Pending.Unfenced = m.control.Unfenced()
	s.Acting, s.Why = m.Acting()
	s.Pending.Transition, s.Pending.Actions, s.Pending.Since = m.control.Pending()
	for _, p := range m.sortedPeers() {
		s.Peers = append(s.Peers, p.PeerIs)
	}
	for _, id := range slices.Sorted(maps.Keys(m.off)) {
		if m.confirmedOff(id) {
			s.Off = append(s.Off, m.off[id].Off)
		}
	}
	return s
}
