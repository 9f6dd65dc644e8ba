package state

import (
	"github.com/takt-ha/takt/volume"
)

// setFlows says for every peer what becomes of writes: this node's own if it is primary, else those that come from one.
func (m *Machine) setFlows() {
	for _, p := range m.peers {
		m.setFlow(p, m.wantFlow(p))
	}
}

func (m *Machine) setFlow(p *peer, f PeerFlow) {
	if p.flowKnown && p.flow == f {
		return
	}
	// What was marked for a peer that is in step again with the primary, it has got from there.
	if p.flowKnown && p.flow == FlowMark && f == FlowSend && m.role != volume.Primary && p.inSync() && p.need == needNothing && m.attached {
		m.emit(MarkAll{Peer: p.id, Clear: true})
	}
	p.flow, p.flowKnown = f, true
	m.emit(Flow{p.id, f})
}

func (m *Machine) wantFlow(p *peer) PeerFlow {
	switch {
	case !p.hasDisk():
		return FlowNone
	case m.role == volume.Primary:
		return m.primaryFlow(p)
	}
	if from := m.primaryPeer(); from != nil {
		if from == p || from.inStep&bit(p.id) != 0 {
			return FlowSend
		}
		return FlowMark
	}
	return FlowMark
}

func (m *Machine) primaryFlow(p *peer) PeerFlow {
	switch {
	case p.congested:
		return FlowMark
	case p.need == needSource && p.running:
		return FlowSendOnlySynced
	case p.need == needTarget && p.running, p.inSync():
		return FlowSend
	}
	return FlowMark
}

// primaryPeer is the primary that this node is connected to, or nil.
func (m *Machine) primaryPeer() *peer {
	for _, p := range m.peers {
		if p.up() && p.role == volume.Primary {
			return p
		}
	}
	return nil
}

// tellState tells the peers what has changed about this node.
func (m *Machine) tellState() {
	contact, primaries := m.contacts()
	s := Said{Kind: "state", Role: m.role, Disk: m.disk, Gen: m.super.Gen, InStep: m.inStepMask(), Contact: contact, Primaries: primaries, Size: m.super.Size}
	if !m.attached {
		s.Gen.Bitmap, s.Gen.History = m.told.Gen.Bitmap, m.told.Gen.History
	}
	changed := s != m.told
	m.told = s
	for _, p := range m.peers {
		if p.up() && (changed || !p.toldState) {
			p.toldState = true
			m.emit(Tell{p.id, s})
		}
	}
}

// setIO says what happens with requests, if that has changed.
func (m *Machine) setIO() {
	io := m.mode()
	if sameIO(io, m.lastIO) {
		return
	}
	if io.Mode != m.lastIO.Mode && (io.Mode == IOFrozen || io.Mode == IOError) {
		for _, why := range io.Why {
			m.event("frozen", why)
		}
	}
	m.lastIO = io
	m.emit(io)
}

func sameIO(a, b IO) bool {
	if a.Mode != b.Mode || a.Ask != b.Ask || len(a.Why) != len(b.Why) || len(a.From) != len(b.From) {
		return false
	}
	for i := range a.Why {
		if a.Why[i] != b.Why[i] {
			return false
		}
	}
	for i := range a.From {
		if a.From[i] != b.From[i] {
			return false
		}
	}
	return true
}

// mode is what should happen with requests now.
func (m *Machine) mode() IO {
	if m.role != volume.Primary || m.demotion != nil && !m.demotion.force {
		return IO{Mode: IOClosed}
	}
	from := m.sources()
	if m.stopped != "" {
		return IO{Mode: IOError, Why: []string{m.stopped}}
	}
	if m.disk == volume.Negotiating && len(from) == 0 {
		return IO{Mode: IOFrozen, Why: []string{"the peers are being asked what the disk is worth that was attached"}}
	}
	if m.disk != volume.UpToDate && len(from) == 0 {
		return IO{Mode: m.without(), Why: []string{"no replica with up-to-date data can be reached"}}
	}
	var frozen []string
	mode := IOFrozen
	if !m.quorum {
		frozen, mode = append(frozen, m.quorumWords()), m.without()
	}
	frozen = append(frozen, m.setFreezes()...)
	for _, p := range m.peers {
		switch {
		case p.dualLost != "":
			frozen = append(frozen, p.dualLost+": make one of the two secondary, or, if it is certainly off, run primary --force here")
		case m.cfg.Fence == "resource-and-stonith" && p.fencing:
			frozen = append(frozen, "node "+p.node.Name+" is being fenced")
		case m.cfg.Fence == "resource-and-stonith" && p.failed != 0:
			frozen = append(frozen, "fencing of node "+p.node.Name+" failed; it may be primary: run outdate for it there, or primary --force here if it is certainly off")
		}
	}
	if len(frozen) > 0 {
		return IO{Mode: mode, Why: frozen, From: from}
	}
	return IO{Mode: IOOpen, Ask: m.due(), From: from}
}

// without is the mode of a primary that must not go on.
func (m *Machine) without() IOMode {
	if m.cfg.Quorum.Without == "io-error" || m.cfg.Quorum.Need == 0 && !m.cfg.Cluster {
		return IOError
	}
	return IOFrozen
}

// sources are the peers with up-to-date data: the source of the own resync first, then by number.
func (m *Machine) sources() []volume.NodeID {
	var ids []volume.NodeID
	for _, p := range m.peers {
		if p.need == needTarget && p.running {
			ids = append(ids, p.id)
		}
	}
	for _, p := range m.peers {
		if p.inSync() && !(p.need == needTarget && p.running) {
			ids = append(ids, p.id)
		}
	}
	return ids
}
