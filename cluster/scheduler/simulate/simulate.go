// Package simulate carries out transitions on paper: it writes into a CIB's
// status section what would stand there if every action had succeeded, and
// follows a cluster until nothing is left to do. The scheduler then reads where
// things run from the result, as it does in a living cluster.
//
// It is pure: the document is a persistent tree, and time is an argument.
package simulate

import (
	"container/heap"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// Apply returns the document as it is when the transition has succeeded: with
// the results of its operations, and with the states of the nodes that it
// fenced or let go.
func Apply(root *cib.Node, t *scheduler.Transition, now time.Time) *cib.Node {
	return execute(newDraft(root, now), t, nil, nil)
}

// Execute is Apply where some actions do not succeed: refuse names them (nil:
// none). They leave no trace, and what waits for them does not happen. It also
// returns, in the order in which they happened, the actions that changed the
// document.
func Execute(root *cib.Node, t *scheduler.Transition, now time.Time, refuse func(*scheduler.Action) bool) (*cib.Node, []scheduler.Action) {
	var done []scheduler.Action
	root = execute(newDraft(root, now), t, refuse, func(a *scheduler.Action) { done = append(done, *a) })
	return root, done
}

// Replay is Apply as Pacemaker's simulator does it. Its status after a
// transition is what comparisons go by, and it differs from a living cluster's:
// a node that asked to leave stays, no history is forgotten, the end of a
// recurring operation is written into the history as one more operation that
// succeeded, and so on.
func Replay(root *cib.Node, t *scheduler.Transition, now time.Time) *cib.Node {
	d := newDraft(root, now)
	d.replays(t)
	return execute(d, t, nil, nil)
}

// execute calls done (nil: nobody) for what changed the document.
func execute(d *draft, t *scheduler.Transition, refuse func(*scheduler.Action) bool, done func(*scheduler.Action)) *cib.Node {
	skipped := make([]bool, len(t.Actions))
	walk(t, func(a *scheduler.Action, after []scheduler.ActionID) {
		if refuse != nil && refuse(a) {
			skipped[a.ID] = true
		}
		if skipped[a.ID] {
			for _, next := range after {
				skipped[next] = true
			}
			return
		}
		if d.do(a) && done != nil {
			done(a)
		}
	})
	return d.document()
}

// Placements returns where resources are before a transition and where they
// are after its success, both as the scheduler reads them from the status; it
// is what comparisons with Pacemaker's simulator go by.
func Placements(root *cib.Node, t *scheduler.Transition, now time.Time) (before, after scheduler.Placement) {
	return scheduler.Placements(root, now), scheduler.Placements(Replay(root, t, now), now)
}

// walk calls visit for each action, after all that it waits for. It goes through
// the transition again and again, each time visiting what could be next, as
// Pacemaker's simulator does: of two actions that may come in any order (a start
// and a second delete of the same history), the one that waited for less comes
// first. Actions in a circle are not visited, nor are those that wait for what is
// not part of the transition.
func walk(t *scheduler.Transition, visit func(a *scheduler.Action, after []scheduler.ActionID)) {
	waits := make([]int, len(t.Actions))
	after := make([][]scheduler.ActionID, len(t.Actions))
	for _, o := range t.Order {
		waits[o.After]++
		after[o.Before] = append(after[o.Before], o.After)
	}
	ready, later := &queue{}, &queue{} // of this pass, and of the next one
	for i, n := range waits {
		if n == 0 && t.Actions[i].Stuck == "" {
			*ready = append(*ready, scheduler.ActionID(i))
		}
	}
	heap.Init(ready)
	for ready.Len()+later.Len() > 0 {
		if ready.Len() == 0 {
			ready, later = later, ready
		}
		id := heap.Pop(ready).(scheduler.ActionID)
		visit(&t.Actions[id], after[id])
		for _, next := range after[id] {
			if waits[next]--; waits[next] == 0 && t.Actions[next].Stuck == "" {
				if next > id {
					heap.Push(ready, next)
				} else {
					heap.Push(later, next)
				}
			}
		}
	}
}

// queue is a heap of actions, the first in the transition on top.
type queue []scheduler.ActionID

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i] < q[j] }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(scheduler.ActionID)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	id := (*q)[last]
	*q = (*q)[:last]
	return id
}

// do carries out one action and reports whether it changed the document.
// Points in the order change nothing, and neither do notifications.
func (d *draft) do(a *scheduler.Action) bool {
	if a.Kind == scheduler.Pseudo {
		return false
	}
	if d.replay && (a.Task == "do_shutdown" || a.Task == "lrm_delete" || a.Task == "delete") {
		return false
	}
	if d.replay && a.Task == "cancel" {
		return d.record(a)
	}
	switch a.Task {
	case "notify":
		return false
	case "stonith":
		return d.fence(a.Node, a.Detail)
	case "do_shutdown":
		return d.leave(a.Node)
	case "clear_failcount":
		return d.clearFailures(a.Node, a.Resource)
	case "delete", "lrm_delete":
		return d.forget(a.Node, a.Resource)
	case "cancel":
		return d.cancel(a)
	}
	return a.Kind == scheduler.Resource && d.record(a)
}

// recordOf is what the executor would report about a successful action.
func recordOf(a *scheduler.Action, resource string, call int64, now time.Time) cib.OpRecord {
	params := a.Params
	if a.Interval > 0 && a.Meta["timeout"] != "" {
		params = map[string]string{"CRM_meta_timeout": a.Meta["timeout"]}
		for name, value := range a.Params {
			params[name] = value
		}
	}
	return cib.OpRecord{Resource: resource, Operation: a.Task, IntervalMS: a.Interval, OnNode: a.Node,
		Action: int(a.ID), TargetRC: a.TargetRC, RC: a.TargetRC, Call: call, Changed: now,
		Digest: scheduler.ParamsDigest(params)}
}

// agentOf splits class:provider:type; the provider is absent for most classes,
// and a type may hold colons itself.
func agentOf(name string) (class, provider, typ string) {
	class, rest, _ := strings.Cut(name, ":")
	if class != "ocf" {
		return class, "", rest
	}
	provider, typ, found := strings.Cut(rest, ":")
	if !found {
		return class, "", provider
	}
	return class, provider, typ
}
