package controller

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/internal/mutant"
)

// This file has nodes fenced. Fencing that did not happen never counts as done:
// what waits for it goes on waiting, and it is tried again after a rest.

// The actions of fencing.
const (
	fenceOff = "off"
	fenceOn  = "on" // unfencing
)

// fence is a Fence effect that has not been answered.
type fence struct {
	ref    Ref
	node   cib.NodeID
	name   string
	action string
	reason string
	began  time.Time
	attrs  [][2]string // to be written when it was unfenced
	ended  bool        // its action is over: there is a proof
}

func (f *fence) run() string { return transitionName(f.ref.Term, f.ref.Transition) }

func (f *fence) title() string {
	if f.action == fenceOn {
		return "unfence " + f.name
	}
	return "fence " + f.name + " (" + f.action + ")"
}

// fencingWords names an action of fencing as people do.
func fencingWords(a scheduler.Action) string {
	if a.Detail == fenceOn {
		return "unfence " + a.Node
	}
	return "fence " + a.Node
}

// fencing returns the newest fencing of a node that is under way, nil if there is
// none. Unfencing does not count.
func (m *Machine) fencing(id cib.NodeID) *fence {
	for _, f := range slices.Backward(m.fences) {
		if f.node == id && f.action != fenceOn {
			return f
		}
	}
	return nil
}

func isFencing(a scheduler.Action) bool {
	return a.Kind == scheduler.Cluster && a.Task == "stonith"
}

// startFencing asks the fencer. A node does not fence itself.
func (m *Machine) startFencing(a scheduler.Action) {
	id, known := m.nodeID(a.Node)
	switch {
	case m.resting(a):
		m.run.End(a.ID, false)
	case !known:
		m.notFenced(taskOf(a), a.Reason, a.Node+" is a remote or guest node, which this version cannot reach")
		m.run.End(a.ID, false)
	case id == m.cfg.Self && a.Detail != fenceOn:
		m.notFenced(taskOf(a), a.Reason, "it coordinates the cluster, and does not fence itself: another node has to take the lead and do it")
		m.emit(HandOver{Why: fmt.Sprintf("%s has to be fenced: %s", a.Node, a.Reason)})
		m.run.End(a.ID, false)
	case a.Detail != fenceOn && m.mayBoot(m.member(id)):
		m.letBoot(a)
		m.run.End(a.ID, false)
	default:
		m.askFencer(a, id)
	}
}

func (m *Machine) askFencer(a scheduler.Action, id cib.NodeID) {
	f := &fence{ref: m.ref(a.ID), node: id, name: a.Node, action: a.Detail, reason: a.Reason, began: m.now}
	if a.Detail == fenceOn {
		f.attrs = [][2]string{{"#node-unfenced", strconv.FormatInt(m.now.Unix(), 10)},
			{"#digests-all", a.Meta["digests-all"]}, {"#digests-secure", a.Meta["digests-secure"]}}
	}
	m.fences = append(m.fences, f)
	m.begun[int(a.ID)] = m.now
	m.emit(Report{Kind: "action", Transition: m.runName(), On: a.Node, Text: f.title() + ": " + a.Reason})
	m.emit(Fence{Ref: f.ref, Node: id, Name: a.Node, Action: a.Detail, Reason: a.Reason, Delay: time.Duration(a.Delay) * time.Millisecond})
	if a.Detail != fenceOn && mutant.Off(mutant.FencingWait) {
		m.prove(m.member(id), m.now, "nobody waited for it")
	}
}

func (m *Machine) onFenced(in Fenced) {
	i := slices.IndexFunc(m.fences, func(f *fence) bool { return f.ref == in.Ref })
	if i < 0 {
		return
	}
	f := m.fences[i]
	switch {
	case f.ended:
		m.want("the fencing of " + f.name + " is over") // now it may join
	case in.OK && f.action != fenceOn && m.disbelieved(m.member(f.node)):
		in.OK = false
		if m.currently(f) {
			m.notFenced(task{f.name, false}, f.reason, "it is still heard, as it was when this was said before: "+in.Words)
		}
	case in.OK && f.action != fenceOn && f.ref.Term != m.lead.Term && m.member(f.node).up.After(f.began):
		// It was heard anew, and may have joined under another coordinator: when it was
		// off is not known. Off tells in time.
	case in.OK && f.action != fenceOn:
		m.prove(m.member(f.node), f.began, in.Words)
	case in.OK:
		m.unfenced(f, in.Words)
	case m.currently(f):
		m.notFenced(task{f.name, f.action == fenceOn}, f.reason, in.Words)
	}
	if m.currently(f) {
		m.run.End(scheduler.ActionID(f.ref.Action), in.OK) // unless the proof has done that
	}
	m.fences = slices.Delete(m.fences, i, i+1)
}

// currently reports whether a fencing is part of the present run.
func (m *Machine) currently(f *fence) bool {
	return m.run != nil && f.ref == m.ref(scheduler.ActionID(f.ref.Action))
}

// endFences ends the actions that fence a node: it is proven off.
func (m *Machine) endFences(id cib.NodeID) {
	for _, f := range m.fences {
		if f.node != id || f.action == fenceOn {
			continue
		}
		f.ended = true
		if m.currently(f) {
			m.run.End(scheduler.ActionID(f.ref.Action), true)
		}
	}
}

// unfenced records what the scheduler wants to find in a node's attributes.
func (m *Machine) unfenced(f *fence, words string) {
	if !m.Leading() {
		return
	}
	m.emit(Report{Kind: "result", Transition: f.run(), On: f.name, Text: f.title() + ": done: " + words, Duration: m.now.Sub(f.began)})
	delete(m.troubles, task{f.name, true})
	m.learned = true
	m.history = append(m.history, result{node: f.node, attrs: f.attrs})
	m.want(f.name + " was unfenced")
}
