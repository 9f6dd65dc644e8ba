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

// dataGen are the generations of the data that this node reads and writes: its own, or without a
// good disk those of the peers.
func (m *Machine) dataGen() meta.Generations {
	if m.attached && m.disk != volume.UpToDate {
		for _, p := range m.peers {
			if p.inSync() {
				return p.gen
			}
		}
	}
	return m.super.Gen
}

// due says whether some replica misses what is written from now on and the generations do not say so yet.
func (m *Machine) due() bool {
	g := m.dataGen()
	if m.role != volume.Primary || g.Fresh() {
		return false
	}
	target := false
	for _, p := range m.peers {
		if p.hasDisk() && m.behind(p) && (g.Bitmap[p.id] == 0 && !m.follows(p) || !p.left) {
			return true // one that follows may be whole by now, as its source says, and is about to say so
		}
		target = target || p.need == needTarget && p.running
	}
	return m.disk != volume.UpToDate && m.selfHasDisk() && !target && g.Bitmap[m.cfg.Self] == 0
}

// allMayHaveIt: this primary's generation may be on any disk. It was there before this node became primary; or a peer that was told
// of it has been away, and may have passed it on. What is acknowledged without one of them needs a newer one, or a node
// that has the same generation without the write could be promoted.
func (m *Machine) allMayHaveIt() {
	for _, p := range m.peers {
		p.left = false
	}
}

// behind says whether p does not get what this node writes.
func (m *Machine) behind(p *peer) bool {
	return p.congested || !p.inSync() && !(p.need == needSource && p.running)
}

// rotate begins a new generation when a write waits and nobody may judge by the one before.
func (m *Machine) rotate() {
	if m.role != volume.Primary || !m.asked && !m.someMissed() {
		return
	}
	if m.due() {
		if !m.meetingAny() && !m.drawing(drawRotate) && m.mode().Mode == IOOpen {
			m.draw(draw{kind: drawRotate})
		}
		return
	}
	if m.asked && m.mode().Mode == IOOpen && !m.unheard() {
		m.asked = false
		m.setIO()
		m.emit(GoOn{})
	}
}

// someMissed: a peer is back that may lack writes. A new generation makes the others its sources.
func (m *Machine) someMissed() bool {
	for _, p := range m.peers {
		if p.up() && p.missed && p.disk != volume.Diskless {
			return true
		}
	}
	return false
}

// newGeneration: from here on the replicas that are not in step are behind. A peer that is in step
// counts as behind until it says that it has written the new generation down.
func (m *Machine) newGeneration(next volume.Generation, unix int64) {
	if m.role == volume.Primary && m.due() {
		m.rotateNow(next, unix)
	}
}

// rotateNow tells the peers before it is written down here. If this node dies in between, it comes back with data that the
// others know as an ancestor of theirs; the other way round it would come back with a generation that nobody else has, and a
// survivor that was promoted meanwhile would see a split brain, although nothing was written that it lacks.
func (m *Machine) rotateNow(next volume.Generation, unix int64) {
	step := m.inStepMask()
	g := m.dataGen()
	said := Said{Kind: "generation", InStep: step, Gets: m.getsMask(), Written: unix}
	m.begin(&g, next, 0)
	said.Gen = g
	for _, p := range m.peers {
		if p.inSync() && !p.congested {
			if m.disk != volume.UpToDate {
				p.gen = g
				p.gen.Bitmap[p.id] = 0
			}
			p.expect = g.Current
			m.emit(Tell{p.id, said})
		}
	}
	if m.disk == volume.UpToDate || !m.attached {
		m.super.Gen, m.super.Written = g, unix
	}
	m.see(g)
	m.event("generation", "a new generation begins: not all replicas follow")
	for _, p := range m.peers {
		if p.left = m.behind(p); p.left && p.need == needNothing && p.disk != volume.Diskless && !p.congested {
			p.agrees = false
			m.compareAgain(p)
		}
	}
}

// begin makes next the current generation of g; all replicas but except are behind where they were not before.
func (m *Machine) begin(g *meta.Generations, next volume.Generation, except uint16) {
	if m.disk != volume.UpToDate && m.selfHasDisk() && g.Bitmap[m.cfg.Self] == 0 {
		g.Bitmap[m.cfg.Self] = g.Current
	}
	for _, p := range m.peers {
		if p.hasDisk() && except&bit(p.id) == 0 && g.Bitmap[p.id] == 0 && !g.Fresh() {
			g.Bitmap[p.id] = g.Current
		}
	}
	g.Begin(next)
}

// onGeneration: the primary p has begun a new generation, and this node follows.
func (m *Machine) onGeneration(p *peer, s Said) {
	p.gen, p.inStep, p.gets = s.Gen, s.InStep, s.Gets
	m.see(s.Gen)
	m.leftBehind(p, s.InStep)
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
		m.setFlows() // what is remembered for who is left behind is marked before the generation says so
		m.begin(&m.super.Gen, s.Gen.Current, except)
		m.super.Written = s.Written
		for _, q := range m.peers {
			if q != p && s.InStep&bit(q.id) == 0 {
				m.compareAgain(q)
			}
		}
	}
}

// leftBehind: who does not follow a new generation of the primary has other data from now on than those whom a node without
// good data of its own reads and writes at. One that follows says so when it has written it down.
func (m *Machine) leftBehind(primary *peer, follow uint16) {
	for _, q := range m.peers {
		if q != primary && follow&bit(q.id) == 0 && q.gen.Current != primary.gen.Current && (!m.attached || m.disk != volume.UpToDate) {
			q.agrees = false
		}
	}
}

// confirm: p says that it is at this node's generation.
func (m *Machine) confirm(p *peer) {
	if p.doneTold && p.disk != volume.Inconsistent && p.gen.Current != m.super.Gen.Current {
		m.stopSync(p) // the primary has begun a new generation meanwhile
		m.compareAgain(p)
	}
	if p.gen.Current != m.super.Gen.Current || !m.attached {
		return
	}
	if p.doneTold && p.disk != volume.Inconsistent { // else it said so before it heard
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
			m.emit(Tell{p.id, Said{Kind: "generation", Gen: m.super.Gen, First: true, Written: unix, InStep: m.inStepMask(), Gets: m.inStepMask()}})
		}
	}
}

func (m *Machine) adopt(g volume.Generation, unix int64) {
	m.super.Gen = meta.Generations{Current: g}
	m.see(m.super.Gen)
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
			m.tellSync(q, "sync-stop", "no first sync is needed")
			m.stopSync(q)
		}
		m.compareAgain(q)
	}
}

// see remembers that g exists, if it is newer than what was known: from this node's own disk, or from a
// primary. What secondaries have is not remembered: it may be old.
func (m *Machine) see(g meta.Generations) {
	if !g.Fresh() && (m.super.Seen == 0 || g.Within(m.super.Seen)) {
		m.super.Seen = g.Current
	}
}

// unheard: with quorum, a generation counts as begun when a quorum knows of it. So every later
// quorum has a node that refuses to promote older data.
//
// Without a good disk here, it counts when those who have one have written it down.
func (m *Machine) unheard() bool {
	for _, p := range m.peers {
		if m.role == volume.Primary && m.disk != volume.UpToDate && p.inSync() && p.expect != 0 {
			return true
		}
	}
	if m.cfg.Quorum.Need == 0 || m.cfg.Cluster || m.role != volume.Primary {
		return false
	}
	n := 0
	if m.countsSelf() {
		n++
	}
	for _, p := range m.peers {
		if p.up() && m.counts(p) && p.seen == m.dataGen().Current {
			n++
		}
	}
	return n < m.quorumNeed()
}
