package scheduler

import (
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// ScheduleLocalStop computes the actions that stop every managed resource that
// is active on node by that node's own history, what is promoted after a demote, in
// the order of the constraints, whatever other nodes do: what a node does that lost quorum.
func ScheduleLocalStop(root *cib.Node, node string, now time.Time) *Transition {
	return onlyEnds(Schedule(localView(root, node, "stop"), now), node, taskStop, taskDemote)
}

// ScheduleLocalDemote is ScheduleLocalStop for no-quorum-policy=demote: what is
// promoted is demoted and what is unpromoted goes on, everything else is stopped,
// and so is an instance of which something failed.
func ScheduleLocalDemote(root *cib.Node, node string, now time.Time) *Transition {
	t := onlyEnds(Schedule(localView(root, node, "demote"), now), node, taskStop, taskDemote)
	stop := onlyEnds(Schedule(localView(root, node, "stop"), now), node, taskStop)
	failed := failedResources(root, node)
	at := map[string]ActionID{} // of the stops, by resource
	for _, a := range t.Actions {
		if a.Task == taskStop && a.Kind == Resource {
			at[a.Resource] = a.ID
		}
	}
	for _, a := range stop.Actions {
		if _, stops := at[a.Resource]; a.Kind != Resource || stops || !failed[a.Resource] {
			continue
		}
		a.ID = ActionID(len(t.Actions))
		for _, b := range t.Actions {
			if b.Task == taskDemote && b.Resource == a.Resource {
				t.Order = append(t.Order, Ordering{b.ID, a.ID})
			}
		}
		at[a.Resource] = a.ID
		t.Actions = append(t.Actions, a)
	}
	for _, o := range stop.Order {
		a, b := stop.Actions[o.Before], stop.Actions[o.After]
		before, ok := at[a.Resource]
		after, ok2 := at[b.Resource]
		if ok && ok2 && a.Kind == Resource && b.Kind == Resource && (failed[a.Resource] || failed[b.Resource]) {
			t.Order = append(t.Order, Ordering{before, after})
		}
	}
	return t
}

// failedResources are those of which an operation failed on a node.
func failedResources(root *cib.Node, node string) map[string]bool {
	failed := map[string]bool{}
	for state := range root.Child("status").Elements {
		if state.Attr("uname") != node {
			continue
		}
		for lrm := range state.Path("lrm", "lrm_resources").Elements {
			for op := range lrm.Elements {
				failed[lrm.ID()] = failed[lrm.ID()] || failedHere(op)
			}
		}
	}
	return failed
}

// localView is the document with only this node in it, without quorum.
func localView(root *cib.Node, node, policy string) *cib.Node {
	options := cib.NewNode("cluster_property_set", "id", "cib-bootstrap-options").WithChild(
		cib.NewNode("nvpair", "id", "local-fencing", "name", "stonith-enabled", "value", "false"),
		cib.NewNode("nvpair", "id", "local-policy", "name", "no-quorum-policy", "value", policy),
	)
	if policy == "stop" {
		options = options.WithChild(cib.NewNode("nvpair", "id", "local-all", "name", "stop-all-resources", "value", "true"))
	}
	if maintenance := cib.NewView(root).Pairs(root.Path("configuration", "crm_config"), "cluster_property_set", nil)["maintenance-mode"]; maintenance != "" {
		options = options.WithChild(cib.NewNode("nvpair", "id", "local-maintenance", "name", "maintenance-mode", "value", maintenance))
	}
	only := func(list *cib.Node) *cib.Node {
		for c := range list.Elements {
			if c.Attr("uname") != node {
				list = list.WithReplaced(c, nil)
			}
		}
		return list
	}
	online := func(list *cib.Node) *cib.Node {
		list = only(list)
		for c := range list.Elements {
			up := withoutFailures(c).WithAttr("in_ccm", "true").WithAttr("crmd", "online").WithAttr("join", "member").WithAttr("expected", "member")
			list = list.WithReplaced(c, up)
		}
		return list
	}
	return root.WithAttr("have-quorum", "0").
		WithPath(func(*cib.Node) *cib.Node { return cib.NewNode("crm_config").WithChild(options) }, "configuration", "crm_config").
		WithPath(only, "configuration", "nodes").
		WithPath(online, "status")
}

// withoutFailures turns failed operations into starts: whatever failed, and
// however that would block the resource otherwise, it may run and has to go.
func withoutFailures(state *cib.Node) *cib.Node {
	return state.WithPath(func(list *cib.Node) *cib.Node {
		for lrm := range list.Elements {
			mended := lrm
			for op := range lrm.Elements {
				if failedHere(op) {
					key := "1:0:0:" + cib.HistoryUUID
					mended = mended.WithReplaced(op, op.WithAttr("operation", "start").WithAttr("operation_key", cib.OpKey(lrm.ID(), "start", 0)).
						WithAttr("interval", "0").WithAttr("rc-code", "0").WithAttr("op-status", "0").
						WithAttr("transition-key", key).WithAttr("transition-magic", "0:0;"+key))
				}
			}
			if mended != lrm {
				list = list.WithReplaced(lrm, mended)
			}
		}
		return list
	}, "lrm", "lrm_resources")
}

// failedHere reports whether an operation failed that leaves the resource in
// doubt; a probe only looked, and a monitor of a promoted instance succeeds with 8.
func failedHere(op *cib.Node) bool {
	if op.Name() != "lrm_rsc_op" || op.Attr("operation") == taskMonitor && historyInterval(op) == 0 {
		return false
	}
	expected, exit := max(0, expectedExit(op)), int(number(op, "rc-code", 1))
	switch status := number(op, "op-status", statusUnknown); {
	case status == statusPending, status == statusCancelled:
		return false
	case status != statusDone:
		return true
	case expected == exitPromoted && exit == exitDegradedPromoted, expected == exitOK && exit == exitDegraded:
		return false
	}
	return exit != expected
}

// onlyEnds leaves some tasks on the node and what orders them.
func onlyEnds(t *Transition, node string, tasks ...string) *Transition {
	local := &Transition{Actions: []Action{}, Order: []Ordering{}, Allocations: t.Allocations, Warnings: t.Warnings}
	number := map[ActionID]ActionID{}
	for _, a := range t.Actions {
		if a.Kind != Pseudo && (!slices.Contains(tasks, a.Task) || a.Node != node) {
			continue
		}
		number[a.ID] = ActionID(len(local.Actions))
		a.ID = number[a.ID]
		a.Stuck = "" // whatever it would wait for: the node has to let go
		if a.Kind == Resource {
			a.Reason = node + " lost quorum: " + a.Resource + " is stopped here"
			if a.Task == taskDemote {
				a.Reason = node + " lost quorum: " + a.Resource + " is demoted here"
			}
		}
		local.Actions = append(local.Actions, a)
	}
	for _, o := range t.Order {
		before, ok := number[o.Before]
		after, ok2 := number[o.After]
		if ok && ok2 {
			local.Order = append(local.Order, Ordering{before, after})
		}
	}
	return local
}
