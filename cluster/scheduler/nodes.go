package scheduler

import (
	"slices"
	"sort"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
)

// unpackNodes reads the members of the configuration and their attributes.
func (w *working) unpackNodes() {
	for n := range w.root.Path("configuration", "nodes").Elements {
		if n.Name() != "node" {
			continue
		}
		kind := member
		switch n.Attr("type") {
		case "", "member", "normal":
		case "remote":
			kind = remoteNode
		default: // ping nodes of Heartbeat run nothing
			continue
		}
		m := w.newNode(n.ID(), firstOf(n.Attr("uname"), n.ID()), kind)
		if m == nil {
			w.warn("there is more than one node " + n.Attr("uname") + ": all but the first are ignored")
			continue
		}
		s, _ := cib.ParseScore(n.Attr("score"))
		m.weight = Score(s)
		w.expectFencing(m)
		w.addNodeAttrs(m, n, false)
	}
}

// newNode makes a node (sorted into w.nodes); symmetric clusters allow every
// resource there as soon as the resource is unpacked. nil if the name is taken.
func (w *working) newNode(id, name string, kind nodeKind) *node {
	if w.nodeByName[name] != nil {
		return nil
	}
	n := &node{index: w.nodeCount, id: id, name: name, kind: kind, attrs: map[string]string{}, folded: strings.ToLower(name)}
	n.attrs["#kind"] = "cluster"
	if kind == remoteNode {
		n.attrs["#kind"] = "remote"
		w.haveRemote = true
	}
	w.nodeCount++
	w.nodeByName[name] = n
	if w.nodeByID[id] == nil {
		w.nodeByID[id] = n
	}
	at := sort.Search(len(w.nodes), func(i int) bool { return n.sortsBefore(w.nodes[i]) })
	w.nodes = slices.Insert(w.nodes, at, n)
	return n
}

// expectFencing: where nodes are fenced, one counts as unclean until its state
// has been seen.
func (w *working) expectFencing(n *node) {
	if n.kind == remoteNode && n.connection == nil {
		return
	}
	n.unclean, n.unseen = w.options.fencing && w.options.startupFencing, true
}

// addNodeAttrs adds the attributes and capacities in owner (a node element or
// the transient attributes of its state); overwrite: they replace what is there.
func (w *working) addNodeAttrs(n *node, owner *cib.Node, overwrite bool) {
	n.attrs["#uname"], n.attrs["#id"] = n.name, n.id
	n.dc = n.dc || n.id == w.root.Attr("dc-uuid")
	if n.attrs["#is_dc"] = "false"; n.dc {
		w.dc, n.attrs["#is_dc"] = n, "true"
	}
	if w.options.name != "" {
		n.attrs["#cluster-name"] = w.options.name
	}
	c := rule.Context{View: w.view, Now: w.now}
	for _, p := range c.Merge(nil, owner, "instance_attributes", rule.Options{Overwrite: overwrite}) {
		if _, there := n.attrs[p.Name]; !there || overwrite {
			n.attrs[p.Name] = p.Value
		}
	}
	for _, p := range c.Merge(nil, owner, "utilization", rule.Options{Overwrite: overwrite}) {
		if _, there := n.utilization[p.Name]; there && !overwrite {
			continue
		}
		if n.utilization == nil {
			n.utilization = map[string]int{}
		}
		n.utilization[p.Name] = capacity(atoi(p.Value))
	}
	w.recheckAt(c.Change)
	if n.attrs["#site-name"] == "" {
		if site := firstOf(n.attrs["site-name"], w.options.name); site != "" {
			n.attrs["#site-name"] = site
		}
	}
}

// sortsBefore orders nodes by name; those whose names differ in nothing but case
// and leading zeros by the letters.
func (n *node) sortsBefore(other *node) bool {
	if naturalLess(n.folded, other.folded) {
		return true
	}
	return !naturalLess(other.folded, n.folded) && n.name < other.name
}

// naturalLess orders folded names with numbers in them by their value: n2 before n10.
func naturalLess(x, y string) bool {
	for x != "" && y != "" {
		dx, dy := leadingDigits(x), leadingDigits(y)
		if dx > 0 && dy > 0 {
			m, n := strings.TrimLeft(x[:dx], "0"), strings.TrimLeft(y[:dy], "0")
			if m != n {
				return len(m) < len(n) || len(m) == len(n) && m < n
			}
			x, y = x[dx:], y[dy:]
			continue
		}
		if x[0] != y[0] {
			return x[0] < y[0]
		}
		x, y = x[1:], y[1:]
	}
	return len(x) < len(y)
}

func leadingDigits(s string) int {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}

// findRemoteNodes makes the nodes that resources of the configuration will
// connect to (remote nodes, guests of remote-node meta attributes), before any
// resource is read.
func (w *working) findRemoteNodes() {
	for r := range w.root.Path("configuration", "resources").Elements {
		switch {
		case isRemoteConnection(r):
			w.newRemoteNode(r.ID())
		case r.Name() == "primitive":
			w.newRemoteNode(guestName(r))
		case r.Name() == "group":
			for p := range r.Elements {
				if p.Name() == "primitive" {
					w.newRemoteNode(guestName(p))
				}
			}
		}
	}
}

func (w *working) newRemoteNode(name string) {
	if name != "" {
		w.newNode(name, name, remoteNode)
	}
}

// isRemoteConnection reports whether a primitive element is the connection to a
// remote node.
func isRemoteConnection(r *cib.Node) bool {
	return r.Name() == "primitive" && r.Attr("class") == "ocf" && r.Attr("provider") == "pacemaker" && r.Attr("type") == "remote"
}

// guestName is the node that a primitive (a virtual machine) brings in by its
// meta attribute remote-node, "" if none.
func guestName(r *cib.Node) string {
	for set := range r.Elements {
		if set.Name() != "meta_attributes" {
			continue
		}
		for nv := range set.Elements {
			if nv.Attr("name") == "remote-node" {
				return nv.Attr("value")
			}
		}
	}
	return ""
}

// linkRemoteNodes ties each connection resource to its node.
func (w *working) linkRemoteNodes() {
	for _, top := range w.resources {
		for r := range top.primitives {
			n := w.nodeByName[r.id]
			if !r.isRemoteConn || n == nil {
				continue
			}
			w.linkRemoteNode(r, n)
		}
	}
}

func (w *working) linkRemoteNode(r *resource, n *node) {
	n.connection = r
	if r.container == nil {
		w.expectFencing(n)
	} else {
		n.attrs["#kind"] = "container"
	}
}

// nodeAttr is a node's attribute as rules, colocations and scores see it
// ("#uname" and so on are built in); of a guest's or bundle's host where the
// resource r (may be nil) asks for that (container-attribute-target).
func (w *working) nodeAttr(n *node, name string, r *resource) (string, bool) {
	if n == nil {
		return "", false
	}
	if r != nil && n.connection != nil && n.connection.container != nil && r.metaOf("container-attribute-target") == "host" {
		host := n.connection.container.current()
		if host == nil {
			return "", false
		}
		n = host
	}
	v, ok := n.attrs[name]
	return v, ok
}
