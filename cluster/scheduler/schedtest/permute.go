package schedtest

import (
	"math/rand/v2"

	"github.com/takt-ha/takt/cluster/cib"
)

// Siblings is a set of kinds of elements whose order Permute changes.
type Siblings uint

// The kinds of siblings.
const (
	Nodes      Siblings = 1 << iota // <node>
	NodeStates                      // <node_state>; it has a meaning: instances of clones are numbered as they are met
	Pairs                           // <nvpair> in one set
	Kinds                           // constraints of different kinds, each kind in its own order
	Histories                       // <lrm_resource> of a node; it has a meaning for instances that nobody wants
	Operations                      // <lrm_rsc_op> of a resource
	Ops                             // <op> of a resource
	// Meaningless are those whose order means nothing to crm_simulate.
	Meaningless = Nodes | Pairs | Kinds | Operations | Ops
)

// Permute returns a document in which siblings of some kinds stand in another
// order.
func Permute(root *cib.Node, seed uint64, what Siblings) *cib.Node {
	r := rand.New(rand.NewPCG(seed, 1))
	return permute(root, r, what)
}

func permute(n *cib.Node, r *rand.Rand, what Siblings) *cib.Node {
	var list []*cib.Node
	bare := n
	for c := range n.Elements {
		list = append(list, permute(c, r, what))
		bare = bare.WithReplaced(c, nil)
	}
	if len(list) == 0 {
		return n
	}
	all := func(name string) bool {
		for _, c := range list {
			if c.Name() != name {
				return false
			}
		}
		return true
	}
	swap := func(i, j int) { list[i], list[j] = list[j], list[i] }
	for _, k := range []struct {
		kind   Siblings
		parent string
		child  string
	}{{Nodes, "nodes", "node"}, {NodeStates, "status", "node_state"}, {Histories, "lrm_resources", "lrm_resource"},
		{Operations, "lrm_resource", "lrm_rsc_op"}, {Ops, "operations", "op"}, {Pairs, "", "nvpair"}} {
		if what&k.kind != 0 && (k.parent == "" || n.Name() == k.parent) && all(k.child) {
			r.Shuffle(len(list), swap)
		}
	}
	if what&Kinds != 0 && n.Name() == "constraints" {
		list = interleave(list, r)
	}
	return bare.WithChild(list...)
}

// interleave mixes elements of different names, those of one name in order.
func interleave(list []*cib.Node, r *rand.Rand) []*cib.Node {
	places := make([]*cib.Node, len(list))
	for i, at := range r.Perm(len(list)) {
		places[at] = list[i]
	}
	queues := map[string][]*cib.Node{}
	for _, c := range list {
		queues[c.Name()] = append(queues[c.Name()], c)
	}
	for i, c := range places {
		q := queues[c.Name()]
		places[i], queues[c.Name()] = q[0], q[1:]
	}
	return places
}
