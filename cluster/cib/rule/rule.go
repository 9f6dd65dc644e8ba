// Package rule decides what the rules of a CIB say, and which attributes hold
// because of them.
//
// A <rule> is a tree of expressions: on a node's attributes (expression), on
// the time (date_expression), on a role, a resource agent (rsc_expression) or an
// operation (op_expression). Rules stand in location constraints and in
// attribute sets (instance_attributes, meta_attributes, cluster_property_set
// and so on); a set applies where it has no rule or one that holds. The meaning
// is that of Pacemaker 2.1.5, also for what is malformed.
//
// Everything is asked through a Context, which says what is known: the node,
// the time, the agent. What is not known (an expression on a node where there
// is no node) does not hold.
//
//	ctx := rule.Context{View: view, Now: now, Attr: attrsOfNode}
//	if ctx.Holds(constraint.Child("rule")) { … }
//	params := ctx.Merge(nil, primitive, "instance_attributes", rule.Options{})
//	recheckAt := ctx.Change
package rule

import (
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// Context is what a rule is asked about. Its zero value knows nothing: then
// expressions hold only on dates, and only with Now set. It remembers the next
// change, so one Context must not be used by two goroutines at a time.
type Context struct {
	View *cib.View // resolves id-ref; nil resolves none
	Now  time.Time // its zone is the local time of date_spec and of times without a zone

	Attr  func(name string) (value string, ok bool) // attributes of the node, "#uname" and the like included; nil where there is no node
	Role  Role                                      // of the resource, for expressions on #role
	Agent *Agent                                    // of the resource, for rsc_expression; nil where there is none
	Op    *Operation                                // for op_expression; nil where there is none
	Match *Match                                    // the resource of a location constraint, for value-source and %1; nil elsewhere

	// Change is the earliest time at which an answer that this context gave may
	// become another because of a date; zero if there is none. date_spec does
	// not count: it changes at any time, and the periodic recheck covers it.
	Change time.Time

	depth int // of rules in rules
	asked int // rules since the depth was 0
}

// Role is the state of a resource, as expressions on #role see it.
type Role uint8

// The roles in the order of what they imply; UnknownRole is none at all.
const (
	UnknownRole Role = iota
	Stopped
	Started
	Unpromoted
	Promoted
)

// Agent is a resource's agent as rsc_expression sees it; an empty Provider is none.
type Agent struct{ Standard, Provider, Type string }

// Operation is an operation as op_expression sees it.
type Operation struct {
	Name     string
	Interval time.Duration
}

// Match is the resource that a location constraint is applied to.
type Match struct {
	// Groups is what rsc-pattern matched: the whole, then each parenthesis; nil
	// for a constraint without a pattern. %0 to %9 in an expression's attribute stand for them.
	Groups []string
	Params func(name string) (value string, ok bool) // for value-source="param"; nil has none
	Meta   func(name string) (value string, ok bool) // for value-source="meta"; nil has none
}

// References can make rules in rules endless: what is deeper than maxDepth, and
// the rules after the first maxRules of one question, do not hold.
const (
	maxDepth = 64
	maxRules = 10_000
)

// enter counts a rule; false means that it is one too many. leave follows on true.
func (c *Context) enter() bool {
	if c.depth == 0 {
		c.asked = 0
	}
	if c.depth == maxDepth || c.asked == maxRules {
		return false
	}
	c.depth++
	c.asked++
	return true
}

func (c *Context) leave() { c.depth-- }

// Holds reports whether a rule, or what its id-ref names, holds. A rule without
// an expression holds, unless its boolean-op is "or"; so does a reference to nothing.
func (c *Context) Holds(rule *cib.Node) bool {
	if !c.enter() {
		return false
	}
	defer c.leave()
	rule = c.deref(rule)
	any := strings.EqualFold(rule.Attr("boolean-op"), "or")
	for e := range rule.Elements {
		if c.expressionHolds(e) == any {
			return any
		}
	}
	return !any
}

// Applies reports whether an attribute set applies: it has no rule, or one that holds.
func (c *Context) Applies(set *cib.Node) bool {
	ruled := false
	for r := range set.Elements {
		if r.Name() != "rule" {
			continue
		}
		if ruled = true; c.Holds(r) {
			return true
		}
	}
	return !ruled
}

// deref returns the element of the same name that n's id-ref names, else n. One
// step only: what the target refers to in its turn does not count.
func (c *Context) deref(n *cib.Node) *cib.Node {
	ref, ok := n.Lookup("id-ref")
	if !ok || c.View == nil {
		return n
	}
	if target := c.View.ByID(ref); target.Name() == n.Name() {
		return target
	}
	return n
}

func (c *Context) expressionHolds(e *cib.Node) bool {
	switch e.Name() {
	case "rule":
		return c.Holds(e)
	case "expression":
		if e.Attr("attribute") == "#role" {
			return c.roleHolds(e)
		}
		return c.attributeHolds(e)
	case "date_expression":
		return c.dateHolds(e)
	case "rsc_expression":
		return c.agentHolds(e)
	case "op_expression":
		return c.opHolds(e)
	}
	return false
}
