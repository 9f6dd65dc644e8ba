package verify

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// constraints checks each constraint for itself.
func (c *checker) constraints() {
	for n := range c.root.Path("configuration", "constraints").Elements {
		switch n.Name() {
		case "rsc_location":
			c.location(n)
		case "rsc_colocation":
			c.colocation(n)
		case "rsc_order":
			c.orderOf(n)
		case "rsc_ticket":
			c.ticket(n)
		}
		for set := range n.Elements {
			if set.Name() == "resource_set" {
				c.set(n, set)
			}
		}
	}
}

func (c *checker) isNode(name string) bool {
	return c.nodes[strings.ToLower(name)] || c.isReplica(name)
}

// isReplica reports whether a node is that of a bundle's replica: web-0.
func (c *checker) isReplica(name string) bool {
	at := strings.LastIndexByte(name, '-')
	return at > 0 && c.resources[name[:at]].Name() == "bundle" && strings.Trim(name[at+1:], "0123456789") == ""
}

func (c *checker) nodeNames() []string { return keys(c.nodes) }

func (c *checker) location(n *cib.Node) {
	if node := n.Attr("node"); node != "" && !c.isNode(node) {
		c.warn(n, "node", c.didYouMean(node, c.nodeNames(), "Remove the constraint if the node is gone."), "there is no node %q", node)
	}
	if pattern := n.Attr("rsc-pattern"); pattern != "" && !c.matchesAny(pattern) {
		c.warn(n, "rsc-pattern", "Mend the pattern, or remove the constraint.", "no resource matches %q", pattern)
	}
	for rule := range n.Elements {
		_, score := rule.Lookup("score")
		_, attribute := rule.Lookup("score-attribute")
		if rule.Name() == "rule" && !score && !attribute && rule.Attr("id-ref") == "" {
			c.warn(rule, "", `Add score="…".`, "rule %s has no score: it counts as 0", rule.ID())
		}
	}
	c.roleFits(n, "rsc", "role")
}

// matchesAny reports whether a pattern, which a ! inverts, matches a resource.
// One that does not compile is reported elsewhere.
func (c *checker) matchesAny(pattern string) bool {
	text, inverted := strings.CutPrefix(pattern, "!")
	re, err := regexp.CompilePOSIX(text)
	if err != nil {
		return true
	}
	for _, rsc := range c.order {
		if rsc.Name() != "template" && re.MatchString(rsc.ID()) != inverted {
			return true
		}
	}
	return false
}

// roleFits warns of a role of a resource that has none.
func (c *checker) roleFits(n *cib.Node, rscAttr, roleAttr string) {
	switch role := n.Attr(roleAttr); role {
	case "Promoted", "Unpromoted", "Master", "Slave":
		for _, rsc := range c.members(n.Attr(rscAttr)) {
			if !c.promotable(rsc) {
				c.warn(n, roleAttr, "Remove the role, or make a promotable clone of it.", "%s is never %s: only promotable clones have roles", rsc.ID(), role)
				return
			}
		}
	}
}

// together warns of a constraint of a resource with itself, or with what it is
// a part of.
func (c *checker) together(n *cib.Node, oneAttr, otherAttr string) {
	one, other := n.Attr(oneAttr), n.Attr(otherAttr)
	if one == "" || other == "" {
		return
	}
	if one == other {
		c.warn(n, otherAttr, "Name two resources.", "%s is constrained with itself", one)
		return
	}
	a, b := c.resources[one], c.resources[other]
	switch {
	case a == nil || b == nil:
	case c.inside(a, b):
		c.warn(n, otherAttr, "Remove it, or name resources of which neither is part of the other.", "%s is constrained with %s, of which it is a part", one, other)
	case c.inside(b, a):
		c.warn(n, otherAttr, "Remove it, or name resources of which neither is part of the other.", "%s is constrained with %s, which is a part of it", one, other)
	}
}

func (c *checker) colocation(n *cib.Node) {
	c.together(n, "rsc", "with-rsc")
	c.roleFits(n, "rsc", "rsc-role")
	c.roleFits(n, "with-rsc", "with-rsc-role")
	if _, there := n.Lookup("score"); !there && n.Attr("rsc") != "" {
		c.warn(n, "", `Add score="INFINITY", or what it is worth.`, "colocation %s has no score: it has no effect", n.ID())
	}
}

func (c *checker) orderOf(n *cib.Node) {
	first := cmp.Or(n.Attr("first-action"), "start")
	if n.Attr("first") != n.Attr("then") || cmp.Or(n.Attr("then-action"), first) == first {
		c.together(n, "first", "then")
	}
	symmetrical, _ := cib.ParseBool(n.Attr("symmetrical"))
	if n.Attr("kind") == "Serialize" && symmetrical {
		c.warn(n, "symmetrical", "Remove it.", "order %s is not symmetrical: its kind is Serialize", n.ID())
	}
	for _, side := range [...]string{"first", "then"} {
		what := n.Attr(side + "-action")
		if what != "promote" && what != "demote" {
			continue
		}
		for _, rsc := range c.members(n.Attr(side)) {
			if !c.promotable(rsc) {
				c.warn(n, side+"-action", "Write start or stop, or make a promotable clone of it.", "%s has no %s: it is no promotable clone", rsc.ID(), what)
				break
			}
		}
	}
}

func (c *checker) ticket(n *cib.Node) {
	c.roleFits(n, "rsc", "rsc-role")
	status := c.root.Child("status")
	ticket := n.Attr("ticket")
	if ticket == "" || status.Child("node_state") == nil {
		return
	}
	var names []string
	for t := range status.Child("tickets").Elements {
		if t.ID() == ticket {
			return
		}
		names = append(names, t.ID())
	}
	c.warn(n, "ticket", c.didYouMean(ticket, names, "Grant it where its resources shall run."), "ticket %q was never granted here", ticket)
}

// set checks one resource set of a constraint.
func (c *checker) set(n, set *cib.Node) {
	seen := map[string]bool{}
	var tags []string
	for ref := range set.Elements {
		id := ref.ID()
		if ref.Name() != "resource_ref" {
			continue
		}
		if seen[id] {
			c.warn(ref, "id", "Name it once.", "%s is in this set twice", id)
		}
		seen[id] = true
		if tag := c.tagged[id]; tag != nil && len(c.members(id)) == 0 {
			tags = append(tags, id)
		}
		rsc := c.resources[id]
		for outer := c.parents[rsc]; rsc != nil && outer != nil; outer = c.parents[outer] {
			if seen[outer.ID()] && c.resources[outer.ID()] == outer && n.Name() != "rsc_ticket" && n.Name() != "rsc_location" {
				c.warn(ref, "id", "Name one of the two.", "%s is in this set with %s, of which it is a part", id, outer.ID())
			}
		}
	}
	for _, id := range tags {
		c.warn(set, "", "Tag resources, or remove it.", "tag %s stands for no resource", id)
	}
}

// contradictions warns of two resources that have to be together and apart.
func (c *checker) contradictions() {
	type pair struct{ a, b, aRole, bRole string }
	first := map[pair]edge{}
	said := map[[2]*cib.Node]bool{}
	looked := 0
	for n := range c.root.Path("configuration", "constraints").Elements {
		if n.Name() != "rsc_colocation" || looked > maxEdges {
			continue
		}
		for _, e := range c.colocationEdges(n) {
			looked++
			if e.score < infinity && e.score > -infinity || e.from == e.to {
				continue
			}
			key := pair{e.from, e.to, e.fromRole, e.toRole}
			if key.a > key.b {
				key = pair{e.to, e.from, e.toRole, e.fromRole}
			}
			other, seen := first[key]
			if !seen {
				first[key] = e
				continue
			}
			if (other.score > 0) != (e.score > 0) && !said[[2]*cib.Node{other.by, n}] {
				said[[2]*cib.Node{other.by, n}] = true
				c.warn(n, "score", "Remove one of the two.", "%s contradicts %s: %s and %s have to be together and apart, so that one of them cannot run", n.ID(), other.by.ID(), e.from, e.to)
			}
		}
	}
}

// keys returns what a map has, sorted.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
