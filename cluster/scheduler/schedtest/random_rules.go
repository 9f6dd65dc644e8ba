package schedtest

import (
	"strconv"

	"github.com/takt-ha/takt/cluster/cib"
)

// rule makes a rule for a place ("rsc_location", "op_defaults", "rsc_defaults",
// or "" elsewhere); extra are attributes of it beside id and boolean-op.
func (g *generator) rule(place string, extra []pair) *cib.Node {
	return g.ruleDepth(place, extra, 0)
}

func (g *generator) ruleDepth(place string, extra []pair, depth int) *cib.Node {
	r := cib.NewNode("rule", "id", g.id("rule-"))
	for _, p := range extra {
		r = r.WithAttr(p.name, p.value)
	}
	if g.percent(40) {
		r = r.WithAttr("boolean-op", g.pick("and", "or"))
	}
	for range g.pick("1", "11", "1", "111") {
		switch {
		case depth == 0 && g.percent(10):
			r = r.WithChild(g.ruleDepth(place, nil, 1))
		case place == "rsc_defaults" && g.percent(70):
			r = r.WithChild(cib.NewNode("rsc_expression", "id", g.id("rsc-expr-"), "class", g.pick("ocf", "", "lsb"),
				"provider", g.pick("pacemaker", ""), "type", g.pick("Dummy", "Stateful", "")))
		case place == "op_defaults" && g.percent(70):
			r = r.WithChild(cib.NewNode("op_expression", "id", g.id("op-expr-"), "name", g.pick("monitor", "start", "stop"), "interval", g.pick("", "10s")))
		case place == "op_defaults" || place == "rsc_defaults" || g.percent(20):
			r = r.WithChild(g.dateExpression())
		default:
			r = r.WithChild(g.expression())
		}
	}
	return r
}

func (g *generator) expression() *cib.Node {
	e := func(attribute, operation, value string) *cib.Node {
		return cib.NewNode("expression", "id", g.id("expr-"), "attribute", attribute, "operation", operation, "value", value)
	}
	switch g.r.IntN(6) {
	case 0, 1:
		return e("#uname", g.pick("eq", "eq", "ne"), g.anyNode().name)
	case 2:
		return e(g.pick("rack", "ping", "colour"), g.pick("defined", "not_defined"), "")
	case 3:
		return e("#kind", g.pick("eq", "ne"), g.pick("cluster", "remote", "container"))
	case 4:
		n := e("rack", g.pick("eq", "ne"), g.pick("r1", "r2"))
		if g.percent(20) {
			n = n.WithAttr("value-source", g.pick("literal", "meta", "param")).WithAttr("value", "site")
		}
		return n
	}
	n := e("ping", g.pick("lt", "gt", "lte", "gte", "eq", "ne"), g.pick("0", "100", "900", "2000"))
	if g.percent(60) {
		n = n.WithAttr("type", g.pick("string", "integer", "number", "version"))
	}
	return n
}

func (g *generator) dateExpression() *cib.Node {
	day := func() string {
		return g.pick("2026-02-01", "2026-03-01 11:00:00Z", "2026-03-01 13:00:00Z", "2026-04-01")
	}
	e := cib.NewNode("date_expression", "id", g.id("date-"))
	switch g.r.IntN(4) {
	case 0:
		return e.WithAttr("operation", "gt").WithAttr("start", day())
	case 1:
		return e.WithAttr("operation", "lt").WithAttr("end", day())
	case 2:
		e = e.WithAttr("operation", "in_range").WithAttr("start", day())
		if g.percent(40) {
			return e.WithChild(cib.NewNode("duration", "id", g.id("span-"), g.pick("days", "hours", "weeks", "months"), strconv.Itoa(g.between(1, 40))))
		}
		return e.WithAttr("end", day())
	}
	spec := cib.NewNode("date_spec", "id", g.id("spec-"))
	for _, p := range []pair{{"hours", g.pick("9-16", "12", "0-11", "13-")}, {"weekdays", g.pick("1-5", "7", "6-7")}, {"months", g.pick("3", "4-12")},
		{"monthdays", g.pick("1", "1-15", "16-31")}, {"years", g.pick("2026", "2027", "2020-2030")}, {"weeks", g.pick("9", "10")}, {"yeardays", g.pick("60", "61-")}} {
		if g.percent(25) {
			spec = spec.WithAttr(p.name, p.value)
		}
	}
	if len(spec.Attrs()) == 1 {
		spec = spec.WithAttr("hours", "0-23")
	}
	return e.WithAttr("operation", "date_spec").WithChild(spec)
}
