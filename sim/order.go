package sim

import (
	"fmt"
	"strings"
)

// notInOrder says what is not as it should be in a cluster without faults; "" if
// all that can run runs, and every node is a member with a vote.
func (s *simulation) notInOrder() string {
	var leader *machine
	for _, m := range s.machines {
		if why := m.notWorking(); why != "" {
			return m.name + " " + why
		}
		if l := m.daemon.storage.core.Leadership(); l.Ready && l.Leader == m.id {
			leader = m
		}
	}
	if leader == nil {
		return "nobody leads"
	}
	if n := len(leader.daemon.storage.core.State().Voters); n != len(s.machines) {
		return fmt.Sprintf("%d of %d nodes have a vote", n, len(s.machines))
	}
	return s.notRunning()
}

func (m *machine) notWorking() string {
	switch {
	case !m.on:
		return "is off: " + m.down
	case m.daemon == nil:
		return "has no daemon"
	}
	if acting, why := m.daemon.machine.Acting(); !acting {
		return "does not act: " + why
	}
	return ""
}

// notRunning looks at the services as they are.
func (s *simulation) notRunning() string {
	c := s.script.Cluster
	for _, name := range serviceNames(c) {
		var on []string
		for _, m := range s.machines {
			if m.service(name).holds() {
				on = append(on, m.name)
			}
		}
		if len(on) != 1 && c.Witness < c.Nodes {
			return fmt.Sprintf("%s runs on [%s]", name, strings.Join(on, " "))
		}
	}
	for i := 1; i <= c.Clones+c.Promoted; i++ {
		name := fmt.Sprintf("c%d", i)
		if i > c.Clones {
			name = fmt.Sprintf("p%d", i-c.Clones)
		}
		if n := s.instances(name); n != c.Nodes-c.Witness {
			return fmt.Sprintf("%d of %d instances of %s run", n, c.Nodes-c.Witness, name)
		}
	}
	return ""
}

func (s *simulation) instances(name string) int {
	n := 0
	for _, m := range s.machines {
		for _, instance := range sortedKeys(m.services) {
			if base(instance) == name && m.services[instance].holds() {
				n++
			}
		}
	}
	return n
}

// calm is how long a cluster has to stay in order to be believed.
const calm = 3e9

// untilInOrder goes on until the cluster is in order and stays so, for so long at
// most, and tells whether it is.
func (s *simulation) untilInOrder(most int64) bool {
	end := s.w.now + most
	since := int64(-1)
	for s.w.now < end && s.w.ended == "" {
		s.w.run(s.w.now + 250e6)
		s.tend()
		switch {
		case s.notInOrder() != "":
			since = -1
		case since < 0:
			since = s.w.now
		case s.w.now-since >= calm:
			return true
		}
	}
	return false
}

// dump tells what every node thinks, at the end of a story that did not end well.
func (s *simulation) dump() {
	for _, m := range s.machines {
		d := m.daemon
		if d == nil {
			s.tell(m, "has no daemon (power %v)", m.on)
			continue
		}
		st, pos, lead := d.machine.Status(), d.storage.core.Position(), d.storage.core.Leadership()
		s.tell(m, "acts %v: %s; place %s; log generation %d (of %d), term %d, index %d, leader %s; heartbeats say %v; runs %v",
			st.Acting, st.Why, st.Place, pos.Generation, pos.Claimer, pos.Term, pos.Index, s.nameOf(lead.Leader), d.lastView.State, d.exec.core.Active())
		if st.Quorum.Waits != "" || st.Quorum.Claiming {
			s.tell(m, "  %s; waits: %s; claiming %v", st.Quorum.Words, st.Quorum.Waits, st.Quorum.Claiming)
		}
		for _, p := range st.Peers {
			if !p.Working {
				s.tell(m, "  %s: alive %v, gone %v, %s", s.nameOf(p.Node), p.Alive, p.Gone, p.Reason)
			}
		}
		for _, a := range st.Pending.Actions {
			s.tell(m, "  in flight: %s %s on %s", a.Task, a.Resource, a.Node)
		}
		for _, f := range st.Fencing {
			s.tell(m, "  fencing: %s of %s: %s", f.Action, f.Target, f.Words)
		}
		if lead.Leader == m.id {
			st := d.storage.core.State()
			s.tell(m, "  voters %v, learners %v", st.Voters, st.Learners)
		}
	}
}
