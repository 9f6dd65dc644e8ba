// Package whatif tries failures on paper: every node, every pair of nodes and
// every active resource fails in turn, the scheduler decides, the decisions are
// carried out (package simulate) until nothing is left to do, and what came of
// it is compared with the cluster before. The result tells what would not run,
// what would move, what would be fenced, and what is a single point of failure.
//
// A Study is made once and then only read, so that its scenarios can be tried
// by several goroutines at once. Each shares with the others all of the
// document that the failure does not touch.
package whatif

import (
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/simulate"
)

// Kind is what fails in a scenario.
type Kind string

// The kinds of scenarios.
const (
	Node     Kind = "node"     // one node dies
	Pair     Kind = "pair"     // two nodes die at the same moment
	Resource Kind = "resource" // one active instance of a resource fails its monitor
)

// Scenario is one thing to try.
type Scenario struct {
	Kind     Kind     `json:"kind"`
	Nodes    []string `json:"nodes"`              // that die; of a resource: where it is active
	Resource string   `json:"resource,omitempty"` // the instance that fails
}

// Study is a cluster about which questions are asked. It is immutable.
type Study struct {
	now    time.Time
	base   *simulate.Course // the cluster when it has done what it is about to do
	before scheduler.Placement
	layout *layout
	fence  fencing
	online []string // members that are up, in natural order
}

// New prepares a study of the cluster described by root at a time. Failures
// are tried on the cluster as it is once it has done what is due now.
func New(root *cib.Node, now time.Time) *Study {
	s := &Study{now: now, layout: newLayout(root), fence: readFencing(root)}
	s.base = simulate.Follow(root, now, s.fence.impossible)
	s.before = scheduler.Placements(s.base.Root, now)
	members := memberNames(root)
	for n := range s.base.Root.Child("status").Elements {
		if up(n) && members[n.ID()] != "" {
			s.online = append(s.online, members[n.ID()])
		}
	}
	slices.SortFunc(s.online, naturalCompare)
	return s
}

// memberNames maps ids to names of the nodes that run the cluster's own daemon.
func memberNames(root *cib.Node) map[string]string {
	names := map[string]string{}
	for n := range root.Path("configuration", "nodes").Elements {
		if n.Name() == "node" && n.Attr("type") != "remote" {
			names[n.ID()] = n.Attr("uname")
		}
	}
	return names
}

// up reports whether a node_state says that its node is a member of the cluster.
func up(state *cib.Node) bool {
	for _, name := range []string{"in_ccm", "crmd"} {
		switch v := state.Attr(name); v {
		case "", "0", "false", "offline":
			return false
		} // true, online, or since when, as newer releases write
	}
	return state.Name() == "node_state"
}

// Scenarios lists what can fail: single nodes, then resources, then, if asked
// for, pairs of nodes that leave at least one node.
func (s *Study) Scenarios(pairs bool) []Scenario {
	var list []Scenario
	for _, n := range s.online {
		list = append(list, Scenario{Kind: Node, Nodes: []string{n}})
	}
	names := make([]string, 0, len(s.before))
	for r := range s.before {
		names = append(names, r)
	}
	slices.SortFunc(names, naturalCompare)
	for _, r := range names {
		if s.layout.skips(r) {
			continue
		}
		nodes := make([]string, 0, len(s.before[r]))
		for n := range s.before[r] {
			nodes = append(nodes, n)
		}
		slices.SortFunc(nodes, naturalCompare)
		for _, n := range nodes {
			list = append(list, Scenario{Kind: Resource, Resource: r, Nodes: []string{n}})
		}
	}
	if !pairs || len(s.online) < 3 {
		return list
	}
	for i, a := range s.online {
		for _, b := range s.online[i+1:] {
			list = append(list, Scenario{Kind: Pair, Nodes: []string{a, b}})
		}
	}
	return list
}

// Try plays a scenario to its end.
func (s *Study) Try(sc Scenario) Outcome {
	o := Outcome{Scenario: sc, Quorum: Kept, Settled: true}
	root := s.base.Root
	if sc.Kind == Resource {
		var noticed bool
		root, noticed = s.failResource(root, sc.Resource, sc.Nodes[0])
		o.Unnoticed = !noticed
	} else {
		root, o.Quorum = s.failNodes(root, sc.Nodes)
	}
	if o.Quorum == Nobody {
		for _, u := range s.units(s.before) {
			if len(u.nodes) > 0 {
				o.Lost = append(o.Lost, s.loss(u, nil, "no node is left"))
			}
		}
		o.Lost = s.join(o.Lost)
		o.weigh()
		return o
	}
	course := simulate.Follow(root, s.now, s.fence.impossible)
	o.Settled = course.Settled
	s.compare(&o, course)
	o.weigh()
	return o
}

// Idle lists, in natural order, the configured resources that run nowhere
// although nothing has failed, each with the scheduler's reason.
func (s *Study) Idle() []Loss {
	var list []Loss
	active := map[string]bool{}
	for r, nodes := range s.before {
		if len(nodes) > 0 {
			active[s.layout.top(r)] = true
		}
	}
	for i := range s.base.Last.Allocations {
		a := &s.base.Last.Allocations[i]
		top := s.layout.top(a.Resource)
		if active[top] || s.layout.skips(a.Resource) {
			continue
		}
		active[top] = true
		why := bare(a)
		if a.Node != "" && !a.Blocked && len(s.base.Refused) > 0 {
			why = s.base.Refused[0].Node + " cannot be fenced"
		}
		list = append(list, Loss{Resource: top, Priority: s.layout.priority[top], Why: why})
	}
	slices.SortFunc(list, func(a, b Loss) int { return naturalCompare(a.Resource, b.Resource) })
	return list
}
