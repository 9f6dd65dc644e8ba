package rule

import (
	"cmp"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// attributeHolds evaluates an expression on a node's attribute. Without a node
// none holds, not even not_defined.
func (c *Context) attributeHolds(e *cib.Node) bool {
	name, named := e.Lookup("attribute")
	op, hasOp := e.Lookup("operation")
	if c.Attr == nil || !named || !hasOp {
		return false
	}
	want, wanted := e.Lookup("value")
	if c.Match != nil {
		name = c.Match.expand(name)
		want, wanted = c.Match.source(want, e.Attr("value-source"))
	}
	value, ok := c.Attr(name)
	op = strings.ToLower(op)
	switch op {
	case "defined":
		return ok
	case "not_defined":
		return !ok
	case "eq":
		return ok == wanted && (!ok || compare(value, want, e, op) == 0)
	case "ne":
		return ok != wanted || ok && compare(value, want, e, op) != 0
	}
	if !ok || !wanted {
		return false
	}
	order := compare(value, want, e, op)
	switch op {
	case "lt":
		return order < 0
	case "lte":
		return order <= 0
	case "gt":
		return order > 0
	case "gte":
		return order >= 0
	}
	return false
}

// source returns what the value of an expression stands for.
func (m *Match) source(value, source string) (string, bool) {
	var from func(string) (string, bool)
	switch {
	case value == "":
		return "", false
	case strings.EqualFold(source, "param"):
		from = m.Params
	case strings.EqualFold(source, "meta"):
		from = m.Meta
	default:
		return value, true
	}
	if from == nil {
		return "", false
	}
	return from(value)
}

// expand puts what the pattern matched in the place of %0 to %9; what it did not match is empty.
func (m *Match) expand(name string) string {
	if m.Groups == nil || !strings.Contains(name, "%") {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' || i+1 == len(name) || name[i+1] < '0' || name[i+1] > '9' {
			b.WriteByte(name[i])
			continue
		}
		i++
		if n := int(name[i] - '0'); n < len(m.Groups) {
			b.WriteString(m.Groups[n])
		}
	}
	return b.String()
}

// compare orders two values by the expression's type. Without one, order is of
// integers, or of numbers if there is a point, and equality of text. What is no
// number is compared as text; values of an unknown type are all equal.
func compare(a, b string, e *cib.Node, op string) int {
	typ, ok := e.Lookup("type")
	if !ok {
		switch {
		case op == "eq" || op == "ne":
			typ = "string"
		case strings.Contains(a, ".") || strings.Contains(b, "."):
			typ = "number"
		default:
			typ = "integer"
		}
	}
	switch strings.ToLower(typ) {
	case "integer":
		x, _, fits1, ok1 := scanInt(a, 0)
		y, _, fits2, ok2 := scanInt(b, 0)
		if fits1 && fits2 && ok1 && ok2 {
			return cmp.Compare(x, y)
		}
	case "number":
		x, ok1 := scanFloat(a)
		y, ok2 := scanFloat(b)
		if ok1 && ok2 {
			return compareFloats(x, y)
		}
	case "version":
		return compareVersions(a, b)
	case "string":
	default:
		return 0
	}
	return compareText(a, b)
}

// compareFloats takes what cannot be ordered (NaN) as equal.
func compareFloats(x, y float64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// compareText compares bytes without regard to the case of ASCII letters.
func compareText(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// compareVersions compares numbers between points, one after the other; one
// that is missing counts as 0, an empty version comes before all.
func compareVersions(a, b string) int {
	if order := cmp.Compare(min(len(a), 1), min(len(b), 1)); order != 0 {
		return order
	}
	for a != "" || b != "" {
		var x, y int32
		x, a = versionPart(a)
		y, b = versionPart(b)
		if x != y {
			return cmp.Compare(x, y)
		}
	}
	return 0
}

// versionPart cuts the first number off a version; what is no number is 0 and ends it.
func versionPart(text string) (int32, string) {
	n, rest, _, ok := scanInt(text, 0)
	if next, point := strings.CutPrefix(rest, "."); point {
		return int32(n), next
	}
	if !ok {
		return 0, ""
	}
	return int32(n), rest
}

// roleHolds evaluates an expression on #role. Without a role none holds.
func (c *Context) roleHolds(e *cib.Node) bool {
	if c.Role == UnknownRole {
		return false
	}
	promotable := c.Role >= Unpromoted
	switch strings.ToLower(e.Attr("operation")) {
	case "defined":
		return c.Role > Started
	case "not_defined":
		return !promotable
	case "eq":
		return roleNamed(e.Attr("value")) == c.Role
	case "ne":
		return promotable && roleNamed(e.Attr("value")) != c.Role
	}
	return false
}

func roleNamed(name string) Role {
	switch name {
	case "Stopped":
		return Stopped
	case "Started":
		return Started
	case "Unpromoted", "Slave":
		return Unpromoted
	case "Promoted", "Master":
		return Promoted
	}
	return UnknownRole
}

// agentHolds evaluates an rsc_expression: what it names must be equal, and an
// agent with a provider needs one that is named.
func (c *Context) agentHolds(e *cib.Node) bool {
	if c.Agent == nil {
		return false
	}
	provider, named := e.Lookup("provider")
	return fits(e, "class", c.Agent.Standard) && named == (c.Agent.Provider != "") && provider == c.Agent.Provider && fits(e, "type", c.Agent.Type)
}

func fits(e *cib.Node, attr, value string) bool {
	want, ok := e.Lookup(attr)
	return !ok || want == value
}

// opHolds evaluates an op_expression: the name must be there.
func (c *Context) opHolds(e *cib.Node) bool {
	if c.Op == nil {
		return false
	}
	name, named := e.Lookup("name")
	if !named || name != c.Op.Name {
		return false
	}
	text, limited := e.Lookup("interval")
	if !limited {
		return true
	}
	interval, err := ParseInterval(text)
	return err == nil && interval == c.Op.Interval
}

// dependsExpression says what an <expression> depends on.
func dependsExpression(e *cib.Node) Dependence {
	switch name := e.Attr("attribute"); {
	case name == "#role":
		return OnRole
	case strings.Contains(name, "%") || e.Attr("value-source") != "":
		return OnNode | OnMatch
	}
	return OnNode
}
