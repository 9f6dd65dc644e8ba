package cib

import "slices"

// Equal reports whether two elements say the same: name, attributes and all
// below in the same order. Where they stand in a source does not count.
func Equal(a, b *Node) bool {
	switch {
	case a == b:
		return true
	case a == nil || b == nil:
		return false
	case a.kind != b.kind || a.name != b.name || a.text != b.text || !slices.Equal(a.attrs, b.attrs):
		return false
	}
	return slices.EqualFunc(a.children, b.children, Equal)
}

// WithChildren returns a copy that has these children and no others.
func (n *Node) WithChildren(children []*Node) *Node {
	c := n.clone()
	c.children = children
	return c
}
