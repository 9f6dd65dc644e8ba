package state

import (
	"github.com/takt-ha/takt/volume"
)

func (m *Machine) beginVerify(in Asked, p *peer) error {
	switch {
	case p.conn != volume.Connected || p.meeting():
		return m.conflict("verify", "the connection to node "+p.node.Name+" is "+p.conn.String()+", not Connected", "Wait until the two are in step.")
	case m.disk != volume.UpToDate || p.disk != volume.UpToDate:
		return m.conflict("verify", "the disks are "+m.disk.String()+" here and "+p.disk.String()+" on node "+p.node.Name+", not UpToDate", "Wait until the two are in step.")
	case in.Start >= m.super.Agreed:
		return m.conflict("verify", "the volume has "+bytes(m.super.Agreed)+", so there is nothing from "+bytes(in.Start)+" on", "Choose a smaller start.")
	case p.role == volume.Primary && m.role == volume.Primary:
		return m.conflict("verify", "both nodes are primary: what one of them is writing just then would count as a difference", "Make one of them secondary first.")
	case p.role == volume.Primary:
		m.emit(Tell{p.id, Said{Kind: "verify-please", Start: in.Start, Stop: in.Stop}}) // who writes leads, so that both compare after the same writes
		p.verify, p.unproven = true, ""
		m.setConn(p, volume.VerifyT, "")
		return nil
	}
	p.verify, p.verified, p.unproven = true, true, ""
	m.emit(Tell{p.id, Said{Kind: "verify", Start: in.Start, Stop: in.Stop}})
	m.emit(Sync{Peer: p.id, Do: "verify", Start: in.Start, Stop: in.Stop})
	m.setConn(p, volume.VerifyS, "")
	return nil
}

// onVerifyPlease: p, a secondary, wants to be compared with this node.
func (m *Machine) onVerifyPlease(p *peer, s Said) {
	if err := m.beginVerify(Asked{Start: s.Start, Stop: s.Stop}, p); err != nil {
		m.emit(Tell{p.id, Said{Kind: "verify-no", Words: err.Error()}})
	}
}

// onVerifyNo: p does not compare.
func (m *Machine) onVerifyNo(p *peer, words string) {
	if p.verify {
		p.abandonVerify(words)
		m.stopSync(p)
		m.setConn(p, volume.Connected, "")
	}
	m.peerEvent(p, "error", "no verify with node "+p.node.Name+": "+words)
}

// compareNoMore ends the verifies in which this node compares: it is about to write, and the other side would not know when.
func (m *Machine) compareNoMore() {
	for _, p := range m.peers {
		if p.verify && p.conn == volume.VerifyT {
			why := "node " + m.self.Name + " became primary during the verify"
			m.tellSync(p, "sync-stop", why)
			p.abandonVerify(why)
			m.stopSync(p)
			m.setConn(p, volume.Connected, "")
		}
	}
}

func (m *Machine) onVerify(p *peer, s Said) {
	if p.conn != volume.Connected && !p.verify || m.disk != volume.UpToDate {
		m.tellSync(p, "sync-stop", "node "+m.self.Name+" cannot verify: its disk is "+m.disk.String()+", the connection "+p.conn.String())
		return
	}
	p.verify, p.verified, p.unproven = true, false, ""
	m.emit(Sync{Peer: p.id, Do: "verify-target", Start: s.Start, Stop: s.Stop})
	m.setConn(p, volume.VerifyT, "")
}

// verifyEnded: every block was compared, where the verify was begun.
func (m *Machine) verifyEnded(p *peer, in SyncEnded) {
	if in.Failed != "" {
		m.peerEvent(p, "error", "the verify with node "+p.node.Name+" failed: "+in.Failed)
		m.tellSync(p, "sync-stop", in.Failed)
		p.abandonVerify(in.Failed)
		m.stopSync(p)
		m.setConn(p, volume.Connected, "")
		return
	}
	if p.conn != volume.VerifyS {
		return // the other side tells
	}
	m.emit(Tell{p.id, Said{Kind: "verify-done", Found: in.Found}})
	m.verified(p, in.Found)
}

func (m *Machine) onVerifyDone(p *peer, s Said) {
	if p.verify {
		m.verified(p, s.Found)
	}
}

func (m *Machine) verified(p *peer, found int64) {
	p.verify, p.found, p.unproven = false, found, ""
	m.emit(Sync{Peer: p.id, Do: "stop"})
	m.setConn(p, volume.Connected, "")
	if found == 0 {
		m.peerEvent(p, "sync", "verify: no difference to node "+p.node.Name)
		return
	}
	m.peerEvent(p, "sync", "verify: "+bytes(found)+" differ from node "+p.node.Name+" and are marked; disconnect and connect copies them")
	m.hook("out-of-sync", p)
}

// abandonVerify notes why a verify that runs does not come to its end: nobody must take that for "no difference". The first
// reason is the cause.
func (p *peer) abandonVerify(why string) {
	if p.verify && p.unproven == "" {
		p.unproven = why
	}
}
