package schedtest

import (
	"slices"
	"strings"
)

var resourceChanges = []func(*alterer) string{
	(*alterer).meta, (*alterer).meta, (*alterer).meta, (*alterer).cloneMeta, (*alterer).cloneMeta, (*alterer).operation,
	(*alterer).operation, (*alterer).parameter, (*alterer).orphan, (*alterer).utilization, (*alterer).reorder,
}

var metaValues = [][]string{
	{"target-role", "Stopped", "Started", "Unpromoted", "Promoted", "Slave", "Master"}, {"is-managed", "true", "false"},
	{"maintenance", "true", "false"}, {"resource-stickiness", "0", "1", "100", "-1", "INFINITY"},
	{"migration-threshold", "0", "1", "3", "INFINITY"}, {"failure-timeout", "0", "5min", "1h", "1"},
	{"multiple-active", "block", "stop_only", "stop_start", "stop_unexpected"}, {"requires", "nothing", "quorum", "fencing", "unfencing"},
	{"allow-migrate", "true", "false"}, {"priority", "0", "1", "10", "-5", "1000"}, {"restart-type", "restart", "ignore"},
	{"critical", "true", "false"}, {"allow-unhealthy-nodes", "true", "false"}, {"isolation", "x"},
}

var cloneValues = [][]string{
	{"clone-max", "0", "1", "2", "3", "5"}, {"clone-node-max", "0", "1", "2"}, {"promoted-max", "0", "1", "2"},
	{"promoted-node-max", "0", "1", "2"}, {"globally-unique", "true", "false"}, {"interleave", "true", "false"},
	{"ordered", "true", "false"}, {"notify", "true", "false"}, {"clone-min", "0", "1", "2", "3"}, {"promotable", "true", "false"},
	{"master-max", "1", "2"},
}

func (m *alterer) meta() string { return m.setMeta(m.one(m.all), metaValues) }

func (m *alterer) cloneMeta() string {
	var clones []*element
	for _, r := range m.all {
		if r.name == "clone" || r.name == "master" {
			clones = append(clones, r)
		}
	}
	return m.setMeta(m.one(clones), cloneValues)
}

func (m *alterer) setMeta(r *element, values [][]string) string {
	if r == nil {
		return ""
	}
	o := values[m.r.IntN(len(values))]
	name, value := o[0], m.pick(o[1:]...)
	if there := pairNames(r, "meta_attributes"); len(there) > 0 && m.percent(20) {
		name, value = m.pick(there...), ""
	}
	m.setPair(r, "meta_attributes", name, value)
	return did("meta attribute %s of %s is %q", name, r.get("id"), value)
}

// operation changes or adds a setting of an operation.
func (m *alterer) operation() string {
	r := m.one(m.primitives)
	if r == nil {
		return ""
	}
	list := r.child("operations")
	op := m.one(list.kids)
	if op == nil || m.percent(30) {
		op = newElement("op", "id", m.id(), "name", m.pick("monitor", "start", "stop", "promote", "demote"), "interval", "0")
		if op.get("name") == "monitor" {
			op.set("interval", m.pick("10s", "11s", "30s"))
		}
		list.kids = append(list.kids, op)
	}
	name, value := "on-fail", m.pick("ignore", "block", "demote", "stop", "standby", "fence", "restart", "restart-container", "")
	switch m.r.IntN(8) {
	case 0:
		name, value = "enabled", m.pick("true", "false")
	case 1:
		name, value = "role", m.pick("Promoted", "Master", "Unpromoted", "Stopped", "Started", "")
	case 2:
		name, value = "interval", m.pick("0", "5s", "10s", "20000ms", "1min")
	case 3:
		name, value = "timeout", m.pick("5s", "100s", "")
	case 4:
		name, value = "record-pending", m.pick("true", "false")
	}
	op.set(name, value)
	if name == "role" && op.get("name") == "monitor" && m.percent(50) {
		op.set("interval", "17s")
	}
	return did("%s of operation %s of %s is %q", name, op.get("name"), r.get("id"), value)
}

// parameter changes an instance attribute of a resource.
func (m *alterer) parameter() string {
	r := m.one(m.all)
	if r == nil {
		return ""
	}
	name := "changed"
	if there := pairNames(r, "instance_attributes"); len(there) > 0 && m.percent(70) {
		name = m.pick(there...)
		if strings.HasPrefix(name, "pcmk_") {
			return ""
		}
	}
	value := m.pick("", "1", "other")
	m.setPair(r, "instance_attributes", name, value)
	return did("parameter %s of %s is %q", name, r.get("id"), value)
}

// orphan takes a resource out of the configuration, and its constraints.
func (m *alterer) orphan() string {
	r := m.one(m.all)
	if r == nil || len(m.all) < 2 {
		return ""
	}
	p := m.resources.parent(r)
	if p.name != "resources" && (p.name != "group" || countNamed(p, "primitive") < 2) {
		return ""
	}
	p.remove(r)
	gone := map[string]bool{}
	r.walk(func(e *element) { gone[e.get("id")] = true })
	for _, c := range slices.Clone(m.constraints.kids) {
		names := false
		c.walk(func(e *element) {
			for _, a := range []string{"rsc", "with-rsc", "first", "then"} {
				names = names || gone[e.get(a)]
			}
			names = names || e.name == "resource_ref" && gone[e.get("id")]
		})
		if names && m.percent(95) {
			m.constraints.remove(c)
		}
	}
	return did("%s is no longer configured", r.get("id"))
}

func countNamed(e *element, name string) int {
	n := 0
	for _, k := range e.kids {
		if k.name == name {
			n++
		}
	}
	return n
}

func (m *alterer) utilization() string {
	r := m.one(m.primitives)
	if r == nil {
		return ""
	}
	names := pairNames(r, "utilization")
	if len(names) == 0 {
		return ""
	}
	name, value := m.pick(names...), m.pick("", "0", "1", "5", "1000")
	m.setPair(r, "utilization", name, value)
	return did("utilization %s of %s is %q", name, r.get("id"), value)
}

// reorder swaps two members of a group, or two resources.
func (m *alterer) reorder() string {
	r, with := m.one(m.all), m.one(m.all)
	if r == with || m.resources.parent(r) != m.resources.parent(with) {
		return ""
	}
	list := m.resources.parent(r).kids
	i, j := slices.Index(list, r), slices.Index(list, with)
	list[i], list[j] = list[j], list[i]
	return did("%s and %s swap places", r.get("id"), with.get("id"))
}
