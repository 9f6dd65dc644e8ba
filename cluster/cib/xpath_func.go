package cib

import (
	"math"
	"strings"
	"unicode/utf8"
)

// function is one of the core function library (section 4).
type function struct {
	least, most int // number of arguments
	result      ValueType
	nodes       bool // the first argument must be a node-set
	call        func(*evaluator, xpathContext, []xvalue) xvalue
}

// anyNumber of arguments.
const anyNumber = 1000

type callExpr struct {
	name string
	f    function
	args []expr
}

func (e callExpr) kind() ValueType { return e.f.result }

func (e callExpr) positional() bool {
	if e.name == "position" || e.name == "last" {
		return true
	}
	for _, a := range e.args {
		if a.positional() {
			return true
		}
	}
	return false
}

func (e callExpr) eval(ev *evaluator, c xpathContext) xvalue {
	args := make([]xvalue, len(e.args))
	for i, a := range e.args {
		args[i] = a.eval(ev, c)
	}
	if !ev.spend(1) {
		return xvalue{kind: e.f.result}
	}
	v := e.f.call(ev, c, args)
	v.kind = e.f.result
	return v
}

var xpathFunctions = map[string]function{
	"last":     {0, 0, Number, false, func(_ *evaluator, c xpathContext, _ []xvalue) xvalue { return number(float64(c.size)) }},
	"position": {0, 0, Number, false, func(_ *evaluator, c xpathContext, _ []xvalue) xvalue { return number(float64(c.pos)) }},
	"count":    {1, 1, Number, true, func(_ *evaluator, _ xpathContext, a []xvalue) xvalue { return number(float64(len(a[0].set))) }},
	"sum":      {1, 1, Number, true, sumOf},
	"id":       {1, 1, NodeSet, false, byIDs},

	"name":          {0, 1, String, true, nameOf},
	"local-name":    {0, 1, String, true, localName},
	"namespace-uri": {0, 1, String, true, func(*evaluator, xpathContext, []xvalue) xvalue { return xvalue{} }},

	"string":           {0, 1, String, false, func(ev *evaluator, c xpathContext, a []xvalue) xvalue { return text(ev.stringArg(c, a)) }},
	"concat":           {2, anyNumber, String, false, concat},
	"starts-with":      {2, 2, Boolean, false, withStrings(strings.HasPrefix)},
	"contains":         {2, 2, Boolean, false, withStrings(strings.Contains)},
	"substring-before": {2, 2, String, false, substringBefore},
	"substring-after":  {2, 2, String, false, substringAfter},
	"substring":        {2, 3, String, false, substring},
	"string-length": {0, 1, Number, false, func(ev *evaluator, c xpathContext, a []xvalue) xvalue {
		return number(float64(utf8.RuneCountInString(ev.stringArg(c, a))))
	}},
	"normalize-space": {0, 1, String, false, func(ev *evaluator, c xpathContext, a []xvalue) xvalue {
		return text(strings.Join(strings.FieldsFunc(ev.stringArg(c, a), func(r rune) bool { return r < 0x80 && isSpace(byte(r)) }), " "))
	}},
	"translate": {3, 3, String, false, translate},

	"boolean": {1, 1, Boolean, false, func(ev *evaluator, _ xpathContext, a []xvalue) xvalue { return truth(ev.toBool(a[0])) }},
	"not":     {1, 1, Boolean, false, func(ev *evaluator, _ xpathContext, a []xvalue) xvalue { return truth(!ev.toBool(a[0])) }},
	"true":    {0, 0, Boolean, false, func(*evaluator, xpathContext, []xvalue) xvalue { return truth(true) }},
	"false":   {0, 0, Boolean, false, func(*evaluator, xpathContext, []xvalue) xvalue { return truth(false) }},
	"lang":    {1, 1, Boolean, false, lang},

	"number": {0, 1, Number, false, func(ev *evaluator, c xpathContext, a []xvalue) xvalue {
		if len(a) == 0 {
			return number(parseNumber(ev.stringOf(c.node)))
		}
		return number(ev.toNumber(a[0]))
	}},
	"floor":   {1, 1, Number, false, withNumber(math.Floor)},
	"ceiling": {1, 1, Number, false, withNumber(math.Ceil)},
	"round":   {1, 1, Number, false, withNumber(roundUp)},
}

func number(n float64) xvalue { return xvalue{num: n} }
func text(s string) xvalue    { return xvalue{str: s} }
func truth(b bool) xvalue     { return xvalue{b: b} }

// roundUp rounds halves towards positive infinity.
func roundUp(n float64) float64 { return math.Floor(n + 0.5) }

func withNumber(f func(float64) float64) func(*evaluator, xpathContext, []xvalue) xvalue {
	return func(ev *evaluator, _ xpathContext, a []xvalue) xvalue { return number(f(ev.toNumber(a[0]))) }
}

func withStrings(f func(s, t string) bool) func(*evaluator, xpathContext, []xvalue) xvalue {
	return func(ev *evaluator, _ xpathContext, a []xvalue) xvalue {
		return truth(f(ev.charged(a[0]), ev.charged(a[1])))
	}
}

// charged converts to a string and pays for looking at each byte of it.
func (ev *evaluator) charged(v xvalue) string {
	s := ev.toString(v)
	ev.spend(len(s) / 16)
	return s
}

// stringArg is the optional argument as a string, else the context node's.
func (ev *evaluator) stringArg(c xpathContext, a []xvalue) string {
	if len(a) == 0 {
		return ev.stringOf(c.node)
	}
	return ev.charged(a[0])
}

// nodeArg is the first node of the optional argument, else the context node.
func nodeArg(c xpathContext, a []xvalue) (ref, bool) {
	if len(a) == 0 {
		return c.node, true
	}
	if len(a[0].set) == 0 {
		return ref{}, false
	}
	return a[0].set[0], true
}

func nameOf(ev *evaluator, c xpathContext, a []xvalue) xvalue {
	r, ok := nodeArg(c, a)
	n := ev.nodes[r.at].node
	switch {
	case !ok || n == nil:
		return text("")
	case r.attr > 0:
		return text(n.attrs[r.attr-1].Name)
	case n.kind == instructionKind:
		return text(instructionTarget(n))
	}
	return text(n.name)
}

func localName(ev *evaluator, c xpathContext, a []xvalue) xvalue {
	name := nameOf(ev, c, a).str
	return text(name[strings.LastIndexByte(name, ':')+1:])
}

func sumOf(ev *evaluator, _ xpathContext, a []xvalue) xvalue {
	var sum float64
	for _, r := range a[0].set {
		sum += parseNumber(ev.stringOf(r))
	}
	return number(sum)
}

// byIDs selects the elements whose id is one of the words given.
func byIDs(ev *evaluator, _ xpathContext, a []xvalue) xvalue {
	var given []string
	if a[0].kind == NodeSet {
		for _, r := range a[0].set {
			given = append(given, strings.Fields(ev.stringOf(r))...)
		}
	} else {
		given = strings.Fields(ev.toString(a[0]))
	}
	wanted := make(map[string]bool, len(given))
	for _, id := range given {
		wanted[id] = true
	}
	var set []ref
	ev.span(1, int32(len(ev.nodes)), func(r ref) bool {
		if id, ok := ev.nodes[r.at].node.Lookup("id"); ok && wanted[id] {
			set = append(set, r)
		}
		return true
	})
	return xvalue{set: set}
}

func concat(ev *evaluator, _ xpathContext, a []xvalue) xvalue {
	var b strings.Builder
	for _, v := range a {
		b.WriteString(ev.charged(v))
	}
	return text(b.String())
}

func substringBefore(ev *evaluator, _ xpathContext, a []xvalue) xvalue {
	before, _, ok := strings.Cut(ev.charged(a[0]), ev.charged(a[1]))
	if !ok {
		before = ""
	}
	return text(before)
}

func substringAfter(ev *evaluator, _ xpathContext, a []xvalue) xvalue {
	_, after, _ := strings.Cut(ev.charged(a[0]), ev.charged(a[1]))
	return text(after)
}

// substring counts characters from 1 and rounds; NaN selects nothing.
func substring(ev *evaluator, _ xpathContext, a []xvalue) xvalue {
	from := roundUp(ev.toNumber(a[1]))
	to := math.Inf(1)
	if len(a) == 3 {
		to = from + roundUp(ev.toNumber(a[2]))
	}
	var b strings.Builder
	pos := 0.0
	for _, r := range ev.charged(a[0]) {
		if pos++; pos >= from && pos < to {
			b.WriteRune(r)
		}
	}
	return text(b.String())
}

func translate(ev *evaluator, _ xpathContext, a []xvalue) xvalue {
	to := []rune(ev.charged(a[2]))
	table := make(map[rune]rune)
	for i, r := range []rune(ev.charged(a[1])) {
		if _, twice := table[r]; twice {
			continue
		}
		table[r] = -1
		if i < len(to) {
			table[r] = to[i]
		}
	}
	return text(strings.Map(func(r rune) rune {
		if repl, ok := table[r]; ok {
			return repl
		}
		return r
	}, ev.charged(a[0])))
}

// lang tests the nearest xml:lang, without regard to case and country.
func lang(ev *evaluator, c xpathContext, a []xvalue) xvalue {
	wanted := strings.ToLower(ev.toString(a[0]))
	found := false
	ev.walk(c.node, ancestorOrSelfAxis, func(r ref) bool {
		v, ok := ev.nodes[r.at].node.Lookup("xml:lang")
		if !ok {
			return true
		}
		v = strings.ToLower(v)
		found = v == wanted || strings.HasPrefix(v, wanted+"-")
		return false
	})
	return truth(found)
}
