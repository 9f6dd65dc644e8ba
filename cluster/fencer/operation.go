package fencer

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

type stage uint8

const (
	queued   stage = iota // something else goes first
	delayed               // until due
	acting                // on levels[level]
	watching              // only the watchdog can still prove it
	ended
)

// operation is the work for one or more requests with one target.
type operation struct {
	requests []Request
	target   Node
	action   Action
	stage    stage
	asked    time.Time
	began    time.Time
	due      time.Time // end of a delay or pause
	bound    time.Time // it ends by then
	levels   []plan
	level    int
	round    int
	native   bool // reboot by the device's own reboot
	acted    bool // an off or a reboot was sent
	back     bool // the target was heard anew after that: the proof to come may be of before
	pass     pass
	slots    []*slot // one a device of the level
	proof    *Confirmation
	steps    []Step
	reasons  []string
	words    string // what it does or waits for
}

// maxQueue is how many different actions may wait for one target.
const maxQueue = 16

func (m *Machine) onAsked(r Request) {
	if why := m.refuse(r); why != "" {
		m.emit(Refused{r.ID, r.Target, why})
		return
	}
	if o := m.newest(r.Target); o != nil && r.Try == "" && o.takes(r.Action) {
		m.join(o, r)
		return
	}
	o := &operation{requests: []Request{r}, target: r.Target, action: r.Action, asked: m.now}
	m.ops = append(m.ops, o)
	m.report(r.Target, "%s asks for %s of %s: %s", r.By, r.Action, r.Target, r.Reason)
}

// onWithdraw ends operations that nobody wants any more.
func (m *Machine) onWithdraw(in Withdraw) {
	for _, o := range slices.Clone(m.ops) {
		var stay, gone []Request
		for _, r := range o.requests {
			if slices.Contains(in.Requests, r.ID) {
				gone = append(gone, r)
			} else {
				stay = append(stay, r)
			}
		}
		switch {
		case len(gone) == 0 || o.proof != nil:
		case len(stay) == 0:
			m.fail(o, in.Why)
		default:
			o.requests = stay
			for _, r := range gone {
				m.emit(Refused{r.ID, r.Target, in.Why})
			}
		}
	}
}

func (m *Machine) refuse(r Request) string {
	open := 0
	for _, o := range m.ops {
		if o.target == r.Target {
			open++
		}
	}
	switch {
	case r.Target == "":
		return "the request names no target"
	case r.Action != Off && r.Action != Reboot && r.Action != On:
		return fmt.Sprintf("%q cannot be asked for: ask for off, reboot or on", r.Action)
	case !m.may:
		return "this node may not fence: " + m.mayNot
	case open >= maxQueue:
		return fmt.Sprintf("%d requests for %s wait already: ask again when they have ended", open, r.Target)
	}
	return ""
}

// newest returns the open operation on a target that was asked last.
func (m *Machine) newest(target Node) *operation {
	for _, o := range slices.Backward(m.ops) {
		if o.target == target {
			return o
		}
	}
	return nil
}

// takes reports whether a request for an action is answered by this operation:
// the same or a stronger one, with the proof still to come. What was proven before
// the request says nothing about now, nor what a device did before the target was back.
func (o *operation) takes(a Action) bool {
	return o.requests[0].Try == "" && o.proof == nil && !o.back && (o.action == a || o.action == Off && a == Reboot)
}

func (m *Machine) join(o *operation, r Request) {
	o.requests = append(o.requests, r)
	m.report(o.target, "%s asks for %s of %s, too: it joins the %s that was asked for before", r.By, r.Action, r.Target, o.action)
	if o.stage == delayed && len(o.steps) == 0 && o.round == 0 {
		if due := m.now.Add(o.delay(r)); due.Before(o.due) {
			o.due = due // who does not want to wait need not
		}
	}
}

// delay is how long the first attempt waits.
func (o *operation) delay(r Request) time.Duration {
	if r.Delay < 0 || o.action == On || len(o.levels) == 0 {
		return 0
	}
	longest := time.Duration(0)
	for i, d := range o.levels[0].devices {
		if i == 0 || o.levels[0].together {
			longest = max(longest, d.Delay.of(o.target, r.Random))
		}
	}
	return longest + r.Delay
}

// step takes an operation on by one; it reports whether anything changed.
func (m *Machine) step(o *operation) bool {
	if o.action != On && o.proof == nil {
		switch v := m.watchdog(o.target); {
		case v.Off:
			m.settle(v.Confirmation)
			return true
		case o.stage == watching && v.Due.IsZero():
			m.fail(o, v.Why) // time proves nothing any more: it is heard again
			return true
		}
	}
	if !o.bound.IsZero() && !m.now.Before(o.bound) && !m.lapse.actsLate {
		m.timeUp(o)
		return true
	}
	switch o.stage {
	case queued:
		return m.begin(o)
	case delayed:
		if m.now.Before(o.due) {
			return false
		}
		o.stage = acting
		m.beginLevel(o)
		return true
	case acting:
		return m.work(o)
	}
	return false
}

func (m *Machine) timeUp(o *operation) {
	if o.proof != nil {
		m.fail(o, "it did not come back on in time")
		return
	}
	m.fail(o, fmt.Sprintf("not done within %v: %s", o.bound.Sub(o.began), o.words))
}

// begin starts an operation if nothing goes before it.
func (m *Machine) begin(o *operation) bool {
	if o.words = m.ahead(o); o.words != "" {
		return false
	}
	o.began = m.now
	n := m.members[o.target]
	n.Node = o.target
	o.levels = m.setup.plans(n, o.action)
	if try := o.requests[0].Try; try != "" {
		o.levels = slices.DeleteFunc(o.levels, func(p plan) bool { return p.name != try })
	}
	wait := o.delay(o.requests[0])
	for _, r := range o.requests[1:] {
		wait = min(wait, o.delay(r))
	}
	o.due, o.bound = m.now.Add(wait), m.now.Add(wait).Add(m.cfg.Bound)
	if len(o.levels) == 0 {
		o.because(fmt.Sprintf("no fence device can fence %s: configure one, or fence it by hand and say takt fence confirm %s", o.target, o.target))
		m.exhausted(o)
		return true
	}
	o.stage = delayed
	if wait > 0 {
		o.words = fmt.Sprintf("waits %v before the first attempt, as its delays say", wait)
		m.report(o.target, "%s of %s %s", o.action, o.target, o.words)
	}
	return true
}

// ahead says what an operation has to wait for before it begins.
func (m *Machine) ahead(o *operation) string {
	for _, p := range m.ops {
		if p == o {
			break
		}
		if p.target == o.target || m.setup.serial && !p.diedWith(o.target) {
			return fmt.Sprintf("waits for the %s of %s to end", p.action, p.target)
		}
	}
	for _, f := range m.flights {
		if f.target == o.target && !m.lapse.noWait {
			return fmt.Sprintf("waits for %s, which may still run the earlier %s of %s with %s until %s",
				f.member, f.action, f.target, f.device.ID, f.deadline.UTC().Format(time.TimeOnly))
		}
	}
	return ""
}

// diedWith reports whether all that an operation waits for was given to a member that was lost
// over it. To fence that one is what ends the waiting, and so must not come after it.
func (o *operation) diedWith(member Node) bool {
	waits := false
	for _, s := range o.slots {
		if s.flight == nil {
			continue
		}
		if s.flight.member != member || !s.flight.lost {
			return false
		}
		waits = true
	}
	return waits
}

// nextLevel gives a level up.
func (m *Machine) nextLevel(o *operation) {
	o.level++
	if o.level < len(o.levels) {
		m.beginLevel(o)
		return
	}
	o.round++
	o.level = 0
	if o.round >= m.cfg.Rounds || !m.now.Add(m.cfg.Pause).Before(o.bound) {
		m.exhausted(o)
		return
	}
	o.stage, o.due = delayed, m.now.Add(m.cfg.Pause)
	o.words = fmt.Sprintf("everything failed (%s): waits %v, then tries again (round %d of %d)", o.why(), m.cfg.Pause, o.round+1, m.cfg.Rounds)
	m.report(o.target, "%s of %s: %s", o.action, o.target, o.words)
}

// exhausted leaves the watchdog, or nothing.
func (m *Machine) exhausted(o *operation) {
	if o.proof != nil {
		m.fail(o, "no time is left to switch it on again")
		return
	}
	v := m.watchdog(o.target)
	if o.action == On || v.Due.IsZero() || v.Due.After(o.bound) {
		m.fail(o, "everything was tried")
		return
	}
	o.stage, o.words = watching, v.Why
	m.report(o.target, "%s of %s: no device could do it; %s", o.action, o.target, v.Why)
}

// because notes a reason for a failure, each once.
func (o *operation) because(why string) {
	if len(o.reasons) < MaxSteps && !slices.Contains(o.reasons, why) {
		o.reasons = append(o.reasons, why)
	}
}

// why is the first reason, and how many more there are: the entry has them all.
func (o *operation) why() string {
	if len(o.reasons) == 2 {
		return o.reasons[0] + " (and one more reason)"
	}
	if n := len(o.reasons); n > 1 {
		return fmt.Sprintf("%s (and %d more reasons)", o.reasons[0], n-1)
	}
	return strings.Join(o.reasons, "")
}

func (m *Machine) fail(o *operation, why string) {
	if o.proof != nil { // nothing that comes later takes a proof away
		o.because(why)
		m.end(o, true, o.proof.Words+"; its return was not waited for: "+why)
		return
	}
	words := fmt.Sprintf("%s of %s failed: %s", o.action, o.target, why)
	if len(o.reasons) > 0 {
		words += ": " + o.why()
	}
	o.because(why)
	m.end(o, false, words)
}

// end answers the requests and recalls what still flies.
func (m *Machine) end(o *operation, success bool, words string) {
	o.stage = ended
	m.ops = slices.DeleteFunc(m.ops, func(p *operation) bool { return p == o })
	for _, f := range m.flights {
		if f.slot != nil && slices.Contains(o.slots, f.slot) {
			f.slot, f.op = nil, nil
			m.emit(Recall{f.command, f.member, "the " + string(o.action) + " of " + string(o.target) + " has ended"})
		}
	}
	e := Entry{Target: o.target, Action: o.action, Requests: o.requests, Asked: o.asked, Began: o.began, Ended: m.now,
		Success: success, Proof: o.proof, Steps: o.steps, Reasons: o.reasons, Words: words}
	m.remember(e)
	var ids []uint64
	for _, r := range o.requests {
		ids = append(ids, r.ID)
	}
	m.emit(Ended{ids, e})
}
