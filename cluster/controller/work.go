package controller

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// schedule computes what to do next, if anybody asked for it.
func (m *Machine) schedule() {
	if !m.recheck.IsZero() && !m.now.Before(m.recheck) {
		m.recheck = time.Time{}
		m.want("time has passed")
	}
	if m.dirty == "" || m.now.Before(m.rest) {
		return
	}
	why := m.dirty
	m.dirty, m.learned = "", false
	t := m.memo.Schedule(m.state.Root, m.now)
	m.recheck = t.Recheck
	m.forgetTroubles(t)
	if !m.doable(t) {
		if !m.troubled() {
			m.settle()
		}
		return
	}
	m.count(t)
	m.transition++
	m.number = m.transition
	m.run = NewRun(t, m.cfg.Limit)
	m.basis = m.state.Root.Child("configuration")
	m.started = m.now
	m.deadlines, m.begun = map[int]time.Time{}, map[int]time.Time{}
	m.emit(Report{Kind: "decision", Transition: m.runName(), On: m.cfg.Name, Text: why + ": " + summary(t)})
	m.pump()
}

// commandable reports whether a node may be sent commands: it has joined.
func (m *Machine) commandable(node string) bool {
	id, ok := m.nodeID(node)
	return ok && m.members[id] != nil && m.members[id].joined
}

// doable reports whether a transition holds anything that can be done now. What
// is meant for a node whose daemon does not work has to wait until it joins, and
// what comes after fencing that failed until that is tried again.
func (m *Machine) doable(t *scheduler.Transition) bool {
	waits := make([]bool, len(t.Actions))
	after := make([][]scheduler.ActionID, len(t.Actions))
	for _, o := range t.Order {
		after[o.Before] = append(after[o.Before], o.After)
	}
	var next []scheduler.ActionID
	for i := range t.Actions {
		if !m.possible(&t.Actions[i]) {
			next = append(next, scheduler.ActionID(i))
		}
	}
	for len(next) > 0 {
		id := next[0]
		next = next[1:]
		if !waits[id] {
			waits[id] = true
			next = append(next, after[id]...)
		}
	}
	for i := range t.Actions {
		// A node that asked to leave goes by itself, once nothing runs there.
		if a := &t.Actions[i]; !waits[i] && a.Kind != scheduler.Pseudo && a.Task != "do_shutdown" {
			return true
		}
	}
	return false
}

// possible reports whether an action could be begun now, were it its turn.
func (m *Machine) possible(a *scheduler.Action) bool {
	switch {
	case a.Stuck != "":
		return false
	case a.Kind == scheduler.Pseudo, a.Task == "do_shutdown":
		return true
	case isFencing(*a):
		return !m.resting(*a)
	case a.Kind == scheduler.Cluster:
		return true
	}
	return a.Node == "" || m.commandable(a.Node)
}

// settle is called when nothing is left to do: moves have happened, so the
// constraints that asked for them are taken back.
func (m *Machine) settle() {
	var ops []cib.Op
	for c := range m.state.Root.Path("configuration", "constraints").Elements {
		if strings.HasPrefix(c.ID(), MovePrefix) {
			ops = append(ops, cib.Op{Kind: cib.Delete, ID: c.ID(), Optional: true})
		}
	}
	if len(ops) > 0 {
		m.send("a move has happened: its constraint is taken back", ops)
		return
	}
	if m.settled != m.state.Index {
		m.settled = m.state.Index
		m.emit(Settled{Index: m.state.Index})
	}
}

// MovePrefix begins the id of a constraint that asks for a move. The
// coordinator deletes it once nothing is left to do.
const MovePrefix = "takt-move-"

// summary says in words what a transition does: what is stopped first.
func summary(t *scheduler.Transition) string {
	const most = 6
	var stops, others []string
	for _, a := range t.Actions {
		if a.Kind == scheduler.Pseudo || a.Task == agent.Monitor {
			continue
		}
		text := strings.TrimSpace(a.Task+" "+a.Resource) + " on " + a.Node
		if isFencing(a) {
			text = fencingWords(a)
		}
		if a.Reason != "" {
			text += " (" + a.Reason + ")"
		}
		if a.Task == agent.Stop || isFencing(a) {
			stops = append(stops, text)
		} else {
			others = append(others, text)
		}
	}
	parts := append(stops, others...)
	if more := len(parts) - most; more > 0 {
		parts = append(parts[:most], fmt.Sprintf("and %d more", more))
	}
	if len(parts) == 0 {
		return "look at what runs"
	}
	return strings.Join(parts, ", ")
}

func (m *Machine) runName() string { return transitionName(m.lead.Term, m.number) }

// pump starts what may start, and ends a run that is over.
func (m *Machine) pump() {
	for m.run != nil {
		actions := m.run.Next()
		for _, a := range actions {
			m.start(a)
		}
		if m.run.Over() {
			m.finish()
			return
		}
		if len(actions) == 0 {
			return
		}
	}
}

// lastIsOver is a reason for a decision that says nothing beside another one.
const lastIsOver = "the last transition is over"

// finish ends a run. What it changed is looked at again: only an empty
// transition settles the cluster.
func (m *Machine) finish() {
	ok, bad, skipped := m.run.Counts()
	text := fmt.Sprintf("transition over: %d done", ok)
	if bad > 0 {
		text += fmt.Sprintf(", %d failed", bad)
	}
	if skipped > 0 {
		text += fmt.Sprintf(", %d not started", skipped)
		if why := m.run.Aborted(); why != "" {
			text += " (" + why + ")"
		}
	}
	m.emit(Report{Kind: "result", Transition: m.runName(), On: m.cfg.Name, Text: text, Duration: m.now.Sub(m.started)})
	m.run = nil
	m.want(lastIsOver)
	switch {
	case !m.learned:
		// Nothing came of it, so the next decision would be the same one.
		m.rest = m.now.Add(restAfterNothing << min(m.repeats, mostDoublings))
	case m.repeats >= toleratedRepeats:
		m.rest = m.now.Add(restAfterNothing << min(m.repeats-toleratedRepeats, mostDoublings))
	}
}

// restAfterNothing is the pause after a transition that changed nothing. It
// doubles while the same is decided again. Where something was done, and the same
// had to be done again at once, there is none at first.
const (
	restAfterNothing = 2 * time.Second
	mostDoublings    = 5
	toleratedRepeats = 5
)

// count notes whether a transition is the same as the one before.
func (m *Machine) count(t *scheduler.Transition) {
	h := fnv.New64a()
	for i := range t.Actions {
		if a := &t.Actions[i]; a.Kind != scheduler.Pseudo {
			fmt.Fprintf(h, "%s %q %q %d %q\n", a.Task, a.Resource, a.Node, a.Interval, a.Detail)
		}
	}
	if sum := h.Sum64(); sum == m.decided {
		m.repeats++
	} else {
		m.decided, m.repeats = sum, 0
	}
}

// start sends one action on its way. What the cluster does itself is done at once.
func (m *Machine) start(a scheduler.Action) {
	switch {
	case a.Kind == scheduler.Pseudo:
		m.run.End(a.ID, true)
	case isFencing(a):
		m.startFencing(a)
	case a.Kind == scheduler.Cluster || a.Resource == "":
		m.run.End(a.ID, m.doItself(a))
	case !m.commandable(a.Node):
		if _, known := m.nodeID(a.Node); !known {
			m.noDaemon(a)
		}
		m.run.End(a.ID, false)
	default:
		m.sendCommand(a)
	}
}

// doItself does what needs no node, and reports whether it could.
func (m *Machine) doItself(a scheduler.Action) bool {
	switch a.Task {
	case "clear_failcount":
		return m.clearFailures(a.Node, a.Resource)
	case "lrm_delete": // only the record goes: there is nobody to ask on that node
		id, known := m.nodeID(a.Node)
		if !known {
			m.noDaemon(a)
			return false
		}
		m.record(id, agent.Record{Command: agent.Command{Resource: a.Resource, Action: agent.Forget}}, true)
		return true
	case "do_shutdown":
		return true // it goes by itself
	}
	m.report("failure", "", a.Node, "%s on %s cannot be done: this version does not know how", a.Task, a.Node)
	return false
}

func (m *Machine) sendCommand(a scheduler.Action) {
	id, _ := m.nodeID(a.Node)
	c, err := m.command(a)
	if err != nil {
		m.report("failure", a.Resource, a.Node, "%s %s on %s cannot be asked for: %v", a.Task, a.Resource, a.Node, err)
		m.run.End(a.ID, false)
		return
	}
	if begins(c) {
		m.intend(intent{a, m.number, id, c})
		return
	}
	m.dispatch(a, id, c)
}

// dispatch asks a node for an action of the run.
func (m *Machine) dispatch(a scheduler.Action, id cib.NodeID, c agent.Command) {
	if !m.run.flying(a.ID) {
		return // its node has gone meanwhile
	}
	m.begun[int(a.ID)] = m.now
	m.deadlines[int(a.ID)] = m.now.Add(time.Duration(c.Timeout)*time.Millisecond + m.cfg.ActionGrace)
	m.emit(Report{Kind: "action", Transition: m.runName(), Resource: a.Resource, On: a.Node, Text: describe(a)})
	m.emit(Do{Ref: m.ref(a.ID), Node: id, Command: c})
}

// noDaemon says why nothing can be done on a node that is no member.
func (m *Machine) noDaemon(a scheduler.Action) {
	m.report("failure", a.Resource, a.Node, "%s cannot be done: %s is a remote or guest node, which this version cannot reach", describe(a), a.Node)
}

// describe names an action as people do.
func describe(a scheduler.Action) string {
	if isFencing(a) {
		return fencingWords(a)
	}
	text := a.Task
	if a.Task == agent.Monitor {
		text = "probe"
		if a.Interval > 0 {
			text = fmt.Sprintf("monitor every %s", time.Duration(a.Interval)*time.Millisecond)
		}
	}
	return text + " " + a.Resource + " on " + a.Node
}

func (m *Machine) ref(id scheduler.ActionID) Ref {
	return Ref{Term: m.lead.Term, Transition: m.number, Action: int(id)}
}

func (m *Machine) command(a scheduler.Action) (agent.Command, error) {
	c := agent.Command{
		Stamp: agent.Stamp{
			Generation: m.state.Generation, Term: m.lead.Term,
			Transition: m.number, Action: int(a.ID),
		},
		Resource: a.Resource, Action: a.Task, Interval: a.Interval, Timeout: a.Timeout,
		Target: agent.Code(a.TargetRC), Params: a.Params, Meta: a.Meta,
	}
	if c.Timeout <= 0 {
		c.Timeout = 20_000
	}
	switch a.Task {
	case "delete":
		c.Action = agent.Forget
		return c, nil
	case agent.Cancel:
		return c, nil
	}
	id, err := agent.ParseID(a.Agent)
	c.Agent = id
	return c, err
}

// onEnded takes the result of an action: of the run, or of the local stop.
func (m *Machine) onEnded(in Ended) {
	if in.Ref.Local {
		m.onLocalEnded(in)
		return
	}
	if !m.Leading() || m.run == nil || in.Ref.Term != m.lead.Term || in.Ref.Transition != m.number {
		return
	}
	i := in.Ref.Action
	if _, open := m.deadlines[i]; !open {
		return
	}
	a := m.run.actions[i]
	took := m.now.Sub(m.begun[i])
	delete(m.deadlines, i)
	if in.Err != nil {
		m.unanswered(a, in.Err)
		return
	}
	id, _ := m.nodeID(a.Node)
	ok := succeededWith(in.Record)
	text := describe(a) + ": " + Words(in.Record)
	kind := "result"
	if !ok && !isProbe(in.Record.Command) {
		kind = "failure"
	}
	m.emit(Report{Kind: kind, Transition: m.runName(), Resource: a.Resource, On: a.Node, Text: text, Duration: took})
	if in.Record.Command.Action == agent.Notify {
		// An agent is told, and what it makes of that is its own affair: no history
		// holds it, and nothing waits for it to succeed.
		m.run.End(a.ID, true)
		return
	}
	if p := m.members[id]; p != nil && !p.joined {
		p.late = append(p.late, in.Record) // the node is asked again; its answer may be older than this
	} else {
		m.record(id, in.Record, true)
	}
	if !ok && m.run != nil {
		m.run.Abort(text)
	}
	m.run.End(a.ID, ok)
}

// unanswered ends an action whose node could not be asked: nobody knows what
// happened there, so the node has to tell.
func (m *Machine) unanswered(a scheduler.Action, err error) {
	m.emit(Report{Kind: "failure", Transition: m.runName(), Resource: a.Resource, On: a.Node, Text: describe(a) + ": no answer: " + err.Error()})
	if id, ok := m.nodeID(a.Node); ok {
		if p := m.members[id]; p != nil {
			p.forget()
		}
	}
	m.learned = true
	m.run.Abort("no answer from " + a.Node)
	m.run.End(a.ID, false)
	m.want("no answer from " + a.Node)
}

// expire ends actions whose node keeps silent for too long although it lives.
func (m *Machine) expire() {
	var late []int
	for i, t := range m.deadlines {
		if m.run != nil && !m.now.Before(t) {
			late = append(late, i)
		}
	}
	slices.Sort(late)
	for _, i := range late {
		waited := m.deadlines[i].Sub(m.begun[i])
		delete(m.deadlines, i)
		m.unanswered(m.run.actions[i], fmt.Errorf("not within %s", waited))
	}
}

func isProbe(c agent.Command) bool { return c.Action == agent.Monitor && c.Interval == 0 }

// succeededWith reports whether a result is what its command asked for. A
// probe succeeds by any clear answer; degraded is running.
func succeededWith(r agent.Record) bool {
	code := r.Result.Code
	if code == agent.Degraded {
		code = agent.OK
	}
	if code == agent.DegradedPromoted {
		code = agent.RunningPromoted
	}
	return r.Result.Status == agent.Done && code == r.Command.Target
}

// Words says how an operation ended, with the agent's own words.
func Words(r agent.Record) string {
	var text string
	switch r.Result.Status {
	case agent.Done:
		text = r.Result.Code.String()
	case agent.TimedOut:
		text = fmt.Sprintf("timed out after %s", time.Duration(r.Command.Timeout)*time.Millisecond)
	case agent.NotInstalled:
		text = "the agent is not installed"
	case agent.Cancelled:
		text = "cancelled"
	case agent.Pending:
		text = "still running"
	default:
		text = "could not be run"
	}
	if reason := firstLine(r.Result.Reason); reason != "" {
		text += ": " + reason
	}
	return text
}
