package state

import "github.com/takt-ha/takt/volume"

// onConfigured takes over a changed configuration. What peers have been told of it in a Hello
// they are told anew; reconcile draws the conclusions about quorum, fencing and requests.
func (m *Machine) onConfigured(c volume.Config) {
	tell := c.Net.AllowTwoPrimary != m.cfg.Net.AllowTwoPrimary || c.Split != m.cfg.Split || c.Sync.SkipFirst != m.cfg.Sync.SkipFirst
	m.cfg = c
	for _, n := range c.Nodes {
		if p := m.peer(n.ID); p != nil {
			p.node.Protocol = n.Protocol
		}
	}
	for _, p := range m.peers {
		if tell {
			m.compareAgain(p)
		}
	}
	m.event("config", "the configuration was changed")
}
