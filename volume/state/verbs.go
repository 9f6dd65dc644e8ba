package state

import (
	"errors"
	"time"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

func freshGenerations() meta.Generations { return meta.Generations{Current: volume.JustCreated} }

func (m *Machine) answer(id uint64, err error, text string) {
	if id != 0 {
		m.emit(Answer{ID: id, Err: err, Text: text})
	}
}

func (m *Machine) onAsked(in Asked) {
	switch in.Verb {
	case "primary":
		m.askPrimary(in)
	case "secondary":
		m.askSecondary(in)
	case "attach":
		m.askAttach(in)
	case "detach":
		m.askDetach(in)
	case "up":
		m.askUp(in)
	case "down":
		m.askDown(in)
	case "outdate":
		m.askOutdate(in)
	case "invalidate":
		m.askInvalidate(in)
	case "new-current-uuid":
		m.askNewCurrent(in)
	case "resize":
		m.askResize(in)
	default:
		m.askPeers(in)
	}
}

// askPeers does the verbs that concern one peer or all.
func (m *Machine) askPeers(in Asked) {
	do := map[string]func(Asked, *peer) error{
		"connect": m.connect, "disconnect": m.disconnect, "verify": m.beginVerify,
		"invalidate-remote": m.invalidateRemote, "pause-sync": m.pauseSync, "resume-sync": m.resumeSync,
	}[in.Verb]
	if do == nil {
		m.answer(in.ID, errs.E("do", errs.Invalid, in.Verb, "takt volume --help lists what can be asked.", errors.New("it is not known")), "")
		return
	}
	var first error
	any := false
	for _, p := range m.peers {
		if in.AllPeers || p.id == in.Peer {
			any = true
			if err := do(in, p); err != nil && first == nil {
				first = err
			}
		}
	}
	if !any {
		first = errs.E(in.Verb, errs.NotFound, "volume "+m.cfg.Name, "takt volume status names the peers.", errors.New("there is no such peer"))
	}
	m.answer(in.ID, first, "")
}

func (m *Machine) connect(in Asked, p *peer) error {
	if in.Discard && m.role == volume.Primary {
		return m.conflict("connect", "this node is primary, so its data cannot be discarded", "Make it secondary first.")
	}
	p.discard = in.Discard
	p.dualLost = ""
	if p.conn != volume.StandAlone {
		if in.Discard {
			m.compareAgain(p)
		}
		return nil
	}
	m.setConn(p, volume.Connecting, "")
	m.emit(Connect{p.id})
	return nil
}

// disconnect parts for as long as users want. A secondary that leaves a primary will have old data.
func (m *Machine) disconnect(in Asked, p *peer) error {
	if p.conn == volume.StandAlone {
		return nil
	}
	if m.role == volume.Primary && m.disk != volume.UpToDate && len(m.sources()) == 1 && p.inSync() && !in.Force {
		return m.conflict("disconnect", "this node is primary and reads and writes at node "+p.node.Name, "Make it secondary first.")
	}
	if p.up() {
		m.part(p, m.role == volume.Primary, p.role == volume.Primary)
		m.emit(Tell{p.id, Said{Kind: "bye", Role: m.role, Disk: m.disk}})
	}
	m.lose(p)
	m.setConn(p, volume.StandAlone, "disconnected by a user")
	m.emit(Drop{Peer: p.id, Why: "disconnected by a user"})
	return nil
}

// part notes what a wanted disconnect means for the data.
func (m *Machine) part(p *peer, minePrimary, theirsPrimary bool) {
	if minePrimary && p.hasDisk() && p.disk >= volume.Outdated && p.disk != volume.DUnknown && m.attached && !theirsPrimary {
		m.super.PeerOutdated[p.id] = true
	}
	if theirsPrimary && !minePrimary && m.attached && m.disk > volume.Outdated {
		m.setDisk(volume.Outdated, "parted from the primary, node "+p.node.Name)
	}
}

func (m *Machine) onBye(p *peer, s Said) {
	m.part(p, m.role == volume.Primary, s.Role == volume.Primary)
	m.lose(p)
	m.setConn(p, volume.Connecting, "a user has disconnected node "+p.node.Name+" there")
	p.met = false
	m.emit(Drop{Peer: p.id, Retry: true, Why: p.why})
}

func (m *Machine) pauseSync(_ Asked, p *peer) error {
	p.userPause = true
	return nil
}

func (m *Machine) resumeSync(_ Asked, p *peer) error {
	p.userPause = false
	return nil
}

func (m *Machine) askUp(in Asked) {
	for _, p := range m.peers {
		_ = m.connect(Asked{}, p)
	}
	if !m.selfHasDisk() || m.attached || m.attachID != 0 {
		m.answer(in.ID, nil, "")
		return
	}
	m.askAttach(in)
}

// askDown ends everything, in order: secondary, disconnected, detached, gone.
func (m *Machine) askDown(in Asked) {
	if m.readers+m.writers > 0 && !in.Force {
		m.answer(in.ID, m.inUse("take down"), "")
		return
	}
	m.down = &in
	if m.role == volume.Primary && m.demotion == nil {
		m.askSecondary(Asked{Force: in.Force})
	}
}

func (m *Machine) finishDown() {
	in := m.down
	if in == nil || m.role == volume.Primary || m.demotion != nil || m.promotion != nil {
		return
	}
	m.down = nil
	for _, p := range m.peers {
		_ = m.disconnect(Asked{Force: true}, p)
	}
	if m.attached {
		m.dropDisk()
	}
	m.answer(in.ID, nil, "")
	m.emit(Shutdown{})
}

// askNewCurrent begins a new generation by hand; with --clear-bitmap fresh disks, or one that was carried over, count as equal.
func (m *Machine) askNewCurrent(in Asked) {
	const op = "begin a new generation of"
	switch {
	case !m.attached:
		m.answer(in.ID, m.conflict(op, "there is no disk here", "Attach it first."), "")
	case m.halfDecided() || m.meetingAny():
		m.answer(in.ID, m.conflict(op, "another change is under way", "Wait for it, then try again."), "")
	case in.Clear && !m.super.Gen.Fresh():
		m.answer(in.ID, m.conflict(op, "--clear-bitmap is for disks that have never held data; this one has", "Without it, the other replicas count as behind."), "")
	case in.Clear && !m.othersFresh():
		m.answer(in.ID, m.conflict(op, "a connected peer has held data already", "Let it be the source: connect and wait for the resync."), "")
	case in.Clear:
		m.draw(draw{kind: drawClear, id: in.ID})
	default:
		m.draw(draw{kind: drawByHand, id: in.ID})
	}
}

func (m *Machine) othersFresh() bool {
	for _, p := range m.peers {
		if p.up() && p.disk > volume.Diskless && !p.gen.Fresh() {
			return false
		}
	}
	return true
}

func (m *Machine) onTick(now time.Duration) {
	m.now = max(m.now, now)
	for _, p := range m.peers {
		p.blocked = false
	}
}

func (m *Machine) onCongested(p *peer, now bool) {
	if now == p.congested || !p.up() {
		return
	}
	switch {
	case now && m.cfg.Net.OnCongestion == "disconnect":
		m.emit(Drop{Peer: p.id, Retry: true, Why: "the link is congested"})
	case now && m.cfg.Net.OnCongestion == "pull-ahead" && m.role == volume.Primary && p.conn == volume.Connected && p.inSync() && m.disk == volume.UpToDate: // else nothing would know what the peer lacks
		p.congested = true
		m.tighten()
		m.setFlow(p, FlowMark)
		m.emit(Tell{p.id, Said{Kind: "ahead"}})
		m.setConn(p, volume.Ahead, "the link is congested")
	case !now && p.congested:
		p.congested = false
		m.compareAgain(p)
	}
}

// onAhead: the primary sends nothing for a while: what is here is consistent, but old.
func (m *Machine) onAhead(p *peer) {
	m.setConn(p, volume.Behind, "the link from node "+p.node.Name+" is congested")
	if m.attached && m.disk > volume.Outdated {
		m.setDisk(volume.Outdated, "node "+p.node.Name+" is ahead")
	}
}
