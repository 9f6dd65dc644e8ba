package replica

import (
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/state"
)

// live is the configuration as it is now: what Configure may change is read here.
func (r *Replica) live() *volume.Config { return r.conf.Load() }

// Configure takes over what may change while the volume is in use: timeouts, rates, policies, handlers,
// quorum, protocols. The nodes, their addresses and disks, the identity and the
// encryption stay as they were; the caller has compared them.
func (r *Replica) Configure(c volume.Config) {
	c.Nodes = append([]volume.Node(nil), c.Nodes...)
	r.conf.Store(&c)
	for _, n := range c.Nodes {
		if n.ID != c.Self && r.peers[n.ID] != nil {
			r.peers[n.ID].configure(n.Protocol, c.Sync)
		}
	}
	r.tellNow(state.Configured{Config: c})
}

// configure sets the protocol of the writes from now on and the pace of a resync that runs.
func (p *peer) configure(proto volume.Protocol, o volume.SyncOptions) {
	p.mu.Lock()
	p.node.Protocol = proto
	s := p.sync
	p.mu.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pace.Set(o)
	s.moved.Broadcast()
}
