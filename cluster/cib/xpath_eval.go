package cib

import (
	"math"
	"slices"
)

// evaluator is one evaluation: the document in order, since a Node knows no
// parent, and what is left of the budget. Once that is below zero every loop
// ends, and the result is worth nothing.
type evaluator struct {
	nodes  []indexed
	budget int
}

func newEvaluator(root *Node, budget int) *evaluator {
	ev := &evaluator{nodes: []indexed{{}}, budget: budget}
	if root != nil {
		ev.nodes = indexTree(ev.nodes, root, 0)
	}
	ev.nodes[0].end = int32(len(ev.nodes))
	return ev
}

// spend reports whether the budget allowed it.
func (ev *evaluator) spend(n int) bool {
	ev.budget -= n
	return ev.budget >= 0
}

// nodeOf returns the node of a ref; the document stands for its root element.
func (ev *evaluator) nodeOf(r ref) *Node {
	if r.at == 0 && len(ev.nodes) > 1 {
		return ev.nodes[1].node
	}
	return ev.nodes[r.at].node
}

// chain returns the path from the root element to a node, itself included.
func (ev *evaluator) chain(r ref) []*Node {
	var up []*Node
	for at := max(r.at, 1); at > 0; at = ev.nodes[at].parent {
		up = append(up, ev.nodes[at].node)
	}
	slices.Reverse(up)
	return up
}

// xpathContext is what an expression is evaluated for.
type xpathContext struct {
	node      ref
	pos, size int
}

// expr is a part of an expression.
type expr interface {
	kind() ValueType // known without evaluating
	eval(*evaluator, xpathContext) xvalue
	positional() bool // its value depends on the context's position or size
}

type constExpr struct{ v xvalue }

func (e constExpr) kind() ValueType                      { return e.v.kind }
func (e constExpr) eval(*evaluator, xpathContext) xvalue { return e.v }
func (e constExpr) positional() bool                     { return false }

type negateExpr struct {
	of    expr
	minus bool // false: an even number of signs, which still makes a number
}

func (e negateExpr) kind() ValueType  { return Number }
func (e negateExpr) positional() bool { return e.of.positional() }
func (e negateExpr) eval(ev *evaluator, c xpathContext) xvalue {
	n := ev.toNumber(e.of.eval(ev, c))
	if e.minus {
		n = -n
	}
	return xvalue{kind: Number, num: n}
}

type binaryExpr struct {
	op          string
	left, right expr
}

func (e binaryExpr) positional() bool { return e.left.positional() || e.right.positional() }

func (e binaryExpr) kind() ValueType {
	switch e.op {
	case "+", "-", "*", "div", "mod":
		return Number
	}
	return Boolean
}

func (e binaryExpr) eval(ev *evaluator, c xpathContext) xvalue {
	left := e.left.eval(ev, c)
	switch e.op {
	case "or", "and":
		b := ev.toBool(left)
		if b == (e.op == "and") {
			b = ev.toBool(e.right.eval(ev, c))
		}
		return xvalue{kind: Boolean, b: b}
	}
	right := e.right.eval(ev, c)
	if e.kind() == Boolean {
		return xvalue{kind: Boolean, b: ev.compare(e.op, left, right)}
	}
	return xvalue{kind: Number, num: arithmetic(e.op, ev.toNumber(left), ev.toNumber(right))}
}

func arithmetic(op string, a, b float64) float64 {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "div":
		return a / b
	}
	return math.Mod(a, b)
}

type unionExpr struct{ left, right expr }

func (e unionExpr) kind() ValueType  { return NodeSet }
func (e unionExpr) positional() bool { return e.left.positional() || e.right.positional() }
func (e unionExpr) eval(ev *evaluator, c xpathContext) xvalue {
	set := slices.Concat(e.left.eval(ev, c).set, e.right.eval(ev, c).set)
	return xvalue{kind: NodeSet, set: inOrder(set)}
}

// inOrder sorts a node-set into the document's order and drops duplicates.
func inOrder(set []ref) []ref {
	for i := 1; i < len(set); i++ {
		if compareRef(set[i-1], set[i]) >= 0 {
			slices.SortFunc(set, compareRef)
			return slices.Compact(set)
		}
	}
	return set
}

// filterExpr is a primary expression with predicates, counted in document order.
type filterExpr struct {
	of         expr
	predicates []expr
}

func (e filterExpr) kind() ValueType  { return NodeSet }
func (e filterExpr) positional() bool { return e.of.positional() }
func (e filterExpr) eval(ev *evaluator, c xpathContext) xvalue {
	set := slices.Clone(e.of.eval(ev, c).set)
	return xvalue{kind: NodeSet, set: ev.filter(set, e.predicates)}
}

// filter applies predicates one after the other; it reuses set.
func (ev *evaluator) filter(set []ref, predicates []expr) []ref {
	for _, p := range predicates {
		size := len(set)
		kept := set[:0]
		for i, r := range set {
			if !ev.spend(1) {
				return nil
			}
			v := p.eval(ev, xpathContext{r, i + 1, size})
			if v.kind == Number && v.num == float64(i+1) || v.kind != Number && ev.toBool(v) {
				kept = append(kept, r)
			}
		}
		set = kept
	}
	return set
}

// step is one part of a path between slashes.
type step struct {
	axis       axis
	test       nodeTest
	predicates []expr
}

// positional reports whether a predicate counts nodes.
func (s step) positional() bool {
	return slices.ContainsFunc(s.predicates, func(p expr) bool { return p.kind() == Number || p.positional() })
}

// pathExpr is a location path: from the document if absolute, from what from
// selects if there is one, else from the context node.
type pathExpr struct {
	absolute bool
	from     expr
	steps    []step
}

func (e pathExpr) kind() ValueType  { return NodeSet }
func (e pathExpr) positional() bool { return e.from != nil && e.from.positional() }

func (e pathExpr) eval(ev *evaluator, c xpathContext) xvalue {
	set := []ref{c.node}
	if e.absolute {
		set[0] = ref{}
	} else if e.from != nil {
		set = e.from.eval(ev, c).set
	}
	for _, s := range e.steps {
		set = ev.step(set, s)
	}
	return xvalue{kind: NodeSet, set: set}
}

// compactAt is how large a set may grow before duplicates are looked for.
const compactAt = 4096

// step takes a step from each node of a set; the result is in document order.
func (ev *evaluator) step(from []ref, s step) []ref {
	var out, found []ref
	limit := compactAt
	for _, r := range from {
		if !ev.spend(1) {
			return nil
		}
		found = found[:0]
		ev.walk(r, s.axis, func(n ref) bool {
			if s.test.matches(ev, n, s.axis) {
				found = append(found, n)
			}
			return true
		})
		out = append(out, ev.filter(found, s.predicates)...)
		if len(out) > limit && len(from) > 1 {
			out = inOrder(out)
			limit = 2*len(out) + compactAt
		}
	}
	return inOrder(out)
}
