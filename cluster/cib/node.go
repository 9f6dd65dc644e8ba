// Package cib is the cluster information base: one XML document that holds the
// configuration, the nodes' state and the history of operations.
//
// The document is a persistent tree: a Node never changes once built. A change
// copies the path from the changed element to the root and shares the rest, so
// readers need no lock, a diff skips shared subtrees by pointer, and views can
// be cached by node identity.
package cib

import "strconv"

// NodeID identifies a cluster member: the id attribute of its <node> element.
// It is never used twice in the life of a cluster; 0 is no node.
type NodeID uint64

// String prints the id in decimal.
func (id NodeID) String() string { return strconv.FormatUint(uint64(id), 10) }

// ParseNodeID parses a node's id attribute: a positive decimal number.
func ParseNodeID(s string) (NodeID, bool) {
	id, err := strconv.ParseUint(s, 10, 64)
	return NodeID(id), err == nil && id > 0
}

// Attr is one attribute of an element.
type Attr struct{ Name, Value string }

// Node is one XML element, immutable. The nil *Node is an absent element: its
// accessors return zero values, so that lookups chain.
type Node struct {
	name     string
	attrs    []Attr  // document order; names are unique
	children []*Node // elements, and comments and text as nodes with a kind
	kind     nodeKind
	text     string // of comments, character data and processing instructions
	line     int32  // line in the source it was parsed from, 0 if made here
}

type nodeKind uint8

const (
	elementKind nodeKind = iota
	commentKind
	textKind
	instructionKind // a processing instruction: text is what stands between <? and ?>
)

// Name returns the element's name.
func (n *Node) Name() string {
	if n == nil {
		return ""
	}
	return n.name
}

// Line returns the line in the source that the element was parsed from, 0 if unknown.
func (n *Node) Line() int {
	if n == nil {
		return 0
	}
	return int(n.line)
}

// Lookup returns an attribute's value and whether it is there.
func (n *Node) Lookup(name string) (string, bool) {
	if n == nil {
		return "", false
	}
	for i := range n.attrs {
		if n.attrs[i].Name == name {
			return n.attrs[i].Value, true
		}
	}
	return "", false
}

// Attr returns an attribute's value, "" if it is absent.
func (n *Node) Attr(name string) string {
	v, _ := n.Lookup(name)
	return v
}

// ID returns the id attribute.
func (n *Node) ID() string { return n.Attr("id") }

// Attrs returns the attributes in document order; the slice must not be changed.
func (n *Node) Attrs() []Attr {
	if n == nil {
		return nil
	}
	return n.attrs
}

// Elements calls yield for each child element in document order; it is an
// iterator: for child := range n.Elements.
func (n *Node) Elements(yield func(*Node) bool) {
	if n == nil {
		return
	}
	for _, c := range n.children {
		if c.kind == elementKind && !yield(c) {
			return
		}
	}
}

// Child returns the first child element of that name, nil if there is none.
func (n *Node) Child(name string) *Node {
	for c := range n.Elements {
		if c.name == name {
			return c
		}
	}
	return nil
}

// ChildByID returns the child element of that name and id, nil if there is none.
func (n *Node) ChildByID(name, id string) *Node {
	for c := range n.Elements {
		if c.name == name && c.ID() == id {
			return c
		}
	}
	return nil
}

// Path descends by element names: root.Path("configuration", "resources").
func (n *Node) Path(names ...string) *Node {
	for _, name := range names {
		n = n.Child(name)
	}
	return n
}

// NewNode makes an element from attribute name/value pairs; pairs with an
// empty value are left out.
func NewNode(name string, pairs ...string) *Node {
	n := &Node{name: name}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			n.attrs = append(n.attrs, Attr{pairs[i], pairs[i+1]})
		}
	}
	return n
}

func (n *Node) clone() *Node {
	c := *n
	return &c
}

// WithAttr returns a copy with the attribute set.
func (n *Node) WithAttr(name, value string) *Node {
	c := n.clone()
	c.attrs = append([]Attr(nil), n.attrs...)
	for i := range c.attrs {
		if c.attrs[i].Name == name {
			c.attrs[i].Value = value
			return c
		}
	}
	c.attrs = append(c.attrs, Attr{name, value})
	return c
}

// WithoutAttr returns a copy without the attribute.
func (n *Node) WithoutAttr(name string) *Node {
	c := n.clone()
	c.attrs = nil
	for _, a := range n.attrs {
		if a.Name != name {
			c.attrs = append(c.attrs, a)
		}
	}
	return c
}

// WithChild returns a copy with child appended.
func (n *Node) WithChild(child ...*Node) *Node {
	c := n.clone()
	c.children = append(append([]*Node(nil), n.children...), child...)
	return c
}

// WithReplaced returns a copy in which the child identical to old is
// replaced by repl, or removed where repl is nil.
func (n *Node) WithReplaced(old, repl *Node) *Node {
	c := n.clone()
	c.children = make([]*Node, 0, len(n.children))
	for _, ch := range n.children {
		switch {
		case ch != old:
			c.children = append(c.children, ch)
		case repl != nil:
			c.children = append(c.children, repl)
		}
	}
	return c
}

// WithPath returns a copy in which the element reached by names is what edit
// returns for it; missing elements on the way are made. edit gets an empty
// element where there was none, and removes it by returning nil.
func (n *Node) WithPath(edit func(*Node) *Node, names ...string) *Node {
	if len(names) == 0 {
		return edit(n)
	}
	child := n.Child(names[0])
	if child == nil {
		made := NewNode(names[0]).WithPath(edit, names[1:]...)
		if made == nil {
			return n
		}
		return n.WithChild(made)
	}
	return n.WithReplaced(child, child.WithPath(edit, names[1:]...))
}
