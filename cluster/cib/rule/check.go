package rule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// Problem is one thing that is wrong in a rule.
type Problem struct {
	Element *cib.Node // the rule, expression, date_spec or duration
	Attr    string    // the attribute that it is about, "" if none
	Message string    // what is wrong, without a full stop
	Remedy  string    // what would be right, a full sentence
	Warning bool      // it has an effect nevertheless, though perhaps not the one meant
}

// Check lists what is wrong in a rule and the rules inside it, in document
// order. Targets of references are checked where they stand; a reference to
// nothing is a problem here. view may be nil: then references are not looked up.
func Check(view *cib.View, rule *cib.Node) []Problem {
	c := checker{view: view}
	c.rule(rule, 0)
	return c.problems
}

type checker struct {
	view     *cib.View
	problems []Problem
}

func (c *checker) report(e *cib.Node, attr, remedy, format string, args ...any) {
	c.problems = append(c.problems, Problem{Element: e, Attr: attr, Message: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (c *checker) warn(e *cib.Node, attr, remedy, format string, args ...any) {
	c.report(e, attr, remedy, format, args...)
	c.problems[len(c.problems)-1].Warning = true
}

func (c *checker) rule(rule *cib.Node, depth int) {
	if ref, ok := rule.Lookup("id-ref"); ok {
		if c.view != nil && c.view.ByID(ref).Name() != "rule" {
			c.report(rule, "id-ref", "Name the id of a rule.", "there is no rule %q", ref)
		}
		return
	}
	if depth == maxDepth {
		c.report(rule, "", "Nest fewer rules.", "rules within rules are deeper than %d, and from here on taken as false", maxDepth)
		return
	}
	if op, ok := rule.Lookup("boolean-op"); ok && !strings.EqualFold(op, "and") && !strings.EqualFold(op, "or") {
		c.warn(rule, "boolean-op", `Write "and" or "or".`, "boolean-op %q is taken as and", op)
	}
	empty := true
	for e := range rule.Elements {
		empty = false
		c.expression(e, depth)
	}
	if empty {
		c.report(rule, "", "Add an expression, or remove the rule.", "the rule has no expression")
	}
}

func (c *checker) expression(e *cib.Node, depth int) {
	switch e.Name() {
	case "rule":
		c.rule(e, depth+1)
	case "expression":
		c.attribute(e)
	case "date_expression":
		c.date(e)
	case "op_expression":
		c.op(e)
	case "rsc_expression":
	default:
		c.report(e, "", "Use expression, date_expression, rsc_expression, op_expression or rule.", "<%s> is no expression, and never holds", e.Name())
	}
}

var (
	comparisons = []string{"defined", "not_defined", "eq", "ne", "lt", "lte", "gt", "gte"}
	valueTypes  = []string{"string", "integer", "number", "version"}
	valueFroms  = []string{"literal", "param", "meta"}
	dateOps     = []string{"in_range", "gt", "lt", "date_spec"}
)

// oneOf reports whether an attribute that is there has one of the values.
func oneOf(e *cib.Node, attr string, values []string) bool {
	text, ok := e.Lookup(attr)
	return !ok || slices.Contains(values, strings.ToLower(text))
}

func (c *checker) attribute(e *cib.Node) {
	if _, ok := e.Lookup("attribute"); !ok {
		c.report(e, "", `Add attribute="…".`, "the expression names no attribute, and never holds")
	}
	if _, ok := e.Lookup("operation"); !ok {
		c.report(e, "", `Add operation="…".`, "the expression has no operation, and never holds")
	}
	list := "Write one of " + strings.Join(comparisons, ", ") + "."
	if !oneOf(e, "operation", comparisons) {
		c.report(e, "operation", list, "operation %q is not known, and never holds", e.Attr("operation"))
	}
	if !oneOf(e, "type", valueTypes) {
		c.report(e, "type", "Write one of "+strings.Join(valueTypes, ", ")+".", "type %q is not known: all values are equal", e.Attr("type"))
	}
	if !oneOf(e, "value-source", valueFroms) {
		c.warn(e, "value-source", "Write one of "+strings.Join(valueFroms, ", ")+".", "value-source %q is taken as literal", e.Attr("value-source"))
	}
	c.operand(e)
}

// operand checks the value of an expression against its operation and type.
func (c *checker) operand(e *cib.Node) {
	op := strings.ToLower(e.Attr("operation"))
	value, ok := e.Lookup("value")
	unary := op == "defined" || op == "not_defined"
	literal := strings.EqualFold(attrOr(e, "value-source", "literal"), "literal")
	switch {
	case unary && ok:
		c.warn(e, "value", "Remove the value.", "operation %s has no use for a value", op)
	case !unary && !ok && slices.Contains(comparisons, op):
		c.warn(e, "", `Add value="…".`, "operation %s has no value to compare with", op)
	case ok && literal && !unary && !readable(value, e.Attr("type")):
		c.warn(e, "value", "Write a number.", "value %q is not of type %s: it is compared as text", value, e.Attr("type"))
	}
}

func readable(value, typ string) bool {
	ok := true
	switch strings.ToLower(typ) {
	case "integer":
		_, _, fits, number := scanInt(value, 0)
		ok = fits && number
	case "number":
		_, ok = scanFloat(value)
	}
	return ok
}

func (c *checker) op(e *cib.Node) {
	if _, ok := e.Lookup("name"); !ok {
		c.report(e, "", `Add name="…".`, "the expression names no operation, and never holds")
	}
	if text, ok := e.Lookup("interval"); ok {
		if _, err := ParseInterval(text); err != nil {
			c.report(e, "interval", "Write a number and a unit, as in 10s.", "%q is no interval: the expression never holds", text)
		}
	}
}

func (c *checker) date(e *cib.Node) {
	if !oneOf(e, "operation", dateOps) {
		c.report(e, "operation", "Write one of "+strings.Join(dateOps, ", ")+".", "operation %q is not known, and never holds", e.Attr("operation"))
	}
	c.dateAttr(e, "start")
	c.dateAttr(e, "end")
	_, start := e.Lookup("start")
	_, end := e.Lookup("end")
	spec, duration := e.Child("date_spec"), e.Child("duration")
	switch op := strings.ToLower(attrOr(e, "operation", "in_range")); {
	case op == "in_range" && !start && !end:
		c.report(e, "", "Add start or end.", "the range has neither start nor end, and never holds")
	case op == "gt" && !start:
		c.report(e, "", `Add start="…".`, "operation gt has no start, and never holds")
	case op == "lt" && !end && (duration == nil || !start):
		c.report(e, "", `Add end="…".`, "operation lt has no end, and never holds")
	case op == "date_spec" && spec == nil:
		c.report(e, "", "Add <date_spec>.", "operation date_spec has no <date_spec>, and always holds")
	}
	c.spec(spec)
	c.duration(duration)
}

// dateAttr checks a date; the clock that a time alone would need does not matter.
func (c *checker) dateAttr(e *cib.Node, attr string) {
	text, ok := e.Lookup(attr)
	if !ok {
		return
	}
	m, ok := parseMoment(text, time.Unix(0, 0).UTC())
	switch head, zone, cut := cutZone(text); {
	case !ok:
		c.report(e, attr, "Write a date as in 2026-01-31 12:00:00 +01:00.", "%q is no date: it is taken as absent", text)
	case cut && m.offset == 0 && !strings.Contains(text, "Z"):
		c.warn(e, attr, fmt.Sprintf("Write %q.", head+" "+zone), "the zone %s is not seen without a space before it: the time is taken as local", zone)
	}
}

func (c *checker) spec(spec *cib.Node) {
	for _, f := range specFields {
		text, ok := spec.Lookup(f.name)
		if !ok {
			continue
		}
		low, high, ok := scanRange(text)
		switch {
		case !ok:
			c.report(spec, f.name, "Write a number or a range, as in 1-5.", "%s %q is no range, and limits nothing", f.name, text)
		case low >= 0 && high >= 0 && low > high:
			c.report(spec, f.name, fmt.Sprintf("Write %d-%d, or two rules.", high, low), "%s %q ends before it starts, and never holds", f.name, text)
		}
	}
}

func (c *checker) duration(d *cib.Node) {
	for _, a := range d.Attrs() {
		if a.Name == "id" {
			continue
		}
		switch n, rest, _, ok := scanInt(a.Value, 0); {
		case !slices.Contains(durationFields, a.Name):
			c.warn(d, a.Name, "Use "+strings.Join(durationFields, ", ")+".", "%s is no part of a duration", a.Name)
		case !ok || int64(int32(n)) != n:
			c.report(d, a.Name, "Write a whole number.", "%s %q is no number: it is taken as 0", a.Name, a.Value)
		case rest != "":
			c.warn(d, a.Name, "Write a whole number.", "%s %q is taken as %d", a.Name, a.Value, n)
		}
	}
}

// durationFields are the attributes of <duration>.
var durationFields = []string{"years", "months", "weeks", "days", "hours", "minutes", "seconds"}
