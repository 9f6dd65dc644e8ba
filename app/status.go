package app

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/link"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/quorum"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// Status describes the cluster as this node sees it (api.Backend).
func (a *App) Status(ctx context.Context) (*api.Status, error) {
	root, state, lead := a.root(), a.store.State(), a.store.Leadership()
	st := &api.Status{
		Cluster: a.id.Cluster, Node: a.id.Name, Time: time.Now(), Version: a.opts.Version,
		CIBVersion: cib.VersionOf(root).String(), Term: lead.Term, Generation: state.Generation,
	}
	if lead.Leader != 0 {
		st.Coordinator = a.peerName(lead.Leader)
	}
	if lead.Leader == a.self {
		st.Settled = a.settle.newest()
	}
	pulse, err := a.pulse.Status(ctx)
	if err == nil {
		st.Pulse = &pulse
	}
	heart, err := a.heart.status(ctx)
	if err != nil {
		return nil, err
	}
	a.statusQuorum(st, heart, state.Voters, lead.Leader != 0)
	a.statusNodes(st, root, state.Voters, lead.Leader)
	a.statusProofs(st, heart, root)
	a.statusLinks(st)
	a.statusFencing(ctx, st, root)
	t := scheduler.Schedule(root, st.Time)
	st.Resources = statusResources(root, t, st.Time)
	st.Failures = statusFailures(root)
	statusPending(st, heart.Pending)
	st.Warnings = a.warnings(ctx, st, root, t)
	return st, nil
}

func (a *App) statusQuorum(st *api.Status, heart node.Status, voters []cib.NodeID, led bool) {
	q := &st.Quorum
	q.Quorate, q.Reason = a.heart.obeys()
	q.Standing = standings[heart.Place]
	if st.Pulse != nil && strings.Contains(heart.Quorum.Words, q.Reason) {
		q.Reason = st.Pulse.Reason // newer than the last change of the standing
	}
	if q.Quorate && !led {
		q.Quorate, q.Reason = false, q.Reason+"; no coordinator has been elected yet"
	}
	if w := heart.Quorum.Words; w != "" && !q.Quorate && st.Pulse == nil {
		q.Words = append(q.Words, w)
	}
	if w := heart.Quorum.Waits; w != "" {
		q.Waits = append(q.Waits, w)
	}
	if !q.Quorate {
		for _, f := range heart.Fencing {
			if f.Words != "" {
				q.Waits = append(q.Waits, fmt.Sprintf("The %s of %s: %s.", f.Action, f.Target, strings.TrimSuffix(f.Words, ".")))
			}
		}
	}
	for _, v := range voters {
		q.Voters = append(q.Voters, a.peerName(v))
		if v == a.self || a.peers.get(v).Alive {
			q.Alive = append(q.Alive, a.peerName(v))
		}
	}
}

var standings = map[quorum.Place]string{quorum.Quorate: "quorate", quorum.Half: "tie", quorum.Isolated: "isolated"}

// statusProofs says of each node what is known of its being off.
func (a *App) statusProofs(st *api.Status, heart node.Status, root *cib.Node) {
	fencing := flag(root, "stonith-enabled", true)
	for i := range st.Nodes {
		n := &st.Nodes[i]
		id := cib.NodeID(n.ID)
		state := root.Child("status").ChildByID("node_state", id.String())
		p := a.peers.get(id)
		n.Unheard = id != a.self && !p.Alive && n.State == "online"
		if fencing && st.Quorum.Quorate && n.State == "offline" && (state.Attr("crmd") == "online" || state.Attr("expected") == "member") {
			n.Unclean = "lost, and not proven off: what it ran starts nowhere else before that"
		}
		for _, off := range heart.Off {
			if off.Node == id {
				n.Fenced, n.Unclean = off.Words, ""
			}
		}
		for _, u := range heart.Pending.Unfenced {
			if u.Node == n.Name {
				n.Unclean = u.Words
			}
		}
		if id != a.self && p.Alive && p.Watchdog.Armed {
			n.Watchdog = fmt.Sprintf("armed, %v", p.Watchdog.Timeout)
		}
		if id == a.self && st.Pulse != nil {
			n.Watchdog = watchdogWords(st.Pulse.Watchdog)
			v, _, _ := a.peers.viewed()
			n.Clean = v.Clean
		}
	}
}

func (a *App) statusNodes(st *api.Status, root *cib.Node, voters []cib.NodeID, leader cib.NodeID) {
	votes := map[cib.NodeID]bool{}
	for _, v := range voters {
		votes[v] = true
	}
	for n := range root.Path("configuration", "nodes").Elements {
		id, _ := cib.ParseNodeID(n.ID())
		ns := api.NodeStatus{
			ID: uint64(id), Name: n.Attr("uname"), Voter: votes[id], Coordinator: id == leader,
			Standby: nodeAttr(n, "standby"), Maintenance: nodeAttr(n, "maintenance"), Witness: isWitness(n),
		}
		ns.State = a.nodeState(id, root)
		if id == a.self && st.Pulse != nil {
			ns.Realtime = st.Pulse.Realtime
		}
		st.Nodes = append(st.Nodes, ns)
	}
	sort.Slice(st.Nodes, func(i, j int) bool { return st.Nodes[i].ID < st.Nodes[j].ID })
}

func nodeAttr(n *cib.Node, name string) bool {
	for set := range n.Elements {
		for nv := range set.Elements {
			if nv.Attr("name") == name {
				yes, _ := cib.ParseBool(nv.Attr("value"))
				return yes
			}
		}
	}
	return false
}

// nodeState says in one word what a node is: what the pulse sees now goes
// before what the CIB remembers.
func (a *App) nodeState(id cib.NodeID, root *cib.Node) string {
	member := root.Child("status").ChildByID("node_state", id.String()).Attr("crmd") == "online"
	manager := node.Up
	quorate, _ := a.heart.obeys()
	if id != a.self {
		p := a.peers.get(id)
		if !p.Alive {
			// Heard or not by this node: the coordinator says who is a member.
			if l := a.store.Leadership().Leader; member && quorate && l != 0 && l != a.self && l != id && a.peers.alive(l) {
				return "online"
			}
			return "offline"
		}
		manager = p.Manager
	}
	switch {
	case manager == node.Down:
		return "manager down"
	case manager == node.Leaving:
		return "leaving"
	case id == a.self && !quorate:
		return "cut off"
	case !member || manager == node.Joining:
		return "joining"
	}
	return "online"
}

func (a *App) statusLinks(st *api.Status) {
	if st.Pulse == nil {
		return
	}
	for _, p := range st.Pulse.Peers {
		for i, l := range p.Links {
			st.Links = append(st.Links, api.LinkStatus{
				Peer: a.peerName(p.ID), Link: i + 1, Local: l.Local, Remote: l.Remote, Up: l.Up,
				RTT: l.RTT, Received: l.Received, Lost: l.Lost, Late: l.Late,
			})
		}
	}
}

func metaIs(res *cib.Node, name, value string) bool {
	for set := range res.Elements {
		if set.Name() != "meta_attributes" {
			continue
		}
		for nv := range set.Elements {
			if nv.Attr("name") == name {
				return strings.EqualFold(nv.Attr("value"), value)
			}
		}
	}
	return false
}

// failCount adds up the failures of a resource on all nodes.
func failCount(root *cib.Node, id string) int {
	total := 0
	for state := range root.Child("status").Elements {
		for nv := range state.Path("transient_attributes", "instance_attributes").Elements {
			name := nv.Attr("name")
			if !strings.HasPrefix(name, "fail-count-"+id+"#") && name != "fail-count-"+id {
				continue
			}
			n, err := strconv.Atoi(nv.Attr("value"))
			if err != nil {
				n = 1
			}
			total += n
		}
	}
	return total
}

// since is when the resource was started where it runs.
func since(root *cib.Node, id string, nodes []string) time.Time {
	var at time.Time
	for state := range root.Child("status").Elements {
		if len(nodes) == 0 || state.Attr("uname") != nodes[0] {
			continue
		}
		for op := range state.Path("lrm", "lrm_resources").ChildByID("lrm_resource", id).Elements {
			if sec, err := strconv.ParseInt(op.Attr("last-rc-change"), 10, 64); err == nil && op.Attr("operation") == agent.Start {
				at = time.Unix(sec, 0)
			}
		}
	}
	return at
}

// statusFailures lists the failed operations that the history still holds.
func statusFailures(root *cib.Node) []api.Failure {
	list := []api.Failure{}
	for state := range root.Child("status").Elements {
		for lrm := range state.Path("lrm", "lrm_resources").Elements {
			for op := range lrm.Elements {
				if strings.HasSuffix(op.ID(), "_last_failure_0") {
					list = append(list, failure(state.Attr("uname"), lrm.ID(), op))
				}
			}
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].When.After(list[j].When) })
	return list
}

var statusWords = map[string]string{"0": "done", "2": "timed out", "3": "not supported", "4": "error", "5": "error", "7": "not installed"}

func failure(node, resource string, op *cib.Node) api.Failure {
	code, _ := strconv.Atoi(op.Attr("rc-code"))
	sec, _ := strconv.ParseInt(op.Attr("last-rc-change"), 10, 64)
	ms, _ := strconv.ParseInt(op.Attr("exec-time"), 10, 64)
	return api.Failure{
		Resource: resource, Node: node, Action: op.Attr("operation"), Code: code,
		Status: statusWords[op.Attr("op-status")], Reason: op.Attr("exit-reason"), When: time.Unix(sec, 0), Duration: ms,
	}
}

// statusPending lists what the coordinator waits for; only it knows.
func statusPending(st *api.Status, p controller.Pending) {
	st.Pending = []api.Pending{}
	for i, act := range p.Actions {
		st.Pending = append(st.Pending, api.Pending{Transition: p.Transition, Action: act.Task, Resource: act.Resource, Node: act.Node, Since: p.Since[i]})
	}
}

// warnings are what a person should look at, worst first.
func (a *App) warnings(ctx context.Context, st *api.Status, root *cib.Node, t *scheduler.Transition) []string {
	var w []string
	for _, n := range st.Nodes {
		if n.State == "manager down" {
			w = append(w, fmt.Sprintf("the daemon on %s is down: what runs there runs on, unwatched, and is not moved; start it with systemctl start takt", n.Name))
		}
	}
	if !st.Fencing.Enabled {
		w = append(w, "fencing is disabled (stonith-enabled=false): a node that hangs without dying may run a resource twice")
	} else {
		v := a.fencing.view()
		w = append(w, v.findings(a.watchdogs(ctx), st.Time)...)
	}
	if st.Pulse == nil {
		w = append(w, "the heartbeat process does not answer")
	} else if p := st.Pulse; p.Refused != (link.Refusals{}) {
		if p.Refused.DuplicateNode > 0 {
			w = append(w, fmt.Sprintf("%d heartbeats came from a second node with an id that is taken, last from %s", p.Refused.DuplicateNode, p.Refused.LastFrom))
		}
		if n := p.Refused.BadKey + p.Refused.ForeignCluster + p.Refused.UnknownNode + p.Refused.Replayed + p.Refused.Truncated + p.Refused.Version; n > 0 {
			w = append(w, fmt.Sprintf("%d heartbeats were refused, the last from %s: %s", n, p.Refused.LastFrom, p.Refused.LastWhy))
		}
	}
	return append(w, t.Warnings...)
}

// activeNodes returns where any part of a resource is active now.
func activeNodes(t *scheduler.Transition, res *cib.Node) []string {
	var nodes []string
	eachAllocation(t, res, func(al *scheduler.Allocation) { nodes = union(nodes, al.From) })
	sort.Strings(nodes)
	return nodes
}

// futureNodes returns where the parts of a resource are to run.
func futureNodes(t *scheduler.Transition, res *cib.Node) []string {
	var nodes []string
	eachAllocation(t, res, func(al *scheduler.Allocation) {
		if al.Node != "" {
			nodes = union(nodes, []string{al.Node})
		}
	})
	return nodes
}

func allocationReason(t *scheduler.Transition, res *cib.Node) string {
	reason := "no node is left for it"
	eachAllocation(t, res, func(al *scheduler.Allocation) {
		if al.Reason != "" {
			reason = al.Reason
		}
	})
	return reason
}

func eachAllocation(t *scheduler.Transition, res *cib.Node, f func(*scheduler.Allocation)) {
	parts := map[string]bool{}
	for _, id := range primitives(res) {
		parts[id] = true
	}
	for i := range t.Allocations {
		if parts[baseName(t.Allocations[i].Resource)] {
			f(&t.Allocations[i])
		}
	}
}
