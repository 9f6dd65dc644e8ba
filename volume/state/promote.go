package state

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
)

// promotion is a node on its way to be primary:
//
//	stageMeet ─▶ stageFence ─▶ stageAsk ─▶ stageSet ─▶ primary
//	 Hellos that   peers that    the others   the store records
//	 are out       are away      agree        who is up to date
//
// The rules are checked anew at every stage. A new version of the cluster's set by another node leads
// back to stageAsk.
type promotion struct {
	id      uint64
	round   uint64 // of asking the others: only its answers count
	force   bool
	stage   promotionStage
	since   time.Duration
	waiting uint16 // for answers of these
	reject  error
	draw    bool
	version uint64 // of the cluster's set when it had to be recorded
}

type promotionStage uint8

const (
	stageMeet promotionStage = iota
	stageFence
	stageAsk
	stageSet
)

// ErrPrimary is why a promotion is refused while another node is primary, or was when a peer last told of it: with
// several peers the word that it has stepped down takes its time to reach all of them.
var ErrPrimary = errors.New("is primary")

// promotionTime is how long a promotion waits for the cluster's store.
const promotionTime = 20 * time.Second

func (m *Machine) askPrimary(in Asked) {
	switch {
	case m.role == volume.Primary:
		if in.Force {
			m.certain()
		}
		m.answer(in.ID, nil, "")
	case m.promotion != nil || m.demotion != nil:
		m.answer(in.ID, m.conflict("make primary", "another change of the role is under way", "Wait for it, then try again."), "")
	default:
		m.promotion = &promotion{id: in.ID, force: in.Force, since: m.now}
		m.allMayHaveIt()
		m.askAnew(m.promotion)
	}
}

// askAnew: a node without a disk knows of its peers' data what they have told. Before it is refused for that they are asked again: a
// word may be on its way, of a reign that has just ended, or of a disk that is good by now.
func (m *Machine) askAnew(p *promotion) {
	if m.attached || p.force || m.mayPromote(p) == nil {
		return
	}
	for _, q := range m.peers {
		if q.up() {
			m.compareAgain(q)
		}
	}
}

// hearing says whether a peer is about to tell what this promotion may hang on.
func (m *Machine) hearing(p *promotion) bool {
	if p.stage != stageMeet || p.reject != nil || m.now-p.since > promotionTime {
		return false
	}
	for _, q := range m.peers {
		if q.meeting() {
			return true
		}
	}
	return false
}

// certain: a user says that whoever is awaited is off.
func (m *Machine) certain() {
	for _, p := range m.peers {
		if p.dualLost != "" || p.failed != 0 {
			p.dualLost, p.failed = "", 0
			m.peerEvent(p, "fence", "a user says that node "+p.node.Name+" is off")
		}
	}
}

// promote takes a promotion as far as it goes.
func (m *Machine) promote() {
	p := m.promotion
	if p == nil {
		return
	}
	err := p.reject
	if err == nil {
		err = m.mayPromote(p)
	}
	if err != nil && m.hearing(p) {
		return // it is decided when the Hellos that are out have been judged
	}
	if err == nil && m.now-p.since > promotionTime {
		err = m.conflict("make primary", "the peers or the cluster's store did not answer in time", "Try again when they can be reached.")
	}
	if err != nil {
		m.promotion = nil
		if p.stage >= stageAsk {
			m.tellUp(Said{Kind: "given-up"})
		}
		m.set.forced = 0
		m.answer(p.id, err, "")
		return
	}
	for m.promotion != nil && m.stageDone(p) {
		if p.stage == stageSet {
			m.becomePrimary(p)
			return
		}
		p.stage++
		m.stageBegin(p)
	}
}

// stageDone says whether nothing is awaited any more.
func (m *Machine) stageDone(p *promotion) bool {
	switch p.stage {
	case stageMeet:
		for _, q := range m.peers {
			if q.met && (q.sent || q.theirs != nil) {
				return false
			}
		}
	case stageFence:
		for _, q := range m.peers {
			if q.fencing && !m.cfg.Cluster {
				return false
			}
		}
	case stageAsk:
		return p.waiting&m.upMask() == 0
	case stageSet:
		return !p.draw && len(m.setFreezes()) == 0 && m.set.forced == 0 && !m.mustBump()
	}
	return true
}

func (m *Machine) stageBegin(p *promotion) {
	switch p.stage {
	case stageFence:
		for _, q := range m.peers {
			if q.hasDisk() && !q.up() && !p.force {
				m.fence(q)
			}
		}
	case stageAsk:
		m.rounds++
		p.waiting, p.round = m.upMask(), m.rounds
		m.tellUp(Said{Kind: "promote?", ID: p.round, Gen: m.dataGen(), Force: p.force})
	case stageSet:
		p.version = m.set.version
		if p.force && m.disk < volume.UpToDate && len(m.sources()) == 0 {
			p.draw = true
			m.draw(draw{kind: drawForced})
		}
	}
}

func (m *Machine) upMask() uint16 {
	all, _ := m.contacts()
	return all &^ bit(m.cfg.Self)
}

func (m *Machine) tellUp(s Said) {
	for _, p := range m.peers {
		if p.up() {
			m.emit(Tell{p.id, s})
		}
	}
}

func (m *Machine) conflict(op, what, hint string) error {
	return errs.E(op, errs.Conflict, "volume "+m.cfg.Name, hint, errors.New(what))
}

// mayPromote says why this node must not become primary, with what to do about it; nil: it may.
func (m *Machine) mayPromote(p *promotion) error {
	const op = "make primary"
	for _, q := range m.peers {
		if !q.up() {
			continue
		}
		others := q.primaries &^ bit(m.cfg.Self)
		if m.allowsTwo() && (q.theirTwo || !q.hasDisk()) {
			others &= m.neverBeside()
		}
		if others != 0 {
			return errs.E(op, errs.Conflict, "volume "+m.cfg.Name, "Make it secondary first: takt volume secondary "+m.cfg.Name+" there.", fmt.Errorf("node %s %w", m.names(others), ErrPrimary))
		}
	}
	if m.granted != nil {
		return m.conflict(op, "node "+m.granted.node.Name+" is being promoted at the same time", "See who is primary with takt volume status, then try again.")
	}
	if p.force && m.promotion == p {
		m.countAll()
	}
	if !m.hasQuorum() {
		return m.conflict(op, m.quorumWords(), "Bring more nodes into contact.")
	}
	if err := m.setAllows(p); err != nil {
		return err
	}
	if err := m.dataAllows(p); err != nil {
		return err
	}
	return m.fencingAllows(p)
}

// dataAllows: only what is known to be the newest counts, or what a user vouches for.
func (m *Machine) dataAllows(p *promotion) error {
	const op = "make primary"
	known := m.super.Seen == 0 || p.force || m.dataGen().Within(m.super.Seen)
	if (m.disk == volume.UpToDate || len(m.sources()) > 0) && known {
		return nil
	}
	force := "If what is here shall count nevertheless: primary --force. What another replica has written since is lost then."
	switch {
	case m.disk == volume.Diskless || m.disk < volume.Inconsistent || !m.attached:
		return m.conflict(op, "there is no disk here, and no replica with up-to-date data is connected", "Attach the disk, or connect a node that has the data.")
	case p.force:
		return nil
	case m.super.Gen.Fresh():
		return m.conflict(op, "this disk has never held the volume's data (Inconsistent)", "Connect the node that has it; or, if this is the first node of a new volume: primary --force.")
	case m.disk == volume.Inconsistent:
		return m.conflict(op, "the disk is Inconsistent: a resync was not finished, old and new blocks are mixed", "Connect the node that the resync came from. "+force)
	case m.disk == volume.Outdated:
		return m.conflict(op, "the disk is Outdated: newer data is on another node", "Connect that node. "+force)
	}
	if !known {
		return m.conflict(op, "newer data than what is here is known to exist on another node", "Connect that node; or, if it is lost for good: primary --force.")
	}
	return nil // Consistent: nobody is known to have newer data
}

// setAllows: in a cluster only a member of the recorded set may go on.
func (m *Machine) setAllows(p *promotion) error {
	const op = "make primary"
	s := &m.set
	switch {
	case !m.cfg.Cluster && m.super.MembersVersion != 0 && !p.force:
		return m.conflict(op, "this volume belongs to a cluster, and was brought up here without it: the cluster may have promoted another node",
			"Leave it to its resource, or: takt volume down "+m.cfg.Name+", then up --cluster. If there is no cluster any more: primary --force, once on each node.")
	case !m.cfg.Cluster:
		return nil
	case !s.known:
		return m.conflict(op, "nothing is known yet of the cluster's set of up-to-date replicas", "Wait until this node has joined the cluster.")
	case !s.quorate:
		return m.conflict(op, "the cluster has no quorum here, so nothing can be recorded", "Wait until it has.")
	case p.stage < stageSet && m.attached && m.outside() && m.besidePrimary():
		return m.conflict(op, "another node is primary, and has yet to record that this one has everything", "Wait until it has, which takes a moment.")
	case s.members == 0 || s.members&bit(m.cfg.Self) != 0 && m.disk >= volume.Consistent || s.members&m.inStepMask() != 0:
		return nil
	case p.force:
		s.forced = bit(m.cfg.Self)
		return nil
	}
	return m.conflict(op, "the cluster has recorded that "+m.names(s.members)+" is up to date, and this node is not",
		"Promote that node, or connect to it so that this one is resynced. If it is lost for good: primary --force here; what only it had is lost then.")
}

// besidePrimary: another node is primary, which alone makes the set larger.
func (m *Machine) besidePrimary() bool {
	p := m.primaryPeer()
	return p != nil && !p.stopped
}

// fencingAllows: with fencing, a peer that is away must be known to be no primary. In a cluster its record says so.
func (m *Machine) fencingAllows(p *promotion) error {
	if p.stage <= stageFence || p.force || m.cfg.Cluster || !m.fences() {
		return nil
	}
	for _, q := range m.peers {
		if q.hasDisk() && !q.up() && q.failed != 0 {
			return m.conflict("make primary", fmt.Sprintf("node %s is not connected, and its handler fence-peer ended with %d: it may be primary", q.node.Name, q.failed),
				"Fence it by hand, or, if it is certainly off: primary --force.")
		}
	}
	return nil
}

// becomePrimary is the end of a promotion.
func (m *Machine) becomePrimary(p *promotion) {
	m.promotion = nil
	if m.disk == volume.Consistent {
		m.setDisk(volume.UpToDate, "it is primary")
	}
	m.role = volume.Primary
	m.compareNoMore()
	if !m.cfg.Cluster {
		m.super.Members, m.super.MembersVersion = 0, 0 // a user has said that there is no cluster any more
	}
	m.super.Crashed = m.attached
	m.super.PrimaryLost = false
	m.event("role", "role Secondary → Primary")
	if p.force {
		m.certain()
	}
	for _, q := range m.peers {
		if q.need != needNothing || q.unsure {
			m.compareAgain(q) // a primary's blocks count
		}
	}
	m.answer(p.id, nil, "")
}

// forced: what is here counts from now on, whatever it was.
func (m *Machine) forced(next volume.Generation, unix int64) {
	p := m.promotion
	if p == nil || !p.draw {
		return
	}
	p.draw = false
	if m.super.Agreed == 0 {
		m.setSize(min(m.super.Size, positive(m.cfg.Size)))
	}
	if m.disk == volume.Inconsistent {
		for _, q := range m.peers {
			if q.hasDisk() {
				m.super.FullSync[q.id] = true
				m.emit(MarkAll{Peer: q.id})
			}
		}
	}
	for i := range m.super.SyncTargetOf {
		m.super.SyncTargetOf[i] = false
	}
	m.setDisk(volume.UpToDate, "primary --force")
	m.begin(&m.super.Gen, next, 0)
	m.super.Seen, m.super.Written = next, unix
	for _, q := range m.peers {
		q.left = true
		m.stopSync(q)
		m.compareAgain(q)
	}
}

// onPromote answers a peer that wants to be primary.
func (m *Machine) onPromote(p *peer, s Said) {
	id := s.ID
	why := m.whyNot(p)
	if why == "" && !s.Force && m.super.Seen != 0 && !s.Gen.Within(m.super.Seen) {
		why = "node " + m.self.Name + " has seen newer data than node " + p.node.Name + " has"
	}
	if why != "" {
		m.emit(Tell{p.id, Said{Kind: "no", ID: id, Words: why}})
		return
	}
	if mine := m.promotion; mine != nil {
		mine.reject = m.conflict("make primary", "node "+p.node.Name+" is being promoted at the same time", "See who is primary with takt volume status, then try again.")
	}
	m.granted = p
	m.emit(Tell{p.id, Said{Kind: "yes", ID: id}})
}

// whyNot says why p may not become primary as far as this node knows.
func (m *Machine) whyNot(p *peer) string {
	both := m.cfg.Net.AllowTwoPrimary && p.theirTwo
	_, primaries := m.contacts()
	others := primaries &^ bit(p.id) &^ bit(m.cfg.Self)
	if both {
		others &= m.neverBeside()
	}
	switch {
	case others != 0:
		return "node " + m.names(others) + " " + ErrPrimary.Error()
	case m.role == volume.Primary && !(both && m.allowsTwo()):
		return "node " + m.self.Name + " " + ErrPrimary.Error()
	case m.granted != nil && m.granted != p:
		return "node " + m.granted.node.Name + " is being promoted at the same time"
	case m.promotion != nil && m.promotion.stage >= stageAsk && m.cfg.Self < p.id:
		return "node " + m.self.Name + " is being promoted at the same time"
	}
	return ""
}

func (m *Machine) onAnswer(p *peer, s Said) {
	pr := m.promotion
	if pr == nil || pr.stage != stageAsk || s.ID != pr.round {
		return
	}
	pr.waiting &^= bit(p.id)
	if s.Kind == "no" && pr.reject == nil {
		why := errors.New(s.Words)
		if before, ok := strings.CutSuffix(s.Words, ErrPrimary.Error()); ok {
			why = fmt.Errorf("%s%w", before, ErrPrimary)
		}
		pr.reject = errs.E("make primary", errs.Conflict, "volume "+m.cfg.Name, "Make the other node secondary first, or wait for it.", why)
	}
}
