package schedtest

import "strings"

var nodeChanges = []func(*alterer) string{
	(*alterer).nodeState, (*alterer).nodeState, (*alterer).nodeAttribute, (*alterer).nodeAttribute, (*alterer).promotionScore,
	(*alterer).nodeCapacity, (*alterer).forgetNode,
}

// nodeState lets a node go, come back or be in between.
func (m *alterer) nodeState() string {
	s := m.one(m.states)
	if s == nil {
		return ""
	}
	what := m.pick("offline", "unclean", "crashed", "pending", "shutdown", "online", "banned")
	set := func(inCCM, crmd, join, expected string) {
		s.set("in_ccm", inCCM)
		s.set("crmd", crmd)
		s.set("join", join)
		s.set("expected", expected)
	}
	switch what {
	case "offline":
		set("false", "offline", "down", "down")
	case "unclean":
		set("false", "offline", "down", "member")
	case "crashed":
		set("true", "offline", "down", "member")
	case "pending":
		set("true", "online", "down", m.pick("down", "member"))
	case "online":
		set("true", "online", "member", "member")
	case "banned":
		set("true", "online", "banned", "member")
	case "shutdown":
		m.transient(s, "shutdown", m.ago(10))
	}
	return did("node %s is %s", s.get("uname"), what)
}

// transient sets an attribute in the node's state.
func (m *alterer) transient(state *element, name, value string) {
	t := state.child("transient_attributes")
	if t.get("id") == "" {
		t.set("id", state.get("id"))
	}
	m.setPair(t, "instance_attributes", name, value)
}

func (m *alterer) nodeAttribute() string {
	n := m.one(m.nodes)
	if n == nil {
		return ""
	}
	name, value := "standby", m.pick("on", "off", "true", "")
	switch m.r.IntN(6) {
	case 0, 1:
	case 2:
		name, value = "maintenance", m.pick("true", "false")
	case 3:
		name, value = "#health-disk", m.pick("red", "yellow", "green", "-10", "7")
	default:
		names := pairNames(n, "instance_attributes")
		if len(names) == 0 {
			return ""
		}
		name, value = m.pick(names...), m.pick("", "true", "1", "0", "a")
	}
	if s := m.stateOf(n.get("uname")); s != nil && strings.HasPrefix(name, "#") {
		m.transient(s, name, value)
	} else {
		m.setPair(n, "instance_attributes", name, value)
	}
	return did("attribute %s of node %s is %q", name, n.get("uname"), value)
}

func (m *alterer) stateOf(node string) *element {
	for _, s := range m.states {
		if s.get("uname") == node {
			return s
		}
	}
	return nil
}

// promotionScore changes what an agent said about promotion, or any other
// transient attribute.
func (m *alterer) promotionScore() string {
	s := m.one(m.states)
	if s == nil {
		return ""
	}
	names := pairNames(s.child("transient_attributes"), "instance_attributes")
	if r := m.one(m.primitives); r != nil && (len(names) == 0 || m.percent(30)) {
		names = []string{"master-" + r.get("id")}
	}
	if len(names) == 0 {
		return ""
	}
	name := m.pick(names...)
	value := m.pick("", "0", "1", "5", "100", "1000", "-1", "INFINITY", "-INFINITY")
	m.transient(s, name, value)
	return did("transient attribute %s of node %s is %q", name, s.get("uname"), value)
}

func (m *alterer) nodeCapacity() string {
	n := m.one(m.nodes)
	if n == nil || len(pairNames(n, "utilization")) == 0 {
		return ""
	}
	name, value := m.pick(pairNames(n, "utilization")...), m.pick("0", "1", "2", "8", "100", "4000", "")
	m.setPair(n, "utilization", name, value)
	return did("capacity %s of node %s is %q", name, n.get("uname"), value)
}

// forgetNode removes a node's state, or its history.
func (m *alterer) forgetNode() string {
	s := m.one(m.states)
	if s == nil {
		return ""
	}
	if m.percent(50) {
		m.status.remove(s)
		return did("node %s was never seen", s.get("uname"))
	}
	s.remove(s.child("lrm"))
	return did("history of node %s is gone", s.get("uname"))
}
