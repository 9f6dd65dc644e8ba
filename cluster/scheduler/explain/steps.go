package explain

import (
	"fmt"
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/scheduler"
)

// starts is the action that brings an instance to its node, nil if there is none.
func (q *question) starts(a *scheduler.Allocation) *scheduler.Action {
	for i := range q.t.Actions {
		x := &q.t.Actions[i]
		if x.Node == a.Node && (x.Resource == a.Resource || x.Resource == base(a.Resource)) && (x.Task == "start" || x.Task == "migrate_from") {
			return x
		}
	}
	return nil
}

// waits lists the real actions on other things that come right before the
// start of an instance; points in the order are looked through.
func (q *question) waits(a *scheduler.Allocation) []string {
	start := q.starts(a)
	if start == nil {
		return nil
	}
	before := map[scheduler.ActionID][]scheduler.ActionID{}
	for _, o := range q.t.Order {
		before[o.After] = append(before[o.After], o.Before)
	}
	seen := map[scheduler.ActionID]bool{start.ID: true}
	var list []string
	for todo := []scheduler.ActionID{start.ID}; len(todo) > 0; todo = todo[1:] {
		for _, id := range before[todo[0]] {
			if seen[id] {
				continue
			}
			seen[id] = true
			switch x := &q.t.Actions[id]; {
			case x.Kind == scheduler.Pseudo || x.Task == "notify" || x.Task == "cancel":
				todo = append(todo, id)
			case x.Task == "monitor": // probes are a matter of course
			default:
				list = append(list, Words(*x))
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// steps are the real actions about some instances, each after those it waits for.
func steps(t *scheduler.Transition, list []*scheduler.Allocation, resource string) []Step {
	names := map[string]bool{resource: true}
	for _, a := range list {
		names[a.Resource], names[base(a.Resource)] = true, true
	}
	var found []Step
	for _, a := range t.InOrder() {
		if a.Kind != scheduler.Pseudo && names[a.Resource] {
			found = append(found, Step{a.Task, a.Resource, a.Node, a.Interval, Words(a), a.Reason})
		}
	}
	return found
}

// Words names an action as people do: "probe web on n1", "fence n2 (off)".
func Words(a scheduler.Action) string {
	switch {
	case a.Task == "stonith":
		return fmt.Sprintf("fence %s (%s)", a.Node, a.Detail)
	case a.Task == "do_shutdown":
		return "let " + a.Node + " go"
	case a.Task == "clear_failcount":
		return fmt.Sprintf("forget failures of %s on %s", a.Resource, a.Node)
	case a.Task == "delete" || a.Task == "lrm_delete":
		return fmt.Sprintf("forget %s on %s", a.Resource, a.Node)
	case a.Task == "migrate_to":
		return fmt.Sprintf("migrate %s away from %s", a.Resource, a.Node)
	case a.Task == "migrate_from":
		return fmt.Sprintf("take over the migrating %s on %s", a.Resource, a.Node)
	case a.Task == "monitor" && a.Interval == 0:
		return fmt.Sprintf("probe %s on %s", a.Resource, a.Node)
	case a.Task == "monitor" || a.Task == "cancel":
		task := map[string]string{"monitor": "monitor", "cancel": "end the monitor of"}[a.Task]
		return fmt.Sprintf("%s %s on %s every %s", task, a.Resource, a.Node, time.Duration(a.Interval)*time.Millisecond)
	}
	return fmt.Sprintf("%s %s on %s", a.Task, a.Resource, a.Node)
}
