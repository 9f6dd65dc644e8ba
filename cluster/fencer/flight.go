package fencer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// flight is a command that a member was sent and whose end is not known yet. It
// outlives its operation: until its result or its deadline it may still act.
type flight struct {
	command  uint64
	op       *operation // nil: it has ended
	slot     *slot      // nil with op
	device   *Device
	action   Action
	pass     pass // that it serves
	asking   bool // it is a last resort
	target   Node
	member   Node
	begun    time.Time
	deadline time.Time
	lost     bool // its member was not heard at some time since: most likely it died over it
}

// choose returns the member to run a device's action and why it is that one; or
// "" and why it is nobody. One where the device works goes before others, one
// that has tested it before one that has not, this node before another.
func (m *Machine) choose(target Node, s *slot, a Action, tried map[Node]bool) (Node, string) {
	members := slices.Clone(s.device.Members)
	if a == On && s.device.OnTarget {
		members = []Reach{{Node: target, Working: true}}
	}
	slices.SortStableFunc(members, func(x, y Reach) int {
		return cmp.Or(yesFirst(x.Working, y.Working), yesFirst(!x.Tested.IsZero(), !y.Tested.IsZero()),
			yesFirst(x.Node == m.cfg.Self, y.Node == m.cfg.Self), cmp.Compare(x.Node, y.Node))
	})
	var not []string
	for _, r := range members {
		if why := m.unfit(r.Node, target, s.device, a, tried); why != "" {
			not = append(not, why)
			continue
		}
		return r.Node, m.whyMember(r, not)
	}
	if len(not) == 0 {
		not = []string{"no member has it"}
	}
	return "", fmt.Sprintf("nobody is left to run %s of %s: %s", a, s.device.ID, strings.Join(not, ", "))
}

func yesFirst(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return -1
	}
	return 1
}

// unfit says why a member may not run a command, "" if it may.
func (m *Machine) unfit(n, target Node, d *Device, a Action, tried map[Node]bool) string {
	state := m.members[n].State
	switch {
	case n == target && !(a == On && d.OnTarget) && !m.lapse.targetActs:
		return string(n) + " is the target"
	case state != Alive && !(m.lapse.suspectActs && state == Suspect) && !(m.lapse.targetActs && n == target):
		return fmt.Sprintf("%s is %s", n, state)
	case tried[n]:
		return string(n) + " has tried"
	}
	return ""
}

func (m *Machine) whyMember(r Reach, not []string) string {
	words := []string{"it does not work on any member left"}
	if r.Working {
		words[0] = fmt.Sprintf("it works on %s", r.Node)
	}
	if r.Tested.IsZero() {
		words = append(words, "never tested")
	} else {
		words = append(words, "tested on "+r.Tested.UTC().Format(time.DateOnly))
	}
	return strings.Join(append(words, not...), ", ")
}

// execute sends a command.
func (m *Machine) execute(o *operation, s *slot, a Action, member Node, why string) {
	m.command++
	t := m.timeout(o, s, a)
	f := &flight{command: m.command, op: o, slot: s, device: s.device, action: a, pass: o.pass, asking: s.asking, target: o.target, member: member,
		begun: m.now, deadline: m.now.Add(t + m.cfg.Grace)}
	if f.deadline.After(o.bound) && !m.lapse.actsLate {
		f.deadline = o.bound
	}
	m.flights = append(m.flights, f)
	s.flight = f
	o.acted = o.acted || a == Off || a == Reboot
	o.words = fmt.Sprintf("waits for %s, which runs the %s of %s with %s and has %v for it", member, a, o.target, s.device.ID, f.deadline.Sub(m.now))
	m.emit(Execute{f.command, s.device.ID, a, o.target, member, t, f.deadline, fmt.Sprintf("%s: %s", o.levels[o.level].name, why)})
}

func (m *Machine) onResult(in Result) {
	for _, f := range m.flights {
		if f.command == in.Command {
			m.land(f, in)
			return
		}
	}
}

// land takes a command's end: a result, a deadline, or that its member is off.
func (m *Machine) land(f *flight, r Result) {
	m.flights = slices.DeleteFunc(m.flights, func(g *flight) bool { return g == f })
	o, s := f.op, f.slot
	if o == nil {
		return
	}
	s.flight = nil
	o.words = "" // whatever comes next says so
	words := r.Words
	if f.action == Status && r.Outcome == Done {
		words = strings.TrimSpace("says " + cmp.Or(string(r.Power), "nothing of use") + " " + words)
	}
	if len(o.steps) < MaxSteps {
		o.steps = append(o.steps, Step{m.now, f.device.ID, f.member, f.action, r.Outcome, words})
	}
	text := fmt.Sprintf("%s of %s with %s by %s: %s", f.action, f.target, f.device.ID, f.member, r.Outcome)
	if words != "" {
		text += ": " + words
	}
	m.emit(Report{f.target, text})
	if r.Outcome != Done {
		o.because(text)
	}
	if f.action == Status {
		m.onStatus(o, s, f, r)
		return
	}
	m.onDone(o, s, f, r)
}

// onDone takes the end of an off, reboot or on.
func (m *Machine) onDone(o *operation, s *slot, f *flight, r Result) {
	s.try(f.pass, f.member)
	if r.Outcome != Done {
		return // another member, if there is one
	}
	s.done[f.pass] = true
	if f.action == On {
		return
	}
	s.native = f.action == Reboot
	s.said = Said{f.device.ID, f.member, m.now, true, f.action == Off && r.Power == PowerOff}
}

// onStatus takes the end of a status: it proves, contradicts, or says nothing.
func (m *Machine) onStatus(o *operation, s *slot, f *flight, r Result) {
	isOff := r.Outcome == Done && r.Power == PowerOff
	isOn := r.Outcome == Done && r.Power == PowerOn
	if isOff && f.pass != verifying && m.members[o.target].State == Alive {
		isOff = false // nothing has switched it off that we know of, and heartbeats do not come from a machine that is off
		o.because(fmt.Sprintf("%s says off, and %s is heard: does its host map name another machine?", f.device.ID, o.target))
	}
	switch {
	case isOff:
		s.said = Said{f.device.ID, f.member, m.now, true, true}
		s.native, s.asking = false, false // what comes next is the on, and no further question
		s.done[checking], s.done[doing], s.done[verifying] = true, true, true
	case f.pass == verifying && isOn:
		o.because(fmt.Sprintf("%s, run by %s, reported success, and its status says on: it does not do what it reports", f.device.ID, s.said.Member))
		s.said = Said{Device: f.device.ID}
		s.done[doing], s.tried[verifying] = false, nil
		o.pass = doing
	case f.pass == checking:
		s.done[checking] = true // whatever it says, it is not known to be off
	case f.asking && isOn:
		s.failed = true
	case f.asking:
		s.try(checking, f.member)
	default:
		s.try(f.pass, f.member)
	}
}
