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
		m.onSyncGo(p, s.Full)
	case "sync-begin":
		m.onSyncBegin(p, s)
	case "sync-done":
		m.onSyncDone(p, s)
	case "sync-stop":
		m.onSyncStop(p, s.Words)
	case "pause":
		p.pauseAway = s.Words
	case "resume":
		p.pauseAway = ""
	case "verify":
		m.onVerify(p, s)
	case "verify-done":
		m.onVerifyDone(p, s)
	case "invalidate":
		m.onInvalidate(p)
	case "resize?":
		m.onResize(p, s)
	case "resize-yes", "resize-no":
		m.onResizeAnswer(p, s)
	case "resized":
		m.onResized(p, s)
	}
}

func (m *Machine) onState(p *peer, s Said) {
	was := p.role
	p.role, p.disk, p.stopped = s.Role, s.Disk, s.Stopped
	if p.expect == 0 || p.expect == s.Gen.Current {
		p.gen, p.expect = s.Gen, 0
	} // else it was said before the new generation got there
	p.contact, p.primaries, p.inStep, p.gets, p.source, p.seen = s.Contact, s.Primaries, s.InStep, s.Gets, s.Source, s.Seen
	if p.role == volume.Primary && (p.disk == volume.UpToDate || p.disk == volume.Diskless) {
		m.see(p.gen)
	}
	if m.granted == p && s.Role == volume.Primary {
		m.granted = nil
	}
	if was != p.role {
		m.peerEvent(p, "role", "node "+p.node.Name+" is "+p.role.String()+" now")
	}
	if was == volume.Primary && p.role != volume.Primary {
		p.dualLost = ""
	}
	if m.disk != volume.UpToDate && p.disk == volume.UpToDate && p.gen.Current == m.dataGen().Current {
		p.agrees = true // its resync is done, and it got what was written beside it
	}
	if !m.attached && p.inSync() && p.expect == 0 {
		m.super.Gen = p.gen
		if m.role != volume.Primary {
			m.setSize(s.Size)
		}
	}
	m.confirm(p)
	if p.role == volume.Primary && m.role == volume.Primary && !(m.cfg.Net.AllowTwoPrimary && p.theirTwo) {
		m.refuse(p, "both nodes are primary, which is not allowed: make one of them secondary, then connect")
	}
}

func (m *Machine) onInvalidate(p *peer) {
	if m.role == volume.Primary || !m.attached || m.halfDecided() {
		m.peerEvent(p, "error", "node "+p.node.Name+" wants this node's data to be invalidated; refused, since this node is primary, diskless, or in the middle of something")
		return
	}
	m.invalidate("node " + p.node.Name + " says so")
}
