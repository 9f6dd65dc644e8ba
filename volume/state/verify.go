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
	}
	p.verify, p.verified = true, true
	m.emit(Tell{p.id, Said{Kind: "verify", Start: in.Start, Stop: in.Stop}})
	m.emit(Sync{Peer: p.id, Do: "verify", Start: in.Start, Stop: in.Stop})
	m.setConn(p, volume.VerifyS, "")
	return nil
}

func (m *Machine) onVerify(p *peer, s Said) {
	if p.conn != volume.Connected || m.disk != volume.UpToDate {
		m.emit(Tell{p.id, Said{Kind: "sync-stop", Words: "node " + m.self.Name + " cannot verify: its disk is " + m.disk.String() + ", the connection " + p.conn.String()}})
		return
	}
	p.verify, p.verified = true, false
	m.emit(Sync{Peer: p.id, Do: "verify-target", Start: s.Start, Stop: s.Stop})
	m.setConn(p, volume.VerifyT, "")
}

// verifyEnded: every block was compared, where the verify was begun.
func (m *Machine) verifyEnded(p *peer, in SyncEnded) {
	if in.Failed != "" {
		m.peerEvent(p, "error", "the verify with node "+p.node.Name+" failed: "+in.Failed)
		m.emit(Tell{p.id, Said{Kind: "sync-stop", Words: in.Failed}})
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
	p.verify, p.found = false, found
	m.emit(Sync{Peer: p.id, Do: "stop"})
	m.setConn(p, volume.Connected, "")
	if found == 0 {
		m.peerEvent(p, "sync", "verify: no difference to node "+p.node.Name)
		return
	}
	m.peerEvent(p, "sync", "verify: "+bytes(found)+" differ from node "+p.node.Name+" and are marked; disconnect and connect copies them")
	m.hook("out-of-sync", p)
}
