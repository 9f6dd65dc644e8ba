package chaos

import (
	"maps"
	"slices"
)

// network is what the test has done to the nodes and their cables, so that it
// knows who can hear whom without asking anybody.
type network struct {
	nodes []string
	links int
	down  map[string]bool
	cuts  map[cut]bool
}

// cut is a pulled cable (from is empty), or one direction between two nodes, on
// one link.
type cut struct {
	from, node string
	link       int
}

func newNetwork(nodes []string, links int) *network {
	return &network{nodes: nodes, links: links, down: map[string]bool{}, cuts: map[cut]bool{}}
}

func (n *network) clone() *network {
	c := *n
	c.down, c.cuts = maps.Clone(n.down), maps.Clone(n.cuts)
	return &c
}

// equal compares by what is down and what is cut.
func (n *network) equal(o *network) bool {
	return slices.Equal(n.running(), o.running()) && maps.Equal(n.cuts, o.cuts)
}

// pull pulls a node's cable on a link, or (0) all of them.
func (n *network) pull(node string, link int) {
	for k := 1; k <= n.links; k++ {
		if link == 0 || link == k {
			n.cuts[cut{node: node, link: k}] = true
		}
	}
}

// drop drops what from sends to node on a link, or (0) all of them.
func (n *network) drop(from, node string, link int) {
	for k := 1; k <= n.links; k++ {
		if link == 0 || link == k {
			n.cuts[cut{from: from, node: node, link: k}] = true
		}
	}
}

// heal takes back every cut that concerns a node; "" means all.
func (n *network) heal(node string) {
	for c := range n.cuts {
		if node == "" || c.node == node || c.from == node {
			delete(n.cuts, c)
		}
	}
}

// hears reports whether something that from sends arrives at node.
func (n *network) hears(node, from string) bool {
	if n.down[node] || n.down[from] {
		return false
	}
	for k := 1; k <= n.links; k++ {
		if !n.cuts[cut{node: node, link: k}] && !n.cuts[cut{node: from, link: k}] && !n.cuts[cut{from: from, node: node, link: k}] {
			return true
		}
	}
	return false
}

// contacts are the nodes in mutual contact with a node, itself included.
func (n *network) contacts(node string) []string {
	var list []string
	for _, other := range n.nodes {
		if other == node && !n.down[node] || other != node && n.hears(node, other) && n.hears(other, node) {
			list = append(list, other)
		}
	}
	return list
}

// quorate reports whether a node is in contact with a majority.
func (n *network) quorate(node string) bool { return 2*len(n.contacts(node)) > len(n.nodes) }

// running are the nodes that are on.
func (n *network) running() []string {
	return slices.DeleteFunc(slices.Clone(n.nodes), func(name string) bool { return n.down[name] })
}
