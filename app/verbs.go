package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/store"
	"github.com/takt-ha/takt/internal/errs"
)

// leader returns nil if this node coordinates, else a client of the one that
// does: what changes the cluster happens there, where its effects are seen.
func (a *App) leader(ctx context.Context) (*api.Client, error) {
	l := a.awaitLeader(ctx)
	switch {
	case l.Leader == a.self && l.Ready:
		return nil, nil
	case l.Leader == 0 || l.Leader == a.self:
		_, why := a.peers.standing()
		return nil, errs.E("change the cluster", errs.Unavailable, a.id.Cluster,
			"takt status says what it waits for.", fmt.Errorf("nobody coordinates it now (%s)", why))
	}
	name := a.peerName(l.Leader)
	return api.NewClientDial(name, func(ctx context.Context) (net.Conn, error) {
		return a.mesh.Dial(ctx, uint64(l.Leader), apiALPN)
	}), nil
}

// leaderPatience is how long a request waits while the cluster elects.
const leaderPatience = 3 * time.Second

// awaitLeader returns the leadership, at once if there is one.
func (a *App) awaitLeader(ctx context.Context) store.Leadership {
	ctx, done := context.WithTimeout(ctx, leaderPatience)
	defer done()
	changed, cancel := a.store.LeadershipChanged()
	defer cancel()
	for {
		l := a.store.Leadership()
		if l.Leader != 0 && (l.Leader != a.self || l.Ready) {
			return l
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return l
		}
	}
}

// Resource does something to a resource (api.Backend).
func (a *App) Resource(ctx context.Context, id, verb string, v api.Verb) (*api.Outcome, error) {
	there, err := a.leader(ctx)
	if err != nil {
		return nil, err
	}
	if there != nil {
		defer there.Close()
		return there.Resource(ctx, id, verb, v)
	}
	root := a.store.State().Root
	res := findResource(root, id)
	if res == nil {
		if e := retryOrphan(root, id, v.Node); len(e.ops) > 0 && (verb == "cleanup" || verb == "refresh") {
			return a.perform(ctx, e, v)
		}
		return nil, errs.E(verb, errs.NotFound, "resource "+id, "takt status lists the resources.", nil)
	}
	if v.Node != "" && findNode(root, v.Node) == nil {
		return nil, errs.E(verb, errs.NotFound, "node "+v.Node, "takt status lists the nodes.", nil)
	}
	var edit edit
	switch verb {
	case "move":
		edit, err = a.move(root, res, v)
	case "ban":
		edit, err = a.ban(root, res, v)
	case "clear":
		edit = clearConstraints(root, id)
	case "start":
		edit = setMeta(res, "target-role", "Started")
	case "stop":
		edit = setMeta(res, "target-role", "Stopped")
	case "manage":
		edit = setMeta(res, "is-managed", "true")
	case "unmanage":
		edit = setMeta(res, "is-managed", "false")
	case "restart":
		edit, err = restart(root, res)
	case "cleanup", "refresh":
		edit, err = a.cleanup(ctx, root, res, verb, v.Node)
	default:
		err = errs.E(verb, errs.Invalid, "resource "+id, "", fmt.Errorf("there is no such verb; there are %s", strings.Join(api.ResourceVerbs(), ", ")))
	}
	if err != nil {
		return nil, err
	}
	return a.perform(ctx, edit, v)
}

// edit is a change of the CIB with its words.
type edit struct {
	text string
	ops  []cib.Op
	warn []string
}

// perform proposes an edit and waits, if wished, until the cluster has settled.
func (a *App) perform(ctx context.Context, e edit, v api.Verb) (*api.Outcome, error) {
	out := &api.Outcome{Text: e.text, Warnings: e.warn, Settled: true}
	if len(e.ops) == 0 {
		return out, nil
	}
	before := a.store.State().Root
	if after, err := cib.Apply(before, e.ops); err == nil {
		out.Changes = differences(before, after)
		out.Actions = actionLines(scheduler.Schedule(after, time.Now()))
	}
	state, err := a.store.Propose(ctx, store.Change{Author: v.User, Reason: e.text, Time: time.Now(), Ops: e.ops})
	if err != nil {
		return nil, err
	}
	a.journal.add(api.Event{Kind: "config", On: a.id.Name, Text: strings.TrimSpace(v.User + ": " + e.text)})
	// The controller must judge this state, not the one before it: nothing else
	// may make it look again.
	a.control.Send(controller.State{Root: state.Root, Index: state.Index, Generation: state.Generation})
	a.control.Send(controller.Poke{Reason: e.text})
	out.CIBVersion = cib.VersionOf(state.Root).String()
	out.Settled = a.waitSettled(ctx, state.Index, v.Wait)
	out.Warnings = append(out.Warnings, newFailures(state.Root, a.store.State().Root)...)
	return out, nil
}

// newFailures tells, a line each, what has failed since before.
func newFailures(before, after *cib.Node) []string {
	known := map[api.Failure]bool{}
	for _, f := range statusFailures(before) {
		known[f] = true
	}
	var lines []string
	for _, f := range statusFailures(after) {
		if known[f] {
			continue
		}
		why := f.Reason
		if why == "" {
			why = fmt.Sprintf("%s, exit status %d", f.Status, f.Code)
		}
		lines = append(lines, fmt.Sprintf("%s of %s failed on %s: %s", f.Action, f.Resource, f.Node, why))
	}
	return lines
}

func (a *App) waitSettled(ctx context.Context, index uint64, wait int64) bool {
	if wait <= 0 {
		return false
	}
	ctx, done := context.WithTimeout(ctx, time.Duration(wait)*time.Millisecond)
	defer done()
	return a.settle.wait(ctx, index)
}

func actionLines(t *scheduler.Transition) []string {
	var lines []string
	for _, act := range t.Actions {
		if act.Kind == scheduler.Pseudo {
			continue
		}
		task := act.Task
		switch {
		case task == agent.Monitor && act.Interval == 0:
			task = "probe"
		case task == "lrm_delete":
			task = "forget"
		}
		line := strings.TrimSpace(task+" "+act.Resource) + " on " + act.Node
		if act.Reason != "" {
			line += ": " + act.Reason
		}
		lines = append(lines, line)
	}
	return lines
}

// findResource returns the element of a resource.
func findResource(root *cib.Node, id string) *cib.Node {
	return findUnder(root.Path("configuration", "resources"), id)
}

func findUnder(parent *cib.Node, id string) *cib.Node {
	for c := range parent.Elements {
		switch c.Name() {
		case "primitive", "group", "clone", "master", "bundle":
			if c.ID() == id {
				return c
			}
			if inner := findUnder(c, id); inner != nil {
				return inner
			}
		}
	}
	return nil
}

func findNode(root *cib.Node, name string) *cib.Node {
	for n := range root.Path("configuration", "nodes").Elements {
		if n.Attr("uname") == name {
			return n
		}
	}
	return nil
}

// primitives returns the ids of the primitives in a resource, itself included.
func primitives(res *cib.Node) []string {
	if res.Name() == "primitive" {
		return []string{res.ID()}
	}
	var ids []string
	for c := range res.Elements {
		switch c.Name() {
		case "primitive", "group":
			ids = append(ids, primitives(c)...)
		}
	}
	return ids
}

// outermost refuses a member of a group: what is asked for concerns the group.
func outermost(root, res *cib.Node, verb string) error {
	for top := range root.Path("configuration", "resources").Elements {
		if top != res && findUnder(top, res.ID()) != nil {
			return errs.E(verb, errs.Conflict, "resource "+res.ID(),
				fmt.Sprintf("takt resource %s %s", verb, top.ID()),
				fmt.Errorf("it belongs to %s, whose members stay together", top.ID()))
		}
	}
	return nil
}

// move asks for a move. The constraint says so until it has happened; the
// coordinator then takes it back (controller.MovePrefix).
func (a *App) move(root, res *cib.Node, v api.Verb) (edit, error) {
	if err := outermost(root, res, "move"); err != nil {
		return edit{}, err
	}
	now := scheduler.Schedule(root, time.Now())
	from := activeNodes(now, res)
	if v.Node != "" && len(from) == 1 && from[0] == v.Node {
		return edit{text: fmt.Sprintf("%s is on %s already", res.ID(), v.Node)}, nil
	}
	node, score, text := v.Node, "INFINITY", fmt.Sprintf("move %s to %s", res.ID(), v.Node)
	if node == "" {
		if len(from) != 1 {
			return edit{}, errs.E("move", errs.Conflict, "resource "+res.ID(), "Name the node that it should move to.",
				fmt.Errorf("it is active on %d nodes, not on one", len(from)))
		}
		node, score, text = from[0], "-INFINITY", fmt.Sprintf("move %s away from %s", res.ID(), from[0])
	}
	e := edit{text: text, ops: []cib.Op{location(controller.MovePrefix+res.ID(), res.ID(), node, score)}}
	after, err := cib.Apply(root, e.ops)
	if err != nil {
		return edit{}, err
	}
	t := scheduler.Schedule(after, time.Now())
	if where := futureNodes(t, res); len(where) == 0 || (v.Node != "" && where[0] != v.Node) {
		return edit{}, errs.E("move", errs.Conflict, "resource "+res.ID(),
			"takt status shows failures and bans; takt resource cleanup or clear takes them away.",
			fmt.Errorf("it would not run there: %s", whyNot(root, t, res, v.Node)))
	} else if len(from) == 1 && returns(now, res, from[0], where[0]) {
		e.warn = append(e.warn, fmt.Sprintf("%s prefers %s to %s and goes back as soon as the move is over; takt resource ban %s %s keeps it away until takt resource clear",
			res.ID(), from[0], where[0], res.ID(), from[0]))
	}
	return e, nil
}

// returns reports whether a resource that has been moved would go back by
// itself: the scores without the stickiness, which goes where it goes.
func returns(now *scheduler.Transition, res *cib.Node, from, to string) bool {
	back, asked := false, false
	eachAllocation(now, res, func(al *scheduler.Allocation) {
		if asked {
			return // the first member of a group decides for all
		}
		asked = true
		var sticks scheduler.Score
		for _, term := range al.Terms {
			if term.Node == from && strings.Contains(term.Why, "stickiness") {
				sticks += term.Score
			}
		}
		back = al.Scores[from]-sticks > al.Scores[to]+sticks
	})
	return back
}

// whyNot says what keeps a resource away from a node; without a node, from all.
func whyNot(root *cib.Node, t *scheduler.Transition, res *cib.Node, node string) string {
	n := findNode(root, node)
	if n == nil {
		return allocationReason(t, res)
	}
	state := root.Child("status").ChildByID("node_state", n.ID())
	switch {
	case nodeAttr(n, "standby"):
		return node + " is in standby (takt node online " + node + " ends that)"
	case nodeAttr(n, "maintenance"):
		return node + " is in maintenance (takt node ready " + node + " ends that)"
	case state.Attr("crmd") != "online":
		return node + " is not online"
	}
	why, own := "", false
	eachAllocation(t, res, func(al *scheduler.Allocation) {
		for _, term := range al.Terms {
			// What keeps one member of a group away goes before that the others follow it.
			if follows := strings.HasPrefix(term.Why, "colocation"); term.Node == node && term.Score <= -scheduler.Infinity && (why == "" || !own && !follows) {
				why, own = term.Why+" keeps "+al.Resource+" away from "+node, !follows
			}
		}
	})
	if why == "" {
		return allocationReason(t, res)
	}
	return why
}

func location(id, res, node, score string) cib.Op {
	return cib.Op{
		Kind: cib.Replace, Path: "/cib/configuration/constraints/rsc_location[@id='" + id + "']",
		Parent: "/cib/configuration/constraints",
		XML:    cib.NewNode("rsc_location", "id", id, "rsc", res, "node", node, "score", score).String(),
	}
}

func (a *App) ban(root, res *cib.Node, v api.Verb) (edit, error) {
	if err := outermost(root, res, "ban"); err != nil {
		return edit{}, err
	}
	node := v.Node
	if node == "" {
		from := activeNodes(scheduler.Schedule(root, time.Now()), res)
		if len(from) != 1 {
			return edit{}, errs.E("ban", errs.Conflict, "resource "+res.ID(), "Name the node.",
				fmt.Errorf("it is active on %d nodes, not on one", len(from)))
		}
		node = from[0]
	}
	return edit{
		text: fmt.Sprintf("ban %s from %s", res.ID(), node),
		ops:  []cib.Op{location("cli-ban-"+res.ID()+"-on-"+node, res.ID(), node, "-INFINITY")},
		warn: []string{fmt.Sprintf("%s will not run on %s until takt resource clear %s", res.ID(), node, res.ID())},
	}, nil
}

func clearConstraints(root *cib.Node, id string) edit {
	e := edit{text: "nothing to clear for " + id}
	for c := range root.Path("configuration", "constraints").Elements {
		ours := strings.HasPrefix(c.ID(), "cli-ban-") || strings.HasPrefix(c.ID(), "cli-prefer-") || strings.HasPrefix(c.ID(), controller.MovePrefix)
		if c.Attr("rsc") == id && ours {
			e.ops = append(e.ops, cib.Op{Kind: cib.Delete, ID: c.ID(), Optional: true})
			e.text = "clear what was asked for by hand about " + id
		}
	}
	return e
}

// setMeta sets a meta attribute of a resource.
func setMeta(res *cib.Node, name, value string) edit {
	changed := setPair(res, "meta_attributes", res.ID()+"-meta_attributes", name, value)
	return edit{
		text: fmt.Sprintf("set %s=%s for %s", name, value, res.ID()),
		ops:  []cib.Op{{Kind: cib.Replace, ID: res.ID(), XML: changed.String()}},
	}
}

// setPair sets a name/value pair in an element's attribute set, which is made
// under setID if it is missing.
func setPair(n *cib.Node, setName, setID, name, value string) *cib.Node {
	set := n.Child(setName)
	pair := cib.NewNode("nvpair", "id", setID+"-"+name, "name", name, "value", value)
	if set == nil {
		return n.WithChild(cib.NewNode(setName, "id", setID).WithChild(pair))
	}
	for nv := range set.Elements {
		if nv.Attr("name") == name {
			return n.WithReplaced(set, set.WithReplaced(nv, nv.WithAttr("value", value)))
		}
	}
	return n.WithReplaced(set, set.WithChild(pair))
}

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
			if !ids[lrm.ID()] {
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
		if ta := changed.Child("transient_attributes"); ta != state.Child("transient_attributes") {
			e.ops = append(e.ops, cib.Op{Kind: cib.Replace, Path: path + "/transient_attributes", Parent: path, XML: ta.String()})
		}
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
		if ta := cib.WithoutFailures(state, id).Child("transient_attributes"); ta != state.Child("transient_attributes") {
			e.ops = append(e.ops, cib.Op{Kind: cib.Replace, Path: path + "/transient_attributes", Parent: path, XML: ta.String()})
		}
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

// Node does something to a node (api.Backend).
func (a *App) Node(ctx context.Context, name, verb string, v api.Verb) (*api.Outcome, error) {
	there, err := a.leader(ctx)
	if err != nil {
		return nil, err
	}
	if there != nil {
		defer there.Close()
		return there.Node(ctx, name, verb, v)
	}
	node := findNode(a.store.State().Root, name)
	if node == nil {
		return nil, errs.E(verb, errs.NotFound, "node "+name, "takt status lists the nodes.", nil)
	}
	attr := map[string][2]string{
		"standby": {"standby", "on"}, "online": {"standby", "off"},
		"maintenance": {"maintenance", "true"}, "ready": {"maintenance", "false"},
	}
	pair, ok := attr[verb]
	if !ok {
		return nil, errs.E(verb, errs.Invalid, "node "+name, "", fmt.Errorf("there is no such verb; there are %s", strings.Join(api.NodeVerbs(), ", ")))
	}
	changed := setPair(node, "instance_attributes", "nodes-"+node.ID(), pair[0], pair[1])
	return a.perform(ctx, edit{
		text: fmt.Sprintf("%s: %s=%s", name, pair[0], pair[1]),
		ops:  []cib.Op{{Kind: cib.Replace, Path: "/cib/configuration/nodes/node[@id='" + node.ID() + "']", XML: changed.String()}},
	}, v)
}
