package state

import (
	"fmt"

	"github.com/takt-ha/takt/volume"
)

// resizing is an online grow under way: first every peer makes room, then this node grows and marks the new part, so that it is
// copied from here.
type resizing struct {
	id      uint64
	size    int64
	waiting uint16
	grown   uint16
}

func (m *Machine) askResize(in Asked) {
	size, err := m.resizeAllowed(in)
	if err != nil {
		m.answer(in.ID, err, "")
		return
	}
	if size == m.super.Agreed {
		m.answer(in.ID, nil, "the volume has "+bytes(size)+" already")
		return
	}
	r := &resizing{id: in.ID, size: size}
	for _, p := range m.peers {
		if p.up() && p.disk != volume.Diskless {
			r.waiting |= bit(p.id)
			m.emit(Tell{p.id, Said{Kind: "resize?", Size: size}})
		}
	}
	m.resizing = r
	m.finishResize()
}

func (m *Machine) resizeAllowed(in Asked) (int64, error) {
	const op = "resize"
	size, room := in.Size, m.capacity
	switch {
	case !m.attached || m.disk != volume.UpToDate:
		return 0, m.conflict(op, "the disk here is "+m.disk.String()+", not UpToDate", "Run it on a node whose disk is UpToDate.")
	case m.primaryPeer() != nil && m.role != volume.Primary:
		return 0, m.conflict(op, "node "+m.primaryPeer().node.Name+" is primary", "Run it there.")
	case m.halfDecided() || m.meetingAny():
		return 0, m.conflict(op, "another change is under way", "Wait for it, then try again.")
	}
	for _, p := range m.peers {
		switch {
		case !p.hasDisk() || p.up() && p.disk == volume.Diskless:
		case !p.up() && !in.Force:
			return 0, m.conflict(op, "node "+p.node.Name+" is not connected", "Connect it first; or, if it will be given a disk that is large enough: resize --force.")
		case p.up() && p.conn != volume.Connected:
			return 0, m.conflict(op, "the connection to node "+p.node.Name+" is "+p.conn.String(), "Wait until the two are in step.")
		case p.up():
			room = min(room, positive(p.capacity))
		}
	}
	if size == 0 {
		size = room / volume.BlockSize * volume.BlockSize
	}
	switch {
	case size < m.super.Agreed:
		return 0, m.conflict(op, fmt.Sprintf("the volume has %s; it can grow, but not shrink to %s", bytes(m.super.Agreed), bytes(size)), "Copy the data to a smaller volume instead.")
	case size > room:
		return 0, m.conflict(op, fmt.Sprintf("the smallest disk has room for %s, not for %s", bytes(room), bytes(size)), "Enlarge the disks first.")
	}
	return size, nil
}

func (m *Machine) onResize(p *peer, s Said) {
	if !m.attached || s.Size > m.capacity || s.Size < m.super.Agreed {
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
		m.answer(r.id, m.conflict("resize", s.Words, "Enlarge that disk first."), "")
		return
	}
	r.waiting &^= bit(p.id)
	r.grown |= bit(p.id)
	m.finishResize()
}

// finishResize grows here once all others have.
func (m *Machine) finishResize() {
	r := m.resizing
	if r == nil || r.waiting&m.upMask() != 0 {
		return
	}
	m.resizing = nil
	old := m.super.Agreed
	for _, p := range m.peers {
		if p.hasDisk() {
			m.emit(MarkAll{Peer: p.id, From: old})
		}
	}
	m.setSize(r.size)
	m.tellUp(Said{Kind: "resized", Size: r.size})
	m.answer(r.id, nil, "the volume has "+bytes(r.size)+" now")
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
