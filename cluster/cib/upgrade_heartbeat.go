package cib

import (
	"slices"
	"strconv"
	"strings"
)

// Heartbeat 2's dialect, as its crm.dtd had it: names with underscores, sets
// whose pairs stand in <attributes>, options of resources as XML attributes or
// among the agent's parameters, and constraints that go from one to another.

// heartbeatRoot are attributes of <cib> that nobody else had.
var heartbeatRoot = [...]string{"ignore_dtd", "cib_feature_revision", "num_peers", "ccm_transition", "have_quorum", "dc_uuid"}

// resourceMeta are Heartbeat's names of meta attributes.
var resourceMeta = map[string]string{
	"target_role": "target-role", "is_managed": "is-managed", "multiple_active": "multiple-active",
	"resource_stickiness": "resource-stickiness", "migration_threshold": "migration-threshold",
	"failure_timeout": "failure-timeout", "allow_migrate": "allow-migrate",
	"clone_max": "clone-max", "clone_node_max": "clone-node-max", "globally_unique": "globally-unique",
	"master_max": "master-max", "master_node_max": "master-node-max", "restart_type": "restart-type",
	"resource_failure_stickiness": "resource-failure-stickiness",
}

// containerMeta are those of groups and clones that are spelled as today.
var containerMeta = map[string]bool{"ordered": true, "interleave": true, "notify": true, "collocated": true, "priority": true}

// speaksHeartbeat reports whether a document without a schema is Heartbeat's.
func speaksHeartbeat(root *Node) bool {
	for _, name := range heartbeatRoot {
		if _, there := root.Lookup(name); there {
			return true
		}
	}
	found := false
	walkConfiguration(root, func(n, parent *Node) bool {
		switch n.name {
		case "attributes", "master_slave":
			found = true
		case "rsc_order", "rsc_colocation":
			found = found || n.Attr("from") != ""
		case "nvpair":
			found = found || parent.Name() == "crm_config"
		}
		return !found
	})
	return found
}

// fromHeartbeat translates a whole document.
func (u *upgrader) fromHeartbeat(root *Node) *Node {
	before := len(u.remarks)
	root = respelled(root, map[string]string{"have_quorum": "have-quorum", "dc_uuid": "dc-uuid"})
	root = root.Edited(func(section *Node) *Node {
		section = unwrapped(section)
		if section.name == "status" {
			return modernHistory(section)
		}
		return section.Edited(u.heartbeatSection)
	})
	if len(u.remarks) == before && speaksHeartbeat(root) {
		u.note("the document was in Heartbeat 2's dialect")
	}
	return root
}

func (u *upgrader) heartbeatSection(section *Node) *Node {
	switch section.name {
	case "crm_config":
		return u.looseOptions(section)
	case "resources":
		return section.Edited(u.heartbeatResource)
	case "constraints":
		return section.Edited(u.heartbeatConstraint)
	}
	return section
}

// unwrapped puts the content of each <attributes> into the element around it.
func unwrapped(n *Node) *Node {
	n = n.Edited(unwrapped)
	if n.Child("attributes") == nil {
		return n
	}
	c := n.clone()
	c.children = nil
	for _, child := range n.children {
		if child.kind == elementKind && child.name == "attributes" {
			c.children = append(c.children, child.children...)
		} else {
			c.children = append(c.children, child)
		}
	}
	return c
}

// respelled gives attributes their names of today.
func respelled(n *Node, names map[string]string) *Node {
	for _, a := range n.attrs {
		if to := names[a.Name]; to != "" {
			n = n.WithoutAttr(a.Name).WithAttr(to, a.Value)
		}
	}
	return n
}

var historyNames = map[string]string{
	"call_id": "call-id", "rc_code": "rc-code", "op_status": "op-status", "op_digest": "op-digest",
	"op_restart_digest": "op-restart-digest", "op_force_restart": "op-force-restart",
	"transition_key": "transition-key", "transition_magic": "transition-magic",
	"crm_debug_origin": "crm-debug-origin", "last_run": "last-run", "last_rc_change": "last-rc-change",
	"exec_time": "exec-time", "queue_time": "queue-time",
}

func modernHistory(n *Node) *Node {
	if n.name == "lrm_rsc_op" {
		n = respelled(n, historyNames)
	}
	return n.Edited(modernHistory)
}

// looseOptions gathers options that stand in crm_config itself into a set.
func (u *upgrader) looseOptions(section *Node) *Node {
	var loose []*Node
	section = section.Edited(func(n *Node) *Node {
		if n.name != "nvpair" {
			return n
		}
		loose = append(loose, n)
		return nil
	})
	if len(loose) == 0 {
		return section
	}
	u.note("the cluster's options are in a <cluster_property_set> now")
	return section.WithChild(NewNode("cluster_property_set", "id", u.freshID("cib-bootstrap-options")).WithChild(loose...))
}

// heartbeatResource translates a resource and what is in it.
func (u *upgrader) heartbeatResource(n *Node) *Node {
	if n.name == "master_slave" {
		u.note("%s is a <master> now, it was a <master_slave>", n.ID())
		n = n.named("master")
	}
	switch n.name {
	case "primitive", "group", "clone", "master":
	default:
		return n
	}
	n, meta := u.metaFromAttrs(n)
	container := n.name != "primitive"
	n = n.Edited(func(c *Node) *Node {
		switch c.name {
		case "meta_attributes":
			return c.Edited(modernMeta)
		case "instance_attributes":
			return u.metaFromParameters(n, c, container, &meta)
		case "operations":
			return c.Edited(heartbeatOperation)
		}
		return u.heartbeatResource(c)
	})
	if n.name == "clone" && sharesAddress(n) && !namesUniqueness(n, meta) {
		u.note("resource %s: globally-unique is said now, the default was true: its instances share an address", n.ID())
		meta = append(meta, NewNode("nvpair", "id", u.freshID(n.ID()+"-globally-unique"), "name", "globally-unique", "value", "true"))
	}
	if len(meta) == 0 {
		return n
	}
	if target := plainSet(n, "meta_attributes"); target != nil {
		return n.WithReplaced(target, target.WithChild(meta...))
	}
	return n.WithChild(NewNode("meta_attributes", "id", u.freshID(n.ID()+"-meta")).WithChild(meta...))
}

// sharesAddress reports whether instances of a clone have to be told apart: they answer for a part of an address each.
func sharesAddress(n *Node) bool {
	if n.name == "nvpair" && n.Attr("name") == "clusterip_hash" {
		return true
	}
	for c := range n.Elements {
		if sharesAddress(c) {
			return true
		}
	}
	return false
}

func namesUniqueness(n *Node, meta []*Node) bool {
	for set := range n.Elements {
		if set.name == "meta_attributes" {
			meta = append(slices.Clone(meta), slices.Collect(set.Elements)...)
		}
	}
	return slices.ContainsFunc(meta, func(pair *Node) bool { return pair.Attr("name") == "globally-unique" })
}

func modernMeta(pair *Node) *Node {
	if to := resourceMeta[pair.Attr("name")]; pair.name == "nvpair" && to != "" {
		return pair.WithAttr("name", to)
	}
	return pair
}

// metaFromAttrs takes meta attributes from the resource's XML attributes.
func (u *upgrader) metaFromAttrs(n *Node) (*Node, []*Node) {
	var meta []*Node
	for _, a := range n.attrs {
		name := resourceMeta[a.Name]
		if name == "" && containerMeta[a.Name] {
			name = a.Name
		}
		if name == "" {
			continue
		}
		u.note("resource %s: %s is a meta attribute now", n.ID(), name)
		meta = append(meta, NewNode("nvpair", "id", u.freshID(n.ID()+"-"+name), "name", name, "value", a.Value))
		n = n.WithoutAttr(a.Name)
	}
	return n, meta
}

// metaFromParameters takes meta attributes from among the agent's parameters.
func (u *upgrader) metaFromParameters(rsc, set *Node, container bool, meta *[]*Node) *Node {
	if set.Child("rule") != nil {
		return set
	}
	up := set.Edited(func(pair *Node) *Node {
		name := pair.Attr("name")
		modern := resourceMeta[name]
		if modern == "" && container && containerMeta[name] {
			modern = name
		}
		if pair.name != "nvpair" || modern == "" {
			return pair
		}
		u.note("resource %s: %s is a meta attribute now", rsc.ID(), modern)
		*meta = append(*meta, pair.WithAttr("name", modern))
		return nil
	})
	return u.unlessEmptied(set, up)
}

func heartbeatOperation(op *Node) *Node {
	op = respelled(op, map[string]string{"on_fail": "on-fail", "start_delay": "start-delay", "prereq": "requires", "interval_origin": "interval-origin"})
	if disabled, there := op.Lookup("disabled"); there {
		off, _ := ParseBool(disabled)
		op = op.WithoutAttr("disabled").WithAttr("enabled", strconv.FormatBool(!off))
	}
	if _, there := op.Lookup("interval"); !there && op.name == "op" {
		op = op.WithAttr("interval", "0")
	}
	return modernRole(op, "role")
}

// heartbeatConstraint translates what goes from one resource to another.
func (u *upgrader) heartbeatConstraint(n *Node) *Node {
	if n.Attr("from") != "" {
		switch n.name {
		case "rsc_colocation":
			u.note("colocation %s: from and to are rsc and with-rsc now", n.ID())
			n = respelled(n.WithoutAttr("symmetrical"), map[string]string{"from": "rsc", "to": "with-rsc", "from_role": "rsc-role", "to_role": "with-rsc-role", "node_attribute": "node-attribute"})
			return modernRole(modernRole(n, "rsc-role"), "with-rsc-role")
		case "rsc_order":
			return u.heartbeatOrder(n)
		}
	}
	return modernRules(n)
}

// heartbeatOrder: from comes after to, unless its type is before.
func (u *upgrader) heartbeatOrder(n *Node) *Node {
	u.note("order %s: from and to are first and then now", n.ID())
	names := map[string]string{"from": "then", "action": "then-action", "to": "first", "to_action": "first-action"}
	if strings.EqualFold(n.Attr("type"), "before") {
		names = map[string]string{"from": "first", "action": "first-action", "to": "then", "to_action": "then-action"}
	}
	return respelled(n.WithoutAttr("type"), names)
}

func modernRules(n *Node) *Node {
	if n.name == "rule" {
		n = modernRole(respelled(n, map[string]string{"score_attribute": "score-attribute", "boolean_op": "boolean-op"}), "role")
	}
	return n.Edited(modernRules)
}

// modernRole writes a role with a capital letter, as it is written today.
func modernRole(n *Node, attr string) *Node {
	role := n.Attr(attr)
	for _, modern := range [...]string{"Started", "Stopped", "Master", "Slave"} {
		if role != modern && strings.EqualFold(role, modern) {
			return n.WithAttr(attr, modern)
		}
	}
	return n
}
