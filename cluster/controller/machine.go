package controller

import (
	"fmt"
	"sort"
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
// and on every node, when it is cut off: recall what runs here, stop it all.
type Machine struct {
	cfg Config
	now time.Time
	out []Effect

	lead    Leadership
	took    uint64 // term in which this node has taken over, 0 while not leading
	quorum  standing
	state   State
	members map[cib.NodeID]*member

	// The coordinator's work; void while not leading.
	run        *Run
	transition uint64            // the newest number given, to a run or to a Query
	number     uint64            // of the run
	started    time.Time         // of the run
	deadlines  map[int]time.Time // of the run's actions in flight
	begun      map[int]time.Time // when they were sent
	basis      *cib.Node         // the configuration that the run was computed from
	memo       scheduler.Memo    // of the decisions so far
	history    []result          // results not yet proposed
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

	local localStop
}

type standing uint8

const (
	unknown standing = iota
	isolated
	quorate
)

// member is a node as the coordinator knows it.
type member struct {
	id      cib.NodeID
	alive   bool
	working bool
	gone    bool
	reason  string
	since   time.Time // when it became neither alive nor gone
	asked   time.Time // when its Query went out; zero: not asked
	joined  bool      // has answered, and is in the CIB as it answered
	silent  bool      // did not answer within JoinTimeout: no longer waited for
	query   uint64    // number of the newest Query; only its answer counts
	answer  []agent.Record
	fresh   bool           // answer is to be written to the CIB
	late    []agent.Record // came while the answer was awaited; may be newer than it
}

// forget makes the node join anew.
func (p *member) forget() {
	p.joined, p.silent, p.asked, p.fresh, p.answer, p.late = false, false, time.Time{}, false, nil, nil
}

// left reports whether the node said goodbye: it had stopped what it ran.
func (p *member) left() bool { return strings.HasSuffix(p.reason, " left") }

// awaited reports whether news of the node is worth waiting for: its answer, or
// whether a node that is not heard is gone. One that went without a word is given
// the takeover-delay to stop what it runs.
func (p *member) awaited(now time.Time, delay time.Duration) bool {
	switch {
	case p.gone && !p.left():
		return now.Before(p.since.Add(delay))
	case !p.alive:
		return !p.gone && !p.silent
	}
	return p.working && !p.joined && !p.silent && !p.asked.IsZero()
}

// result is what one operation gave, to be written to the CIB.
type result struct {
	node   cib.NodeID
	record agent.Record
	forget string // instead of a record: drop the history of this resource
}

// NewMachine returns a machine that knows nothing yet.
func NewMachine(cfg Config) *Machine {
	m := &Machine{cfg: cfg, members: map[cib.NodeID]*member{}}
	m.members[cfg.Self] = &member{id: cfg.Self, alive: true, working: true}
	return m
}

// Leading reports whether this node coordinates and may act.
func (m *Machine) Leading() bool {
	return m.lead.Ready && m.lead.Leader == m.cfg.Self && m.quorum == quorate && m.state.Root != nil && m.local.owed == 0
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
	case Ended:
		m.onEnded(in)
	case Proposed:
		m.onProposed(in)
	case Noticed:
		m.onNoticed(in)
	case Local:
		m.onLocal(in)
	case Poke:
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
	if changed || (was && !m.Leading()) {
		m.dropWork()
	}
}

// takeOver begins a coordinator's work: everybody has to join anew.
func (m *Machine) takeOver() {
	m.dropWork()
	for n := range m.state.Root.Path("configuration", "nodes").Elements {
		if id, ok := cib.ParseNodeID(n.ID()); ok && m.members[id] == nil {
			m.members[id] = &member{id: id}
		}
	}
	for _, p := range m.members {
		p.forget()
		p.since = m.now
	}
	m.report("membership", "", m.cfg.Name, "%s coordinates the cluster (term %d)", m.cfg.Name, m.lead.Term)
	m.want(m.cfg.Name + " became coordinator")
}

// dropWork forgets what only a coordinator may go on with.
func (m *Machine) dropWork() {
	m.run, m.history, m.proposal, m.dirty = nil, nil, 0, ""
	m.memo = scheduler.Memo{}
	clear(m.deadlines)
	m.recheck, m.retryAt, m.rest, m.settled = time.Time{}, time.Time{}, time.Time{}, 0
	m.decided, m.repeats = 0, 0
}

func (m *Machine) onState(s State) {
	if s.Root == nil || s.Index < m.state.Index {
		return
	}
	old := m.state.Root.Child("configuration")
	m.state = s
	if now := s.Root.Child("configuration"); now != old {
		m.want("the configuration changed")
		if m.run != nil && now != m.basis {
			m.run.Abort("the configuration changed")
		}
	}
}

func (m *Machine) onPeer(in Peer) {
	p := m.members[in.ID]
	if p == nil {
		p = &member{id: in.ID}
		m.members[in.ID] = p
	}
	was, wasGone := p.alive && p.working, p.gone
	p.alive, p.working, p.gone, p.reason = in.Alive, in.Working, in.Gone, in.Reason
	is := p.alive && p.working
	if was == is && wasGone == p.gone {
		return
	}
	p.forget()
	p.since = m.now
	if !m.Leading() {
		return
	}
	name := m.name(in.ID)
	switch {
	case p.gone:
		m.report("membership", "", name, "%s is gone: %s", name, in.Reason)
		m.want(name + " is gone")
	case !p.alive:
		m.report("membership", "", name, "%s is lost: %s", name, in.Reason)
	case !p.working:
		m.report("membership", "", name, "the daemon on %s does not work: %s; what runs there is left alone", name, in.Reason)
		m.want("the daemon on " + name + " went away")
	default:
		m.want(name + " joins")
	}
	if m.run != nil && !is {
		for _, a := range m.run.DropNode(name) {
			delete(m.deadlines, int(a))
		}
		m.run.Abort(name + " is not there")
	}
}

func (m *Machine) onStanding(in Standing) {
	was := m.quorum
	m.quorum = isolated
	if in.Quorate {
		m.quorum = quorate
	}
	switch {
	case m.quorum == was:
		return
	case m.quorum == isolated:
		if was == quorate {
			m.report("quorum", "", m.cfg.Name, "quorum lost: %s", in.Reason)
		}
		m.dropWork()
		m.beginLocalStop(in.Reason)
	default:
		m.report("quorum", "", m.cfg.Name, "quorate: %s", in.Reason)
	}
}

func (m *Machine) onJoined(in Joined) {
	p := m.members[in.Node]
	if !m.Leading() || p == nil || in.Term != m.lead.Term || p.asked.IsZero() || p.joined || in.Transition != p.query {
		return
	}
	if in.Err != nil {
		m.report("membership", "", m.name(in.Node), "%s did not join: %v", m.name(in.Node), in.Err)
		return // asked stays: it is asked again after JoinTimeout
	}
	p.joined, p.answer, p.fresh = true, in.Records, true
	for _, r := range p.late {
		m.record(in.Node, r, false)
	}
	p.late = nil
	m.want(m.name(in.Node) + " joined")
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
		return
	}
	m.onState(in.State)
}

// rejoinAll asks every node again: what could not be recorded is known there.
func (m *Machine) rejoinAll() {
	m.history = nil
	for _, p := range m.members {
		p.forget()
	}
	m.want("states are asked for again")
	if m.run != nil {
		m.run.Abort("states are asked for again")
	}
}

func (m *Machine) onNoticed(in Noticed) {
	p := m.members[in.Node]
	switch {
	case !m.Leading() || p == nil:
	case p.joined:
		m.record(in.Node, in.Record, false)
	case !p.asked.IsZero():
		p.late = append(p.late, in.Record)
	} // else it will be asked, and its answer tells
}

// advance does whatever can be done now.
func (m *Machine) advance() {
	if !m.Leading() {
		return
	}
	m.query()
	m.expire()
	m.pump()
	m.propose()
	if m.run == nil && m.proposal == 0 && !m.waitingForJoins() && len(m.history) == 0 {
		m.schedule()
		m.propose()
	}
	m.wake()
}

// query asks the nodes that are there and have not joined.
func (m *Machine) query() {
	for _, p := range m.sorted() {
		if !p.alive && !p.gone && !p.silent && m.now.Sub(p.since) >= m.cfg.JoinTimeout {
			p.silent = true
			m.want(m.name(p.id) + " is lost to this node, but others hear it: what it runs is left alone")
		}
		if !p.alive || !p.working || p.joined || !m.configured(p.id) {
			continue
		}
		if !p.asked.IsZero() && m.now.Sub(p.asked) < m.cfg.JoinTimeout {
			continue
		}
		if !p.asked.IsZero() && !p.silent {
			p.silent = true
			m.want(m.name(p.id) + " does not answer")
		}
		p.asked = m.now
		m.transition++ // what was sent before and has not begun will not begin any more
		p.query = m.transition
		m.emit(Query{Node: p.id, Term: m.lead.Term, Generation: m.state.Generation, Transition: p.query})
	}
}

// waitingForJoins reports whether a node that is there has yet to say what runs on it.
func (m *Machine) waitingForJoins() bool {
	delay := m.takeoverDelay()
	for _, p := range m.members {
		if p.awaited(m.now, delay) && m.configured(p.id) {
			return true
		}
	}
	return false
}

// takeoverDelay is the cluster option takeover-delay: how long after a node is
// gone without a word its resources are left to it, for it to stop them. Without
// fencing it should be as long as the slowest stop; the default is 0.
func (m *Machine) takeoverDelay() time.Duration {
	d, err := cib.Duration(m.option("takeover-delay"))
	if err != nil || d < 0 {
		return 0
	}
	return d
}

// wake asks for a tick at the next point in time that matters.
func (m *Machine) wake() {
	var at time.Time
	delay := m.takeoverDelay()
	earliest := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, p := range m.members {
		if p.alive && p.working && !p.joined && !p.asked.IsZero() {
			earliest(p.asked.Add(m.cfg.JoinTimeout))
		}
		if !p.alive && !p.gone && !p.silent {
			earliest(p.since.Add(m.cfg.JoinTimeout))
		}
		if end := p.since.Add(delay); p.gone && m.now.Before(end) {
			earliest(end)
		}
	}
	if m.run != nil {
		for _, t := range m.deadlines {
			earliest(t)
		}
	}
	if m.retryAt.After(m.now) {
		earliest(m.retryAt)
	}
	if m.run == nil && !m.waitingForJoins() {
		earliest(m.recheck)
		if m.rest.After(m.now) {
			earliest(m.rest)
		}
	}
	if !at.IsZero() {
		m.emit(Wake{At: at})
	}
}

// sorted returns the members in the order of their ids.
func (m *Machine) sorted() []*member {
	list := make([]*member, 0, len(m.members))
	for _, p := range m.members {
		list = append(list, p)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].id < list[j].id })
	return list
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
