package controller

import (
	"fmt"
	"slices"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
)

// member is a node as the coordinator knows it.
type member struct {
	id      cib.NodeID
	alive   bool
	working bool
	gone    bool
	left    bool
	reason  string
	since   time.Time // when what is known of it last changed
	up      time.Time // when it, or its daemon, was last heard anew
	booting time.Time // its machine has booted, and the CIB tells of its life before: its daemon is waited for until then
	held    time.Time // it was admitted anew and has not been heard yet: not gone until then
	asked   time.Time // when its Query went out; zero: not asked
	begun   time.Time // when it was first asked
	refused int       // how often in a row it has answered that it cannot join yet
	refusal string    // in its words
	joined  bool      // has answered, and is in the CIB as it answered
	silent  bool      // did not answer within JoinTimeout: no longer waited for
	overdue bool      // has not joined for the node-pending-timeout
	query   uint64    // number of the newest Query; only its answer counts
	answer  []agent.Record
	fresh   bool           // answer is to be written to the CIB
	drafted string         // joinMark with which this node wrote an answer last; "": it has not
	late    []agent.Record // came while the answer was awaited; may be newer than it
	// calls are the newest ended operations in its answer, by resource: what it says
	// of those, or of older ones, has been overtaken by what it was asked since.
	calls map[string]int64

	off  *proof // it is off, and was not heard since; nil: nobody proved that
	wipe bool   // it was off: what the CIB says of it has to go, before it is asked anything
}

// forget makes the node join anew.
func (p *member) forget() {
	p.joined, p.silent, p.overdue, p.asked, p.fresh, p.answer, p.late = false, false, false, time.Time{}, false, nil, nil
	p.begun, p.refused, p.refusal = time.Time{}, 0, ""
}

// awaited reports whether news of the node is worth waiting for: its answer, or
// whether a node that is not heard is gone. One that went without a word is given
// the takeover-delay to stop what it runs. One whose machine has booted is not what
// the CIB says of it any more, and would be fenced for what it did before.
func (p *member) awaited(now time.Time, delay time.Duration) bool {
	switch {
	case p.off != nil:
		return false
	case p.gone && !p.left:
		return now.Before(p.since.Add(delay))
	case !p.alive:
		return !p.gone && !p.silent
	case !p.working:
		return now.Before(p.booting)
	}
	return !p.joined && !p.silent && !p.asked.IsZero()
}

// member returns what is known of a node.
func (m *Machine) member(id cib.NodeID) *member {
	p := m.members[id]
	if p == nil {
		p = &member{id: id}
		m.members[id] = p
	}
	return p
}

// sorted returns the members in the order of their ids.
func (m *Machine) sorted() []*member {
	list := make([]*member, 0, len(m.members))
	for _, p := range m.members {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *member) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return list
}

// takeOver begins a coordinator's work: everybody has to join anew.
func (m *Machine) takeOver() {
	m.dropWork()
	for n := range m.state.Root.Path("configuration", "nodes").Elements {
		if id, ok := cib.ParseNodeID(n.ID()); ok {
			m.member(id)
		}
	}
	for _, p := range m.members {
		p.forget()
		p.since = m.now
	}
	m.report("membership", "", m.cfg.Name, "%s coordinates the cluster (term %d)", m.cfg.Name, m.lead.Term)
	m.want(m.cfg.Name + " became coordinator")
}

func (m *Machine) onPeer(in Peer) {
	p := m.member(in.ID)
	was, wasGone := p.alive && p.working, p.gone
	voided, back := false, in.Alive && !p.alive
	if in.Alive && (!p.alive || in.Working && !p.working) {
		voided = m.heardAnew(p)
	}
	switch {
	case !in.Alive:
		p.booting = time.Time{}
	case back && in.Booted && !p.wipe && !saysFenced(m.nodeState(p.id)):
		p.booting = m.now.Add(m.cfg.JoinTimeout)
	}
	p.alive, p.working, p.gone, p.left, p.reason = in.Alive, in.Working, in.Gone, in.Left, in.Reason
	m.holdAnew(p)
	is := p.alive && p.working
	if was == is && wasGone == p.gone && !voided {
		return
	}
	p.forget()
	p.since = m.now
	if t := m.troubles[task{m.name(p.id), false}]; t != nil && !p.alive {
		t.lied, t.until = false, time.Time{} // whoever says from now on that it is off may be right
	}
	if !m.Leading() || p.off != nil {
		return // of one that is off nothing else was to be expected
	}
	m.tellOfPeer(p, back)
	if m.run != nil && !is {
		m.dropFlying(m.name(p.id))
		if m.fencing(p.id) == nil {
			m.run.Abort(m.name(p.id) + " is not there")
		}
	}
}

// anewPatience is how long a node that was admitted anew may take to be heard under its new id: it sets its log
// aside and begins its heartbeats anew, on a machine that may be as slow as its disk is bad.
const anewPatience = time.Minute

// holdAnew keeps a node that was admitted anew, and was not heard under its new id yet, from being gone: its
// silence says nothing of its machine, and what that runs runs on.
func (m *Machine) holdAnew(p *member) {
	switch {
	case !p.gone || p.left || !p.up.IsZero() || m.nodeState(p.id).Attr(AnewMark) == "":
		p.held = time.Time{}
		return
	case p.held.IsZero():
		p.held = m.now.Add(anewPatience)
	}
	p.gone = !m.now.Before(p.held)
}

// tellOfPeer tells what became of a node; back: it was not heard before.
func (m *Machine) tellOfPeer(p *member, back bool) {
	name := m.name(p.id)
	switch {
	case p.left && !p.gone:
		m.report("membership", "", name, "%s has left", name)
	case p.left:
		m.want(name + " has left")
	case p.gone:
		m.report("membership", "", name, "%s is gone: %s", name, p.reason)
		m.want(name + " is gone")
	case !p.alive:
		m.report("membership", "", name, "%s is lost: %s", name, p.reason)
	case !p.working && back:
		m.report("membership", "", name, "%s is heard; its daemon has yet to join", name)
		m.want(name + " is heard")
	case !p.working:
		m.report("membership", "", name, "the daemon on %s does not work: %s; what runs there is left alone", name, p.reason)
		m.want("the daemon on " + name + " went away")
	default:
		m.want(name + " joins")
	}
}

// dropFlying ends, as failed, what is in flight on a node that is not there.
func (m *Machine) dropFlying(name string) {
	m.giveUpIntents(func(i *intent) bool { return i.action.Node == name })
	for _, a := range m.run.DropNode(name) {
		delete(m.deadlines, int(a))
	}
}

func (m *Machine) onJoined(in Joined) {
	p := m.members[in.Node]
	if !m.Leading() || p == nil || in.Term != m.lead.Term || p.asked.IsZero() || p.joined || in.Transition != p.query {
		return
	}
	if m.fencing(p.id) != nil {
		p.forget() // it is about to be switched off; should it not be, it is asked again
		return
	}
	if in.Err != nil {
		if p.refused++; p.refusal != in.Err.Error() {
			p.refusal = in.Err.Error()
			m.report("membership", "", m.name(in.Node), "%s did not join: %v", m.name(in.Node), in.Err)
		}
		return // asked stays: it is asked again, see askAgain
	}
	p.joined, p.answer, p.fresh, p.overdue, p.booting = true, in.Records, true, false, time.Time{}
	p.calls = map[string]int64{}
	for _, r := range in.Records {
		if r.Result.Status != agent.Pending && r.Command.Interval == 0 {
			p.calls[r.Command.Resource] = max(p.calls[r.Command.Resource], r.Call)
		}
	}
	for _, r := range p.late {
		if !p.overtaken(r) {
			m.record(in.Node, r, false)
		}
	}
	p.late = nil
	m.relent(m.name(p.id))
	m.want(m.name(in.Node) + " joined")
}

// overtaken reports whether a node has told of an operation, or of a later one with
// that resource, when it joined. A word that was long under way would else take the
// place of what has been asked for since, and of which nobody may forget that it was.
func (p *member) overtaken(r agent.Record) bool {
	return r.Command.Interval == 0 && r.Call > 0 && r.Call <= p.calls[r.Command.Resource]
}

// rejoinAll asks every node again: what could not be recorded is known there.
func (m *Machine) rejoinAll() {
	m.giveUpIntents(func(*intent) bool { return true })
	m.history = nil
	for _, p := range m.members {
		p.forget()
	}
	m.want("states are asked for again")
	if m.run != nil {
		m.run.Abort("states are asked for again")
	}
}

// query asks the nodes that are there and have not joined.
func (m *Machine) query() {
	limit := m.pendingTimeout()
	for _, p := range m.sorted() {
		m.doubtProof(p)
		m.wiped(p)
		if p.off != nil {
			continue
		}
		if p.joined && !p.fresh && m.proposal == 0 && m.nodeState(p.id) == nil {
			p.forget() // somebody has erased what was known
		}
		if !p.held.IsZero() && !p.gone && !m.now.Before(p.held) {
			p.gone, p.since = true, m.now
			m.tellOfPeer(p, false)
		}
		if !p.alive && !p.gone && !p.silent && m.now.Sub(p.since) >= m.cfg.JoinTimeout {
			p.silent = true
			m.want(m.name(p.id) + " " + p.unheard() + ": what it runs is left alone")
		}
		m.hurry(p, limit)
		if m.mayJoin(p) {
			m.ask(p)
		}
	}
}

// unheard says why a node that this one does not hear is not gone.
func (p *member) unheard() string {
	if !p.held.IsZero() {
		return "was admitted anew and has not been heard yet"
	}
	return "is lost to this node, but others hear it"
}

// mayJoin: a node that is being fenced, or of which the CIB says what was before
// it was off, has to wait.
func (m *Machine) mayJoin(p *member) bool {
	return p.alive && p.working && !p.joined && !p.wipe && m.fencing(p.id) == nil && m.configured(p.id)
}

func (m *Machine) ask(p *member) {
	switch {
	case p.asked.IsZero():
		p.begun = m.now
	case m.now.Before(m.askAgain(p)):
		return
	case !p.silent && m.now.Sub(p.begun) >= m.cfg.JoinTimeout:
		p.silent = true
		m.want(m.name(p.id) + " does not answer")
	}
	p.asked = m.now
	m.transition++ // what was sent before and has not begun will not begin any more
	p.query = m.transition
	m.emit(Query{Node: p.id, Term: m.lead.Term, Generation: m.state.Generation, Transition: p.query})
}

// refusedPause is how long after its first refusal a node is asked again; twice as
// long after each further one.
const refusedPause = 50 * time.Millisecond

// askAgain is when a node that was asked and has not joined is asked again. One that
// answers that it cannot yet, since it has to take over the log first, soon can.
func (m *Machine) askAgain(p *member) time.Time {
	if p.refused == 0 {
		return p.asked.Add(m.cfg.JoinTimeout)
	}
	return p.asked.Add(min(m.cfg.JoinTimeout, refusedPause<<min(p.refused-1, 10)))
}

// hurry notes that a node is heard, and yet has not joined for the cluster option
// node-pending-timeout.
func (m *Machine) hurry(p *member, limit time.Duration) {
	if limit <= 0 || p.overdue || !p.alive || p.joined || m.fencing(p.id) != nil || m.now.Sub(p.since) < limit {
		return
	}
	p.overdue = true
	m.want(fmt.Sprintf("%s has not joined within %g s (node-pending-timeout)", m.name(p.id), limit.Seconds()))
}

// pendingTimeout is 0 where nodes that do not join are left alone.
func (m *Machine) pendingTimeout() time.Duration {
	if !m.fencingEnabled() {
		return 0
	}
	return m.duration("node-pending-timeout")
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
// fencing it should be as long as the slowest stop; the default is 0. Fencing does
// not wait for what a node may do of itself.
func (m *Machine) takeoverDelay() time.Duration {
	if m.fencingEnabled() {
		return 0
	}
	return m.duration("takeover-delay")
}

func (m *Machine) wakeForMember(w *waking, p *member, delay, limit time.Duration) {
	if p.off != nil {
		if p.alive {
			w.at(p.off.at.Add(m.stillHeard()))
		}
		return
	}
	if p.alive && p.working && !p.joined && !p.asked.IsZero() {
		w.at(m.askAgain(p))
	}
	if !p.alive && !p.gone && !p.silent {
		w.at(p.since.Add(m.cfg.JoinTimeout))
	}
	if p.alive && !p.working {
		w.after(p.booting)
	}
	if !p.alive && !p.gone {
		w.after(p.held)
	}
	if p.gone {
		w.after(p.since.Add(delay))
	}
	if limit > 0 && p.alive && !p.joined {
		w.after(p.since.Add(limit))
	}
}
