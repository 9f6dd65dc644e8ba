package pool

import "fmt"

// tellReal tells of a real server that has come or gone.
func (m *Machine) tellReal(v *virtual, r *real) {
	state, command := "DOWN", r.Down
	if r.alive {
		state, command = "UP", r.Up
	}
	m.emit(Say{v.name, r.name, !r.alive, r.fate()})
	m.run(command)
	m.emit(Line{fmt.Sprintf("RS %s %s %s", r.name, v.name, state)})
	if r.Alert {
		m.emit(Mail{fmt.Sprintf("Realserver %s of virtual server %s - %s", r.name, v.name, state), r.reasons()})
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
	m.run(command)
	m.emit(Line{fmt.Sprintf("VS %s %s", v.name, state)})
	if v.Alert {
		m.emit(Mail{fmt.Sprintf("Virtualserver %s - %s", v.name, state), words + "\n"})
	}
}
