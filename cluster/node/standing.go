package node

import (
	"cmp"
	"reflect"

	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/quorum"
)

// stands is how this node stands as the controller was told, and what came of it.
type stands struct {
	known bool
	in    controller.Standing
	stops int  // losses of the standing after which not all has been stopped yet
	clean bool // since the loss everything was stopped here
}

// onStanding takes how the heartbeats see this node.
func (m *Machine) onStanding(in Standing) {
	m.place, m.reason, m.heard = in.Place, in.Reason, true
	if in.Place == quorum.Quorate {
		m.paused = false
		if m.log.Leader == 0 && m.unfit() == "" {
			m.emit(LeaderLost{}) // nobody leads: elect
		}
	}
	m.tellPlace()
}

// unfit says why this node must not act whatever the heartbeats say, "" if it may.
func (m *Machine) unfit() string { return cmp.Or(m.broken, m.doubt) }

// tellPlace tells quorum how this node stands; one that must not act is cut off.
func (m *Machine) tellPlace() {
	switch why := m.unfit(); {
	case why != "":
		m.toQuorum(quorum.Stood{Place: quorum.Isolated, Reason: why})
	case m.heard:
		m.toQuorum(quorum.Stood{Place: m.place, Reason: m.reason})
	}
}

// tellStanding tells the controller what has changed.
func (m *Machine) tellStanding() {
	if !m.heard && m.unfit() == "" {
		return
	}
	in := controller.Standing{Quorate: m.place == quorum.Quorate, Reason: m.reason}
	switch {
	case m.unfit() != "":
		in = controller.Standing{Reason: m.unfit()}
	case !in.Quorate && m.hold.On:
		in.Hold, in.Reason = true, m.hold.Why
	case !in.Quorate && m.hold.Why != "":
		in.Reason += "; " + m.hold.Why
	}
	was := m.stands.in
	if m.stands.known && was.Quorate == in.Quorate && was.Hold == in.Hold {
		return
	}
	if !in.Quorate && (was.Quorate || !m.stands.known) {
		m.stands.stops++
	}
	if in.Quorate {
		m.stands.clean = false
	}
	m.stands.known, m.stands.in = true, in
	m.toControl(in)
}

// onLocalDone lets this node take part again after it was cut off.
func (m *Machine) onLocalDone(d controller.LocalDone) {
	m.stands.stops = max(0, m.stands.stops-d.Times)
	m.stands.clean = d.Clean && !m.stands.in.Quorate
}

// Acting reports whether this node takes a coordinator's commands, and why or why
// not. Query and Do are refused while it does not.
func (m *Machine) Acting() (bool, string) {
	switch {
	case m.unfit() != "":
		return false, m.unfit()
	case !m.heard:
		return false, "the heartbeats have just started"
	case m.place == quorum.Quorate && m.stands.stops > 0:
		return false, "it was cut off, and has yet to stop what it ran"
	}
	return m.place == quorum.Quorate, m.reason
}

// setView tells the heartbeats what they should say.
func (m *Machine) setView() {
	v := View{Voters: m.log.Voters, Pending: m.log.Pending, Leader: m.log.Leader, Term: m.log.Term, State: Joining, Doubt: m.unfit()}
	if len(m.log.Known) > 0 {
		v.Voters, v.Pending = m.log.Known, nil
	}
	acting, _ := m.Acting()
	if acting && m.log.State.Root != nil && m.led {
		v.State = Up
	}
	if m.leaves {
		v.State = Leaving
	}
	v.Clean = m.stands.known && !m.stands.in.Quorate && m.stands.clean
	v.Outlive = m.quorum.Outlives()
	if m.viewed && reflect.DeepEqual(v, m.view) {
		return
	}
	m.viewed, m.view = true, v
	m.emit(SetView{v})
}
