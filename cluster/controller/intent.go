package controller

import (
	"slices"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// # Intents
//
// What makes a resource active, or promoted, on a node is written to the CIB as
// pending before the node is asked for it. Else nobody would know of it while the
// node cannot say what it does: neither this coordinator, once it has dropped what
// was in flight there, nor its successor. Both would see a resource that runs
// nowhere, and start it twice. The node's result, or its answer when it joins,
// takes the place of the pending record.
//
//	Start ──▶ in the history ──▶ Propose ──Proposed──▶ Do ──Ended──▶ the result
//	                                └──failed──▶ never asked for

// intent is an action that waits for its pending record.
type intent struct {
	action  scheduler.Action
	number  uint64 // of the run
	node    cib.NodeID
	command agent.Command
}

// begins reports whether nobody may forget that a command was sent.
func begins(c agent.Command) bool {
	return (c.Action == agent.Start || c.Action == agent.Promote) && c.Agent.Class != "stonith"
}

// intend writes down what is about to be asked for.
func (m *Machine) intend(i intent) {
	r := agent.Record{Command: i.command, Call: -1, Changed: m.now,
		Result: agent.Result{Code: agent.Unknown, Status: agent.Pending, Started: m.now}}
	m.history = append(m.history, result{node: i.node, record: r, intent: &i})
}

// fulfil asks for what is written down now; if it could not be, ok is false.
func (m *Machine) fulfil(ok bool) {
	written := m.written
	m.written = nil
	for _, i := range written {
		switch {
		case m.run == nil || i.number != m.number:
		case ok:
			m.dispatch(i.action, i.node, i.command)
		default:
			m.run.End(i.action.ID, false)
		}
	}
}

// giveUpIntents forgets intents that are not written down yet.
func (m *Machine) giveUpIntents(which func(*intent) bool) {
	m.history = slices.DeleteFunc(m.history, func(r result) bool {
		if r.intent == nil || !which(r.intent) {
			return false
		}
		if m.run != nil && r.intent.number == m.number {
			m.run.End(r.intent.action.ID, false)
		}
		return true
	})
}
