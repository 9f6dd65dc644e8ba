package schedtest

import "strings"

var constraintChanges = []func(*alterer) string{
	(*alterer).addLocation, (*alterer).addLocation, (*alterer).addColocation, (*alterer).addColocation, (*alterer).addOrder,
	(*alterer).addOrder, (*alterer).addSet, (*alterer).addTicket, (*alterer).dropConstraint, (*alterer).changeConstraint,
	(*alterer).changeConstraint,
}

func (m *alterer) role() string {
	return m.pick("Started", "Promoted", "Unpromoted", "Master", "Slave", "Stopped")
}

// addConstraint adds one without its id.
func (m *alterer) addConstraint(c *element) string {
	c.set("id", m.id())
	m.constraints.kids = append(m.constraints.kids, c)
	return "added " + strings.TrimSpace(c.freeze().String())
}

// resource picks one; most constraints name a whole collection.
func (m *alterer) resource() string {
	r := m.one(m.all)
	if p := m.resources.parent(r); p.name != "resources" && p.name != "group" && m.percent(80) {
		return p.get("id")
	}
	return r.get("id")
}

func (m *alterer) addLocation() string {
	n := m.one(m.nodes)
	if n == nil || len(m.all) == 0 {
		return ""
	}
	c := newElement("rsc_location", "rsc", m.resource())
	if m.percent(20) {
		rule := newElement("rule", "id", m.id(), "score", m.score())
		if m.percent(30) {
			rule.set("role", m.role())
		}
		test := newElement("expression", "id", m.id(), "attribute", "#uname", "operation", m.pick("eq", "ne"), "value", n.get("uname"))
		if names := pairNames(n, "instance_attributes"); len(names) > 0 && m.percent(40) {
			test.set("attribute", m.pick(names...))
			test.set("operation", m.pick("defined", "not_defined"))
			test.set("value", "")
		}
		rule.kids = append(rule.kids, test)
		c.kids = append(c.kids, rule)
	} else {
		c.set("node", n.get("uname"))
		c.set("score", m.score())
		if m.percent(25) {
			c.set("role", m.role())
		}
	}
	if m.percent(20) {
		c.set("resource-discovery", m.pick("always", "never", "exclusive"))
	}
	return m.addConstraint(c)
}

func (m *alterer) addColocation() string {
	if len(m.all) < 2 {
		return ""
	}
	a, b := m.resource(), m.resource()
	if a == b {
		return ""
	}
	c := newElement("rsc_colocation", "rsc", a, "with-rsc", b, "score", m.score())
	if m.percent(25) {
		c.set("rsc-role", m.role())
	}
	if m.percent(25) {
		c.set("with-rsc-role", m.role())
	}
	if m.percent(15) {
		c.set("influence", m.pick("true", "false"))
	}
	if n := m.one(m.nodes); n != nil && m.percent(10) {
		if names := pairNames(n, "instance_attributes"); len(names) > 0 {
			c.set("node-attribute", m.pick(names...))
		}
	}
	return m.addConstraint(c)
}

func (m *alterer) kind(c *element) {
	if m.percent(60) {
		c.set("kind", m.pick("Mandatory", "Optional", "Serialize"))
	}
	if m.percent(25) {
		c.set("symmetrical", m.pick("true", "false"))
	}
}

func (m *alterer) addOrder() string {
	if len(m.all) < 2 {
		return ""
	}
	a, b := m.resource(), m.resource()
	if a == b {
		return ""
	}
	c := newElement("rsc_order", "first", a, "then", b)
	for _, side := range []string{"first-action", "then-action"} {
		if m.percent(35) {
			c.set(side, m.pick("start", "stop", "promote", "demote"))
		}
	}
	if m.percent(10) {
		c.set("require-all", m.pick("true", "false"))
	}
	m.kind(c)
	return m.addConstraint(c)
}

// set is one resource_set of some resources.
func (m *alterer) set(used map[string]bool) *element {
	s := newElement("resource_set", "id", m.id())
	for range 1 + m.r.IntN(3) {
		if r := m.resource(); !used[r] {
			used[r] = true
			s.kids = append(s.kids, newElement("resource_ref", "id", r))
		}
	}
	if m.percent(40) {
		s.set("sequential", m.pick("true", "false"))
	}
	return s
}

func (m *alterer) addSet() string {
	if len(m.all) < 3 {
		return ""
	}
	name := m.pick("rsc_order", "rsc_colocation", "rsc_ticket", "rsc_location")
	c := newElement(name)
	used := map[string]bool{}
	for range 1 + m.r.IntN(3) {
		s := m.set(used)
		if len(s.kids) == 0 {
			continue
		}
		switch {
		case name == "rsc_order" && m.percent(30):
			s.set("require-all", m.pick("true", "false"))
		case name == "rsc_order" && m.percent(30):
			s.set("action", m.pick("start", "stop", "promote", "demote"))
		case name != "rsc_order" && m.percent(25):
			s.set("role", m.role())
		}
		c.kids = append(c.kids, s)
	}
	if len(c.kids) == 0 {
		return ""
	}
	switch name {
	case "rsc_order":
		m.kind(c)
	case "rsc_ticket":
		c.set("ticket", "ticketM")
		c.set("loss-policy", m.pick("stop", "demote", "fence", "freeze"))
	case "rsc_location":
		n := m.one(m.nodes)
		if n == nil {
			return ""
		}
		c.set("node", n.get("uname"))
		c.set("score", m.score())
	default:
		c.set("score", m.score())
	}
	return m.addConstraint(c)
}

func (m *alterer) addTicket() string {
	if len(m.all) == 0 {
		return ""
	}
	c := newElement("rsc_ticket", "rsc", m.resource(), "ticket", m.pick("ticketA", "ticketM"), "loss-policy", m.pick("stop", "demote", "fence", "freeze", ""))
	if m.percent(40) {
		c.set("rsc-role", m.role())
	}
	return m.addConstraint(c)
}

func (m *alterer) dropConstraint() string {
	c := m.one(m.constraints.kids)
	if c == nil {
		return ""
	}
	m.constraints.remove(c)
	return did("constraint %s is gone", c.get("id"))
}

// changeConstraint changes one setting of a constraint.
func (m *alterer) changeConstraint() string {
	c := m.one(m.constraints.kids)
	if c == nil {
		return ""
	}
	name, value := "score", m.score()
	switch {
	case c.name == "rsc_order" && m.percent(50):
		name, value = "kind", m.pick("Mandatory", "Optional", "Serialize")
		c.set("score", "")
	case c.name == "rsc_order":
		name, value = m.pick("symmetrical", "require-all"), m.pick("true", "false")
	case c.name == "rsc_ticket":
		name, value = "loss-policy", m.pick("stop", "demote", "fence", "freeze")
	case c.name == "rsc_colocation" && m.percent(40) && c.get("rsc") != "":
		name, value = m.pick("rsc-role", "with-rsc-role"), m.role()
	case c.name == "rsc_location" && c.get("node") == "":
		for _, r := range c.kids {
			if r.name == "rule" {
				r.set("score-attribute", "")
				r.set("score", value)
				return did("score of a rule of %s is %s", c.get("id"), value)
			}
		}
	}
	c.set(name, value)
	return did("%s of constraint %s is %s", name, c.get("id"), value)
}
