package app

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/link"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/internal/mesh"
)

// peerTable is what the machine last said about the peers, for those who cannot
// wait for it, and who may connect.
type peerTable struct {
	mu      sync.Mutex
	peers   map[cib.NodeID]node.PeerIs
	view    link.View     // what the heartbeats are to say
	views   uint64        // how often that has changed
	clean   chan struct{} // not nil while the heartbeats may hold this node for clean; closed when they do not
	leaving bool          // the last word has been said to the heartbeats
	goodbye []mesh.Peer   // members no more, but still to be answered
	members map[cib.NodeID]bool
}

func newPeerTable() *peerTable { return &peerTable{peers: map[cib.NodeID]node.PeerIs{}} }

func (t *peerTable) set(p node.PeerIs) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peers[p.Node] = p
}

func (t *peerTable) get(id cib.NodeID) node.PeerIs {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peers[id]
}

// alive tells the store who may be waited for and who may be a leader: a peer
// whose daemon is down is neither.
func (t *peerTable) alive(id cib.NodeID) bool {
	p := t.get(id)
	return p.Alive && p.Manager != node.Down
}

// all returns the peers by id.
func (t *peerTable) all() []node.PeerIs {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []node.PeerIs
	for _, p := range t.peers {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b node.PeerIs) int { return cmp.Compare(a.Node, b.Node) })
	return list
}

// managers says a daemon's state in the heartbeats' words.
var managers = map[node.Manager]link.ManagerState{
	node.Down: link.ManagerDown, node.Joining: link.ManagerJoining, node.Up: link.ManagerUp, node.Leaving: link.ManagerLeaving,
}

// managerOf is the inverse.
func managerOf(s link.ManagerState) node.Manager {
	for m, state := range managers {
		if state == s {
			return m
		}
	}
	return node.Down
}

func (t *peerTable) setView(v node.View) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.views++
	t.view = link.View{Voters: v.Voters, Pending: v.Pending, Leader: v.Leader, Term: v.Term, State: managers[v.State], Clean: v.Clean, Outlive: v.Outlive, Doubt: v.Doubt}
	if v.Clean && t.clean == nil {
		t.clean = make(chan struct{})
	}
}

// viewed returns what the heartbeats are to say, and a number for it; ok is false once
// the last word has been said.
func (t *peerTable) viewed() (v link.View, number uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.view, t.views, !t.leaving
}

// told notes that the heartbeats have a view.
func (t *peerTable) told(v link.View) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !v.Clean && t.clean != nil {
		close(t.clean)
		t.clean = nil
	}
}

// soil waits until the heartbeats hold this node for clean no more: the watchdog of one
// that is clean is petted whatever else happens to it.
func (t *peerTable) soil(ctx context.Context) error {
	t.mu.Lock()
	clean := t.clean
	t.mu.Unlock()
	if clean == nil {
		return nil
	}
	select {
	case <-clean:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *peerTable) setLeaving() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaving = true
}

// depart keeps the connections of a node that leaves until it has been told.
func (t *peerTable) depart(p mesh.Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.goodbye = append(t.goodbye, p)
}

// forgetDeparted ends that.
func (t *peerTable) forgetDeparted(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.goodbye = slices.DeleteFunc(t.goodbye, func(p mesh.Peer) bool { return p.ID == id })
}

func (t *peerTable) departed() []mesh.Peer {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.goodbye)
}

// setMembers notes who may ask this node for anything.
func (t *peerTable) setMembers(peers []mesh.Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.members = map[cib.NodeID]bool{}
	for _, p := range peers {
		t.members[cib.NodeID(p.ID)] = true
	}
}

// member reports whether a node is, or was a moment ago, in the configuration: a
// certificate alone outlives that.
func (t *peerTable) member(id cib.NodeID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.members[id]
}
