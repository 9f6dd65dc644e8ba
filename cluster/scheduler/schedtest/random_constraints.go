package schedtest

import (
	"maps"

	"github.com/takt-ha/takt/cluster/cib"
)

// constraints makes all of them.
func (g *generator) constraints() []*cib.Node {
	var list []*cib.Node
	several := func(f Features, most int, make func() *cib.Node) {
		if !g.has(f) {
			return
		}
		for range g.between(1, most) {
			if c := make(); c != nil {
				list = append(list, c)
			}
		}
	}
	several(Locations, 4, g.location)
	several(Migration, 2, g.attraction)
	several(Rules, 2, g.ruleLocation)
	several(Colocations, 3, g.colocation)
	several(Orders, 3, g.order)
	several(Sets, 2, g.set)
	several(Tickets, 2, g.ticket)
	g.r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// target names something that a constraint may be about: most often a resource
// of the top level.
func (g *generator) target() string {
	if len(g.tags) > 0 && g.percent(20) {
		return g.pick(g.tags...)
	}
	if len(g.extra) > 0 && g.percent(10) {
		return g.extra[g.r.IntN(len(g.extra))].ID()
	}
	return g.targetResource().id
}

func (g *generator) targetResource() *resource {
	for range 20 {
		r := g.all[g.r.IntN(len(g.all))]
		deep := r.parent != nil && (r.parent.kind != "group" || r.parent.parent != nil)
		if deep && !g.percent(3) || r.class == "stonith" && !g.percent(10) || r.parent != nil && !g.percent(50) {
			continue
		}
		return r
	}
	return g.top[0]
}

// twoTargets are two that have no resource in common: crm_simulate dies of an
// order between a resource and itself.
func (g *generator) twoTargets() (a, b string, ok bool) {
	for range 20 {
		if a, b = g.target(), g.target(); !g.overlap(a, b) {
			return a, b, true
		}
	}
	return "", "", false
}

func (g *generator) overlap(a, b string) bool {
	return g.coveredBy(b, g.cover(a))
}

// cover are the primitives that a constraint about id is about.
func (g *generator) cover(id string) map[string]bool {
	set := map[string]bool{}
	for _, t := range g.tagged {
		if t.ID() == id {
			for ref := range t.Elements {
				for r := range g.cover(ref.ID()) {
					set[r] = true
				}
			}
		}
	}
	for _, r := range g.all {
		for at := r; at != nil; at = at.parent {
			if at.id == id || at.template == id {
				set[r.id] = true
			}
		}
	}
	return set
}

// role is a role for a constraint about a resource, most often none.
func (g *generator) role(id string) string {
	for _, r := range g.all {
		if r.id == id && r.promotable && g.percent(60) {
			return g.pick("Promoted", "Promoted", "Master", "Unpromoted", "Slave", "Started")
		}
	}
	if g.percent(5) {
		return g.pick("Started", "Stopped", "Promoted")
	}
	return ""
}

func (g *generator) location() *cib.Node {
	c := cib.NewNode("rsc_location", "id", g.id("loc-"))
	if g.percent(8) {
		c = c.WithAttr("rsc-pattern", g.pick("p[12]", "!p1", "^c", "g.*", "p"))
	} else {
		id := g.target()
		c = put(c.WithAttr("rsc", id), "role", g.role(id))
	}
	if g.has(Discovery) {
		c = put(c, "resource-discovery", g.pick("always", "never", "exclusive", ""))
	}
	return c.WithAttr("node", g.anyNode().name).WithAttr("score", g.score())
}

// attraction draws something that may migrate somewhere.
func (g *generator) attraction() *cib.Node {
	for _, i := range g.r.Perm(len(g.all)) {
		for _, p := range g.all[i].meta {
			if p == (pair{"allow-migrate", "true"}) {
				return cib.NewNode("rsc_location", "id", g.id("loc-"), "rsc", g.all[i].id, "node", g.anyNode().name, "score", g.pick("1000", "INFINITY"))
			}
		}
	}
	return nil
}

// put sets an attribute unless its value is empty.
func put(n *cib.Node, name, value string) *cib.Node {
	if value == "" {
		return n
	}
	return n.WithAttr(name, value)
}

func (g *generator) ruleLocation() *cib.Node {
	id := g.target()
	c := cib.NewNode("rsc_location", "id", g.id("loc-"), "rsc", id, "role", g.role(id))
	for range g.pick("1", "1", "11") {
		score := pair{"score", g.score()}
		if g.percent(10) {
			score = pair{"score-attribute", "ping"}
		}
		extra := []pair{score}
		if r := g.role(id); r != "" && c.Attr("role") == "" {
			extra = append(extra, pair{"role", r})
		}
		c = c.WithChild(g.rule("rsc_location", extra))
	}
	return c
}

func (g *generator) colocation() *cib.Node {
	a, b, ok := g.twoTargets()
	if !ok {
		return nil
	}
	c := cib.NewNode("rsc_colocation", "id", g.id("col-"), "rsc", a, "with-rsc", b, "score", g.score(),
		"rsc-role", g.role(a), "with-rsc-role", g.role(b))
	if g.percent(8) {
		c = c.WithAttr("node-attribute", "rack")
	}
	if g.percent(8) {
		c = c.WithAttr("influence", g.pick("true", "false"))
	}
	return c
}

func (g *generator) order() *cib.Node {
	a, b, ok := g.twoTargets()
	if !ok {
		return nil
	}
	c := cib.NewNode("rsc_order", "id", g.id("ord-"), "first", a, "then", b, "first-action", g.action(a), "then-action", g.action(b))
	switch g.r.IntN(6) {
	case 0:
		c = c.WithAttr("kind", "Optional")
	case 1:
		c = c.WithAttr("kind", "Serialize")
	case 2:
		c = c.WithAttr("score", g.pick("0", "INFINITY", "10"))
	case 3:
		c = c.WithAttr("kind", "Mandatory")
	}
	if g.percent(20) && c.Attr("kind") != "Serialize" {
		c = c.WithAttr("symmetrical", g.pick("true", "false", "false"))
	}
	if g.percent(25) {
		c = c.WithAttr("require-all", g.pick("true", "false", "false"))
	}
	return c
}

func (g *generator) action(id string) string {
	for _, r := range g.all {
		if r.id == id && r.promotable && g.percent(60) {
			return g.pick("promote", "promote", "demote", "start")
		}
	}
	return g.pick("", "", "", "", "", "start", "start", "stop")
}

// set makes a constraint with resource sets.
func (g *generator) set() *cib.Node {
	switch g.r.IntN(5) {
	case 0:
		c := cib.NewNode("rsc_colocation", "id", g.id("col-"), "score", g.score())
		return g.withSets(c, func(s *cib.Node) *cib.Node {
			if g.percent(20) {
				s = s.WithAttr("role", g.pick("Started", "Promoted", "Unpromoted"))
			}
			return s
		})
	case 1:
		c := cib.NewNode("rsc_location", "id", g.id("loc-"), "node", g.anyNode().name, "score", g.score())
		return g.withSets(c, func(s *cib.Node) *cib.Node { return s })
	}
	c := cib.NewNode("rsc_order", "id", g.id("ord-"), "kind", g.pick("", "Mandatory", "Optional", "Serialize"))
	if g.percent(20) {
		c = c.WithAttr("symmetrical", g.pick("true", "false"))
	}
	return g.withSets(c, func(s *cib.Node) *cib.Node {
		if g.percent(40) {
			s = s.WithAttr("require-all", g.pick("false", "false", "true")).WithAttr("sequential", "false")
		}
		return put(s, "action", g.pick("", "", "", "start", "stop", "promote"))
	})
}

// withSets adds one to three sets of different resources.
func (g *generator) withSets(c *cib.Node, finish func(*cib.Node) *cib.Node) *cib.Node {
	used := map[string]bool{}
	for range g.between(1, 3) {
		s := cib.NewNode("resource_set", "id", g.id("set-"))
		if g.percent(40) {
			s = s.WithAttr("sequential", g.pick("false", "true"))
		}
		s = finish(s)
		refs := 0
		for range g.between(1, 3) {
			if id := g.target(); !g.coveredBy(id, used) {
				maps.Copy(used, g.cover(id))
				refs++
				s = s.WithChild(cib.NewNode("resource_ref", "id", id))
			}
		}
		if refs > 0 {
			c = c.WithChild(s)
		}
	}
	if c.Child("resource_set") == nil { // everything was taken
		return c.WithChild(cib.NewNode("resource_set", "id", g.id("set-")).WithChild(cib.NewNode("resource_ref", "id", g.top[0].id)))
	}
	return c
}

func (g *generator) coveredBy(id string, used map[string]bool) bool {
	for r := range g.cover(id) {
		if used[r] {
			return true
		}
	}
	return false
}

func (g *generator) ticket() *cib.Node {
	name := g.pick("ticketA", "ticketB")
	g.tickets = append(g.tickets, name)
	c := cib.NewNode("rsc_ticket", "id", g.id("tick-"))
	if g.with(Sets, 20) {
		c = g.withSets(c, func(s *cib.Node) *cib.Node { return s })
	} else {
		id := g.target()
		c = put(c.WithAttr("rsc", id), "rsc-role", g.role(id))
	}
	return put(c.WithAttr("ticket", name), "loss-policy", g.pick("", "stop", "demote", "fence", "freeze"))
}

func (g *generator) ticketStates() *cib.Node {
	list := cib.NewNode("tickets")
	for _, name := range []string{"ticketA", "ticketB"} {
		switch g.r.IntN(5) {
		case 0, 1:
			list = list.WithChild(cib.NewNode("ticket_state", "id", name, "granted", "true", "standby", g.pick("", "false", "true"), "last-granted", g.ago(500)))
		case 2:
			list = list.WithChild(cib.NewNode("ticket_state", "id", name, "granted", "false", "standby", g.pick("", "true")))
		case 3:
			list = list.WithChild(cib.NewNode("ticket_state", "id", name, "granted", "false", "last-granted", g.ago(500)))
		}
	}
	return list
}
