package state

import (
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// View is what the machine shows of itself, for status: a copy.
type View struct {
	Role       volume.Role
	Disk       volume.DiskState
	Client     bool // diskless by design
	Size       int64
	Gen        meta.Generations
	Quorum     bool
	IO         IOMode
	Frozen     []string // why requests wait or fail, in words
	Readers    int
	Writers    int
	Members    uint16 // the cluster's set of up-to-date replicas; 0 without a cluster
	SetVersion uint64
	SetKnown   bool     // the cluster's store has spoken since the start
	Advice     []string // what to do
	Peers      []PeerView
}

// PeerView is one connection.
type PeerView struct {
	Node  volume.NodeID
	State volume.ConnState
	Why   string // of StandAlone or a pause, in words
	Role  volume.Role
	Disk  volume.DiskState
	Found int64 // bytes that the last verify found, and no resync has copied since
	// Unproven is why the last verify did not come to its end.
	Unproven string
	InSet    bool
}

// View returns the state of things.
func (m *Machine) View() View {
	v := View{
		Role: m.role, Disk: m.disk, Client: !m.selfHasDisk(), Size: m.super.Agreed, Gen: m.super.Gen, Quorum: m.quorum,
		IO: m.lastIO.Mode, Frozen: append([]string(nil), m.lastIO.Why...), Readers: m.readers, Writers: m.writers, Members: m.set.members, SetVersion: m.set.version, SetKnown: m.set.known,
	}
	for _, p := range m.peers {
		pv := PeerView{Node: p.id, State: p.conn, Why: p.why, Role: p.role, Disk: p.disk, Found: p.found, Unproven: p.unproven, InSet: m.set.members&bit(p.id) != 0}
		if !p.up() && p.hasDisk() && m.super.PeerOutdated[p.id] {
			pv.Disk = volume.Outdated
		}
		v.Peers = append(v.Peers, pv)
	}
	v.Advice = m.advice()
	return v
}

// advice says what people could do about what is not as it should be.
func (m *Machine) advice() []string {
	var words []string
	add := func(s string) { words = append(words, s) }
	switch {
	case m.attached && m.super.Gen.Fresh() && m.allStandStill():
		add("This disk has never held data. On the node whose data shall count: takt volume primary --force " + m.cfg.Name)
	case m.disk == volume.Diskless && m.selfHasDisk() && m.attachID == 0:
		add("The disk is not attached" + because(m.diskLost) + ". Repair or replace it, then: takt volume attach " + m.cfg.Name)
	case m.disk == volume.Outdated && m.outdated():
		add("A user has called the data here old. A new connection to a node whose data is UpToDate makes it good: takt volume disconnect " + m.cfg.Name + ", then connect.")
	case m.disk == volume.Outdated:
		add("Newer data is on another node: connect it, and this one is resynced.")
	}
	for _, p := range m.peers {
		if p.conn == volume.StandAlone && p.why != "" {
			add("Node " + p.node.Name + ": " + p.why + ".")
		}
		if p.unproven != "" {
			add("A verify with node " + p.node.Name + " was ended before its end: " + p.unproven + ".")
		}
		if p.found > 0 && p.conn == volume.Connected {
			add("A verify found " + bytes(p.found) + " that differ from node " + p.node.Name + ": disconnect and connect it, and they are copied.")
		}
	}
	return words
}

// outdated says whether a user has called the data here old, and peers that were in contact then still are.
func (m *Machine) outdated() bool {
	for _, p := range m.peers {
		if p.outdated {
			return true
		}
	}
	return false
}

func (m *Machine) allStandStill() bool {
	for _, p := range m.peers {
		if p.need != needNothing || p.up() && p.disk == volume.UpToDate {
			return false
		}
	}
	return true
}
