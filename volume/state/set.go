package state

import (
	"strings"
	"time"

	"github.com/takt-ha/takt/volume"
)

// set is what the cluster's store says about who is up to date. While it names a
// replica, that replica has every acknowledged write: so a primary acknowledges nothing that a member lacks, and
// only a member may become primary. Two primaries cannot both take the other out, since the store takes only the
// first change of a version.
type set struct {
	members uint16
	version uint64
	quorate bool
	known   bool   // the store has spoken since the start
	mine    uint64 // newest version that this node has recorded
	leaving string

	pending      uint16 // members asked for since the version changed: any of these requests may have been recorded
	asked        uint16 // what was asked for, at which version and when
	askedVersion uint64
	askedAt      time.Duration
	forced       uint16 // to be recorded although this node is no member: primary --force
}

// askAgain is after which time an AskSet that nobody answered is asked again.
const askAgain = 5 * time.Second

func (m *Machine) onSet(in SetSaid) {
	s := &m.set
	if s.known && in.Version < s.version {
		return // overtaken
	}
	if in.Quorate && !s.quorate {
		s.asked = 0
	}
	changed := in.Members != s.members || in.Version != s.version
	if in.Mine {
		s.mine = in.Version
	} else if in.By != bit(m.cfg.Self) && s.known && in.Version != s.version && in.By != 0 {
		m.takenOver(in)
	}
	s.members, s.version, s.quorate, s.known, s.leaving = in.Members, in.Version, in.Quorate, true, in.Leaving
	if m.attached {
		m.super.Members, m.super.MembersVersion = in.Members, in.Version
	}
	if changed {
		m.event("set", "up to date are, as the cluster has recorded: "+m.names(in.Members))
		s.asked, s.pending = 0, 0
	}
	for _, p := range m.peers {
		if p.dualLost != "" && s.members&bit(p.id) == 0 && s.members&bit(m.cfg.Self) != 0 {
			p.dualLost = ""
		}
	}
	if s.forced != 0 && s.members&bit(m.cfg.Self) != 0 {
		s.forced = 0
	}
}

// takenOver: another node has made a new version of the set, as whoever becomes primary does.
func (m *Machine) takenOver(in SetSaid) {
	if p := m.promotion; p != nil && p.stage >= stageAsk {
		p.stage = stageAsk // who has agreed may be the one, and not have agreed to this version
		m.stageBegin(p)
	}
	for _, p := range m.peers {
		both := m.allowsTwo() && p.theirTwo
		if bit(p.id) == in.By && p.up() && (p.role == volume.Primary || both && m.granted == p) {
			return // the other of two that are allowed, or about to be it with this node's consent
		}
	}
	if m.role == volume.Primary {
		m.stop("node " + m.names(in.By) + " has changed the cluster's record of up-to-date replicas, as who becomes primary does; this node must be made secondary")
	}
}

// weighDisk says what the disk is worth, as far as that follows from who else is there.
func (m *Machine) weighDisk() {
	if !m.attached || m.super.Gen.Fresh() {
		return
	}
	switch {
	case m.disk == volume.Consistent && m.cfg.Cluster && m.set.known && m.set.quorate && m.set.members&bit(m.cfg.Self) != 0:
		m.setDisk(volume.UpToDate, "the cluster has recorded that it is")
	case (m.disk == volume.Consistent || m.disk == volume.Outdated) && m.allTheSame():
		m.setDisk(volume.UpToDate, "all replicas have the same")
	case (m.disk == volume.Consistent || m.disk == volume.Outdated) && m.primaryHasNoMore():
		m.setDisk(volume.UpToDate, "the primary, which has no data of its own, has written nothing since")
	case (m.disk == volume.Consistent || m.disk == volume.UpToDate) && m.outside() && !m.besideMember():
		m.setDisk(volume.Outdated, "the cluster has recorded newer data elsewhere")
		m.stop("the cluster has recorded a set of up-to-date replicas without this node: others may have gone on; it must be made secondary")
	}
}

// outside says whether the store has recorded others without this node.
func (m *Machine) outside() bool {
	return m.cfg.Cluster && m.set.known && m.set.members != 0 && m.set.members&bit(m.cfg.Self) == 0 && m.set.forced == 0
}

// besideMember says whether a member is in step with this node, which will be asked into the set.
func (m *Machine) besideMember() bool {
	for _, p := range m.peers {
		if p.inSync() && m.set.members&bit(p.id) != 0 && p.gen.Current == m.super.Gen.Current {
			return true
		}
	}
	return false
}

// primaryHasNoMore: the only primary in contact has no disk, and what it writes at is this node's generation. Whoever has that has all
// that was acknowledged (rule 2 of quorum in volume/DESIGN.md), and whatever is not known here yet, a primary with other data has no
// quorum together with this node, or the cluster's set without it. Where nothing of that is asked it stays old.
func (m *Machine) primaryHasNoMore() bool {
	p := m.primaryPeer()
	if p == nil || p.disk != volume.Diskless || p.conn != volume.Connected || p.meeting() || p.gen.Current != m.super.Gen.Current || m.outside() || !m.ballots() {
		return false
	}
	_, primaries := m.contacts()
	for _, q := range m.peers {
		primaries |= q.primaries
		if q.outdated || q.need == needTarget {
			return false
		}
	}
	g := m.super.Gen
	return primaries == bit(p.id) && p.seen != 0 && g.Within(p.seen) && (m.super.Seen == 0 || g.Within(m.super.Seen))
}

// ballots says whether no two primaries can both have a quorum, or the cluster's record.
func (m *Machine) ballots() bool {
	if m.cfg.Cluster {
		return m.set.known && m.set.members&bit(m.cfg.Self) != 0
	}
	return m.cfg.Quorum.Need != 0 && 2*m.quorumNeed() > len(m.cfg.Nodes)
}

// allTheSame: every configured disk is in contact, at this node's generation, and none lacks blocks.
func (m *Machine) allTheSame() bool {
	for _, p := range m.peers {
		if p.outdated || p.hasDisk() && (p.conn != volume.Connected || p.need != needNothing || p.meeting() || p.gen.Current != m.super.Gen.Current || !sound(p.disk)) {
			return false
		}
	}
	return !m.outside()
}

// wantSet is the set that should be recorded: who has everything and gets everything. It grows only while no other
// primary could write with an older set in mind.
func (m *Machine) wantSet() uint16 {
	want := m.inStepMask()
	for _, p := range m.peers {
		if p.up() && p.role == volume.Primary || p.dualLost != "" {
			want &= m.set.members
		}
	}
	return want
}

// asksSet says whether this node is the one to ask: only the primary, or who is about to be. Others may have lost
// contact to a primary that goes on: if they made the set larger, it would not know.
func (m *Machine) asksSet() bool {
	if !m.cfg.Cluster || !m.set.known || !m.set.quorate || m.stopped != "" {
		return false
	}
	if m.role != volume.Primary && (m.promotion == nil || m.promotion.stage != stageSet) {
		return false
	}
	return m.set.members == 0 || m.set.forced != 0 || m.set.members&(m.inStepMask()|bit(m.cfg.Self)) != 0 && !m.outsideAlone()
}

// outsideAlone: this node has a disk, is no member, and no member is in step with it.
func (m *Machine) outsideAlone() bool { return m.outside() && !m.besideMember() }

// mustBump: whoever becomes primary makes a new version first, even of the same set. So no request from
// before, of whomever, can be recorded any more; and what was known here was the newest, which a node whose log
// lags behind could not tell.
func (m *Machine) mustBump() bool {
	p := m.promotion
	return m.cfg.Cluster && p != nil && p.stage == stageSet && m.set.mine <= p.version
}

// lostPrimary: another primary was lost that the set does not hold. Only a new version tells it, and this node, who goes on.
func (m *Machine) lostPrimary() bool {
	for _, p := range m.peers {
		if p.dualLost != "" && m.set.members&bit(p.id) == 0 {
			return true
		}
	}
	return false
}

// giveUp ends a freeze that nobody waits out: the cluster stops here what uses the volume, and that could not
// end while its requests do not.
func (m *Machine) giveUp() {
	if m.set.leaving == "" || m.role != volume.Primary || m.stopped != "" || m.demotion != nil {
		return
	}
	if io := m.mode(); io.Mode == IOFrozen {
		m.stop(strings.Join(io.Why, "; ") + "; " + m.set.leaving)
	}
}

// askSet asks the store for the set that is true.
func (m *Machine) askSet() {
	want := m.wantSet() | m.set.forced
	if !m.asksSet() || want == 0 {
		return
	}
	if want == m.set.members && m.set.pending&^want == 0 && !m.mustBump() && !m.lostPrimary() {
		return
	}
	s := &m.set
	if s.asked == want && s.askedVersion == s.version && m.now-s.askedAt < askAgain {
		return
	}
	s.asked, s.askedVersion, s.askedAt = want, s.version, m.now
	s.pending |= want
	why := "node " + m.self.Name + " becomes primary"
	if m.lostPrimary() {
		why = "node " + m.self.Name + " goes on without the other primary"
	}
	if more := want &^ s.members; more != 0 {
		why = "node " + m.names(more) + " has everything"
	}
	if gone := (s.members | s.pending) &^ want; gone != 0 {
		why = "node " + m.names(gone) + " cannot be reached or lost its data"
	}
	m.emit(AskSet{Members: want, Version: s.version, Why: why})
}

// setFreezes says why a primary must wait for the store.
func (m *Machine) setFreezes() []string {
	if !m.cfg.Cluster {
		return nil
	}
	switch lacking := (m.set.members | m.set.pending) &^ m.inStepMask(); {
	case !m.set.known:
		return []string{"nothing is known yet of the cluster's set of up-to-date replicas"}
	case m.set.members == 0:
		return []string{"waits until the cluster has recorded who is up to date"}
	case lacking != 0:
		words := "waits until the cluster has recorded that node " + m.names(lacking) + " is not up to date"
		if !m.set.quorate {
			words += "; the cluster has no quorum here"
		}
		return []string{words}
	case m.set.members&m.inStepMask() == 0:
		return []string{"no replica in contact belongs to the cluster's set of up-to-date replicas"}
	}
	return nil
}

func (m *Machine) names(mask uint16) string {
	var names []string
	for _, n := range m.cfg.Nodes {
		if mask&bit(n.ID) != 0 {
			names = append(names, n.Name)
		}
	}
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}
