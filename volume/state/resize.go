package state

import (
	"fmt"

	"github.com/takt-ha/takt/volume"
)

// resizing is an online grow under way. First all replicas measure their disks; then every peer makes room; then
// this node grows and marks the new part, so that it is copied from here. Interrupted before the end, nobody has used
// the new part, and the smaller size counts.
type resizing struct {
	in      Asked
	size    int64 // 0: being measured
	has     int64 // what fits on all disks as they are
	room    int64 // and what could
	waiting uint16
	grown   uint16
}

func (m *Machine) askResize(in Asked) {
	if err := m.resizeAllowed(in); err != nil {
		m.answer(in.ID, err, "")
		return
	}
	m.resizing = &resizing{in: in, has: 1 << 62, room: 1 << 62, waiting: bit(m.cfg.Self) | m.askDisks(Said{Kind: "room?"})}
	m.emit(Measure{})
}

// askDisks asks all connected peers that have a disk.
func (m *Machine) askDisks(s Said) uint16 {
	var mask uint16
	for _, p := range m.peers {
		if p.up() && p.disk != volume.Diskless {
			mask |= bit(p.id)
			m.emit(Tell{p.id, s})
		}
	}
	return mask
}

func (m *Machine) resizeAllowed(in Asked) error {
	const op = "resize"
	switch {
	case !m.attached || m.disk != volume.UpToDate:
		return m.conflict(op, "the disk here is "+m.disk.String()+", not UpToDate", "Run it on a node whose disk is UpToDate.")
	case m.primaryPeer() != nil && m.role != volume.Primary:
		return m.conflict(op, "node "+m.primaryPeer().node.Name+" is primary", "Run it there.")
	case m.halfDecided() || m.meetingAny():
		return m.conflict(op, "another change is under way", "Wait for it, then try again.")
	}
	return m.peersAllow(in)
}

// peersAllow says whether a resize goes with all peers as they are.
func (m *Machine) peersAllow(in Asked) error {
	const op = "resize"
	for _, p := range m.peers {
		switch {
		case p.hasDisk() && !p.up() && !in.Force:
			return m.conflict(op, "node "+p.node.Name+" is not connected", "Connect it first; or, if it will be given a disk that is large enough: resize --force.")
		case p.hasDisk() && p.disk == volume.Diskless && !in.Force:
			return m.conflict(op, "the disk of node "+p.node.Name+" is not attached", "Attach it first: it would be too small afterwards; or, if it will be given one that is large enough: resize --force.")
		case p.up() && p.disk != volume.Diskless && p.conn != volume.Connected:
			return m.conflict(op, "the connection to node "+p.node.Name+" is "+p.conn.String(), "Wait until the two are in step.")
		}
	}
	return nil
}

// onMeasured: the own disk's room is known; a peer or an own resize waits for it.
func (m *Machine) onMeasured(in Measured) {
	m.capacity = max(in.Capacity, m.super.Size)
	has := max(in.Has, m.super.Size)
	for _, p := range m.peers {
		if p.measures {
			p.measures = false
			m.emit(Tell{p.id, Said{Kind: "room", Size: has, Capacity: m.capacity}})
		}
	}
	if r := m.resizing; r != nil && r.size == 0 {
		r.has, r.room = min(r.has, has), min(r.room, m.capacity)
		r.waiting &^= bit(m.cfg.Self)
	}
}

// onRoom: a peer wants to know how much room is here.
func (m *Machine) onRoom(p *peer) {
	if !m.attached {
		m.emit(Tell{p.id, Said{Kind: "room", Size: 1 << 62, Capacity: 1 << 62}})
		return
	}
	p.measures = true
	m.emit(Measure{})
}

func (m *Machine) onRoomAnswer(p *peer, s Said) {
	p.capacity = s.Capacity
	if r := m.resizing; r != nil && r.size == 0 {
		r.has, r.room = min(r.has, s.Size), min(r.room, s.Capacity)
		r.waiting &^= bit(p.id)
	}
}

// resize takes a resize as far as it goes.
func (m *Machine) resize() {
	r := m.resizing
	if r == nil || r.waiting&(m.upMask()|bit(m.cfg.Self)) != 0 {
		return
	}
	if r.size != 0 {
		m.finishResize(r)
		return
	}
	size, err := m.chooseSize(r)
	if err != nil || size == m.super.Agreed {
		m.resizing = nil
		m.answer(r.in.ID, err, "the volume has "+bytes(size)+" already")
		return
	}
	r.size = size
	if r.waiting = m.askDisks(Said{Kind: "resize?", Size: size}); r.waiting == 0 {
		m.finishResize(r)
	}
}

func (m *Machine) chooseSize(r *resizing) (int64, error) {
	const op = "resize"
	if err := m.peersAllow(r.in); err != nil {
		return 0, err // what peers have said of themselves has come before their answers
	}
	size := r.in.Size
	if size == 0 {
		size = max(m.super.Agreed, min(r.has/volume.BlockSize*volume.BlockSize, positive(m.cfg.Size)))
	}
	switch {
	case size%volume.BlockSize != 0:
		return 0, m.conflict(op, fmt.Sprintf("%d bytes are no multiple of %d", size, volume.BlockSize), "Choose one.")
	case size < m.super.Agreed:
		return 0, m.conflict(op, fmt.Sprintf("the volume has %s; it can grow, but not shrink to %s", bytes(m.super.Agreed), bytes(size)), "Copy the data to a smaller volume instead.")
	case size > r.room:
		return 0, m.conflict(op, fmt.Sprintf("the smallest disk has room for %s, not for %s", exactly(r.room, size), exactly(size, r.room)), "Enlarge the disks first.")
	}
	return size, nil
}

func (m *Machine) onResize(p *peer, s Said) {
	if !m.attached || s.Size > max(m.capacity, m.super.Size) || s.Size < m.super.Agreed {
		m.emit(Tell{p.id, Said{Kind: "resize-no", Size: s.Size, Words: "the disk of node " + m.self.Name + " has room for " + bytes(m.capacity)}})
		return
	}
	m.setSize(s.Size)
	m.emit(Tell{p.id, Said{Kind: "resize-yes", Size: s.Size}})
}

func (m *Machine) onResizeAnswer(p *peer, s Said) {
	r := m.resizing
	if r == nil || s.Size != r.size || r.waiting&bit(p.id) == 0 {
		return
	}
	if s.Kind == "resize-no" {
		m.resizing = nil
		m.answer(r.in.ID, m.conflict("resize", s.Words, "Enlarge that disk first."), "")
		return
	}
	r.waiting &^= bit(p.id)
	r.grown |= bit(p.id)
}

// finishResize grows here once all others have.
func (m *Machine) finishResize(r *resizing) {
	m.resizing = nil
	if m.disk != volume.UpToDate {
		m.answer(r.in.ID, m.conflict("resize", "the disk here is "+m.disk.String()+" by now", "See takt volume status, then try again."), "")
		return
	}
	old := m.super.Agreed
	m.setSize(r.size)
	for _, p := range m.peers {
		if p.hasDisk() {
			m.emit(MarkAll{Peer: p.id, From: old})
		}
	}
	m.tellUp(Said{Kind: "resized", Size: r.size})
	m.answer(r.in.ID, nil, "the volume has "+bytes(r.size)+" now")
	for _, p := range m.peers {
		if r.grown&bit(p.id) != 0 {
			m.compareAgain(p)
		}
	}
}

// onResized tells a node without a disk how large the volume is.
func (m *Machine) onResized(_ *peer, s Said) {
	if !m.attached {
		m.setSize(s.Size)
	}
}
