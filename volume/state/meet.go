package state

import (
	"github.com/takt-ha/takt/volume"
)

func (m *Machine) onMet(p *peer) {
	if p.conn == volume.StandAlone {
		m.emit(Drop{Peer: p.id, Why: p.why})
		return
	}
	p.reset()
	p.met, p.wanted = true, true
}

// compareAgain begins a new exchange of Hellos on a standing connection; after the exchange under way, if there is one, also the
// first: the Hello that is out does not say what has changed.
func (m *Machine) compareAgain(p *peer) {
	if p.met {
		p.wanted = true
	}
}

// greetAll sends the Hellos that are due, unless something is half-decided that the other could not know.
func (m *Machine) greetAll() {
	for _, p := range m.peers {
		if p.met && p.wanted && !p.sent && !m.halfDecided() {
			p.sent, p.wanted, p.greeted = true, false, false
			p.mine = m.hello(p)
			m.emit(Greet{Peer: p.id, Hello: p.mine})
		}
	}
}

// halfDecided: peers have been asked for something whose outcome a Hello would have to tell.
func (m *Machine) halfDecided() bool {
	return m.promotion != nil && m.promotion.stage >= stageAsk || m.demotion != nil || len(m.draws) > 0 || m.resizing != nil
}

// meetingAny says whether some peer may judge by what this node says now.
func (m *Machine) meetingAny() bool {
	for _, p := range m.peers {
		if p.meeting() || p.doneTold {
			return true
		}
	}
	return false
}

// hello is what p is told of this node.
func (m *Machine) hello(p *peer) Hello {
	contact, primaries := m.contacts()
	return Hello{
		Super: m.super, Role: m.role, Disk: m.disk, Client: !m.selfHasDisk(), Users: m.writers > 0, Stopped: m.role == volume.Primary && m.lastIO.Mode != IOOpen,
		Size: m.super.Agreed, Capacity: m.capacity, Wanted: m.cfg.Size, Discard: p.discard, TwoPrimary: m.allowsTwo(), SkipFirst: m.cfg.Sync.SkipFirst,
		Outdated: p.outdated, Verified: p.verified, Policies: m.cfg.Split, Contact: contact, Primaries: primaries,
		Same: m.same(), Crashed: m.sameCrashed(),
	}
}

// same are the replicas that differ in nothing from this one.
func (m *Machine) same() uint16 {
	mask := bit(m.cfg.Self)
	for _, p := range m.peers {
		if m.attached && p.inSync() && p.need == needNothing && p.gen.Current == m.super.Gen.Current {
			mask |= bit(p.id)
		}
	}
	return mask
}

func (m *Machine) sameCrashed() bool {
	crashed := m.super.Crashed && (m.role != volume.Primary || m.crashed != 0) // the superblock of each primary says so
	for _, p := range m.peers {
		crashed = crashed || p.crashed && m.same()&bit(p.id) != 0
	}
	return crashed
}

func (m *Machine) onGreeted(p *peer, dirty int64) {
	if p.sent && !p.greeted {
		p.greeted, p.mine.Dirty = true, dirty
		m.judged(p)
	}
}

func (m *Machine) onHello(p *peer, h Hello) {
	if !p.met {
		return
	}
	if h.Super.Volume != m.super.Volume || h.Super.Self != p.id {
		m.refuse(p, "it is of another volume that has the same name, or another node: compare the volume's id and the node ids of both configurations")
		return
	}
	if m.granted == p {
		m.granted = nil
	}
	p.theirs, p.newer = &h, false
	if !p.sent {
		p.wanted = true
	}
	m.judged(p)
}

// judged acts as soon as both Hellos are there.
func (m *Machine) judged(p *peer) {
	if !p.greeted || p.theirs == nil {
		return
	}
	mine, theirs := p.mine, *p.theirs
	p.sent, p.greeted, p.theirs = false, false, nil
	v := judge(mine, theirs, m.name)
	m.splitHooks(p, v)
	switch {
	case v.refuse != "":
		m.refuse(p, v.refuse)
	case v.again != "":
		m.later(p, v)
	case !m.onlyPrimary(p, theirs):
		m.later(p, verdict{again: "this node is connected to another primary already"})
	default:
		m.join(p, mine, theirs, v)
	}
}

// onlyPrimary: a secondary does not serve two primaries, unless that is allowed. One that has stopped makes room.
func (m *Machine) onlyPrimary(p *peer, theirs Hello) bool {
	q := m.primaryPeer()
	if m.granted != nil && m.granted != p {
		q = m.granted // it will be
	}
	if theirs.Role != volume.Primary || q == nil || q == p || m.cfg.Net.AllowTwoPrimary && theirs.TwoPrimary && q.theirTwo {
		return true
	}
	if q.stopped && !theirs.Stopped {
		m.later(q, verdict{again: "node " + p.node.Name + " is primary now"})
		return true
	}
	return false
}

// splitHooks runs the handlers that concern diverged data.
func (m *Machine) splitHooks(p *peer, v verdict) {
	if !v.split || v.refuse == "" && p.lost == "pri-lost-after-sb" {
		return
	}
	m.hook("initial-split-brain", p)
	if v.refuse != "" {
		m.peerEvent(p, "split-brain", v.refuse)
		m.hook("split-brain", p)
		return
	}
	m.peerEvent(p, "split-brain", "histories diverged; "+v.solved+" decides")
}

// refuse ends the attempts to connect until a user says so; the other side is told.
func (m *Machine) refuse(p *peer, words string) {
	m.emit(Tell{p.id, Said{Kind: "refuse", Words: words}})
	m.standAlone(p, words)
}

func (m *Machine) standAlone(p *peer, words string) {
	wasMet := p.met
	m.lose(p)
	p.lost = ""
	m.setConn(p, volume.StandAlone, words)
	if wasMet {
		p.met = false
		m.emit(Drop{Peer: p.id, Why: words})
	}
}

// later ends the connection; it is tried again. A primary with old data has to give up before.
func (m *Machine) later(p *peer, v verdict) {
	if v.giveUp < 0 {
		m.stop(v.again)
		p.discard = p.discard || v.solved != ""
	}
	if lost := v.lost(); v.giveUp != 0 && p.lost != lost {
		p.lost = lost
		if v.giveUp < 0 {
			m.hook(lost, p)
		}
	}
	m.lose(p)
	m.setConn(p, volume.Connecting, v.again)
	p.met = false
	m.emit(Drop{Peer: p.id, Retry: true, Why: v.again})
}

// lost is the handler of a primary that has to give up.
func (v verdict) lost() string {
	if v.solved != "" {
		return "pri-lost-after-sb"
	}
	return "pri-lost"
}

// join makes the peer a peer: what it says of itself counts from now on.
func (m *Machine) join(p *peer, mine, theirs Hello, v verdict) {
	back := !p.up()
	m.backFrom(p, theirs.Boot)
	if p.newer && p.disk == volume.Diskless && theirs.Disk != volume.Diskless {
		v, theirs.Disk = verdict{}, volume.Diskless // it has said so since its Hello
		m.compareAgain(p)
	}
	p.lost = ""
	if v.sync != 0 && !m.attached || v.sync < 0 && mine.Disk == volume.Inconsistent && m.disk == volume.UpToDate {
		v = verdict{} // the disk is gone since the Hello, or a resync has ended
		m.compareAgain(p)
	}
	p.role, p.disk, p.client, p.gen = theirs.Role, theirs.Disk, theirs.Client, theirs.Super.Gen
	p.stopped = theirs.Stopped && theirs.Role == volume.Primary
	p.theirTwo, p.crashed = theirs.TwoPrimary, theirs.Crashed
	p.capacity, p.contact, p.primaries = theirs.room(), theirs.Contact, theirs.Primaries
	p.seen, p.expect = theirs.Super.Seen, 0
	if mine.Discard && v.sync == 0 {
		m.super.Seen = 0 // what was seen elsewhere is given up
	}
	j := judgement{mine: mine, theirs: theirs, name: m.name}
	if size := j.size(v); m.role != volume.Primary || !m.attached {
		m.setSize(size)
	}
	if v.sync == 0 || (v.sync > 0) != (p.need == needSource) || p.need == needNothing {
		m.stopSync(p)
		p.hooked = false
	} // else what has begun goes on
	p.full, p.renounce, p.blocked = v.full, v.renounce, false
	if m.attached && theirs.Super.Gen.Current == m.super.Gen.Current {
		m.super.Gen.Bitmap[p.id] = 0 // the marks alone say what differs
	}
	switch {
	case v.sync > 0:
		p.need = needSource
	case v.sync < 0:
		p.need = needTarget
	default:
		p.need = needNothing
		m.inStepWith(p, theirs)
	}
	p.agrees = m.agreesWith(p)
	p.unsure = false
	p.equal = false // what was judged may be older than what equalThrough saw: it looks again
	if p.hasDisk() && (back && !p.left || theirs.Disk != volume.Diskless && p.gen.Current == m.dataGen().Current) {
		m.allMayHaveIt()
	}
	m.showSync(p)
	m.learn(p, theirs) // what counts is known now that the two are in contact
	if v.first {
		m.firstTogether()
	}
}

// agreesWith: a node that has no good data of its own reads and writes at several others, if they have the same.
func (m *Machine) agreesWith(p *peer) bool {
	given := m.role == volume.Primary && m.disk != volume.UpToDate && p.missed // what is here was given up since it said hello
	if m.attached && p.need != needTarget && !given {
		p.missed = false // the marks here tell
		return true
	}
	for _, q := range m.peers {
		if q != p && q.inSync() && (q.gen.Current != p.gen.Current || p.missed || !p.besides(q)) {
			return false
		}
	}
	for _, q := range m.peers {
		if q != p && q.up() && p.missed {
			q.missed, q.ahead = true, q.disk == volume.Inconsistent // it may have a write that p, which counts now, lacks
			q.agrees = false                                        // so it feeds this node no more
		}
	}
	p.missed = false
	return m.super.Seen == 0 || p.gen.Within(m.super.Seen)
}

// besides says whether p and q both say that nothing differs between them: marks that one of them has tell more than that both are at
// one generation.
func (p *peer) besides(q *peer) bool {
	return p.inStep&bit(q.id) != 0 && q.inStep&bit(p.id) != 0
}

// besideAll says whether p is in step with all others that this node works with.
func (m *Machine) besideAll(p *peer) bool {
	for _, q := range m.peers {
		if q != p && q.inSync() && !p.besides(q) {
			return false
		}
	}
	return true
}

// agree looks again who has the same data as those that a node without good data of its own reads and writes at.
// whole, if any, is one whose resync from one of them has just ended, beside which it got what is written.
func (m *Machine) agree(whole *peer) {
	if m.attached && m.disk == volume.UpToDate {
		return
	}
	for _, p := range m.peers {
		if p.up() && !p.meeting() && p.disk == volume.UpToDate && !p.missed && (p == whole || m.besideAll(p)) && p.gen.Current == m.dataGen().Current && (m.super.Seen == 0 || p.gen.Within(m.super.Seen)) {
			p.agrees = true
		}
	}
}

// learn takes over what a node without (up-to-date) data of its own must know of the data of the others.
func (m *Machine) learn(p *peer, theirs Hello) {
	if !m.attached && p.inSync() {
		m.super.Gen = theirs.Super.Gen
	}
	if theirs.Role == volume.Primary && !theirs.Stopped && (theirs.Disk == volume.UpToDate || theirs.Disk == volume.Diskless) {
		m.see(theirs.Super.Gen)
	}
}

// inStepWith: nothing differs, so the better disk state holds for both.
func (m *Machine) inStepWith(p *peer, theirs Hello) {
	p.discard = false
	if !m.attached || theirs.Disk == volume.Diskless || theirs.Super.Gen.Current != m.super.Gen.Current {
		return
	}
	m.crashOver(p)
	if m.disk == theirs.Disk || m.super.Gen.Fresh() || p.mine.Outdated || p.outdated || theirs.Outdated {
		return
	}
	if m.disk == volume.UpToDate && (p.disk == volume.Consistent || p.disk == volume.Outdated || p.disk == volume.Negotiating) {
		p.disk = volume.UpToDate // as it will find, too
	}
	if theirs.Disk == volume.UpToDate && (m.disk == volume.Consistent || m.disk == volume.Outdated || m.disk == volume.Negotiating) {
		m.setDisk(volume.UpToDate, "in step with node "+p.node.Name)
	}
}

// crashOver: the marks of a crash have been settled with p.
func (m *Machine) crashOver(p *peer) {
	if m.crashed&bit(p.id) == 0 {
		return
	}
	m.crashed &^= bit(p.id)
	if m.crashed == 0 && m.role != volume.Primary {
		m.super.Crashed = false
	}
}

// lose forgets what holds only while connected.
func (m *Machine) lose(p *peer) {
	p.abandonVerify("the connection was lost")
	if p.running || p.verify {
		m.stopSync(p)
	}
	if m.granted == p {
		m.granted = nil
	}
	m.endInvalidate(p, m.conflict("invalidate", "the connection to node "+p.node.Name+" was lost", "Try again when it is back."))
	discard := p.discard
	p.reset()
	p.discard = discard
}

func (m *Machine) setConn(p *peer, c volume.ConnState, why string) {
	if p.conn != c {
		m.peerEvent(p, "connection", "connection to "+p.node.Name+" "+p.conn.String()+" → "+c.String()+because(why))
	}
	p.conn, p.why = c, why
}

func (m *Machine) onDown(p *peer, in PeerDown) {
	m.atStake(p, in) // also of one that a user has parted from
	if !p.met && p.conn != volume.Connecting && !p.up() {
		return
	}
	wasUp, wasPrimary := p.up(), p.role == volume.Primary
	lostSync := p.inSync()
	p.missed = p.missed || m.follows(p) // it got what is written here, beside its resync, until now
	discard := p.discard
	m.lose(p)
	p.discard = discard
	if p.conn == volume.StandAlone {
		return
	}
	m.setConn(p, volume.Connecting, in.Why)
	if !wasUp {
		return
	}
	m.hook("disconnected", p)
	m.lostPeer(p, lostSync, wasPrimary, in)
}

// lostPeer draws the conclusions from the loss of a peer that had been judged.
func (m *Machine) lostPeer(p *peer, lostSync, wasPrimary bool, in PeerDown) {
	if m.role == volume.Primary {
		p.missed = p.missed || lostSync
		if wasPrimary {
			p.dualLost = "node " + p.node.Name + " was primary, too, when it was lost, and may write there"
		}
		if in.Conflict {
			p.dualLost = "both primaries wrote the same block at the same time"
			m.setConn(p, volume.StandAlone, p.dualLost)
			m.emit(Drop{Peer: p.id, Why: p.dualLost})
		}
		if lostSync {
			m.super.PrimaryLost = true
			m.fence(p)
		}
	}
	if wasPrimary && m.role != volume.Primary {
		m.anew(p)
		m.afterPrimary()
	}
}

// anew lets a resync begin anew beside which the primary wrote that is lost: what it wrote here counted as newer than the
// source's, and is older from now on.
func (m *Machine) anew(primary *peer) {
	for _, q := range m.peers {
		if q != primary && q.need == needTarget && q.running {
			m.tellSync(q, "sync-stop", "node "+m.self.Name+" has lost the primary, node "+primary.node.Name+": the resync begins anew")
			m.stopSync(q)
			m.showSync(q)
		}
	}
}

// afterPrimary: there was a primary, and the others may have heard more of it.
func (m *Machine) afterPrimary() {
	for _, q := range m.peers {
		m.compareAgain(q)
	}
}

// name is the host name of a node.
func (m *Machine) name(id volume.NodeID) string {
	for _, n := range m.cfg.Nodes {
		if n.ID == id {
			return n.Name
		}
	}
	return "?"
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}
