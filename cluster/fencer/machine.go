package fencer

import (
	"fmt"
	"slices"
	"time"
)

// Machine decides what the fencer does next. It is pure: time comes in with each
// input. A request goes
//
//	queued ──nobody else at this target──▶ delayed ──delay over──▶ acting ──▶ ended
//	                                          ▲                     │  │
//	                                          └─pause, next round───┘  └─all failed, watchdog armed─▶ watching ──▶ ended
//
// and while acting, on each level:
//
//	check (if asked) ──▶ act (off, reboot, on) ──all devices──▶ verify ──▶ CONFIRMED ──reboot──▶ on (best effort)
//	                      ▲      │                                │
//	                      │      └─ a device failed: next level   │
//	                      └──────────── its status says on ───────┘
//
// An operator's confirmation and a watchdog's end it anywhere; so does its bound.
type Machine struct {
	cfg     Config
	now     time.Time
	out     []Effect
	may     bool
	mayNot  string // why not
	setup   *Setup
	members map[Node]Member
	ops     []*operation // open, in the order asked
	flights []*flight    // by number; also those whose operation has ended
	command uint64       // number of the newest command
	history []Entry      // newest last, at most cfg.History
	lapse   lapse
}

// lapse switches safety rules off, for tests that have to see them broken.
type lapse struct {
	targetActs  bool // the target runs commands
	suspectActs bool // suspect members run commands
	oneSuffices bool // one device of a level is enough
	noWait      bool // what an ended request may still run is not waited for
	actsLate    bool // a request goes on when its time is up
}

// NewMachine returns a machine without devices, members or authority.
func NewMachine(cfg Config) *Machine {
	return &Machine{cfg: cfg.orDefault(), setup: &Setup{}, members: map[Node]Member{}, mayNot: "it is not known yet whether this node may fence"}
}

// Step takes one input and returns what is to be done. now never goes back.
func (m *Machine) Step(now time.Time, in Input) []Effect {
	m.now, m.out = now, nil
	switch in := in.(type) {
	case Configured:
		m.setup = in.Setup
	case Members:
		m.onMembers(in.List)
	case Authority:
		m.onAuthority(in)
	case Asked:
		m.onAsked(in.Request)
	case Withdraw:
		m.onWithdraw(in)
	case Confirm:
		m.onConfirm(in)
	case Result:
		m.onResult(in)
	case Tick:
	}
	m.advance()
	m.wake()
	return m.out
}

// History returns the ended requests, oldest first.
func (m *Machine) History() []Entry { return slices.Clone(m.history) }

// Waiting is an open request.
type Waiting struct {
	Target Node
	Action Action
	Asked  time.Time
	Words  string // what it does or waits for
}

// Open returns the open requests in the order in which they were asked.
func (m *Machine) Open() []Waiting {
	var list []Waiting
	for _, o := range m.ops {
		list = append(list, Waiting{o.target, o.action, o.asked, o.words})
	}
	return list
}

func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

func (m *Machine) report(target Node, format string, args ...any) {
	m.emit(Report{Target: target, Text: fmt.Sprintf(format, args...)})
}

func (m *Machine) onMembers(list []Member) {
	was := m.members
	m.members = make(map[Node]Member, len(list))
	for _, n := range list {
		m.members[n.Node] = n
	}
	for _, o := range m.ops {
		o.back = o.back || o.acted && was[o.target].State != Alive && m.members[o.target].State == Alive
	}
	for _, f := range m.flights {
		f.lost = f.lost || m.members[f.member].State != Alive
	}
	for _, n := range list {
		if n.State == Away {
			m.dropFlights(n.Node)
		}
	}
}

// dropFlights forgets what a node that is off was told to run.
func (m *Machine) dropFlights(n Node) {
	for _, f := range slices.Clone(m.flights) {
		if f.member == n {
			m.land(f, Result{f.command, Undelivered, "", string(n) + " is off"})
		}
	}
}

func (m *Machine) onAuthority(in Authority) {
	m.may, m.mayNot = in.May, in.Why
	if in.May {
		return
	}
	for _, o := range slices.Clone(m.ops) {
		if in.Finish && o.stage == acting && o.acted {
			continue
		}
		m.fail(o, "this node may not fence any more: "+in.Why)
	}
}

func (m *Machine) onConfirm(in Confirm) {
	n := m.members[in.Node]
	alive := n.State == Alive || in.Node == m.cfg.Self
	v := Proof(m.now, Evidence{Target: in.Node, Operator: in.By, Alive: alive})
	switch {
	case in.Node == "" || in.By == "":
		m.emit(Refused{Target: in.Node, Why: "a confirmation names the node and who says so"})
	case !v.Off:
		m.emit(Refused{Target: in.Node, Why: v.Why + ": switch it off first, or ask for takt fence off " + string(in.Node)})
	case !m.settle(v.Confirmation):
		m.emit(Confirmed{v.Confirmation})
		m.dropFlights(in.Node)
		m.remember(Entry{Target: in.Node, Action: Off, Asked: m.now, Ended: m.now, Success: true, Proof: &v.Confirmation, Words: v.Confirmation.Words})
	}
}

// settle ends every off and reboot of a target that is confirmed off without
// their doing, and reports whether there was one.
func (m *Machine) settle(c Confirmation) bool {
	any := false
	for _, o := range slices.Clone(m.ops) {
		if o.target != c.Target || o.action == On {
			continue
		}
		if !any {
			m.emit(Confirmed{c})
			m.dropFlights(c.Target)
		}
		any = true
		if o.proof == nil {
			o.proof = &c
		}
		m.end(o, true, c.Words)
	}
	return any
}

// advance does whatever can be done now.
func (m *Machine) advance() {
	for _, f := range slices.Clone(m.flights) {
		if !m.now.Before(f.deadline) {
			m.land(f, Result{f.command, Failed, "", fmt.Sprintf("no answer from %s within %v", f.member, f.deadline.Sub(f.begun))})
		}
	}
	for again := true; again; {
		again = false
		for _, o := range slices.Clone(m.ops) {
			if o.stage != ended && m.step(o) {
				again = true
			}
		}
	}
}

// wake asks for a tick at the next point in time that matters.
func (m *Machine) wake() {
	var at time.Time
	earliest := func(t time.Time) {
		if !t.IsZero() && t.After(m.now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, f := range m.flights {
		earliest(f.deadline)
	}
	for _, o := range m.ops {
		if o.stage == delayed {
			earliest(o.due)
		}
		earliest(o.bound)
		if o.action != On {
			earliest(m.watchdog(o.target).Due)
		}
	}
	if !at.IsZero() {
		m.emit(Wake{at})
	}
}

// watchdog judges what a target's watchdog proves.
func (m *Machine) watchdog(target Node) Verdict {
	n := m.members[target]
	return Proof(m.now, Evidence{Target: target, Alive: n.State == Alive || target == m.cfg.Self, Watchdog: n.Watchdog})
}

func (m *Machine) remember(e Entry) {
	if len(m.history) >= m.cfg.History {
		m.history = slices.Delete(m.history, 0, len(m.history)-m.cfg.History+1)
	}
	m.history = append(m.history, e)
}
