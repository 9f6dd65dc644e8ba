package controller

import (
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// Config is what a machine needs to know about itself.
type Config struct {
	Self cib.NodeID
	Name string // of this node, its uname
	// JoinTimeout is how long the coordinator waits for a node's answer before
	// it goes on without it: the node then keeps what it runs, and gets nothing new.
	JoinTimeout time.Duration
	// ActionGrace is how much longer than an operation's time-out the
	// coordinator waits for the node's word on it.
	ActionGrace time.Duration
	// Limit is how many operations are in flight in the cluster at once.
	Limit int
}

// DefaultConfig returns the values for a node.
func DefaultConfig(self cib.NodeID, name string) Config {
	return Config{Self: self, Name: name, JoinTimeout: 5 * time.Second, ActionGrace: 10 * time.Second, Limit: 200}
}

// Machine decides what a node's controller does next. It is pure: time comes
// in with each input. On the coordinator it goes round
//
//	following ──ready──▶ joining ──all answered, states committed──▶ settled
//	    ▲                   ▲                                          │  ▲
//	    │                   └── a node came or went ──┐    something ──┘  └── nothing left to do
//	    └── leadership or quorum lost ──────────── running ◀── changed
//
// and on every node, when it is cut off: recall what runs here, stop it all (see
// standing, localStop). Nodes that have to be fenced are asked for with Fence, and
// what is proven about nodes that are off is kept (see proof).
type Machine struct {
	cfg Config
	now time.Time
	out []Effect

	lead       Leadership
	took       uint64 // term in which this node has taken over, 0 while not leading
	standing   standing
	wasQuorate bool // under a coordinator, since the start: only then can anything run here
	state      State
	members    map[cib.NodeID]*member

	// The coordinator's work; void while not leading.
	run        *Run
	transition uint64            // the newest number given, to a run or to a Query
	number     uint64            // of the run
	started    time.Time         // of the run
	deadlines  map[int]time.Time // of the run's actions in flight
	begun      map[int]time.Time // when they were sent
	basis      *cib.Node         // the configuration that the run was computed from
	memo       scheduler.Memo    // of the decisions so far
	history    []result          // results and intents not yet proposed
	written    []*intent         // whose pending records are in the proposal in flight
	proposal   uint64            // id of the proposal in flight, 0: none
	proposals  uint64            // ids given so far
	retryAt    time.Time         // no proposal before this
	dirty      string            // why to schedule again, "" = no need
	learned    bool              // something new has come since the last decision
	rest       time.Time         // no decision before this, unless there is news
	decided    uint64            // digest of the last decision
	repeats    int               // how often the same was decided again
	recheck    time.Time         // when time alone may change the answer
	settled    uint64            // index last reported as settled
	troubles   map[task]*trouble // fencing that failed, or is put off
	born       time.Time         // of the first step

	fences []*fence // not answered yet, in the order in which they were asked for; some maybe of earlier terms

	local localStop
}

// result is what one operation gave, to be written to the CIB.
type result struct {
	node   cib.NodeID
	record agent.Record
	forget string      // instead of a record: drop the history of this resource
	intent *intent     // the record is its pending one
	attrs  [][2]string // instead of a record: set these transient attributes
}

// NewMachine returns a machine that knows nothing yet.
func NewMachine(cfg Config) *Machine {
	m := &Machine{cfg: cfg, members: map[cib.NodeID]*member{}, troubles: map[task]*trouble{}}
	m.members[cfg.Self] = &member{id: cfg.Self, alive: true, working: true}
	return m
}

// Leading reports whether this node coordinates and may act.
func (m *Machine) Leading() bool {
	return m.lead.Ready && m.lead.Leader == m.cfg.Self && m.standing == quorate && m.state.Root != nil && m.local.owed == 0
}

// Pending returns the actions in flight with the time when each was sent.
func (m *Machine) Pending() (transition uint64, actions []scheduler.Action, since []time.Time) {
	if m.run == nil {
		return m.number, nil, nil
	}
	for _, a := range m.run.InFlight() {
		actions = append(actions, a)
		since = append(since, m.begun[int(a.ID)])
	}
	return m.number, actions, since
}

// Step takes one input and returns what is to be done. now never goes back.
func (m *Machine) Step(now time.Time, in Input) []Effect {
	if m.born.IsZero() {
		m.born = now
	}
	m.now, m.out = now, nil
	switch in := in.(type) {
	case Lead:
		m.onLead(in.Leadership)
	case State:
		m.onState(in)
	case Peer:
		m.onPeer(in)
	case Standing:
		m.onStanding(in)
	case Joined:
		m.onJoined(in)
	case Off:
		m.onOff(in)
	case Fenced:
		m.onFenced(in)
	case Ended:
		m.onEnded(in)
	case Proposed:
		m.onProposed(in)
	case Noticed:
		m.onNoticed(in)
	case Attributes:
		m.onAttributes(in)
	case Local:
		m.onLocal(in)
	case Poke:
		m.relent("")
		m.want(in.Reason)
	case Tick:
	}
	m.advanceLocal()
	if !m.Leading() {
		m.took = 0
	} else if m.took != m.lead.Term {
		m.took = m.lead.Term
		m.takeOver()
	}
	m.advance()
	return m.out
}

func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

func (m *Machine) report(kind, resource, on, format string, args ...any) {
	m.emit(Report{Kind: kind, Resource: resource, On: on, Text: fmt.Sprintf(format, args...)})
}

// want asks for a new decision because of news; the first reason is kept.
func (m *Machine) want(why string) {
	m.rest = time.Time{}
	if m.dirty == "" {
		m.dirty = why
	}
}

func (m *Machine) onLead(l Leadership) {
	was := m.Leading()
	changed := l.Term != m.lead.Term || l.Leader != m.lead.Leader
	m.lead = l
	m.noteQuorate()
	if changed || (was && !m.Leading()) {
		m.dropWork()
	}
}

// dropWork forgets what only a coordinator may go on with.
func (m *Machine) dropWork() {
	m.run, m.history, m.written, m.proposal, m.dirty = nil, nil, nil, 0, ""
	m.memo = scheduler.Memo{}
	clear(m.deadlines)
	m.recheck, m.retryAt, m.rest, m.settled = time.Time{}, time.Time{}, time.Time{}, 0
	m.decided, m.repeats = 0, 0
	clear(m.troubles)
}

func (m *Machine) onState(s State) {
	if s.Root == nil || s.Generation < m.state.Generation || s.Generation == m.state.Generation && s.Index < m.state.Index {
		return
	}
	old := m.state.Root.Child("configuration")
	m.state = s
	m.checkProofs()
	if now := s.Root.Child("configuration"); !cib.SameButVolumes(now, old) {
		m.relent("")
		m.want("the configuration changed")
		if m.run != nil && !cib.SameButVolumes(now, m.basis) {
			m.run.Abort("the configuration changed")
		}
	}
}

func (m *Machine) onProposed(in Proposed) {
	if in.ID != m.proposal || m.proposal == 0 {
		return
	}
	m.proposal = 0
	if in.Err != nil {
		m.report("decision", "", m.cfg.Name, "the cluster's state could not be recorded: %v", in.Err)
		m.retryAt = m.now.Add(200 * time.Millisecond)
		m.rejoinAll()
		m.fulfil(false)
		return
	}
	m.onState(in.State)
	m.fulfil(true)
}

func (m *Machine) onNoticed(in Noticed) {
	p := m.members[in.Node]
	switch {
	case !m.Leading() || p == nil:
	case p.joined && p.overtaken(in.Record):
	case p.joined:
		m.record(in.Node, in.Record, false)
	case !p.asked.IsZero():
		p.late = append(p.late, in.Record)
	} // else it will be asked, and its answer tells
}

// onAttributes takes what a member says of itself. What is said by others is said again once they have joined.
func (m *Machine) onAttributes(in Attributes) {
	if p := m.members[in.Node]; !m.Leading() || p == nil || !p.joined || len(in.Pairs) == 0 {
		return
	}
	m.learned = true
	m.history = append(m.history, result{node: in.Node, attrs: in.Pairs})
	m.want(in.Pairs[0][0] + " of " + m.name(in.Node) + " changed")
}

// advance does whatever can be done now.
func (m *Machine) advance() {
	if !m.Leading() {
		return
	}
	m.query()
	m.expire()
	m.fencingDue()
	m.pump()
	m.propose()
	if m.mayDecide() {
		m.schedule()
		m.propose()
	}
	m.wake()
}

// mayDecide reports whether nothing has to be heard of or written down before a
// decision. Until a proposal that failed may be made again, what the nodes have
// answered since is not written down.
func (m *Machine) mayDecide() bool {
	return m.run == nil && m.proposal == 0 && len(m.history) == 0 && !m.waitingForJoins() && !m.now.Before(m.retryAt)
}

// wake asks for a tick at the next point in time that matters.
func (m *Machine) wake() {
	w := waking{now: m.now}
	delay, limit := m.takeoverDelay(), m.pendingTimeout()
	for _, p := range m.members {
		m.wakeForMember(&w, p, delay, limit)
	}
	if m.run != nil {
		for _, t := range m.deadlines {
			w.at(t)
		}
	}
	for _, t := range m.troubles {
		w.at(t.until)
	}
	w.after(m.retryAt)
	if m.mayDecide() { // else what is waited for comes as an input
		w.at(m.recheck)
		w.after(m.rest)
	}
	if !w.earliest.IsZero() {
		m.emit(Wake{At: w.earliest})
	}
}

// waking finds the earliest of several points in time.
type waking struct{ now, earliest time.Time }

func (w *waking) at(t time.Time) {
	if !t.IsZero() && (w.earliest.IsZero() || t.Before(w.earliest)) {
		w.earliest = t
	}
}

// after takes a point in time only if it is yet to come.
func (w *waking) after(t time.Time) {
	if t.After(w.now) {
		w.at(t)
	}
}

// name returns a node's uname, or its number if the CIB does not know it.
func (m *Machine) name(id cib.NodeID) string {
	if n := m.state.Root.Path("configuration", "nodes").ChildByID("node", id.String()); n != nil {
		return n.Attr("uname")
	}
	if id == m.cfg.Self {
		return m.cfg.Name
	}
	return "node " + id.String()
}

func (m *Machine) configured(id cib.NodeID) bool {
	return m.state.Root.Path("configuration", "nodes").ChildByID("node", id.String()) != nil
}

// nodeID is the inverse of name.
func (m *Machine) nodeID(name string) (cib.NodeID, bool) {
	for n := range m.state.Root.Path("configuration", "nodes").Elements {
		if n.Attr("uname") == name {
			return cib.ParseNodeID(n.ID())
		}
	}
	return 0, false
}

func transitionName(term, number uint64) string { return fmt.Sprintf("%d.%d", term, number) }

// firstLine keeps an agent's words to one line.
func firstLine(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	return s
}
