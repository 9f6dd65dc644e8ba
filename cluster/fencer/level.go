package fencer

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// pass is what is done with all devices of a level before the next is.
type pass uint8

const (
	checking  pass = iota // is it off already?
	doing                 // the off, reboot or on itself
	verifying             // does the status agree?
	restoring             // back on, after a reboot's off is proven
	passes
)

// slot is one device of the level that is being tried.
type slot struct {
	device *Device
	flight *flight // the command in flight, nil: none
	done   [passes]bool
	failed bool                  // its off, reboot or on will not succeed
	tried  [passes]map[Node]bool // members that have had their turn
	asking bool                  // every member has failed: its status is the last resort
	left   bool                  // it did not come back on
	said   Said                  // what it proves
	native bool                  // it succeeded by its own reboot: no on is needed
}

func (s *slot) try(p pass, n Node) {
	if s.tried[p] == nil {
		s.tried[p] = map[Node]bool{}
	}
	s.tried[p][n] = true
}

func (m *Machine) beginLevel(o *operation) {
	l := o.levels[o.level]
	o.slots, o.pass = nil, checking
	for _, d := range l.devices {
		s := &slot{device: d, said: Said{Device: d.ID}, failed: !d.fences(o.target)}
		if s.failed {
			o.because(fmt.Sprintf("%s names %s, which does not fence %s", l.name, d.ID, o.target))
		}
		o.slots = append(o.slots, s)
	}
	o.native = o.action == Reboot && len(l.devices) == 1 && l.devices[0].can(Reboot) && !(l.devices[0].Verify && l.devices[0].can(Status))
	for _, s := range o.slots {
		s.done[checking] = !o.checks() || !s.device.can(Status)
		s.done[verifying] = !m.verifies(o, s)
	}
}

// checks reports whether any of the requests wants the status first.
func (o *operation) checks() bool {
	for _, r := range o.requests {
		if r.Check && o.action != On {
			return true
		}
	}
	return false
}

// verifies: an off that is followed by an on has to be seen before it is undone,
// if more than one device feeds the target.
func (m *Machine) verifies(o *operation, s *slot) bool {
	return o.action != On && !o.native && s.device.can(Status) && (s.device.Verify || o.action == Reboot && len(o.slots) > 1)
}

// work takes the level on; it reports whether anything changed.
func (m *Machine) work(o *operation) bool {
	open, flying := 0, 0
	for _, s := range o.slots {
		if s.flight != nil {
			flying++
		}
	}
	for _, s := range o.slots {
		if s.failed {
			return m.giveUpLevel(o, flying)
		}
	}
	for i, s := range o.slots {
		if s.done[o.pass] || i > 0 && m.lapse.oneSuffices {
			continue
		}
		open++
		if s.flight == nil && m.launch(o, s) {
			return true
		}
		if !o.levels[o.level].together {
			break
		}
	}
	if open > 0 {
		return false
	}
	return m.passOver(o)
}

// giveUpLevel goes to the next level once nothing of this one runs any more.
func (m *Machine) giveUpLevel(o *operation, flying int) bool {
	if flying > 0 {
		o.words = fmt.Sprintf("%s has failed: waits for %d more of its commands to end", o.levels[o.level].name, flying)
		return false
	}
	m.nextLevel(o)
	return true
}

// passOver goes to the next pass when all devices have done this one.
func (m *Machine) passOver(o *operation) bool {
	switch {
	case o.pass < verifying:
		o.pass++
	case o.pass == verifying && o.action == On:
		m.end(o, true, fmt.Sprintf("%s is switched on by %s", o.target, o.levels[o.level].name))
	case o.pass == verifying:
		m.prove(o)
	default:
		m.end(o, true, o.proof.Words+o.notBack())
	}
	return true
}

// notBack says which devices a reboot has left off.
func (o *operation) notBack() string {
	words := ""
	for _, s := range o.slots {
		if s.left {
			words += fmt.Sprintf("; %s has left it off", s.device.ID)
		}
	}
	return words
}

// prove publishes the proof and, for a reboot, turns to the on.
func (m *Machine) prove(o *operation) {
	e := Evidence{Target: o.target}
	for _, s := range o.slots {
		if !m.lapse.oneSuffices || s.said.Off {
			e.Level = append(e.Level, s.said)
		}
	}
	v := Proof(m.now, e)
	if !v.Off { // cannot be: each slot is done, and so has said off
		m.fail(o, v.Why)
		return
	}
	if o.back && !v.Confirmation.Verified {
		m.fail(o, fmt.Sprintf("%s was heard again before this was reported, and may run something by now (%s)", o.target, v.Confirmation.Words))
		return
	}
	o.proof = &v.Confirmation
	m.emit(Confirmed{v.Confirmation})
	if !slices.ContainsFunc(o.slots, func(s *slot) bool { return s.device.Unfences }) {
		m.dropFlights(o.target) // what is only cut off from its disks may go on with what it was told
	}
	if o.action == Off {
		m.end(o, true, v.Confirmation.Words)
		return
	}
	o.pass = restoring
	for _, s := range o.slots {
		s.done[restoring] = s.native || s.device.OnTarget // such a target is unfenced when it is back
	}
}

// verb is what a slot wants of its device now.
func (o *operation) verb(s *slot) Action {
	switch {
	case o.pass == checking || o.pass == verifying || s.asking:
		return Status
	case o.pass == restoring:
		return On
	}
	return o.deed()
}

// launch sends a slot's next command, or settles that there is none; it reports
// whether anything changed.
func (m *Machine) launch(o *operation, s *slot) bool {
	a := o.verb(s)
	if !m.may && a != Status && a != On {
		m.fail(o, "this node may not fence any more: "+m.mayNot)
		return true
	}
	if !s.device.can(a) {
		o.because(fmt.Sprintf("%s cannot do %s: its agent has no such action", s.device.ID, a))
		m.noMember(o, s)
		return true
	}
	key := o.pass
	if s.asking {
		key = checking
	}
	member, why := m.choose(o.target, s, a, s.tried[key])
	if member == "" {
		o.because(why)
		m.noMember(o, s)
		return true
	}
	if busy := m.busy(s.device); busy != "" {
		o.words = busy
		return false
	}
	if o.bound.Sub(m.now) <= m.cfg.Grace {
		o.because("no time is left for another command")
		m.exhausted(o)
		return true
	}
	m.execute(o, s, a, member, why)
	return true
}

// noMember is called when nobody is left to run what a slot wants.
func (m *Machine) noMember(o *operation, s *slot) {
	switch o.pass {
	case doing:
		if o.action != On && !s.asking && s.device.can(Status) {
			s.asking = true
			return
		}
		s.failed = true
	case verifying: // the device has reported success, and nobody contradicts it
		o.because(fmt.Sprintf("what %s reported could not be verified", s.device.ID))
		s.done[verifying] = true
	default:
		s.done[o.pass] = true
		s.left = o.pass == restoring
	}
}

// busy says why a device takes no further command now, "" if it does. The limit spares
// the device what it cannot do at once; a command of a member that was lost over it would
// block the device until its deadline, also for the fencing of that member itself.
func (m *Machine) busy(d *Device) string {
	limit := max(d.Limit, 0)
	if d.Limit == 0 {
		limit = 1
	}
	n, last := 0, (*flight)(nil)
	for _, f := range m.flights {
		if f.device.ID == d.ID && !f.lost {
			n, last = n+1, f
		}
	}
	if d.Limit < 0 || n < limit {
		return ""
	}
	return fmt.Sprintf("waits for %s: it takes %d command(s) at once, and %s runs the %s of %s", d.ID, limit, last.member, last.action, last.target)
}

// timeout is how long a command may take, within the operation's bound. A question that
// only may spare the switching, or is the last resort after it, has no longer than that,
// and without a time-out of its own Question at most: a device that hangs is to make room
// for the next one.
func (m *Machine) timeout(o *operation, s *slot, a Action) time.Duration {
	own := func(a Action) time.Duration { return cmp.Or(max(0, s.device.Timeout[a]), m.cfg.Timeout) }
	t := own(a)
	if a == Status && (o.pass == checking || s.asking) {
		if s.device.Timeout[Status] <= 0 {
			t = min(t, m.cfg.Question)
		}
		t = min(t, own(o.deed()))
	}
	return min(t, o.bound.Sub(m.now)-m.cfg.Grace)
}

// deed is the action with which an operation switches.
func (o *operation) deed() Action {
	switch {
	case o.action == On:
		return On
	case o.native:
		return Reboot
	}
	return Off
}
