package whatif

import (
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// Quorum is what a failure does to the right to decide.
type Quorum string

// What can become of quorum.
const (
	Kept   Quorum = "kept"   // more than half of the votes are left
	Tie    Quorum = "tie"    // exactly half: the rest claims the cluster once it has fenced the lost nodes
	Broken Quorum = "lost"   // less than half, or half without a way to prove that the others are off
	Absent Quorum = "absent" // there was none before
	Nobody Quorum = "nobody" // no node is left
)

// failNodes writes what is known at the moment after nodes died.
func (s *Study) failNodes(root *cib.Node, dead []string) (*cib.Node, Quorum) {
	gone := map[string]bool{}
	for _, n := range dead {
		gone[n] = true
	}
	root = root.WithPath(func(status *cib.Node) *cib.Node {
		for n := range status.Elements {
			if gone[s.nameOf(n)] && n.Name() == "node_state" {
				status = status.WithReplaced(n, lost(n))
			}
		}
		return status
	}, "status")
	q := s.quorum(root, dead)
	switch q {
	case Broken:
		root = root.WithAttr("have-quorum", "0")
	case Kept, Tie:
		root = s.withCoordinator(root, gone)
	}
	return root, q
}

// lost is the state of a node that vanished without a word.
func lost(state *cib.Node) *cib.Node {
	state = state.WithAttr("in_ccm", "false").WithAttr("crmd", "offline").WithAttr("join", "down").WithAttr("expected", "member")
	if _, heartbeat := state.Lookup("ha"); heartbeat {
		state = state.WithAttr("ha", "dead")
	}
	return state
}

// withCoordinator makes the first node that is left the coordinator if the old one died.
func (s *Study) withCoordinator(root *cib.Node, gone map[string]bool) *cib.Node {
	names := memberNames(root)
	if !gone[names[root.Attr("dc-uuid")]] {
		return root
	}
	for _, n := range s.online {
		for id, name := range names {
			if name == n && !gone[n] {
				return root.WithAttr("dc-uuid", id)
			}
		}
	}
	return root
}

// nameOf is the name of the node that a node_state is about.
func (s *Study) nameOf(state *cib.Node) string {
	if name := state.Attr("uname"); name != "" {
		return name
	}
	return s.layout.nodes[state.ID()]
}

// quorum counts what is left. A vote is taken from a node only with proof that
// it is off: by fencing, or because it left in good order.
func (s *Study) quorum(root *cib.Node, dead []string) Quorum {
	left := len(s.online) - len(dead)
	had, _ := cib.ParseBool(root.Attr("have-quorum"))
	votes := len(s.online)
	for id := range s.layout.nodes {
		state := s.base.Root.Child("status").ChildByID("node_state", id)
		if state != nil && !up(state) && !(s.fence.enabled && state.Attr("expected") == "down") {
			votes++
		}
	}
	switch {
	case left <= 0:
		return Nobody
	case !had:
		return Absent
	case 2*left > votes:
		return Kept
	case 2*left < votes:
		return Broken
	}
	for _, n := range dead {
		if !s.fence.reaches(n) {
			return Broken
		}
	}
	return Tie
}

// failResource writes that the monitor of one active instance failed. noticed
// is false if no recurring monitor is configured that would have seen it.
func (s *Study) failResource(root *cib.Node, resource, node string) (after *cib.Node, noticed bool) {
	role := s.before[resource][node]
	name, interval, noticed := s.layout.monitor(resource, role)
	after = root.WithPath(func(status *cib.Node) *cib.Node {
		for n := range status.Elements {
			if n.Name() == "node_state" && s.nameOf(n) == node {
				return status.WithReplaced(n, s.withFailure(n, resource, name, interval, role))
			}
		}
		return status
	}, "status")
	return after, noticed
}

func (s *Study) withFailure(state *cib.Node, resource, operation string, interval int64, role scheduler.Role) *cib.Node {
	counted := resource
	state = state.WithPath(func(list *cib.Node) *cib.Node {
		lrm := historyOf(list, resource)
		if lrm == nil {
			return list
		}
		target := 0
		if role == scheduler.Promoted {
			target = 8
		}
		call := int64(0)
		for op := range lrm.Elements {
			n, _ := strconv.ParseInt(op.Attr("call-id"), 10, 64)
			call = max(call, n)
		}
		r := cib.OpRecord{Resource: lrm.ID(), Operation: operation, IntervalMS: interval, OnNode: state.Attr("uname"),
			TargetRC: target, RC: 1, Call: call + 1, ExitReason: "what if it failed", Changed: s.now}
		return list.WithReplaced(lrm, cib.MergeOp(lrm, r))
	}, "lrm", "lrm_resources")
	if base, _, numbered := strings.Cut(resource, ":"); numbered && !s.layout.unique[base] {
		counted = base
	}
	if !s.layout.countsByOperation {
		count, _ := strconv.Atoi(cib.NodeAttr(state, "fail-count-"+counted))
		state = cib.WithNodeAttr(state, "last-failure-"+counted, strconv.FormatInt(s.now.Unix(), 10))
		return cib.WithNodeAttr(state, "fail-count-"+counted, strconv.Itoa(count+1))
	}
	return cib.WithFailure(state, counted, operation, interval, false, s.now)
}

// historyOf finds a resource's history; old ones number anonymous instances.
func historyOf(list *cib.Node, resource string) *cib.Node {
	if r := list.ChildByID("lrm_resource", resource); r != nil {
		return r
	}
	for r := range list.Elements {
		if base, _, numbered := strings.Cut(r.ID(), ":"); numbered && base == resource {
			return r
		}
	}
	base, _, _ := strings.Cut(resource, ":")
	return list.ChildByID("lrm_resource", base)
}
