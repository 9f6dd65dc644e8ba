package cib

import (
	"errors"
	"fmt"
	"strings"
)

// xpathParser is a recursive descent over the grammar of XPath 1.0, section 3.
type xpathParser struct {
	lex   xpathLexer
	tok   token // not yet consumed
	after token // the one behind it
	depth int
}

func (p *xpathParser) compile() (expr, error) {
	if len(p.lex.src) > maxXPath {
		return nil, fmt.Errorf("the expression has %d bytes, at most %d are accepted", len(p.lex.src), maxXPath)
	}
	for range 2 {
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	e, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != endToken {
		return nil, p.unexpected("an operator or the end")
	}
	return e, nil
}

func (p *xpathParser) advance() (err error) {
	p.tok = p.after
	p.after, err = p.lex.next()
	return err
}

func (p *xpathParser) is(symbol string) bool {
	return p.tok.kind == symbolToken && p.tok.text == symbol
}

// accept consumes a symbol if it is next.
func (p *xpathParser) accept(symbol string) (bool, error) {
	if !p.is(symbol) {
		return false, nil
	}
	return true, p.advance()
}

func (p *xpathParser) expect(symbol string) error {
	if !p.is(symbol) {
		return p.unexpected(symbol)
	}
	return p.advance()
}

func (p *xpathParser) unexpected(wanted string) error {
	if p.tok.kind == endToken {
		return fmt.Errorf("the expression ends where %s is expected", wanted)
	}
	return fmt.Errorf("at character %d: unexpected %q, %s is expected", p.tok.at+1, p.lex.src[p.tok.at:p.tok.at+max(1, len(p.tok.text))], wanted)
}

// operators by precedence, the weakest first.
var xpathOperators = [][]string{{"or"}, {"and"}, {"=", "!="}, {"<", "<=", ">", ">="}, {"+", "-"}, {"*", "div", "mod"}}

// binary reads operators of this level and above. It is only called where an
// operand may start, so that a name after an operand is an operator.
func (p *xpathParser) binary(level int) (expr, error) {
	if level == len(xpathOperators) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for err == nil {
		op := p.operator(level)
		if op == "" {
			return left, nil
		}
		if err = p.advance(); err != nil {
			break
		}
		var right expr
		if right, err = p.binary(level + 1); err == nil {
			left = binaryExpr{op, left, right}
		}
	}
	return nil, err
}

func (p *xpathParser) operator(level int) string {
	if p.tok.kind == symbolToken || p.tok.kind == nameToken {
		for _, op := range xpathOperators[level] {
			if p.tok.text == op {
				return op
			}
		}
	}
	return ""
}

func (p *xpathParser) unary() (expr, error) {
	minus := false
	negated := false
	for p.is("-") {
		minus, negated = !minus, true
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	e, err := p.union()
	if err == nil && negated {
		e = negateExpr{e, minus}
	}
	return e, err
}

func (p *xpathParser) union() (expr, error) {
	left, err := p.path()
	for err == nil && p.is("|") {
		at := p.tok.at
		if err = p.advance(); err != nil {
			break
		}
		var right expr
		if right, err = p.path(); err == nil {
			if left.kind() != NodeSet || right.kind() != NodeSet {
				return nil, fmt.Errorf("at character %d: both sides of | must select nodes", at+1)
			}
			left = unionExpr{left, right}
		}
	}
	return left, err
}

// path reads a location path, or a primary expression with what follows it.
func (p *xpathParser) path() (expr, error) {
	switch {
	case p.is("/"), p.is("//"):
		return p.absolute()
	case p.startsPrimary():
		return p.filter()
	}
	return p.steps(pathExpr{})
}

func (p *xpathParser) absolute() (expr, error) {
	path := pathExpr{absolute: true}
	if p.is("//") {
		return p.steps(path)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if !p.startsStep() {
		return path, nil
	}
	return p.steps(path)
}

func (p *xpathParser) startsStep() bool {
	return p.tok.kind == nameToken || p.is(".") || p.is("..") || p.is("@") || p.is("*")
}

func (p *xpathParser) startsPrimary() bool {
	switch p.tok.kind {
	case literalToken, numberToken:
		return true
	case nameToken:
		return p.after.kind == symbolToken && p.after.text == "(" && !isNodeType(p.tok.text)
	}
	return p.is("(")
}

func isNodeType(name string) bool {
	return name == "node" || name == "text" || name == "comment" || name == "processing-instruction"
}

// filter reads a primary expression, its predicates, and a path behind it.
func (p *xpathParser) filter() (expr, error) {
	at := p.tok.at
	e, err := p.primary()
	if err != nil {
		return nil, err
	}
	predicates, err := p.predicates()
	if err != nil {
		return nil, err
	}
	more := p.is("/") || p.is("//")
	if (more || len(predicates) > 0) && e.kind() != NodeSet {
		return nil, fmt.Errorf("at character %d: a path or predicate follows what selects no nodes", at+1)
	}
	if len(predicates) > 0 {
		e = filterExpr{e, predicates}
	}
	if !more {
		return e, nil
	}
	path := pathExpr{from: e}
	if p.is("/") {
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	return p.steps(path)
}

// steps reads step ( '/' step )*, where // may stand before any.
func (p *xpathParser) steps(path pathExpr) (expr, error) {
	for {
		deep, err := p.accept("//")
		if err != nil {
			return nil, err
		}
		s, err := p.step()
		if err != nil {
			return nil, err
		}
		path.steps = appendStep(path.steps, s, deep)
		if p.is("//") {
			continue
		}
		if more, err := p.accept("/"); !more || err != nil {
			return path, err
		}
	}
}

// appendStep appends a step behind / or //. //a means any descendant that is an
// a, unless a predicate counts: //a[1] is each first a of its parent.
func appendStep(steps []step, s step, deep bool) []step {
	if !deep {
		return append(steps, s)
	}
	if s.axis == childAxis && !s.positional() {
		s.axis = descendantAxis
		return append(steps, s)
	}
	return append(steps, step{axis: descendantOrSelfAxis, test: nodeTest{kind: anyNode}}, s)
}

// step reads axis::test[predicate] or one of its short forms.
func (p *xpathParser) step() (step, error) {
	if dot, err := p.accept("."); dot || err != nil {
		return step{axis: selfAxis, test: nodeTest{kind: anyNode}}, err
	}
	if dots, err := p.accept(".."); dots || err != nil {
		return step{axis: parentAxis, test: nodeTest{kind: anyNode}}, err
	}
	s := step{axis: childAxis}
	at, err := p.accept("@")
	if err != nil {
		return s, err
	}
	switch {
	case at:
		s.axis = attributeAxis
	case p.tok.kind == nameToken && p.after.kind == symbolToken && p.after.text == "::":
		axis, ok := axes[p.tok.text]
		if !ok {
			return s, fmt.Errorf("at character %d: %q is no axis", p.tok.at+1, p.tok.text)
		}
		s.axis = axis
		if err := errors.Join(p.advance(), p.advance()); err != nil {
			return s, err
		}
	}
	if s.test, err = p.nodeTest(); err == nil {
		s.predicates, err = p.predicates()
	}
	return s, err
}

func (p *xpathParser) nodeTest() (nodeTest, error) {
	if star, err := p.accept("*"); star || err != nil {
		return nodeTest{kind: anyName}, err
	}
	if p.tok.kind != nameToken {
		return nodeTest{}, p.unexpected("the name of an element or attribute")
	}
	name := p.tok.text
	if err := p.advance(); err != nil {
		return nodeTest{}, err
	}
	if isNodeType(name) && p.is("(") {
		return p.typeTest(name)
	}
	if prefix, ok := strings.CutSuffix(name, "*"); ok {
		return nodeTest{kind: prefixName, name: prefix}, nil
	}
	return nodeTest{kind: oneName, name: name}, nil
}

// typeTest reads what follows the name in node(), text(), ….
func (p *xpathParser) typeTest(name string) (nodeTest, error) {
	if err := p.advance(); err != nil {
		return nodeTest{}, err
	}
	t := nodeTest{kind: map[string]testKind{"node": anyNode, "text": textTest, "comment": commentTest, "processing-instruction": instructionTest}[name]}
	if t.kind == instructionTest && p.tok.kind == literalToken {
		t.name = p.tok.text
		if err := p.advance(); err != nil {
			return t, err
		}
	}
	return t, p.expect(")")
}

func (p *xpathParser) predicates() ([]expr, error) {
	var out []expr
	for {
		open, err := p.accept("[")
		if !open || err != nil {
			return out, err
		}
		e, err := p.nested()
		if err != nil {
			return nil, err
		}
		if err := p.expect("]"); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
}

// nested reads an expression in brackets, with a bound on their depth.
func (p *xpathParser) nested() (expr, error) {
	if p.depth == maxXPathDepth {
		return nil, fmt.Errorf("at character %d: brackets are nested more than %d deep", p.tok.at+1, maxXPathDepth)
	}
	p.depth++
	defer func() { p.depth-- }()
	return p.binary(0)
}

func (p *xpathParser) primary() (expr, error) {
	t := p.tok
	if err := p.advance(); err != nil {
		return nil, err
	}
	switch t.kind {
	case literalToken:
		return constExpr{xvalue{kind: String, str: t.text}}, nil
	case numberToken:
		return constExpr{xvalue{kind: Number, num: t.num}}, nil
	case nameToken:
		return p.call(t)
	}
	e, err := p.nested()
	if err == nil {
		err = p.expect(")")
	}
	return e, err
}

// call reads the arguments of a function.
func (p *xpathParser) call(name token) (expr, error) {
	f, ok := xpathFunctions[name.text]
	if !ok {
		return nil, fmt.Errorf("at character %d: function %s() is not known", name.at+1, name.text)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	var args []expr
	for !p.is(")") {
		if len(args) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		a, err := p.nested()
		if err != nil {
			return nil, err
		}
		args = append(args, a)
	}
	if len(args) < f.least || len(args) > f.most {
		return nil, fmt.Errorf("at character %d: %s() has %d arguments", name.at+1, name.text, len(args))
	}
	if f.nodes && len(args) > 0 && args[0].kind() != NodeSet {
		return nil, fmt.Errorf("at character %d: %s() needs nodes, not a value", name.at+1, name.text)
	}
	return callExpr{name.text, f, args}, p.advance()
}
