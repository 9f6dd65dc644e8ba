package state

import (
	"github.com/takt-ha/takt/volume"
)

func (m *Machine) onSaid(p *peer, s Said) {
	if s.Kind == "refuse" {
		if p.met {
			m.standAlone(p, s.Words)
		}
		return
	}
	if !p.up() {
		return // said before the two had judged one another, or after they parted
	}
	switch s.Kind {
	case "state":
		m.onState(p, s)
	case "generation":
		m.onGeneration(p, s)
	case "promote?":
		m.onPromote(p, s)
	case "yes", "no":
		m.onAnswer(p, s)
	case "given-up":
		if m.granted == p {
			m.granted = nil
		}
	case "ahead":
		m.onAhead(p)
	case "bye":
		m.onBye(p, s)
	case "conflict":
		m.onConflict(p)
	case "outdate":
		m.askOutdate(Asked{})
	default:
		m.onWork(p, s)
	}
}

// onWork handles what is said about resyncs, verifies and sizes.
func (m *Machine) onWork(p *peer, s Said) {
	switch s.Kind {
	case "sync-go":
		m.onSyncGo(p, s)
	case "sync-begin":
		m.onSyncBegin(p, s)
	case "sync-done":
		m.onSyncDone(p, s)
	case "sync-stop":
		m.onSyncStop(p, s)
	case "sync-wait":
		if p.overtaken(s) {
			return
		}
		m.stopSync(p)
		p.blocked = true
		m.showSync(p)
	case "pause":
		p.pauseAway = s.Words
	case "resume":
		p.pauseAway = ""
	case "verify":
		m.onVerify(p, s)
	case "verify-please":
		m.onVerifyPlease(p, s)
	case "verify-no":
		m.onVerifyNo(p, s.Words)
	case "verify-done":
		m.onVerifyDone(p, s)
	case "invalidate":
		m.onInvalidate(p)
	case "invalidate-me":
		m.onInvalidateMe(p)
	case "invalidate-no":
		m.onInvalidateNo(p, s.Words)
	case "room?":
		m.onRoom(p)
	case "room":
		m.onRoomAnswer(p, s)
	case "resize?":
		m.onResize(p, s)
	case "resize-yes", "resize-no":
		m.onResizeAnswer(p, s)
	case "resized":
		m.onResized(p, s)
	}
}

func (m *Machine) onState(p *peer, s Said) {
	was, wasDisk, wasInSync := p.role, p.disk, p.inSync()
	followed, whole := m.follows(p), (*peer)(nil)
	p.blocked, p.newer = false, true
	p.role, p.disk, p.stopped = s.Role, s.Disk, s.Stopped
	if p.expect == 0 || p.expect == s.Gen.Current {
		p.gen, p.expect = s.Gen, 0
	} // else it was said before the new generation got there
	p.contact, p.primaries, p.inStep, p.gets, p.source, p.seen = s.Contact, s.Primaries, s.InStep, s.Gets, s.Source, s.Seen
	if p.role == volume.Primary && !p.stopped && (p.disk == volume.UpToDate || p.disk == volume.Diskless) {
		m.see(p.gen)
	}
	if p.disk == volume.Diskless && p.need != needNothing {
		m.stopSync(p)
		p.need = needNothing
		m.showSync(p)
	}
	if m.granted == p && s.Role == volume.Primary {
		m.granted = nil
	}
	if was != p.role {
		m.peerEvent(p, "role", "node "+p.node.Name+" is "+p.role.String()+" now")
	}
	if p.disk != volume.UpToDate {
		p.toldInvalid = false
	}
	if was != volume.Primary && p.unsure && p.writesHere() {
		m.compareAgain(p)
	}
	if was == volume.Primary && p.role != volume.Primary {
		p.dualLost = ""
		if m.role != volume.Primary {
			m.afterPrimary() // a demotion of a frozen primary ends writes with errors that some have
		}
	}
	if wasDisk == volume.Inconsistent && p.disk == volume.UpToDate && p.gen.Current == m.dataGen().Current {
		p.missed, p.ahead = p.missed && p.ahead, false // its resync is done, and it got what was written beside it
		if followed {
			whole = p
		}
	}
	if wasInSync && !p.inSync() && m.role == volume.Primary {
		p.missed = true // it may have a write that was never answered, or lack it
	}
	if wasDisk < volume.Inconsistent && p.disk >= volume.Inconsistent {
		p.agrees = false // it was attached: what it lacks is known when the two have compared
	}
	m.agree(whole)
	if !m.attached && p.inSync() && p.expect == 0 {
		m.super.Gen = p.gen
		if m.role != volume.Primary {
			m.setSize(s.Size)
		}
	}
	if p.role == volume.Primary && !p.stopped {
		m.leftBehind(p, p.inStep)
	}
	m.confirm(p)
	m.twoPrimaries(p)
	if p.role == volume.Primary && m.role == volume.Primary && !(m.allowsTwo() && p.theirTwo) {
		m.refuse(p, "both nodes are primary, which is not allowed: make one of them secondary, then connect")
	}
}

// onConflict: p has found that a write of this node has met one of its own.
func (m *Machine) onConflict(p *peer) {
	m.onDown(p, PeerDown{Peer: p.id, Why: "node " + p.node.Name + " has found a conflict", Conflict: true})
	if p.conn != volume.StandAlone { // this node is not primary any more
		m.emit(Drop{Peer: p.id, Retry: true, Why: p.why})
	}
}

// twoPrimaries: p has become primary while this node is connected to another one that does not know of it.
func (m *Machine) twoPrimaries(p *peer) {
	for _, q := range m.peers {
		if p.role == volume.Primary && q != p && q.up() && q.role == volume.Primary && !(m.cfg.Net.AllowTwoPrimary && p.theirTwo && q.theirTwo) {
			m.later(p, verdict{again: "node " + q.node.Name + " is primary, too, and was connected first"})
			return
		}
	}
}
