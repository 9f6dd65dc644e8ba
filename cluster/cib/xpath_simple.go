package cib

import "slices"

// Most expressions that a running cluster uses name the way to one element:
// /cib/status/node_state[@id='3']. They are followed on the tree itself,
// without an index of the whole document.

// simpleTest is a step that such a path takes: a name and attributes' values.
type simpleTest struct {
	name  string
	attrs []Attr
}

func (t simpleTest) matches(n *Node) bool {
	if n.kind != elementKind || n.name != t.name {
		return false
	}
	for _, a := range t.attrs {
		if v, ok := n.Lookup(a.Name); !ok || v != a.Value {
			return false
		}
	}
	return true
}

// simple returns the steps if the expression is of that form.
func (x *XPath) simple() ([]simpleTest, bool) {
	path, ok := x.root.(pathExpr)
	if !ok || !path.absolute || len(path.steps) == 0 {
		return nil, false
	}
	var out []simpleTest
	for _, s := range path.steps {
		if s.axis != childAxis || s.test.kind != oneName {
			return nil, false
		}
		t := simpleTest{name: s.test.name}
		for _, p := range s.predicates {
			if !t.add(p) {
				return nil, false
			}
		}
		out = append(out, t)
	}
	return out, true
}

// add takes a predicate @name='value', or several of them joined by and.
func (t *simpleTest) add(p expr) bool {
	b, ok := p.(binaryExpr)
	switch {
	case !ok:
		return false
	case b.op == "and":
		return t.add(b.left) && t.add(b.right)
	case b.op != "=":
		return false
	}
	attr, ok := b.left.(pathExpr)
	value, isConst := b.right.(constExpr)
	if !ok || !isConst || value.v.kind != String || attr.absolute || attr.from != nil || len(attr.steps) != 1 {
		return false
	}
	s := attr.steps[0]
	if s.axis != attributeAxis || s.test.kind != oneName || len(s.predicates) > 0 {
		return false
	}
	t.attrs = append(t.attrs, Attr{s.test.name, value.v.str})
	return true
}

// descend calls found with the chain from the root to each element that the
// tests lead to. The chain is only valid during the call.
func descend(chain []*Node, n *Node, tests []simpleTest, found func(chain []*Node)) {
	if n == nil || !tests[0].matches(n) {
		return
	}
	chain = append(chain, n)
	if len(tests) == 1 {
		found(chain)
		return
	}
	for _, c := range n.children {
		descend(chain, c, tests[1:], found)
	}
}

// chains returns for each selected element the way from the root to it.
func (x *XPath) chains(root *Node) ([][]*Node, error) {
	var out [][]*Node
	if tests, ok := x.simple(); ok {
		descend(nil, root, tests, func(chain []*Node) { out = append(out, slices.Clone(chain)) })
		return out, nil
	}
	ev, set, err := x.elements(root)
	if err != nil {
		return nil, err
	}
	for _, r := range set {
		out = append(out, ev.chain(r))
	}
	return out, nil
}
