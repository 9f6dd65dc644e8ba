package cib

import (
	"fmt"

	"github.com/takt-ha/takt/internal/errs"
)

// XPath is a compiled XPath 1.0 expression (W3C Recommendation of 16 November
// 1999). It may be used by many goroutines at once.
//
// All axes, operators and the core function library are there, with these
// bounds: a document has no namespaces, so a name test compares the name as it
// is written, colon included; there are no variables; and an evaluation has a
// budget, so that no expression can hold up a cluster.
type XPath struct {
	text   string
	root   expr
	budget int // steps that an evaluation may take
}

// Bounds of an expression and of its evaluation.
const (
	maxXPath      = 64 << 10   // bytes of an expression
	maxXPathDepth = 128        // nested parentheses, predicates and calls
	xpathBudget   = 20_000_000 // nodes visited and bytes compared in one evaluation, about half a second
)

// CompileXPath reads an expression. The error is an *errs.Error of kind
// Invalid that names the place in the expression.
func CompileXPath(text string) (*XPath, error) {
	p := xpathParser{lex: xpathLexer{src: text}}
	root, err := p.compile()
	if err != nil {
		return nil, errs.E("read XPath", errs.Invalid, fmt.Sprintf("%q", text),
			"An expression looks like //primitive[@id='web'] or /cib/configuration/nodes/node.", err)
	}
	return &XPath{text: text, root: root, budget: xpathBudget}, nil
}

// String returns the expression as it was compiled.
func (x *XPath) String() string { return x.text }

// ValueType is what an expression evaluates to.
type ValueType int

// The types.
const (
	NodeSet ValueType = iota
	Boolean
	Number
	String
)

// AttrRef is an attribute that an expression selected.
type AttrRef struct {
	Owner *Node
	Attr
}

// Value is the result of an evaluation. Strings, Bool and Number are set for
// each type, by XPath's conversions.
type Value struct {
	Type    ValueType
	Nodes   []*Node   // of a NodeSet: elements, comments and text in document order; "/" gives the root element
	Attrs   []AttrRef // of a NodeSet: attributes in document order
	Strings []string  // of a NodeSet: the string-value of each node in document order; else the one string
	Bool    bool
	Number  float64
}

// Evaluate computes the expression for the document whose root element is
// root, with the document as the context node. The error, of kind Invalid, is
// an exhausted budget.
func (x *XPath) Evaluate(root *Node) (Value, error) {
	ev := newEvaluator(root, x.budget)
	v := x.root.eval(ev, xpathContext{node: ref{}, pos: 1, size: 1})
	if v.kind == NodeSet {
		ev.spend(len(v.set))
	}
	out := Value{Type: v.kind, Bool: ev.toBool(v), Number: ev.toNumber(v)}
	if v.kind == NodeSet {
		for _, r := range v.set {
			out.Strings = append(out.Strings, ev.stringOf(r))
			if r.attr > 0 {
				owner := ev.nodes[r.at].node
				out.Attrs = append(out.Attrs, AttrRef{owner, owner.attrs[r.attr-1]})
			} else if n := ev.nodeOf(r); n != nil && (len(out.Nodes) == 0 || out.Nodes[len(out.Nodes)-1] != n) {
				out.Nodes = append(out.Nodes, n)
			}
		}
	} else {
		out.Strings = []string{ev.toString(v)}
	}
	return out, x.exhausted(ev)
}

// Select returns the elements that the expression selects, in document order.
// An expression that is no node-set, or selects attributes or text, is an
// error of kind Invalid.
func (x *XPath) Select(root *Node) ([]*Node, error) {
	if tests, ok := x.simple(); ok {
		var out []*Node
		descend(nil, root, tests, func(chain []*Node) { out = append(out, chain[len(chain)-1]) })
		return out, nil
	}
	ev, set, err := x.elements(root)
	if err != nil {
		return nil, err
	}
	out := make([]*Node, 0, len(set))
	for _, r := range set {
		if n := ev.nodeOf(r); len(out) == 0 || out[len(out)-1] != n {
			out = append(out, n)
		}
	}
	return out, nil
}

// elements evaluates to a node-set of elements alone.
func (x *XPath) elements(root *Node) (*evaluator, []ref, error) {
	ev := newEvaluator(root, x.budget)
	v := x.root.eval(ev, xpathContext{node: ref{}, pos: 1, size: 1})
	if err := x.exhausted(ev); err != nil {
		return nil, nil, err
	}
	if v.kind != NodeSet {
		return nil, nil, x.noElements("it computes a value")
	}
	for _, r := range v.set {
		if n := ev.nodeOf(r); n == nil || n.kind != elementKind || r.attr > 0 {
			return nil, nil, x.noElements("it selects attributes, comments or text")
		}
	}
	return ev, v.set, nil
}

func (x *XPath) noElements(why string) error {
	return errs.E("select by XPath", errs.Invalid, fmt.Sprintf("%q", x.text),
		"Give an expression that selects elements, such as //primitive[@id='web'].",
		fmt.Errorf("the expression does not select elements: %s", why))
}

func (x *XPath) exhausted(ev *evaluator) error {
	if ev.budget >= 0 {
		return nil
	}
	return errs.E("evaluate XPath", errs.Invalid, fmt.Sprintf("%q", x.text),
		"Name the path instead of searching with // in a predicate, or compare an id.",
		fmt.Errorf("given up after %d steps", x.budget))
}
