package state

import "github.com/takt-ha/takt/volume"

// askInvalidate: what is here counts for nothing, so that a peer's data comes. The peer is asked first: else two nodes
// that are invalidated at the same time, each with a view to the other, would leave nothing.
func (m *Machine) askInvalidate(in Asked) {
	const op = "invalidate"
	source := m.keeper()
	switch {
	case !m.attached:
		m.answer(in.ID, m.conflict(op, "there is no disk here", "Attach it first."), "")
	case m.role == volume.Primary && source == nil:
		m.answer(in.ID, m.conflict(op, "this node is primary, and no other replica with up-to-date data is connected", "Connect one first."), "")
	case source == nil && !in.Force:
		m.answer(in.ID, m.conflict(op, "no other replica with up-to-date data is connected: this may be the only copy", "Connect one first; or, if it is certain: invalidate --force."), "")
	case m.isSource():
		m.answer(in.ID, m.conflict(op, "this node feeds a resync", "Wait for its end."), "")
	case m.halfDecided() || m.invalidating != nil:
		m.answer(in.ID, m.conflict(op, "another change is under way", "Wait for it, then try again."), "")
	case source == nil:
		m.invalidate("a user says so")
		m.answer(in.ID, nil, "")
	default:
		m.invalidating = &invalidating{id: in.ID, keeper: source}
		m.emit(Tell{source.id, Said{Kind: "invalidate-me"}})
	}
}

// invalidating is an invalidate that waits for the word of the node whose data stays.
type invalidating struct {
	id     uint64
	keeper *peer
}

// keeper is a peer whose data is as good as this node's.
func (m *Machine) keeper() *peer {
	for _, p := range m.peers {
		if m.asGood(p) {
			return p
		}
	}
	return nil
}

func (m *Machine) asGood(p *peer) bool {
	from := m.primaryPeer()
	behind := m.attached && m.disk == volume.UpToDate && p.gen.Current != m.super.Gen.Current || from != nil && from.inStep&bit(p.id) == 0
	return p.inSync() && !behind
}

// onInvalidateMe: p wants to give its data up, if this node keeps its own.
func (m *Machine) onInvalidateMe(p *peer) {
	kind := "invalidate"
	if m.disk != volume.UpToDate || m.invalidating != nil || m.otherTold(nil) {
		kind = "invalidate-no"
	}
	p.toldInvalid = kind == "invalidate"
	m.emit(Tell{p.id, Said{Kind: kind, Words: "node " + m.self.Name + " does not promise to keep its data"}})
}

// otherTold says whether some peer but except has been told to give its data up and has not done so yet.
func (m *Machine) otherTold(except *peer) bool {
	for _, p := range m.peers {
		if p != except && p.toldInvalid {
			return true
		}
	}
	return false
}

func (m *Machine) invalidateRemote(_ Asked, p *peer) error {
	const op = "invalidate-remote"
	switch {
	case !p.up():
		return m.conflict(op, "node "+p.node.Name+" is not connected", "Connect it first.")
	case m.disk != volume.UpToDate:
		return m.conflict(op, "the disk here is "+m.disk.String()+": there would be no source", "Run it where the disk is UpToDate.")
	case p.role == volume.Primary:
		return m.conflict(op, "node "+p.node.Name+" is primary", "Make it secondary first.")
	case m.invalidating != nil:
		return m.conflict(op, "this node is about to give up its own data", "Wait for it, then see takt volume status.")
	}
	p.toldInvalid = true
	m.emit(Tell{p.id, Said{Kind: "invalidate"}})
	return nil
}

// onInvalidate: p keeps its data, and this node's shall count for nothing.
func (m *Machine) onInvalidate(p *peer) {
	own := m.invalidating != nil && m.invalidating.keeper == p
	if !m.attached || m.halfDecided() || m.isSource() || m.otherTold(nil) || m.role == volume.Primary && !own || !m.asGood(p) && m.disk > volume.Inconsistent {
		m.emit(Tell{p.id, Said{Kind: "invalidate-no", Words: "node " + m.self.Name + " is primary, diskless, or in the middle of something"}})
		m.endInvalidate(p, m.conflict("invalidate", "another change came in between", "See takt volume status, then try again."))
		return
	}
	m.invalidate("node " + p.node.Name + " has the data that stays")
	m.endInvalidate(p, nil)
}

// onInvalidateNo: p does not do what it was asked.
func (m *Machine) onInvalidateNo(p *peer, words string) {
	p.toldInvalid = false
	m.peerEvent(p, "error", "nothing is invalidated: "+words)
	m.endInvalidate(p, m.conflict("invalidate", words, "See takt volume status on both nodes, then try again."))
}

func (m *Machine) endInvalidate(p *peer, err error) {
	if i := m.invalidating; i != nil && i.keeper == p {
		m.invalidating = nil
		m.answer(i.id, err, "")
	}
}

// invalidate gives up what is here.
func (m *Machine) invalidate(why string) {
	for _, p := range m.peers {
		m.marksGone(p)
		if p.running || p.going || p.verify {
			m.tellSync(p, "sync-stop", "node "+m.self.Name+" is invalidated")
			m.stopSync(p)
		}
	}
	m.super.Gen = freshGenerations()
	m.setDisk(volume.Inconsistent, why)
	for _, p := range m.peers {
		m.compareAgain(p)
	}
}
