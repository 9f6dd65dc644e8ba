package scheduler

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// ScheduleLocalStop computes the actions that stop every managed resource that
// is active on node by that node's own history, in the order of the
// constraints, whatever other nodes do: what a node does that lost quorum.
func ScheduleLocalStop(root *cib.Node, node string, now time.Time) *Transition {
	t := Schedule(localView(root, node), now)
	return onlyStops(t, node)
}

// localView is the document with only this node in it, without quorum.
func localView(root *cib.Node, node string) *cib.Node {
	options := cib.NewNode("cluster_property_set", "id", "cib-bootstrap-options").WithChild(
		cib.NewNode("nvpair", "id", "local-fencing", "name", "stonith-enabled", "value", "false"),
		cib.NewNode("nvpair", "id", "local-policy", "name", "no-quorum-policy", "value", "stop"),
		cib.NewNode("nvpair", "id", "local-all", "name", "stop-all-resources", "value", "true"),
	)
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
// doubt; a probe only looked.
func failedHere(op *cib.Node) bool {
	probe := op.Attr("operation") == "monitor" && (op.Attr("interval") == "" || op.Attr("interval") == "0")
	return op.Name() == "lrm_rsc_op" && !probe && op.Attr("op-status") != "-1" && (op.Attr("rc-code") != "0" || op.Attr("op-status") != "0")
}

// onlyStops leaves the stops on the node and what orders them.
func onlyStops(t *Transition, node string) *Transition {
	local := &Transition{Actions: []Action{}, Order: []Ordering{}, Allocations: t.Allocations, Warnings: t.Warnings}
	number := map[ActionID]ActionID{}
	for _, a := range t.Actions {
		if a.Kind != Pseudo && (a.Task != "stop" || a.Node != node) {
			continue
		}
		number[a.ID] = ActionID(len(local.Actions))
		a.ID = number[a.ID]
		a.Stuck = "" // whatever it would wait for: the node has to let go
		if a.Kind == Resource {
			a.Reason = node + " lost quorum: " + a.Resource + " is stopped here"
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
