package state

import (
	"github.com/takt-ha/takt/volume"
)

func (m *Machine) onAttached(in Attached) {
	if m.attached {
		return
	}
	id, seen := m.super.Volume, m.super.Seen
	m.super, m.saved, m.attached = in.Super, in.Super, true
	m.capacity = in.Capacity
	if m.capacity == 0 {
		m.capacity = in.Super.Size
	}
	if in.Super.Volume != id {
		m.dropDisk()
		m.answerAttach(m.conflict("attach the disk of", "its metadata belong to another volume", "Check the disk in the configuration; takt volume dump-md shows what is on it."))
		return
	}
	m.crashed, m.diskLost = 0, ""
	if in.Super.Crashed {
		for _, p := range m.peers {
			if p.hasDisk() {
				m.crashed |= bit(p.id)
			}
		}
		m.event("disk", "this node was primary when it stopped; what may differ is marked")
		if m.crashed == 0 && m.role != volume.Primary {
			m.super.Crashed = false
		}
	}
	m.disk = volume.Attaching
	m.setDisk(m.worthAtAttach(), "attached")
	m.see(m.super.Gen)
	if seen != 0 && !m.super.Gen.Within(seen) {
		m.super.Seen = seen // heard without the disk
	}
	if m.super.Agreed > 0 {
		m.emit(Grow{m.super.Agreed})
	}
	m.answerAttach(nil)
	for _, p := range m.peers {
		m.compareAgain(p)
	}
}

// worthAtAttach: what was up to date when it was last seen still is, unless others could have gone on
// since: with fencing, quorum or a cluster somebody can tell, so somebody is asked.
func (m *Machine) worthAtAttach() volume.DiskState {
	switch d := m.super.Disk; {
	case m.role == volume.Primary:
		return volume.Negotiating
	case m.super.Gen.Fresh():
		return volume.Inconsistent
	case d != volume.UpToDate && d != volume.Consistent:
		return d
	case m.cfg.Cluster || m.cfg.Quorum.Need != 0 || m.fences():
		return volume.Consistent
	}
	return volume.UpToDate
}

func (m *Machine) answerAttach(err error) {
	if m.attachID != 0 {
		m.answer(m.attachID, err, "")
		m.attachID = 0
	} else if err != nil {
		m.event("error", err.Error())
	}
}

func (m *Machine) onDiskGone(in DiskGone) {
	words := "the disk failed (" + in.Op + "): " + in.Err
	m.diskLost = words
	if in.Op == "attach" {
		m.diskLost = in.Err
		m.setDisk(volume.Diskless, in.Err)
		hint := in.Hint
		if hint == "" {
			hint = "Repair or replace the disk, then: takt volume attach " + m.cfg.Name
		}
		m.answerAttach(m.conflict("attach the disk of", in.Err, hint))
		return
	}
	if !m.attached {
		return
	}
	m.event("error", words)
	if m.cfg.Disk.OnIOError == "call-local-io-error" {
		m.hook("local-io-error", nil)
	}
	if m.cfg.Disk.OnIOError == "pass_on" && in.Op != "metadata" {
		if in.Op != "read" {
			m.setDisk(volume.Inconsistent, "a write failed")
		}
		return
	}
	m.fail(words)
}

func (m *Machine) fail(words string) {
	good := m.disk == volume.UpToDate
	m.disk = volume.Failed
	m.event("disk", "disk Failed: "+words)
	if good {
		m.disk = volume.UpToDate
	}
	m.dropDisk()
}

// marksGone: what p lacks was marked here only.
func (m *Machine) marksGone(p *peer) {
	if p.need == needSource {
		p.missed, p.agrees = true, false
	}
}

// dropDisk goes on without a disk. What it had stays as it was last written down.
func (m *Machine) dropDisk() {
	for _, p := range m.peers {
		if p.running {
			m.tellSync(p, "sync-stop", "node "+m.self.Name+" has lost its disk")
			m.stopSync(p)
		}
		m.marksGone(p)
		p.need = needNothing
		if p.up() {
			m.setConn(p, volume.Connected, "")
		}
	}
	was := m.super
	if m.disk != volume.UpToDate {
		for _, p := range m.peers {
			if p.inSync() {
				was.Gen = p.gen
			}
		}
	}
	m.save()
	m.attached, m.capacity, m.crashed = false, 0, 0
	m.forgetSuper()
	m.super.Agreed, m.super.Gen, m.super.Seen = was.Agreed, was.Gen, was.Seen
	m.setDisk(volume.Diskless, "")
	m.tighten()
	m.emit(Detach{})
}

func (m *Machine) askAttach(in Asked) {
	switch {
	case !m.selfHasDisk():
		m.answer(in.ID, m.conflict("attach the disk of", "this node is diskless by its configuration", "Give it a disk in the configuration, then: takt volume adjust."), "")
	case m.attached:
		m.answer(in.ID, nil, "")
	case m.attachID != 0:
		m.answer(in.ID, m.conflict("attach the disk of", "it is being attached", "Wait for it."), "")
	default:
		m.attachID = in.ID
		m.setDisk(volume.Attaching, "")
		m.emit(Attach{})
	}
}

func (m *Machine) askDetach(in Asked) {
	switch {
	case !m.attached:
		m.answer(in.ID, nil, "")
	case m.role == volume.Primary && len(m.sources()) == 0 && !in.Force:
		m.answer(in.ID, m.conflict("detach the disk of", "this node is primary, and no other replica with up-to-date data is connected", "Connect one first, or make this node secondary."), "")
	case m.halfDecided():
		m.answer(in.ID, m.conflict("detach the disk of", "another change is under way", "Wait for it, then try again."), "")
	default:
		m.dropDisk()
		m.answer(in.ID, nil, "")
	}
}

// askOutdate calls what is here old, as fencing does: this node cannot become primary on its own any more. That lasts, beside
// a peer that has the same as well, until a resync or a new connection to a node with up-to-date data makes it good. A
// primary has been promised that what it writes is good here, so while it is connected it is not taken back.
func (m *Machine) askOutdate(in Asked) {
	switch from := m.primaryPeer(); {
	case m.role == volume.Primary:
		m.answer(in.ID, m.conflict("outdate", "this node is primary", "Make it secondary first."), "")
	case !m.attached:
		m.answer(in.ID, m.conflict("outdate", "there is no disk here", "Nothing needs to be done."), "")
	case m.disk == volume.Inconsistent:
		m.answer(in.ID, nil, "it is Inconsistent already")
	case from != nil && m.disk != volume.Outdated:
		m.answer(in.ID, m.conflict("outdate", "node "+from.node.Name+" is primary and connected: what is here is the same", "Disconnect first."), "")
	case m.halfDecided() || m.granted != nil:
		m.answer(in.ID, m.conflict("outdate", "another change is under way", "Wait for it, then try again."), "")
	default:
		m.setDisk(volume.Outdated, "told so")
		for _, p := range m.peers {
			p.outdated = p.up()
		}
		m.answer(in.ID, nil, "")
	}
}
