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
	"github.com/takt-ha/takt/cluster/link"
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
	pulse, err := a.pulse.Status(ctx)
	if err == nil {
		st.Pulse = &pulse
	}
	a.statusQuorum(st, state.Voters, lead.Leader != 0)
	a.statusNodes(st, root, state.Voters, lead.Leader)
	a.statusLinks(st)
	t := scheduler.Schedule(root, st.Time)
	st.Resources = statusResources(root, t, st.Time)
	st.Failures = statusFailures(root)
	a.statusPending(st)
	st.Warnings = a.warnings(st, root, t)
	return st, nil
}

func (a *App) statusQuorum(st *api.Status, voters []cib.NodeID, led bool) {
	st.Quorum.Quorate, st.Quorum.Reason = a.peers.standing()
	if st.Quorum.Quorate && st.Pulse != nil {
		st.Quorum.Reason = st.Pulse.Reason // newer than the last change of the standing
	}
	if st.Quorum.Quorate && !led {
		st.Quorum.Quorate, st.Quorum.Reason = false, st.Quorum.Reason+"; no coordinator has been elected yet"
	}
	for _, v := range voters {
		st.Quorum.Voters = append(st.Quorum.Voters, a.peerName(v))
		if v == a.self || a.peers.get(v).Alive {
			st.Quorum.Alive = append(st.Quorum.Alive, a.peerName(v))
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
			Standby: nodeAttr(n, "standby"), Maintenance: nodeAttr(n, "maintenance"),
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
	manager := link.ManagerUp
	if id != a.self {
		p := a.peers.get(id)
		if !p.Alive {
			return "offline"
		}
		manager = p.Manager
	}
	quorate, _ := a.peers.standing()
	switch {
	case manager == link.ManagerDown:
		return "manager down"
	case manager == link.ManagerLeaving:
		return "leaving"
	case id == a.self && !quorate:
		return "cut off"
	case !member || manager == link.ManagerJoining:
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
func (a *App) statusPending(st *api.Status) {
	p := a.control.Pending()
	st.Pending = []api.Pending{}
	for i, act := range p.Actions {
		st.Pending = append(st.Pending, api.Pending{Transition: p.Transition, Action: act.Task, Resource: act.Resource, Node: act.Node, Since: p.Since[i]})
	}
}

// warnings are what a person should look at, worst first.
func (a *App) warnings(st *api.Status, root *cib.Node, t *scheduler.Transition) []string {
	var w []string
	if !st.Quorum.Quorate {
		w = append(w, "no quorum: "+st.Quorum.Reason)
	}
	for _, n := range st.Nodes {
		if n.State == "manager down" {
			w = append(w, fmt.Sprintf("the daemon on %s is down: what runs there runs on, unwatched, and is not moved; start it with systemctl start takt", n.Name))
		}
	}
	if fencing, ok := cib.ParseBool(option(root, "stonith-enabled")); ok && !fencing {
		w = append(w, "fencing is disabled (stonith-enabled=false): a node that hangs without dying may run a resource twice")
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
