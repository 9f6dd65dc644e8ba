package state

import (
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// pickSource chooses, on a node that needs a resync, from whom: the primary if it is connected to one; nobody while the
// primary is only in contact with the other replicas, since it would be old again at once.
func (m *Machine) pickSource() {
	var now, best *peer
	for _, p := range m.peers {
		switch {
		case p.need != needTarget:
		case p.running || p.going:
			now = p
		case p.meeting() || p.blocked || !m.mayFeed(p) || p.pauseHere != "" || p.pauseAway != "":
		case best == nil || best.role != volume.Primary && (p.role == volume.Primary || p.gen.Within(best.gen.Current)):
			best = p
		}
	}
	if now != nil && m.role == volume.Primary && !now.agrees {
		m.tellSync(now, "sync-stop", "node "+m.self.Name+" is primary and works with other data")
		m.stopSync(now)
		m.showSync(now)
		now = nil
	}
	switch {
	case best == nil || m.isSource() || m.role == volume.Primary && sound(m.disk):
		return
	case now != nil && (now.role == volume.Primary || best.role != volume.Primary):
		return
	case now != nil:
		m.tellSync(now, "sync-stop", "the resync begins anew from the primary, node "+best.node.Name)
		m.stopSync(now)
		m.showSync(now)
	}
	m.beginTarget(best)
}

// mayFeed says whether p is a source whose blocks stay true.
func (m *Machine) mayFeed(p *peer) bool {
	if m.role == volume.Primary && !p.agrees {
		return false // reads would change
	}
	if p.role == volume.Primary && p.disk == volume.Outdated && m.goodBeside(p) {
		return false // what it gives is called old again as soon as it is here
	}
	if p.role == volume.Primary || m.role == volume.Primary {
		return true
	}
	_, primaries := m.contacts()
	return (primaries|p.primaries)&^bit(m.cfg.Self)&^m.dataless() == 0
}

// goodBeside says whether another node than p would be a source with up-to-date data.
func (m *Machine) goodBeside(p *peer) bool {
	for _, q := range m.peers {
		if q != p && q.need == needTarget && q.disk == volume.UpToDate {
			return true
		}
	}
	return false
}

// dataless are the primaries in contact that have no disk, or an old one: they write at others, and here beside a resync.
func (m *Machine) dataless() uint16 {
	var mask uint16
	for _, q := range m.peers {
		if q.up() && q.role == volume.Primary && (q.disk == volume.Diskless || q.disk == volume.Outdated) {
			mask |= bit(q.id)
		}
	}
	return mask
}

// beginTarget asks the source to begin, after the handler.
func (m *Machine) beginTarget(p *peer) {
	if !p.ready {
		if p.hooked {
			return
		}
		if m.hook("before-resync-target", p) {
			p.hooked = true
			return
		}
		p.ready = true
	}
	p.going = true
	p.asked++
	m.emit(Tell{p.id, Said{Kind: "sync-go", Full: p.full, Mine: p.asked, Yours: p.heard}})
}

// tellSync says that a resync does not begin, or ends. The two sides may have gone on while it was on its way, so it says what it is
// about.
func (m *Machine) tellSync(p *peer, kind, words string) {
	m.emit(Tell{p.id, Said{Kind: kind, Words: words, Mine: p.asked, Yours: p.heard}})
}

// overtaken says whether such a word is about a resync before the one that p and this node speak of now: the target has asked anew since.
func (p *peer) overtaken(s Said) bool {
	switch {
	case p.verify:
		return false
	case p.need == needTarget:
		return s.Yours != p.asked
	case p.need == needSource:
		return s.Mine != p.heard
	}
	return false
}

// onSyncGo: the target is ready.
func (m *Machine) onSyncGo(p *peer, s Said) {
	p.heard = s.Mine
	m.stopSync(p) // the target begins anew
	if m.isTarget(p) {
		m.tellSync(p, "sync-wait", "node "+m.self.Name+" is being resynced itself")
		return
	}
	if p.need != needSource || !sound(m.disk) {
		m.tellSync(p, "sync-stop", "node "+m.self.Name+" is no source any more")
		m.compareAgain(p)
		return
	}
	m.hook("before-resync-source", p)
	if p.full || s.Full {
		p.going = true
		m.draw(draw{kind: drawBase, peer: p})
		return
	}
	base := p.gen.Current
	if p.renounce {
		base = m.super.Gen.Bitmap[p.id] // where the two parted
	}
	m.beginSource(p, base)
}

// isTarget says whether this node is being resynced, so that it cannot feed p now. Where nodes that
// wait for one another could form a circle, the lowest number feeds first.
func (m *Machine) isTarget(p *peer) bool {
	for _, q := range m.peers {
		if q.need != needTarget || !q.going && !q.running {
			continue
		}
		if q.running || m.cfg.Self > p.id {
			return true
		}
		m.tellSync(q, "sync-stop", "node "+m.self.Name+" feeds another node first")
		m.stopSync(q)
		m.showSync(q)
	}
	return false
}

// isSource says whether this node feeds another one.
func (m *Machine) isSource() bool {
	for _, q := range m.peers {
		if q.need == needSource && (q.going || q.running) {
			return true
		}
	}
	return false
}

// markedAll: every block is marked for the target; from now on the generation base
// stands for what it has, so that an interrupted resync goes on where it was.
func (m *Machine) markedAll(p *peer, base volume.Generation) {
	if !p.going || p.need != needSource {
		return
	}
	m.emit(MarkAll{Peer: p.id})
	m.super.Gen.Bitmap[p.id] = base
	m.super.FullSync[p.id] = false
	m.beginSource(p, base)
}

func (m *Machine) beginSource(p *peer, base volume.Generation) {
	p.going, p.running = false, true
	m.emit(Tell{p.id, Said{Kind: "sync-begin", Gen: meta.Generations{Current: base}, Size: m.super.Agreed, Full: p.full, Mine: p.asked, Yours: p.heard}})
	p.full = false
	m.setFlow(p, FlowSendOnlySynced)
	m.emit(Sync{Peer: p.id, Do: "source"})
	m.showSync(p)
}

// onSyncBegin: the source begins. From here on what this node has counts as base, mixed with
// newer blocks.
func (m *Machine) onSyncBegin(p *peer, s Said) {
	if s.Yours != p.asked {
		return // it answers a question that was taken back; the answer to the newest is on its way
	}
	base := s.Gen.Current
	if !p.going || p.need != needTarget || !m.attached || m.role == volume.Primary && sound(m.disk) {
		m.tellSync(p, "sync-stop", "node "+m.self.Name+" does not want a resync any more")
		return
	}
	p.going = false
	if !m.stillOlder(p) {
		m.tellSync(p, "sync-stop", "node "+m.self.Name+" has newer data by now")
		m.compareAgain(p)
		return
	}
	if base != m.super.Gen.Current {
		if !p.full && !p.renounce && !s.Full {
			m.tellSync(p, "sync-stop", "node "+m.self.Name+" has other data than was said")
			m.compareAgain(p)
			return
		}
		m.renounceTo(p, base)
	}
	p.running, p.full, p.renounce = true, false, false
	p.discard = false
	m.super.FullSync[p.id] = false
	m.super.SyncTargetOf[p.id] = true
	m.setSize(s.Size)
	m.setDisk(volume.Inconsistent, "resync from node "+p.node.Name+" begins")
	m.emit(Sync{Peer: p.id, Do: "target"})
	m.showSync(p)
}

// stillOlder says whether p, the source, still has what is here: this node may have followed a primary to a new
// generation, and p have been left behind, since the two were compared.
func (m *Machine) stillOlder(p *peer) bool {
	return p.renounce || !sound(m.disk) || m.super.Gen.Fresh() || p.gen.Within(m.super.Gen.Current)
}

// renounceTo gives up this node's own history: what it has counts as base. What it knew about third
// nodes holds only where they are at base, too.
func (m *Machine) renounceTo(p *peer, base volume.Generation) {
	g := &m.super.Gen
	for _, q := range m.peers {
		if q != p && q.hasDisk() && g.Bitmap[q.id] != 0 && g.Bitmap[q.id] != base {
			m.super.FullSync[q.id] = true
			m.emit(MarkAll{Peer: q.id})
		}
	}
	if p.renounce {
		m.super.Seen = 0
	}
	g.Bitmap[p.id] = 0
	g.History = [meta.HistorySize]volume.Generation{}
	g.Current = base
}

// onSyncEnded: the data path has done its part.
func (m *Machine) onSyncEnded(p *peer, in SyncEnded) {
	switch {
	case p.verify:
		m.verifyEnded(p, in)
	case !p.running:
	case in.Failed != "":
		m.peerEvent(p, "error", "the resync with node "+p.node.Name+" failed: "+in.Failed)
		m.tellSync(p, "sync-stop", in.Failed)
		m.stopSync(p)
		m.emit(Drop{Peer: p.id, Retry: true, Why: in.Failed})
	case p.need == needSource && !p.doneTold:
		p.ended = true
	}
}

// finishSyncs tells targets that they have everything: as soon as they get what a primary elsewhere writes.
func (m *Machine) finishSyncs() {
	for _, p := range m.peers {
		if !p.ended || !p.running || p.need != needSource {
			continue
		}
		from := m.primaryPeer()
		switch {
		case from != nil && from != p && m.role != volume.Primary && from.gets&bit(p.id) == 0:
			p.heldBack = true
		case p.heldBack:
			p.ended, p.heldBack = false, false
			m.emit(Sync{Peer: p.id, Do: "resume"}) // with what was marked meanwhile
		default:
			p.ended, p.doneTold, p.left = false, true, false
			m.emit(Tell{p.id, Said{Kind: "sync-done", Gen: m.super.Gen, Disk: m.disk, Written: m.super.Written, InStep: m.equals()}})
		}
	}
}

// equals are the replicas that have no other data than this node, as far as it can know.
func (m *Machine) equals() uint16 {
	if p := m.primaryPeer(); p != nil && m.role != volume.Primary {
		return p.inStep
	}
	if m.disk != volume.UpToDate {
		return 0 // what is in step with a primary need not be so with its own old data
	}
	mask := m.inStepMask()
	for _, p := range m.peers {
		if p.need != needNothing || p.unsure || m.role != volume.Primary && p.inStep&bit(m.cfg.Self) == 0 {
			mask &^= bit(p.id) // as good, or better, but marks say that it differs, here or there
		}
	}
	return mask
}

// onSyncDone: this node has everything that p has.
func (m *Machine) onSyncDone(p *peer, s Said) {
	if p.need != needTarget || !p.running {
		return
	}
	if p.expect != 0 && s.Gen.Current != p.expect {
		s.Gen = p.gen // this node, the primary, has begun a new generation meanwhile; the source is about to hear of it
	}
	m.clone(p, s)
	p.need, p.running, p.found = needNothing, false, 0
	m.emit(MarkAll{Peer: p.id, Clear: true})
	m.emit(Sync{Peer: p.id, Do: "stop"})
	p.gen = s.Gen
	disk := volume.UpToDate
	if s.Disk != volume.UpToDate {
		disk = s.Disk
	}
	m.setDisk(disk, "resync from node "+p.node.Name+" is done")
	m.crashed, m.super.Crashed = 0, m.role == volume.Primary
	m.setConn(p, volume.Connected, "")
	m.hook("after-resync-target", p)
	for _, q := range m.peers {
		if q == p {
			continue
		}
		q.unsure = s.InStep&bit(q.id) == 0
		if q.need != needNothing || q.gen.Current != m.super.Gen.Current || q.unsure && q.writesHere() || q.meeting() {
			m.compareAgain(q) // a Hello that is out does not say what has come since
		}
	}
}

// writesHere says whether p is a primary whose data counts.
func (p *peer) writesHere() bool { return p.role == volume.Primary && sound(p.disk) }

// clone makes this node's generations those of the source p. What the marks for a third
// node say now: they hold what this node wrote and received since it was in step with that node; if the source was
// last in step with it at the same point, or this node was never out of step, they say enough.
func (m *Machine) clone(p *peer, s Said) {
	was := m.super.Gen
	g := &m.super.Gen
	g.Current, g.History = s.Gen.Current, s.Gen.History
	m.super.Written = s.Written
	m.see(*g)
	g.Bitmap[p.id], m.super.FullSync[p.id] = 0, false
	for i := range m.super.SyncTargetOf {
		m.super.SyncTargetOf[i] = false
	}
	for _, q := range m.peers {
		if q == p || !q.hasDisk() {
			continue
		}
		theirs, mine := s.Gen.Bitmap[q.id], was.Bitmap[q.id]
		g.Bitmap[q.id] = theirs
		switch {
		case s.InStep&bit(q.id) != 0 && theirs == 0 && m.stillInStep(p, q):
			m.super.FullSync[q.id] = false
			m.emit(MarkAll{Peer: q.id, Clear: true})
		case theirs != 0 && mine != 0 && mine != theirs:
			m.super.FullSync[q.id] = true
			m.emit(MarkAll{Peer: q.id})
		}
	}
}

// stillInStep: the source p says that q is in step with the primary, which may be older news than what is known here. If the
// primary has lost q since, marks here may be the first of what q lacks.
func (m *Machine) stillInStep(p, q *peer) bool {
	if m.role == volume.Primary {
		return q.inSync()
	}
	from := m.primaryPeer()
	return from == nil || from == p || from.inStep&bit(q.id) != 0
}

// confirmed: the target has written down that it has everything.
func (m *Machine) confirmed(p *peer) {
	p.doneTold, p.running, p.need, p.found = false, false, needNothing, 0
	m.super.Gen.Bitmap[p.id], m.super.FullSync[p.id] = 0, false
	m.super.PeerOutdated[p.id] = false
	m.emit(Sync{Peer: p.id, Do: "stop"})
	m.setConn(p, volume.Connected, "")
	m.crashOver(p)
	m.unfence(p)
}

// stopSync ends a resync or verify in the middle; what is missing stays marked.
func (m *Machine) stopSync(p *peer) {
	p.abandonVerify("another change came first")
	if p.running || p.verify {
		m.emit(Sync{Peer: p.id, Do: "stop"})
	}
	p.running, p.verify, p.going, p.doneTold, p.ready, p.ended, p.heldBack = false, false, false, false, false, false, false
}

// onSyncStop: the other side has ended it.
func (m *Machine) onSyncStop(p *peer, s Said) {
	if p.overtaken(s) {
		return
	}
	wasVerify := p.verify
	p.abandonVerify(s.Words)
	m.stopSync(p)
	p.blocked = p.need == needTarget // until something changes
	if wasVerify {
		m.setConn(p, volume.Connected, "")
	} else {
		m.showSync(p)
	}
	m.peerEvent(p, "sync", "node "+p.node.Name+" ends the resync or verify: "+s.Words)
}

// showSync sets the state that the connection shows.
func (m *Machine) showSync(p *peer) {
	paused := p.pauseHere != "" || p.pauseAway != ""
	why := p.pauseHere
	if why == "" {
		why = p.pauseAway
	}
	state := volume.Connected
	switch {
	case p.verify, !p.up() && p.need == needNothing && p.conn == volume.StandAlone:
		return
	case p.need == needSource && p.running && !paused:
		state = volume.SyncSource
	case p.need == needTarget && p.running && !paused:
		state = volume.SyncTarget
	case p.need == needSource:
		state = volume.PausedSyncS
	case p.need == needTarget:
		state = volume.PausedSyncT
	case p.congested:
		state = volume.Ahead
	}
	if p.need != needNothing && why == "" && !p.running {
		why = m.waitsFor(p)
	}
	m.setConn(p, state, why)
}

// waitsFor says why a resync has not begun.
func (m *Machine) waitsFor(p *peer) string {
	if p.need == needSource {
		return "waits until node " + p.node.Name + " is ready"
	}
	for _, q := range m.peers {
		if q != p && q.need == needTarget && (q.running || q.going) {
			return "waits for the resync from node " + q.node.Name
		}
	}
	if !m.mayFeed(p) {
		return "waits for a connection to the primary"
	}
	return "is about to begin"
}

// pauses tells the data path and the peer whether a resync is to rest.
func (m *Machine) pauses() {
	for _, p := range m.peers {
		p.pauseHere = ""
		switch {
		case p.userPause:
			p.pauseHere = "paused by a user on node " + m.self.Name
		case m.otherSync && m.cfg.Sync.After != "":
			p.pauseHere = "waits for volume " + m.cfg.Sync.After + " on node " + m.self.Name
		}
		if !p.up() || p.need == needNothing {
			continue
		}
		m.tellPause(p)
		if paused := p.pauseHere != "" || p.pauseAway != ""; p.running && paused != p.paused {
			p.paused = paused
			do := "resume"
			if paused {
				do = "pause"
			}
			m.emit(Sync{Peer: p.id, Do: do})
		}
		m.showSync(p)
	}
}

func (m *Machine) tellPause(p *peer) {
	if p.pauseTold == p.pauseHere {
		return
	}
	p.pauseTold = p.pauseHere
	kind := "pause"
	if p.pauseHere == "" {
		kind = "resume"
	}
	m.emit(Tell{p.id, Said{Kind: kind, Words: p.pauseHere}})
}
