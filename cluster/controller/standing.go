package controller

import "github.com/takt-ha/takt/cluster/cib"

// standing is how this node stands.
//
//	            ┌──────────────── standing regained, nothing was stopped ────────┐
//	            ▼                                                                │
//	unknown ─▶ quorate ──lost──▶ holding ──hold ends──▶ isolated (localStop) ──▶ quorate
//	                └──────────lost, nothing to hold for────┘                    once that is over
type standing uint8

const (
	unknown  standing = iota
	isolated          // what runs here is treated as no-quorum-policy says
	holding           // what runs here goes on, nothing is begun
	quorate
)

func (in Standing) place() standing {
	switch {
	case in.Quorate:
		return quorate
	case in.Hold:
		return holding
	}
	return isolated
}

func (m *Machine) noteQuorate() {
	m.wasQuorate = m.wasQuorate || m.standing == quorate && m.lead.Leader != 0
}

func (m *Machine) onStanding(in Standing) {
	was := m.standing
	m.standing = in.place()
	if m.standing == was {
		return
	}
	if m.standing != quorate && (was == quorate || was == unknown) {
		m.local.owed++
		m.dropWork()
	}
	switch m.standing {
	case quorate:
		m.report("quorum", "", m.cfg.Name, "quorate: %s", in.Reason)
		m.noteQuorate()
		m.regain()
	case holding:
		m.hold(was, in.Reason)
	case isolated:
		m.isolate(was, in.Reason)
	}
}

// hold lets go on what runs here. A local stop that has begun goes to its end.
func (m *Machine) hold(was standing, why string) {
	if was == isolated || m.local.phase != idle {
		return // it came too late, and nothing is begun as before
	}
	m.report("quorum", "", m.cfg.Name, "quorum lost: %s; what runs on %s goes on meanwhile, and nothing is begun", why, m.cfg.Name)
	m.emit(Seal{})
}

func (m *Machine) isolate(was standing, why string) {
	switch {
	case was == quorate:
		m.report("quorum", "", m.cfg.Name, "quorum lost: %s", why)
	case was == holding && m.local.owed == 0:
		return // it was stopped before the hold
	case was == holding:
		m.report("quorum", "", m.cfg.Name, "quorum is not to be had: %s", why)
	}
	m.beginLocalStop(why)
}

// regain goes on after a hold in which nothing was stopped.
func (m *Machine) regain() {
	if m.local.owed == 0 || m.local.phase != idle {
		return
	}
	if m.takenOver() {
		m.beginLocalStop("the others have gone on without " + m.cfg.Name)
		return
	}
	m.localDone(false)
}

// takenOver reports whether the cluster has written this node off: what ran here
// may have been started elsewhere.
func (m *Machine) takenOver() bool {
	state := m.nodeState(m.cfg.Self)
	return state != nil && state.Attr("crmd") != "online"
}

// nodeState returns what the CIB says of a node, nil if nothing.
func (m *Machine) nodeState(id cib.NodeID) *cib.Node {
	return m.state.Root.Child("status").ChildByID("node_state", id.String())
}
