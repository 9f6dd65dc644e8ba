package pool

import (
	"fmt"
	"slices"

	"github.com/takt-ha/takt/director"
)

// tellReal tells of a real server that has come or gone.
func (m *Machine) tellReal(v *virtual, r *real) {
	state, command := "DOWN", r.Down
	if r.alive {
		state, command = "UP", r.Up
	}
	m.emit(Say{v.name, r.name, !r.alive, r.fate()})
	m.run(v, command)
	m.emit(Line{fmt.Sprintf("RS %s %s %s", r.label(v), v.label(), state)})
	if r.Alert {
		m.emit(Mail{fmt.Sprintf("Realserver %s of virtual server %s - %s", r.label(v), v.label(), state), r.reasons()})
	}
}

// fate is what happens to a real server, in words.
func (r *real) fate() string {
	switch {
	case r.alive:
		return fmt.Sprintf("is in service, weight %d", r.weight())
	case r.Inhibit:
		return "gets no new connections; those that it has stay"
	}
	return "is out of service"
}

// reasons is the body of a mail about a real server.
func (r *real) reasons() string {
	if r.alive {
		return "All checks succeed."
	}
	text := ""
	for i, c := range r.checks {
		if !c.up {
			text += r.Checks[i].Kind + " fails: " + c.why + "\n"
		}
	}
	return text
}

// tellQuorum tells that there is enough weight, or no more.
func (m *Machine) tellQuorum(v *virtual, sum int) {
	state, command, words := "DOWN", v.QuorumDown, fmt.Sprintf("quorum lost: weight %d of %d (hysteresis %d)", sum, v.Quorum, v.Hysteresis)
	if v.up {
		state, command, words = "UP", v.QuorumUp, fmt.Sprintf("quorum gained: weight %d of %d (hysteresis %d)", sum, v.Quorum, v.Hysteresis)
	} else if v.Sorry != nil {
		words += fmt.Sprintf("; the sorry server %s serves", v.Sorry.Addr)
	}
	m.emit(Say{v.name, "", !v.up, words})
	m.run(v, command)
	m.emit(Line{fmt.Sprintf("VS %s %s", v.label(), state)})
	if v.Alert {
		m.emit(Mail{fmt.Sprintf("Virtualserver %s - %s", v.label(), state), words + "\n"})
	}
}

// label is what keepalived calls a virtual server in pipes and mails. Name is its own for each, which that is not.
func (v *virtual) label() string {
	switch {
	case v.Group != "":
		return "[" + v.Group + "]:0"
	case v.Key.Mark != 0:
		return fmt.Sprintf("FWM %d", v.Key.Mark)
	}
	return v.name
}

// label is the same of a real server: behind marks alone there is no protocol.
func (r *real) label(v *virtual) string {
	if v.Key.Mark != 0 || v.Group != "" && !slices.ContainsFunc(v.Members, func(g director.GroupMember) bool { return g.Mark == 0 }) {
		return fmt.Sprintf("[%s]:none:%d", r.at.Addr(), r.at.Port())
	}
	return r.name
}
