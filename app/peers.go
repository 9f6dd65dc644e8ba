package app

import (
	"slices"
	"sync"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/link"
	"github.com/takt-ha/takt/internal/mesh"
)

// peerTable is what the pulse last said: about the peers, and about this node.
type peerTable struct {
	mu      sync.Mutex
	peers   map[cib.NodeID]peerState
	quorate bool
	known   bool // the pulse has said how this node stands
	reason  string
	stops   int // losses of the standing after which not all has been stopped yet
	leaving bool
	handed  time.Time   // when the lead was last handed over
	broken  string      // why this node must not act whatever the pulse says
	goodbye []mesh.Peer // members no more, but still to be answered
	members map[cib.NodeID]bool
}

type peerState struct {
	Alive   bool
	Working bool
	Gone    bool // nothing of it can be running (link.PeerGone)
	Manager link.ManagerState
	Reason  string
}

func newPeerTable() *peerTable { return &peerTable{peers: map[cib.NodeID]peerState{}} }

// note takes a peer event and returns the peer's state after it.
func (t *peerTable) note(e link.Event) peerState {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[e.Peer]
	p.Reason = e.Reason
	switch e.Kind {
	case link.PeerUp:
		p.Alive, p.Gone, p.Manager = true, false, e.Manager
	case link.PeerLost:
		p.Alive, p.Manager = false, link.ManagerDown
	case link.PeerGone:
		p.Gone = true
	case link.PeerManager:
		p.Manager = e.Manager
	}
	p.Working = p.Alive && p.Manager == link.ManagerUp
	t.peers[e.Peer] = p
	return p
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

func (t *peerTable) get(id cib.NodeID) peerState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peers[id]
}

// alive tells the store who may be waited for and who may be a leader: a peer
// whose daemon is down is neither.
func (t *peerTable) alive(id cib.NodeID) bool {
	p := t.get(id)
	return p.Alive && p.Manager != link.ManagerDown
}

// setStanding takes what the pulse says, and returns how the node stands: it
// differs where the node has a reason of its own not to act.
func (t *peerTable) setStanding(quorate bool, reason string) (bool, string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken != "" {
		quorate, reason = false, t.broken
	}
	if !quorate && (t.quorate || !t.known) {
		t.stops++
	}
	t.quorate, t.reason, t.known = quorate, reason, true
	return quorate, reason
}

// stopped notes that local stops are over.
func (t *peerTable) stopped(times int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stops = max(0, t.stops-times)
}

// standing returns whether this node may act, and why or why not.
func (t *peerTable) standing() (quorate bool, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.known:
		return false, "the heartbeats have just started"
	case t.quorate && t.stops > 0:
		return false, "it was cut off, and has yet to stop what it ran"
	}
	return t.quorate, t.reason
}

func (t *peerTable) setBroken(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.broken = why
}

// mayHandOver allows one hand-over of the lead in every pause.
func (t *peerTable) mayHandOver(now time.Time, pause time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.handed) < pause {
		return false
	}
	t.handed = now
	return true
}

func (t *peerTable) setLeaving() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaving = true
}

func (t *peerTable) isLeaving() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leaving
}
