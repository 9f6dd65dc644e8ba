package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/internal/errs"
)

// restart makes the history say that a resource was started with other
// parameters: the scheduler then restarts it, and what depends on it, in order,
// and nothing is left behind if the coordinator dies meanwhile.
func restart(root, res *cib.Node) (edit, error) {
	ids := map[string]bool{}
	for _, id := range primitives(res) {
		ids[id] = true
	}
	e := edit{text: "restart " + res.ID()}
	for state := range root.Child("status").Elements {
		for lrm := range state.Path("lrm", "lrm_resources").Elements {
			if !ids[baseName(lrm.ID())] {
				continue
			}
			for op := range lrm.Elements {
				if op.Attr("operation") == agent.Start && op.Attr("rc-code") == "0" {
					path := fmt.Sprintf("/cib/status/node_state[@id='%s']/lrm/lrm_resources/lrm_resource[@id='%s']/lrm_rsc_op[@id='%s']", state.ID(), lrm.ID(), op.ID())
					e.ops = append(e.ops, cib.Op{Kind: cib.Modify, Path: path, Optional: true,
						XML: cib.NewNode("lrm_rsc_op", "id", op.ID(), "op-digest", scheduler.RestartAsked).String()})
				}
			}
		}
	}
	if len(e.ops) == 0 {
		return e, errs.E("restart", errs.Conflict, "resource "+res.ID(), "takt resource start "+res.ID(), errors.New("it has not been started"))
	}
	return e, nil
}

// cleanup forgets what is known of a resource on its nodes: it is looked at anew.
func (a *App) cleanup(ctx context.Context, root, res *cib.Node, verb, only string) (edit, error) {
	e := edit{text: fmt.Sprintf("%s %s: look at it anew", verb, res.ID())}
	for state := range root.Child("status").Elements {
		id, ok := cib.ParseNodeID(state.ID())
		if !ok || (only != "" && state.Attr("uname") != only) {
			continue
		}
		path := "/cib/status/node_state[@id='" + state.ID() + "']"
		changed := state
		for _, prim := range primitives(res) {
			if err := a.forget(ctx, id, prim); err != nil {
				e.warn = append(e.warn, fmt.Sprintf("%s on %s was not asked: %v", prim, state.Attr("uname"), err))
			}
			if state.Path("lrm", "lrm_resources").ChildByID("lrm_resource", prim) != nil {
				e.ops = append(e.ops, cib.Op{Kind: cib.Delete, Optional: true, Path: path + "/lrm/lrm_resources/lrm_resource[@id='" + prim + "']"})
			}
			changed = cib.WithoutFailures(changed, prim)
		}
		e.ops = append(e.ops, cib.NodeAttrOps(state, changed)...)
	}
	return e, nil
}

// retryOrphan forgets that a resource, which is not configured any more, could
// not be stopped. That it may run is not forgotten: it is stopped again.
func retryOrphan(root *cib.Node, id, only string) edit {
	e := edit{text: "stop " + id + " again, which is not configured any more"}
	for state := range root.Child("status").Elements {
		lrm := state.Path("lrm", "lrm_resources").ChildByID("lrm_resource", id)
		if lrm == nil || (only != "" && state.Attr("uname") != only) || lrm.ChildByID("lrm_rsc_op", id+"_last_failure_0") == nil {
			continue
		}
		path := "/cib/status/node_state[@id='" + state.ID() + "']"
		runs := cib.MergeOp(cib.LRMResource(id, lrm.Attr("class"), lrm.Attr("provider"), lrm.Attr("type")),
			cib.OpRecord{Resource: id, Operation: agent.Start, OnNode: state.Attr("uname"), Changed: time.Now()})
		e.ops = append(e.ops, cib.Op{Kind: cib.Replace, Path: path + "/lrm/lrm_resources/lrm_resource[@id='" + id + "']", Parent: path + "/lrm/lrm_resources", XML: runs.String()})
		e.ops = append(e.ops, cib.NodeAttrOps(state, cib.WithoutFailures(state, id))...)
	}
	return e
}

// forget makes a node's executor drop the history of a resource. A node that is
// not there forgets by itself.
func (a *App) forget(ctx context.Context, node cib.NodeID, resource string) error {
	c := agent.Command{Resource: resource, Action: agent.Forget, Timeout: 1000, Stamp: agent.Stamp{Action: -int(time.Now().UnixNano())}}
	if node == a.self {
		_, err := a.ownDoing(ctx, c)
		return err
	}
	if p := a.peers.get(node); !p.Alive {
		return nil
	}
	return a.nodes.call(ctx, node, "/run", c, &agent.Record{})
}
