package scheduler

import (
	"fmt"
	"maps"
	"sort"
	"strconv"
)

// result prunes what need not or cannot happen and writes the transition.
func (w *working) result() *Transition {
	t := &Transition{Actions: []Action{}, Order: []Ordering{}, Allocations: []Allocation{}, Recheck: w.recheck}
	var kept []*action
	for _, a := range w.actions {
		if w.keep(a) {
			a.kept = true
			kept = append(kept, a)
		}
	}
	sort.SliceStable(kept, func(i, j int) bool { return lessAction(kept[i], kept[j]) })
	for i, a := range kept {
		a.id = ActionID(i)
		t.Actions = append(t.Actions, w.export(a))
	}
	for _, a := range kept {
		t.Order = append(t.Order, inputs(a)...)
	}
	breakCycles(t)
	list := append([]*resource(nil), w.flat...)
	sort.Slice(list, func(i, j int) bool { return list[i].id < list[j].id })
	for _, r := range list {
		t.Allocations = append(t.Allocations, w.allocation(r))
	}
	sort.Strings(w.warnings)
	for i, text := range w.warnings {
		if i == 0 || text != w.warnings[i-1] {
			t.Warnings = append(t.Warnings, text)
		}
	}
	return t
}

// keep reports whether an action becomes part of the transition.
func (w *working) keep(a *action) bool {
	optional, runnable := a.flags()
	if a.kind == Pseudo {
		return !optional && runnable || a.needsAny && runnable || a.rsc.variant == group && !optional
	}
	if optional || !runnable || a.node == nil || !a.node.status.online {
		return false
	}
	return a.rsc.managed || a.task == "monitor" || a.task == "cancel" || a.kind == Cluster
}

// inputs are the orderings of an action with the kept ones before it. What is
// left out takes its orderings along: nothing happens there, so nobody waits.
func inputs(a *action) []Ordering {
	seen := map[ActionID]bool{}
	var list []Ordering
	for _, e := range a.before {
		if !e.first.kept || seen[e.first.id] {
			continue
		}
		if e.effect&serialize != 0 && seenAfter(e.first, a) {
			continue
		}
		seen[e.first.id] = true
		list = append(list, Ordering{e.first.id, a.id})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Before < list[j].Before })
	return list
}

// seenAfter: of two actions that must not overlap, one has to go first: the
// one whose ordering was written first.
func seenAfter(first, a *action) bool {
	return a.id < first.id
}

func lessAction(a, b *action) bool {
	if x, y := kindRank[a.kind], kindRank[b.kind]; x != y {
		return x < y
	}
	if a.rsc.id != b.rsc.id {
		return a.rsc.id < b.rsc.id
	}
	if a.task != b.task {
		return a.task < b.task
	}
	if a.interval != b.interval {
		return a.interval < b.interval
	}
	if a.node != nil && b.node != nil {
		return a.node.name < b.node.name
	}
	return a.node == nil && b.node != nil
}

var kindRank = map[Kind]int{Resource: 0, Cluster: 1, Pseudo: 2}

func (w *working) export(a *action) Action {
	x := Action{ID: a.id, Kind: a.kind, Task: a.task, Resource: a.rsc.id, Interval: a.interval, TargetRC: a.target,
		Priority: a.rsc.priority, Reason: a.reason}
	if a.node != nil {
		x.Node = a.node.name
	}
	if a.kind == Pseudo {
		return x
	}
	if x.Reason == "" {
		x.Reason = fmt.Sprintf("%s of %s on %s is due", a.task, a.rsc.id, x.Node)
	}
	x.Timeout = defaultTimeout
	if a.kind != Resource {
		return x
	}
	x.Agent = a.rsc.agent
	task := a.task
	if a.cancelled != "" {
		task = a.cancelled
	}
	meta, def := w.opSettings(a.rsc, task, a.interval)
	x.Timeout = timeoutOf(meta)
	x.Params = w.opParams(a.rsc, def, a.node)
	x.Meta = w.exportMeta(a, task, meta, x.Timeout)
	return x
}

// exportMeta is what the agent sees as OCF_RESKEY_CRM_meta_*.
func (w *working) exportMeta(a *action, task string, meta map[string]string, timeout int64) map[string]string {
	x := map[string]string{}
	maps.Copy(x, meta)
	delete(x, "start-delay")
	x["name"], x["timeout"] = task, strconv.FormatInt(timeout, 10)
	x["on_node"], x["on_node_uuid"] = a.node.name, a.node.id
	if a.interval > 0 {
		x["interval"] = strconv.FormatInt(a.interval, 10)
	} else {
		delete(x, "interval")
	}
	if a.target != 0 {
		x["op_target_rc"] = strconv.Itoa(a.target)
	}
	return x
}

// breakCycles removes orderings that close a circle. Constraints that contradict
// each other make one; the configuration check reports them.
func breakCycles(t *Transition) {
	after := make([][]int, len(t.Actions)) // indices into Order
	for i, o := range t.Order {
		after[o.Before] = append(after[o.Before], i)
	}
	state := make([]uint8, len(t.Actions))
	drop := map[int]bool{}
	type frame struct {
		id   ActionID
		next int
	}
	for root := range t.Actions {
		if state[root] != 0 {
			continue
		}
		stack := []frame{{ActionID(root), 0}}
		state[root] = 1
		for len(stack) > 0 {
			f := &stack[len(stack)-1]
			if f.next == len(after[f.id]) {
				state[f.id] = 2
				stack = stack[:len(stack)-1]
				continue
			}
			edge := after[f.id][f.next]
			f.next++
			switch to := t.Order[edge].After; state[to] {
			case 0:
				state[to] = 1
				stack = append(stack, frame{to, 0})
			case 1:
				drop[edge] = true
			}
		}
	}
	if len(drop) == 0 {
		return
	}
	kept := t.Order[:0]
	for i, o := range t.Order {
		if !drop[i] {
			kept = append(kept, o)
			continue
		}
		t.Warnings = append(t.Warnings, fmt.Sprintf("the constraints go in a circle: %s %s is not put before %s %s",
			t.Actions[o.Before].Task, t.Actions[o.Before].Resource, t.Actions[o.After].Task, t.Actions[o.After].Resource))
	}
	t.Order = kept
}
