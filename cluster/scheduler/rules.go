package scheduler

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// ruleContext is what a rule is asked about; absent parts make the
// expressions on them false.
type ruleContext struct {
	node     *member
	params   map[string]string // of the resource, for value-source=param
	meta     map[string]string // of the resource, for value-source=meta
	class    string            // for rsc_expression
	provider string
	typ      string
	op       string // for op_expression
	interval int64
	inOp     bool
	inRsc    bool
	depth    int // of rules in rules
}

// setApplies reports whether an attribute set has no rule, or one that holds.
func (w *working) setApplies(set *cib.Node, ctx ruleContext) bool {
	found := false
	for c := range set.Elements {
		if c.Name() == "rule" {
			found = true
			if w.ruleHolds(w.view.Deref(c), ctx) {
				return true
			}
		}
	}
	return !found
}

// maxRuleDepth bounds rules in rules; references could make them endless.
const maxRuleDepth = 32

// ruleHolds evaluates a rule and the rules inside it.
func (w *working) ruleHolds(rule *cib.Node, ctx ruleContext) bool {
	if ctx.depth++; ctx.depth > maxRuleDepth {
		w.warn("rule " + rule.ID() + ": too many rules within rules: it is taken as false")
		return false
	}
	any := rule.Attr("boolean-op") == "or" || rule.Attr("boolean_op") == "or"
	seen := false
	for c := range rule.Elements {
		holds, known := w.expressionHolds(c, ctx)
		if !known {
			continue
		}
		seen = true
		if holds == any {
			return any
		}
	}
	return seen && !any
}

func (w *working) expressionHolds(e *cib.Node, ctx ruleContext) (holds, known bool) {
	switch e.Name() {
	case "rule":
		return w.ruleHolds(w.view.Deref(e), ctx), true
	case "expression":
		return w.attributeHolds(e, ctx), true
	case "date_expression":
		return w.dateHolds(e), true
	case "rsc_expression":
		return ctx.inRsc && fits(e, "class", ctx.class) && fits(e, "provider", ctx.provider) && fits(e, "type", ctx.typ), true
	case "op_expression":
		iv, limited := e.Lookup("interval")
		return ctx.inOp && fits(e, "name", ctx.op) && (!limited || milliseconds(iv, 0) == ctx.interval), true
	}
	return false, false
}

func fits(e *cib.Node, attr, value string) bool {
	want, ok := e.Lookup(attr)
	return !ok || want == value
}

// attributeHolds compares a node attribute.
func (w *working) attributeHolds(e *cib.Node, ctx ruleContext) bool {
	value, ok := w.nodeAttr(ctx.node, e.Attr("attribute"))
	want, wanted := e.Lookup("value")
	switch e.Attr("value-source") {
	case "param":
		want, wanted = lookup(ctx.params, want)
	case "meta":
		want, wanted = lookup(ctx.meta, want)
	}
	op := e.Attr("operation")
	switch op {
	case "defined":
		return ok
	case "not_defined":
		return !ok
	}
	order := 0
	switch {
	case ok && wanted:
		order = compareValues(value, want, e.Attr("type"), op)
	case ok:
		order = 1
	case wanted:
		order = -1
	}
	switch op {
	case "eq":
		return order == 0
	case "ne":
		return order != 0
	case "lt":
		return ok && wanted && order < 0
	case "lte":
		return ok && wanted && order <= 0
	case "gt":
		return ok && wanted && order > 0
	case "gte":
		return ok && wanted && order >= 0
	}
	return false
}

func lookup(m map[string]string, key string) (string, bool) {
	v, ok := m[key]
	return v, ok
}

// nodeAttr returns a node's attribute; #uname, #id, #kind and so on are built in.
func (w *working) nodeAttr(m *member, name string) (string, bool) {
	if m == nil {
		return "", false
	}
	switch name {
	case "#uname":
		return m.name, true
	case "#id":
		return m.id, true
	case "#kind":
		return "cluster", true
	case "#is_dc":
		return strconv.FormatBool(w.root.Attr("dc-uuid") == m.id), true
	case "#cluster-name":
		return w.options.name, w.options.name != ""
	case "#site-name":
		if v, ok := m.attrs["site-name"]; ok {
			return v, true
		}
		return w.options.name, w.options.name != ""
	}
	return lookup(m.attrs, name)
}

// compareValues compares as text, integers, numbers or versions. Without a
// type, order is of numbers and equality of text.
func compareValues(a, b, typ, op string) int {
	if typ == "" {
		typ = "string"
		if op != "eq" && op != "ne" {
			typ = "integer"
			if strings.Contains(a, ".") || strings.Contains(b, ".") {
				typ = "number"
			}
		}
	}
	switch typ {
	case "integer", "number":
		x, err1 := strconv.ParseFloat(strings.TrimSpace(a), 64)
		y, err2 := strconv.ParseFloat(strings.TrimSpace(b), 64)
		if err1 != nil || err2 != nil {
			break
		}
		if typ == "integer" {
			return cmp.Compare(int64(x), int64(y))
		}
		return cmp.Compare(x, y)
	case "version":
		return compareVersions(a, b)
	}
	return strings.Compare(strings.ToLower(a), strings.ToLower(b))
}

func compareVersions(a, b string) int {
	for a != "" || b != "" {
		x, restA, _ := strings.Cut(a, ".")
		y, restB, _ := strings.Cut(b, ".")
		m, _ := strconv.Atoi(x)
		n, _ := strconv.Atoi(y)
		if m != n {
			return cmp.Compare(m, n)
		}
		a, b = restA, restB
	}
	return 0
}
