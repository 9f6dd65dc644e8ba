package cib

import (
	"math"
	"strconv"
	"strings"
)

// xvalue is a value while evaluating; kind says which field holds it.
type xvalue struct {
	kind ValueType
	set  []ref
	str  string
	num  float64
	b    bool
}

// stringOf is the string-value of a node (section 5).
func (ev *evaluator) stringOf(r ref) string {
	n := ev.nodes[r.at].node
	if r.attr > 0 {
		v := n.attrs[r.attr-1].Value
		ev.spend(len(v) / 16)
		return v
	}
	if n != nil && n.kind != elementKind {
		_, rest, _ := strings.Cut(n.text, " ")
		if n.kind != instructionKind {
			rest = n.text
		}
		return rest
	}
	if ev.nodes[r.at].end == r.at+1 {
		return ""
	}
	var b strings.Builder
	ev.span(r.at, ev.nodes[r.at].end, func(d ref) bool {
		if n := ev.nodes[d.at].node; n != nil && n.kind == textKind {
			b.WriteString(n.text)
			return ev.spend(len(n.text) / 16)
		}
		return true
	})
	return b.String()
}

func (ev *evaluator) toString(v xvalue) string {
	switch v.kind {
	case NodeSet:
		if len(v.set) == 0 {
			return ""
		}
		return ev.stringOf(v.set[0])
	case Boolean:
		return strconv.FormatBool(v.b)
	case Number:
		return formatNumber(v.num)
	}
	return v.str
}

func formatNumber(n float64) string {
	switch {
	case n == 0: // minus zero, too
		return "0"
	case math.IsInf(n, 1):
		return "Infinity"
	case math.IsInf(n, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

func (ev *evaluator) toBool(v xvalue) bool {
	switch v.kind {
	case NodeSet:
		return len(v.set) > 0
	case Number:
		return v.num != 0 && !math.IsNaN(v.num)
	case String:
		return v.str != ""
	}
	return v.b
}

func (ev *evaluator) toNumber(v xvalue) float64 {
	switch v.kind {
	case Number:
		return v.num
	case Boolean:
		if v.b {
			return 1
		}
		return 0
	}
	return parseNumber(ev.toString(v))
}

// parseNumber reads -?digits(.digits)?, and is NaN for anything else: no plus
// sign, no exponent (section 4.4).
func parseNumber(s string) float64 {
	s = strings.Trim(s, " \t\r\n")
	digits := strings.TrimPrefix(s, "-")
	if strings.Trim(digits, "0123456789.") != "" || digits == "" || digits == "." || strings.Count(digits, ".") > 1 {
		return math.NaN()
	}
	n, _ := strconv.ParseFloat(s, 64)
	return n
}

// compare is = != < <= > >= (section 3.4): with a node-set it asks whether any
// of its nodes fits. Each set is read once, so that a join is linear.
func (ev *evaluator) compare(op string, a, b xvalue) bool {
	switch {
	case a.kind == NodeSet && b.kind == NodeSet:
		return ev.compareSets(op, a.set, b.set)
	case a.kind == NodeSet && b.kind != Boolean:
		return ev.anyNode(a.set, func(x xvalue) bool { return ev.compareScalar(op, x, b) })
	case b.kind == NodeSet && a.kind != Boolean:
		return ev.anyNode(b.set, func(x xvalue) bool { return ev.compareScalar(op, a, x) })
	}
	return ev.compareScalar(op, a, b)
}

func (ev *evaluator) anyNode(set []ref, fits func(xvalue) bool) bool {
	for _, r := range set {
		if !ev.spend(1) {
			return false
		}
		if fits(xvalue{kind: String, str: ev.stringOf(r)}) {
			return true
		}
	}
	return false
}

func (ev *evaluator) compareScalar(op string, a, b xvalue) bool {
	if op != "=" && op != "!=" {
		return ordered(op, ev.toNumber(a), ev.toNumber(b))
	}
	var same bool
	switch {
	case a.kind == Boolean || b.kind == Boolean:
		same = ev.toBool(a) == ev.toBool(b)
	case a.kind == Number || b.kind == Number:
		same = ev.toNumber(a) == ev.toNumber(b)
	default:
		same = ev.toString(a) == ev.toString(b)
	}
	return same == (op == "=")
}

func ordered(op string, a, b float64) bool {
	switch op {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	}
	return a >= b
}

func (ev *evaluator) compareSets(op string, a, b []ref) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	switch op {
	case "=", "!=":
		return ev.joinSets(op, a, b)
	}
	minA, maxA := ev.extremes(a)
	minB, maxB := ev.extremes(b)
	if op == "<" || op == "<=" {
		return ordered(op, minA, maxB)
	}
	return ordered(op, maxA, minB)
}

func (ev *evaluator) joinSets(op string, a, b []ref) bool {
	values := make(map[string]bool)
	for _, r := range a {
		if !ev.spend(1) {
			return false
		}
		values[ev.stringOf(r)] = true
	}
	return ev.anyNode(b, func(x xvalue) bool {
		if op == "=" {
			return values[x.str]
		}
		return len(values) > 1 || !values[x.str]
	})
}

// extremes returns the least and greatest number of a set, NaN if it has none.
func (ev *evaluator) extremes(set []ref) (least, most float64) {
	least, most = math.NaN(), math.NaN()
	for _, r := range set {
		if !ev.spend(1) {
			break
		}
		n := parseNumber(ev.stringOf(r))
		if n < least || math.IsNaN(least) {
			least = n
		}
		if n > most || math.IsNaN(most) {
			most = n
		}
	}
	return least, most
}
