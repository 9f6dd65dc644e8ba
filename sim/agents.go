package sim

import (
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
)

// service is what really is with a service on one machine.
type service struct {
	// active: a start of it has begun here since it last really stopped. What
	// hangs, or was left in doubt, is active.
	active   bool
	dead     bool // it has died by itself; whoever looks finds nothing running
	promoted bool // a promote has begun since the last demote or stop ended
}

// call is an agent that runs.
type call struct {
	inv   agent.Invocation
	begun int64 // world time
	over  bool
	stuck bool // ignores that it is to end
	done  func(agent.Result)
}

// Times that agents take.
const (
	lookBase, lookMore     = 3e6, 4e6
	changeBase, changeMore = 20e6, 60e6
	killed                 = 5e6
)

// call runs an agent; done is called once, when it has ended. Nothing comes of it
// if the machine loses its power first.
func (m *machine) call(inv agent.Invocation, done func(agent.Result)) *call {
	c := &call{inv: inv, begun: m.sim.w.now, done: done}
	how := ""
	if b := m.bad[base(inv.Resource)+"."+inv.Action]; b != nil {
		how = b.now("")
	}
	d := m.luck.long(changeBase, changeMore)
	if inv.Action == agent.Monitor || inv.Action == agent.Notify {
		d = m.luck.long(lookBase, lookMore)
	}
	m.begin(inv)
	switch how {
	case "hang":
		return c
	case "stuck":
		c.stuck = true
		return c
	}
	m.agents.do(d, func() {
		if !c.over {
			m.end(c, m.result(inv, how))
		}
	})
	return c
}

// base is a resource's name without the number of its instance.
func base(instance string) string {
	name, _, _ := strings.Cut(instance, ":")
	return name
}

// begin is what is true from the moment on at which an action begins.
func (m *machine) begin(inv agent.Invocation) {
	s := m.service(inv.Resource)
	switch inv.Action {
	case agent.Start:
		s.active, s.dead = true, false
		m.sim.check.started(m, inv.Resource)
	case agent.Promote:
		s.promoted = true
		m.sim.check.promoted(m, inv.Resource)
	}
}

// result does an action and says what its agent says.
func (m *machine) result(inv agent.Invocation, how string) agent.Result {
	s := m.service(inv.Resource)
	if how == "fail" {
		if inv.Action == agent.Start && m.luck.percent(50) {
			s.dead = true // it did not come up, but nobody knows
		}
		return agent.Result{Code: agent.ErrGeneric, Reason: "it fails, as the script says"}
	}
	if how != "lie" {
		switch inv.Action {
		case agent.Stop:
			*s = service{}
		case agent.Demote:
			s.promoted = false
		}
	}
	if inv.Action == agent.Monitor {
		return agent.Result{Code: s.seen(how == "lie")}
	}
	return agent.Result{Code: agent.OK}
}

// seen is what a monitor finds.
func (s *service) seen(lies bool) agent.Code {
	switch {
	case lies || !s.active || s.dead:
		return agent.NotRunning
	case s.promoted:
		return agent.RunningPromoted
	}
	return agent.OK
}

func (m *machine) end(c *call, r agent.Result) {
	c.over = true
	r.Started = m.clock.time(c.begun).Round(0)
	r.Duration = time.Duration(m.clock.mono(m.sim.w.now) - m.clock.mono(c.begun))
	c.done(r)
}

// kill ends a call and what belongs to it: nothing more comes of it.
func (m *machine) kill(c *call) {
	if c.over || c.stuck {
		return
	}
	c.over = true
	m.agents.do(killed, func() {
		m.end(c, agent.Result{Code: agent.Unknown, Status: agent.Cancelled, Reason: "ended by a signal"})
	})
}

func (m *machine) service(instance string) *service {
	s := m.services[instance]
	if s == nil {
		s = &service{}
		m.services[instance] = s
	}
	return s
}
