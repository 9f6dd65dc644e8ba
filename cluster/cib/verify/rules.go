package verify

import (
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
)

// rules checks what rules everywhere compare: what package rule finds in each,
// and what can be read and is never true nevertheless.
func (c *checker) rules() {
	said := map[string]bool{}
	for _, f := range c.findings {
		said[f.Path] = true
	}
	c.every(func(n *cib.Node) {
		switch n.Name() {
		case "rule":
			if c.parents[n].Name() != "rule" {
				c.rule(n, said)
			}
		case "date_expression":
			c.dates(n)
		case "date_spec":
			c.dateSpec(n)
		}
	})
}

// rule reports what is wrong in one rule. A bad value is a warning, since
// Pacemaker goes on without it; where something is missing, it refuses the
// document. What the schema has found already is not said twice.
func (c *checker) rule(n *cib.Node, said map[string]bool) {
	for _, p := range rule.Check(c.view, n) {
		path := c.path(p.Element)
		if p.Attr != "" {
			path += "/@" + p.Attr
		}
		if said[path] {
			continue
		}
		severity := Error
		if p.Warning || p.Attr != "" {
			severity = Warning
		}
		c.findings = append(c.findings, Finding{severity, p.Element.Line(), path, p.Message, p.Remedy})
	}
}

// dates checks the two ends of a range against each other.
func (c *checker) dates(n *cib.Node) {
	_, hasStart := n.Lookup("start")
	_, hasEnd := n.Lookup("end")
	if op := n.Attr("operation"); op != "" && !strings.EqualFold(op, "in_range") {
		return
	}
	if n.Child("duration") != nil && !hasStart && hasEnd {
		c.warn(n, "", `Add start="…".`, "the duration of date_expression %s has no start", n.ID())
	}
	midnight := time.Unix(0, 0).UTC()
	start, err1 := rule.ParseTime(n.Attr("start"), midnight)
	end, err2 := rule.ParseTime(n.Attr("end"), midnight)
	if err1 == nil && err2 == nil && end.Before(start) {
		c.warn(n, "end", "Exchange the two.", "date_expression %s ends before it starts: it never holds", n.ID())
	}
}

// specRanges are the fields of a date_spec and the values that can be.
var specRanges = map[string][2]int{
	"seconds": {0, 59}, "minutes": {0, 59}, "hours": {0, 23}, "monthdays": {1, 31}, "weekdays": {1, 7},
	"yeardays": {1, 366}, "months": {1, 12}, "weeks": {1, 53}, "moon": {0, 7},
}

// dateSpec warns of hours and days that never come.
func (c *checker) dateSpec(n *cib.Node) {
	fields := 0
	for _, a := range n.Attrs() {
		if a.Name != "id" {
			fields++
		}
		limits, ok := specRanges[a.Name]
		first, last, both := strings.Cut(a.Value, "-")
		if !both {
			last = first
		}
		low, err1 := strconv.Atoi(first)
		high, err2 := strconv.Atoi(last)
		if ok && (err1 == nil && low > limits[1] || err2 == nil && high < limits[0]) {
			c.warn(n, a.Name, "Write a number from "+strconv.Itoa(limits[0])+" to "+strconv.Itoa(limits[1])+".", "%s %q never comes", a.Name, a.Value)
		}
	}
	if fields == 0 {
		c.warn(n, "", `Say when, as in hours="9-17".`, "date_spec %s names no time: it always holds", n.ID())
	}
}
