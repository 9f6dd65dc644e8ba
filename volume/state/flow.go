package state

import (
	"github.com/takt-ha/takt/volume"
)

// equalThrough settles what two secondaries may have to do with one another: if both are in step with the same primary,
// they are equal, and old marks between them mean nothing.
func (m *Machine) equalThrough() {
	from := m.primaryPeer()
	for _, p := range m.peers {
		equal := from != nil && p != from && p.role != volume.Primary && m.role != volume.Primary && m.attached && p.up() && p.hasDisk() && !p.running && !p.verify &&
			from.inStep&bit(p.id) != 0 && from.inStep&bit(m.cfg.Self) != 0 &&
			m.disk == volume.UpToDate && p.disk == volume.UpToDate && p.gen.Current == m.super.Gen.Current
		if equal && (!p.equal || p.need != needNothing) {
			m.emit(MarkAll{Peer: p.id, Clear: true})
			m.super.FullSync[p.id], m.super.Gen.Bitmap[p.id] = false, 0
			m.stopSync(p)
			p.need, p.agrees = needNothing, true
			m.showSync(p)
		}
		p.equal = equal
	}
}

// noteMissed: who drops out of step with a primary without good data of its own, for whatever reason, may have a write that
// was never answered, or lack one, and nothing is marked here.
func (m *Machine) noteMissed() {
	for _, p := range m.peers {
		now := m.role == volume.Primary && m.disk != volume.UpToDate && (p.inSync() || m.follows(p))
		if p.followed && m.role == volume.Primary && !now && !p.inSync() && p.up() {
			p.missed = true
		}
		p.followed = now
	}
}

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
		if from.gets&bit(p.id) != 0 || p == from && p.running && p.need == needSource {
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
	case p.need == needSource && p.running, m.follows(p):
		return FlowSendOnlySynced
	case p.inSync():
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
	s := Said{Kind: "state", Role: m.role, Stopped: m.role == volume.Primary && m.mode().Mode != IOOpen, Disk: m.disk, Gen: m.super.Gen, Seen: m.super.Seen, InStep: m.inStepMask(), Gets: m.getsMask(), Contact: contact, Primaries: primaries, Size: m.super.Agreed}
	for _, p := range m.peers {
		if p.need == needTarget && p.running {
			s.Source = bit(p.id)
		}
		if p.unsure && m.role != volume.Primary {
			s.InStep &^= bit(p.id)
		}
	}
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

// tighten holds requests if they must be: at once, before anything that would let a write through to fewer
// replicas.
func (m *Machine) tighten() {
	if io := m.mode(); io.Mode != IOOpen || io.Ask {
		m.setIO()
	}
}

// setIO says what happens with requests, if that has changed.
func (m *Machine) setIO() {
	io := m.mode()
	if sameIO(io, m.lastIO) {
		return
	}
	if io.Mode != m.lastIO.Mode {
		m.tellFrozen(io)
	}
	m.lastIO = io
	m.emit(io)
}

// tellFrozen says why requests wait or fail from now on.
func (m *Machine) tellFrozen(io IO) {
	verb := map[IOMode]string{IOFrozen: "wait", IOError: "fail"}[io.Mode]
	if verb == "" {
		return
	}
	for _, why := range io.Why {
		m.event("frozen", "requests "+verb+": "+why)
	}
	if m.noData() {
		m.hook("pri-on-incon-degr", nil)
	}
}

// noData: this node is primary, and neither here nor at a peer is anything up to date.
func (m *Machine) noData() bool {
	return m.role == volume.Primary && m.disk != volume.UpToDate && len(m.sources()) == 0
}

func sameIO(a, b IO) bool {
	if a.Mode != b.Mode || a.Ask != b.Ask || a.Here != b.Here || len(a.Why) != len(b.Why) || len(a.From) != len(b.From) {
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
	if m.noData() {
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
		case m.cfg.Cluster: // its record says what a handler would have to
		case m.cfg.Fence == "resource-and-stonith" && p.fencing:
			frozen = append(frozen, "node "+p.node.Name+" is being fenced")
		case m.cfg.Fence == "resource-and-stonith" && p.failed != 0:
			frozen = append(frozen, "fencing of node "+p.node.Name+" failed; it may be primary: run outdate for it there, or primary --force here if it is certainly off")
		}
	}
	if len(frozen) > 0 {
		return IO{Mode: mode, Why: frozen, From: from}
	}
	return IO{Mode: IOOpen, Ask: m.due() || m.unheard(), From: from, Here: m.disk == volume.UpToDate}
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
		if p.need == needTarget && p.running && p.inSync() {
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
