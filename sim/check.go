package sim

import (
	"cmp"
	"fmt"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/executor"
	"github.com/takt-ha/takt/cluster/quorum"
	"github.com/takt-ha/takt/cluster/store"
)

// checker holds what must be true after every event. It looks at what really is,
// never at what a core believes.
type checker struct {
	switched int // how often a machine lost its power by a device or its own doing
	s        *simulation
	found    string // the first invariant that broke, in words
	rule     string // its name
	claims   map[uint64]cib.NodeID
	acks     []ack
	settled  uint64 // the newest index for which a coordinator had nothing left to do

	// What the script's faults make legal.
	lied    bool // a device said off and the machine was on: whatever follows from it is legal
	forcing bool // an operator forced or confirmed without knowing
}

// The invariants.
const (
	Twice       = "twice"       // a unique service is active on at most one node that has power
	Lost        = "lost"        // an acknowledged change is in every later CIB of its lineage
	Lineages    = "lineages"    // with fencing enabled there is one lineage
	NoCause     = "no-cause"    // nobody is fenced who was a healthy member
	Stale       = "stale"       // an executor never obeys a stale command
	NotInTime   = "not-in-time" // after the faults all that can run runs within bounded time
	Differs     = "differs"     // all CIBs of one index are one
	Accuses     = "accuses"     // who stood still does not call lost who did not
	Unstopped   = "unstopped"   // a stop that failed is not a stop: nothing starts there before a person, or fencing
	Circle      = "circle"      // nothing is done again and again without a pause
	troubleTime = 20e9          // ns: so long after a fault its victim may be fenced for it
)

// ack is a change that was acknowledged to who asked for it.
type ack struct {
	mark       string
	generation uint64
	index      uint64
}

// fail notes a broken invariant; the first one ends the run.
func (c *checker) fail(m *machine, rule, format string, args ...any) {
	if c.found != "" {
		return
	}
	c.rule, c.found = rule, fmt.Sprintf(format, args...)
	c.s.tell(m, "BROKEN (%s): %s", rule, c.found)
}

// excused tells whether declared lies have made the first three invariants void.
func (c *checker) excused() bool { return c.lied || c.forcing }

// provable tells whether loss of contact is ever proof: without fencing a node that
// is cut off or paused may run on.
func (c *checker) provable() bool {
	return c.s.script.Cluster.Fencing != "none" || !c.s.severed
}

// holds tells whether something is active: what has died is not.
func (s *service) holds() bool { return s.active && !s.dead }

// started is called when the start of a service begins.
func (c *checker) started(m *machine, instance string) {
	c.s.tell(m, "starts %s", instance)
	if m.unstopped[base(instance)] == failed && !c.excused() {
		c.fail(m, Unstopped, "%s starts on %s, where it could not be stopped, and nobody has looked after it", instance, m.name)
	}
	if !c.s.unique[instance] || c.excused() || !c.provable() {
		return
	}
	for _, o := range c.s.machines {
		if o != m && o.on && o.service(instance).holds() {
			c.fail(m, Twice, "%s starts on %s while it is active on %s", instance, m.name, o.name)
		}
	}
}

// promoted is called when a promote begins.
func (c *checker) promoted(m *machine, instance string) {
	c.s.tell(m, "promotes %s", instance)
	if c.excused() || !c.provable() {
		return
	}
	for _, o := range c.s.machines {
		if o == m || !o.on {
			continue
		}
		for _, name := range sortedKeys(o.services) {
			if s := o.services[name]; base(name) == base(instance) && s.promoted && s.holds() {
				c.fail(m, Twice, "%s is promoted on %s while it is on %s", instance, m.name, o.name)
			}
		}
	}
}

// fenced is called when a machine is about to be switched off by a device.
func (c *checker) fenced(m *machine, because string) {
	c.switched++
	if why := m.excuse(); why == "" && !c.excused() {
		c.fail(m, NoCause, "%s is switched off although it is healthy (%s)", m.name, because)
	}
}

// fencedItself is called when a machine is about to reset itself.
func (c *checker) fencedItself(m *machine) {
	c.switched++
	if m.daemon != nil && m.daemon.machine.Status().Place != quorum.Quorate {
		return // as no-quorum-policy says
	}
	if why := m.excuse(); why == "" && !c.excused() {
		c.fail(m, NoCause, "%s resets itself although it is healthy", m.name)
	}
}

// excuse says why a machine may be fenced; "" if nothing explains it.
func (m *machine) excuse() string {
	now := m.sim.w.now
	switch {
	case m.daemon == nil || now-m.booted < troubleTime:
		return "it has just booted, or has no daemon"
	case m.troubles > 0 || now-m.troubled < troubleTime:
		return "a fault"
	case m.stopFailed:
		return "a stop failed"
	case m.wanted:
		return "an operator wants it"
	}
	return ""
}

// wakes is how long, ns, after it stood still a machine's word on others is looked at.
const wakes = 500e6

// accused is called when a node calls another one lost. One that has just stood
// still must not say so of one that it could have heard all the time.
func (c *checker) accused(m *machine, peer cib.NodeID, why string) {
	p, now := c.s.machine(peer), c.s.w.now
	if m.woke == 0 || now < m.woke || now-m.woke > wakes || p == nil || !p.on || p.pulse == nil {
		return
	}
	const clear = 15e9 // ns; longer than anything stands still
	if p.troubles > 0 || now-p.troubled < clear || now-p.booted < clear || c.s.net.touched(m.n, p.n, now-clear) {
		return
	}
	c.fail(m, Accuses, "%s, which stood still until now, calls %s lost, which it could have heard all the time: %s", m.name, p.name, why)
}

// observed looks at every step of an operation.
func (c *checker) observed(m *machine, e executor.Event) {
	cmd := e.Record.Command
	if e.Phase == executor.End {
		switch done := e.Record.Result.Status == agent.Done; {
		case cmd.Action == agent.Stop:
			m.stopEnded(base(cmd.Resource), done && e.Record.Result.Code == agent.OK)
		case cmd.Action == agent.Monitor && done && e.Record.Result.Code == agent.NotRunning:
			m.isStopped(base(cmd.Resource))
		}
		return
	}
	if cmd.Action == agent.Monitor || cmd.Stamp.Action < 0 {
		return
	}
	if compareStamps(cmd.Stamp, m.seen) < 0 {
		c.fail(m, Stale, "%s begins %s of %s for term %d, transition %d, after it has promised term %d, transition %d",
			m.name, cmd.Action, cmd.Resource, cmd.Stamp.Term, cmd.Stamp.Transition, m.seen.Term, m.seen.Transition)
	}
	m.heardStamp(cmd.Stamp)
}

// unstopped is how it is with a stop that failed.
type unstopped int

const (
	failed   unstopped = 1 + iota
	resolved           // it is stopped after all, or a person has looked; the failure may not be forgotten yet
)

// stopEnded is called when the stop of a service has ended, well or not.
func (m *machine) stopEnded(name string, well bool) {
	if well {
		m.isStopped(name)
		return
	}
	m.stopFailed, m.unstopped[name] = true, failed
}

// isStopped is called when a service is known to be stopped, or a person vouches for it.
func (m *machine) isStopped(name string) {
	if m.unstopped[name] == failed {
		m.unstopped[name] = resolved
	}
}

// heardStamp is called when an executor has promised to obey nothing older.
func (m *machine) heardStamp(s agent.Stamp) {
	if compareStamps(s, m.seen) > 0 {
		m.seen = s
	}
}

func compareStamps(a, b agent.Stamp) int {
	return cmp.Or(cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Term, b.Term), cmp.Compare(a.Transition, b.Transition))
}

// forced is called when a node has made itself the only voter of a generation.
func (c *checker) forced(m *machine, generation uint64) {
	before, taken := c.claims[generation]
	c.claims[generation] = m.id
	if taken && before != m.id && c.single() {
		c.fail(m, Lineages, "%s and %s have both forced generation %d", c.s.nameOf(before), m.name, generation)
	}
}

// single tells whether there may be one lineage only.
func (c *checker) single() bool { return c.s.script.Cluster.Fencing != "none" && !c.excused() }

// acknowledged is called when somebody was told that a change is made.
func (c *checker) acknowledged(m *machine, a ack) {
	for g := range c.claims {
		if g > a.generation && c.single() {
			c.fail(m, Lineages, "%s acknowledges %s in generation %d after generation %d was forced", m.name, a.mark, a.generation, g)
		}
	}
	c.acks = append(c.acks, a)
}

// stateOf looks at every CIB that a node has.
func (c *checker) stateOf(m *machine, s *store.State) {
	if s.Waiting || s.Root == nil {
		return
	}
	marks := s.Root.Path("configuration", "crm_config").ChildByID("cluster_property_set", marksID)
	same := marks == m.marks && s.Generation == m.marksOf
	for i, a := range c.acks {
		if same && i < m.marked {
			continue
		}
		if s.Generation < a.generation || s.Generation == a.generation && s.Index < a.index {
			continue
		}
		if s.Generation > a.generation && !c.single() {
			continue
		}
		if marks.ChildByID("nvpair", a.mark) == nil {
			c.fail(m, Lost, "%s has index %d of generation %d without %s, which was acknowledged at index %d of generation %d",
				m.name, s.Index, s.Generation, a.mark, a.index, a.generation)
		}
	}
	m.marks, m.marksOf, m.marked = marks, s.Generation, 0
	for m.marked < len(c.acks) && c.acks[m.marked].generation == s.Generation && c.acks[m.marked].index <= s.Index {
		m.marked++
	}
}

// led is told who leads, as a node sees it.
func (c *checker) led(m *machine, l store.Leadership) {
	if l.Leader == m.id && l.Ready {
		c.s.tell(m, "leads in term %d", l.Term)
	}
}

// broken is called when a core says that something cannot be.
func (c *checker) broken(m *machine, why string) { c.fail(m, Differs, "%s: %s", m.name, why) }

func (c *checker) settledAt(_ *machine, index uint64) { c.settled = max(c.settled, index) }
