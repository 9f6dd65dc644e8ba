package state

import (
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// draw is what a random number was asked for. The answers come in the order of the questions.
type draw struct {
	kind drawKind
	peer *peer
	id   uint64 // Asked
}

type drawKind uint8

const (
	drawRotate drawKind = iota // the primary goes on without a peer
	drawForced                 // this node's data counts from now on
	drawBase                   // a full resync begins
	drawClear                  // new-current-uuid --clear-bitmap
	drawByHand                 // new-current-uuid
	drawFirst                  // fresh disks begin together without a first sync
)

func (m *Machine) draw(d draw) {
	m.draws = append(m.draws, d)
	m.emit(NeedGeneration{})
}

func (m *Machine) drawing(kind drawKind) bool {
	for _, d := range m.draws {
		if d.kind == kind {
			return true
		}
	}
	return false
}

func (m *Machine) onDrawn(in Drawn) {
	if len(m.draws) == 0 {
		return
	}
	d := m.draws[0]
	m.draws = m.draws[1:]
	g := in.Generation &^ 1
	if g == 0 || g == volume.JustCreated {
		g += 1 << 32
	}
	switch d.kind {
	case drawRotate:
		m.newGeneration(g, in.Unix)
	case drawForced:
		m.forced(g, in.Unix)
	case drawBase:
		m.markedAll(d.peer, g)
	case drawFirst:
		m.beginFirst(g, in.Unix)
	case drawClear:
		m.clearFirst(g, in.Unix)
		m.answer(d.id, nil, "")
	case drawByHand:
		m.rotateNow(g, in.Unix)
		m.answer(d.id, nil, "")
	}
}

// due says whether some replica misses what is written from now on and the generations do not say so yet.
func (m *Machine) due() bool {
	if m.role != volume.Primary || m.super.Gen.Fresh() {
		return false
	}
	for _, p := range m.peers {
		if p.hasDisk() && m.behind(p) && m.super.Gen.Bitmap[p.id] == 0 {
			return true
		}
	}
	return false
}

// behind says whether p does not get what this node writes.
func (m *Machine) behind(p *peer) bool {
	return p.congested || !p.inSync() && !(p.need == needSource && p.running) && !(p.need == needTarget)
}

// rotate begins a new generation when a write waits and nobody may judge by the one before.
func (m *Machine) rotate() {
	if !m.asked || m.role != volume.Primary {
		return
	}
	if m.due() {
		if !m.meetingAny() && !m.drawing(drawRotate) && m.mode().Mode == IOOpen {
			m.draw(draw{kind: drawRotate})
		}
		return
	}
	if m.mode().Mode == IOOpen {
		m.asked = false
		m.setIO()
		m.emit(GoOn{})
	}
}

// newGeneration: from here on the replicas that are not in step are behind. A peer that is in step
// counts as behind until it says that it has written the new generation down.
func (m *Machine) newGeneration(next volume.Generation, unix int64) {
	if m.role == volume.Primary && m.due() {
		m.rotateNow(next, unix)
	}
}

func (m *Machine) rotateNow(next volume.Generation, unix int64) {
	step := m.inStepMask()
	old := m.super.Gen.Current
	m.begin(next, unix, 0)
	m.event("generation", "a new generation begins: not all replicas follow")
	said := Said{Kind: "generation", Gen: m.super.Gen, InStep: step, Written: unix}
	said.Gen.History[0] = old
	for _, p := range m.peers {
		if p.inSync() && !p.congested {
			m.emit(Tell{p.id, said})
		}
	}
}

// begin makes next the current generation; all replicas but except are behind where they were not before.
func (m *Machine) begin(next volume.Generation, unix int64, except uint16) {
	g := &m.super.Gen
	for _, p := range m.peers {
		if p.hasDisk() && except&bit(p.id) == 0 && g.Bitmap[p.id] == 0 && !g.Fresh() {
			g.Bitmap[p.id] = g.Current
		}
	}
	g.Begin(next)
	m.super.Written = unix
}

// onGeneration: the primary p has begun a new generation, and this node follows.
func (m *Machine) onGeneration(p *peer, s Said) {
	p.gen, p.inStep = s.Gen, s.InStep
	switch {
	case s.First:
		m.adoptFirst(p, s)
	case !m.attached:
		m.super.Gen = s.Gen
	case m.disk != volume.UpToDate || m.super.Gen.Current != s.Gen.History[0]:
		m.compareAgain(p)
	default:
		var except uint16
		if s.InStep&bit(p.id) != 0 {
			except = bit(p.id)
		}
		m.begin(s.Gen.Current, s.Written, except)
		for _, q := range m.peers {
			if q != p && s.InStep&bit(q.id) == 0 {
				m.compareAgain(q)
			}
		}
	}
}

// confirm: p says that it is at this node's generation.
func (m *Machine) confirm(p *peer) {
	if p.gen.Current != m.super.Gen.Current || !m.attached {
		return
	}
	if p.doneTold {
		m.confirmed(p)
	}
	if p.inSync() && m.disk == volume.UpToDate {
		m.super.Gen.Bitmap[p.id] = 0
		m.super.PeerOutdated[p.id] = false
		p.wasThere = true
	}
}

// firstTogether begins the life of fresh disks without a first sync, once all replicas are there. The one with the lowest number does it.
func (m *Machine) firstTogether() {
	if !m.super.Gen.Fresh() || m.drawing(drawFirst) || !m.allFreshTogether() {
		return
	}
	m.draw(draw{kind: drawFirst})
}

func (m *Machine) allFreshTogether() bool {
	for _, p := range m.peers {
		if p.hasDisk() && (p.id < m.cfg.Self || !p.up() || !p.gen.Fresh()) {
			return false
		}
	}
	return m.attached
}

func (m *Machine) beginFirst(g volume.Generation, unix int64) {
	if !m.super.Gen.Fresh() || !m.allFreshTogether() {
		return
	}
	m.clearFirst(g, unix)
}

// clearFirst: the data on all fresh disks counts as equal.
func (m *Machine) clearFirst(g volume.Generation, unix int64) {
	m.adopt(g, unix)
	for _, p := range m.peers {
		if p.up() && p.disk != volume.Diskless {
			p.gen, p.disk = m.super.Gen, volume.UpToDate
			m.emit(Tell{p.id, Said{Kind: "generation", Gen: m.super.Gen, First: true, Written: unix, InStep: m.inStepMask()}})
		}
	}
}

func (m *Machine) adopt(g volume.Generation, unix int64) {
	m.super.Gen = meta.Generations{Current: g}
	m.super.Written = unix
	for _, p := range m.peers {
		m.super.FullSync[p.id] = false
		m.emit(MarkAll{Peer: p.id, Clear: true})
	}
	m.setDisk(volume.UpToDate, "fresh disks need no first sync")
}

// adoptFirst is the other side of beginFirst.
func (m *Machine) adoptFirst(p *peer, s Said) {
	if !m.attached || !m.super.Gen.Fresh() {
		m.compareAgain(p)
		return
	}
	m.adopt(s.Gen.Current, s.Written)
	p.disk = volume.UpToDate
	for _, q := range m.peers {
		if q == p {
			continue
		}
		if q.running || q.going {
			m.emit(Tell{q.id, Said{Kind: "sync-stop", Words: "no first sync is needed"}})
			m.stopSync(q)
		}
		m.compareAgain(q)
	}
}
