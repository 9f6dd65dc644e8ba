package cib

import "strings"

// ref is a node of the document in an evaluation: the node at a place of the
// index, or its attribute number attr, counted from 1. Refs order as the document.
type ref struct{ at, attr int32 }

func compareRef(a, b ref) int {
	if a.at != b.at {
		return int(a.at) - int(b.at)
	}
	return int(a.attr) - int(b.attr)
}

// indexed is a node in document order. Its subtree is what lies before end.
// Place 0 is the document itself, which has no Node.
type indexed struct {
	node   *Node
	parent int32
	end    int32
}

func indexTree(nodes []indexed, n *Node, parent int32) []indexed {
	at := int32(len(nodes))
	nodes = append(nodes, indexed{node: n, parent: parent})
	for _, c := range n.children {
		nodes = indexTree(nodes, c, at)
	}
	nodes[at].end = int32(len(nodes))
	return nodes
}

// axis is a direction of a step. Positions on parent, ancestor and preceding
// axes count against the document's order: walk yields them so.
type axis uint8

const (
	childAxis axis = iota
	descendantAxis
	parentAxis
	ancestorAxis
	followingSiblingAxis
	precedingSiblingAxis
	followingAxis
	precedingAxis
	attributeAxis
	namespaceAxis
	selfAxis
	descendantOrSelfAxis
	ancestorOrSelfAxis
)

var axes = map[string]axis{
	"child": childAxis, "descendant": descendantAxis, "parent": parentAxis, "ancestor": ancestorAxis,
	"following-sibling": followingSiblingAxis, "preceding-sibling": precedingSiblingAxis,
	"following": followingAxis, "preceding": precedingAxis, "attribute": attributeAxis,
	"namespace": namespaceAxis, "self": selfAxis, "descendant-or-self": descendantOrSelfAxis,
	"ancestor-or-self": ancestorOrSelfAxis,
}

type testKind uint8

const (
	anyNode testKind = iota
	anyName          // *
	oneName
	prefixName // name is the prefix with its colon
	textTest
	commentTest
	instructionTest
)

type nodeTest struct {
	kind testKind
	name string
}

// matches tests a node; a name tests what the axis is made of: attributes on
// the attribute axis, elements on all others.
func (t nodeTest) matches(ev *evaluator, r ref, a axis) bool {
	if t.kind == anyNode {
		return true
	}
	n := ev.nodes[r.at].node
	if r.attr > 0 {
		return a == attributeAxis && t.matchesName(n.attrs[r.attr-1].Name)
	}
	switch {
	case n == nil || a == attributeAxis:
		return false
	case t.kind == textTest:
		return n.kind == textKind
	case t.kind == commentTest:
		return n.kind == commentKind
	case t.kind == instructionTest:
		return n.kind == instructionKind && (t.name == "" || t.name == instructionTarget(n))
	}
	return n.kind == elementKind && t.matchesName(n.name)
}

func instructionTarget(n *Node) string {
	target, _, _ := strings.Cut(n.text, " ")
	return target
}

func (t nodeTest) matchesName(name string) bool {
	switch t.kind {
	case anyName:
		return true
	case oneName:
		return name == t.name
	case prefixName:
		return strings.HasPrefix(name, t.name)
	}
	return false
}

// walk calls yield for each node of an axis, in the axis' own order.
func (ev *evaluator) walk(r ref, a axis, yield func(ref) bool) {
	if r.attr > 0 {
		ev.walkFromAttr(r, a, yield)
		return
	}
	at, nodes := r.at, ev.nodes
	switch a {
	case selfAxis:
		yield(r)
	case childAxis:
		ev.siblings(at+1, nodes[at].end, yield)
	case descendantAxis:
		ev.span(at+1, nodes[at].end, yield)
	case descendantOrSelfAxis:
		ev.span(at, nodes[at].end, yield)
	case followingAxis:
		ev.span(nodes[at].end, int32(len(nodes)), yield)
	case followingSiblingAxis:
		if at > 0 {
			ev.siblings(nodes[at].end, nodes[nodes[at].parent].end, yield)
		}
	case precedingSiblingAxis:
		ev.precedingSiblings(at, yield)
	case precedingAxis:
		ev.preceding(at, yield)
	case attributeAxis:
		ev.attributes(at, yield)
	default:
		ev.upward(at, a, yield)
	}
}

// walkFromAttr is walk for an attribute: it has a parent but is no child of it.
func (ev *evaluator) walkFromAttr(r ref, a axis, yield func(ref) bool) {
	owner := ref{at: r.at}
	switch a {
	case selfAxis, descendantOrSelfAxis:
		yield(r)
	case parentAxis:
		yield(owner)
	case ancestorAxis:
		ev.walk(owner, ancestorOrSelfAxis, yield)
	case ancestorOrSelfAxis:
		if yield(r) {
			ev.walk(owner, ancestorOrSelfAxis, yield)
		}
	case followingAxis:
		ev.span(r.at+1, int32(len(ev.nodes)), yield)
	case precedingAxis:
		ev.preceding(r.at, yield)
	}
}

func (ev *evaluator) span(from, to int32, yield func(ref) bool) {
	for i := from; i < to && ev.spend(1) && yield(ref{at: i}); i++ {
	}
}

// siblings goes from sibling to sibling.
func (ev *evaluator) siblings(from, to int32, yield func(ref) bool) {
	for i := from; i < to && ev.spend(1) && yield(ref{at: i}); i = ev.nodes[i].end {
	}
}

func (ev *evaluator) precedingSiblings(at int32, yield func(ref) bool) {
	if at == 0 {
		return
	}
	var before []ref
	ev.siblings(ev.nodes[at].parent+1, at, func(r ref) bool {
		before = append(before, r)
		return true
	})
	for i := len(before) - 1; i >= 0 && yield(before[i]); i-- {
	}
}

// preceding visits what ends before the node starts, so no ancestors.
func (ev *evaluator) preceding(at int32, yield func(ref) bool) {
	for i := at - 1; i > 0 && ev.spend(1); i-- {
		if ev.nodes[i].end <= at && !yield(ref{at: i}) {
			return
		}
	}
}

func (ev *evaluator) attributes(at int32, yield func(ref) bool) {
	n := ev.nodes[at].node
	if n == nil {
		return
	}
	for i := range n.attrs {
		if !ev.spend(1) || !yield(ref{at, int32(i + 1)}) {
			return
		}
	}
}

func (ev *evaluator) upward(at int32, a axis, yield func(ref) bool) {
	if a == namespaceAxis {
		return
	}
	if a == ancestorOrSelfAxis && !yield(ref{at: at}) {
		return
	}
	for at > 0 && ev.spend(1) {
		at = ev.nodes[at].parent
		if !yield(ref{at: at}) || a == parentAxis {
			return
		}
	}
}
