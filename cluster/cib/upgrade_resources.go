package cib

import "strings"

// Attributes of an operation that old documents could have among its agent's
// parameters, too.
var operationAttrs = map[string]bool{
	"timeout": true, "on-fail": true, "start-delay": true, "role": true,
	"enabled": true, "record-pending": true, "interval-origin": true,
}

// Meta attributes for containers as they were before bundles.
var isolationAttrs = map[string]bool{
	"isolation": true, "isolation-host": true, "isolation-instance": true, "isolation-wrapper": true,
}

var renamedParameters = map[string]string{
	"pcmk_reboot_cmd": "pcmk_reboot_action", "pcmk_off_cmd": "pcmk_off_action", "pcmk_on_cmd": "pcmk_on_action",
	"pcmk_list_cmd": "pcmk_list_action", "pcmk_monitor_cmd": "pcmk_monitor_action", "pcmk_status_cmd": "pcmk_status_action",
}

// resource upgrades a resource and what is in it. Meta attributes of groups and
// clones have kept their meaning; primitives and templates have not.
func (u *upgrader) resource(n *Node) *Node {
	switch n.name {
	case "group", "clone", "master", "bundle":
		return n.Edited(u.resource)
	case "primitive", "template":
		return u.primitive(n)
	}
	return n
}

func (u *upgrader) primitive(n *Node) *Node {
	var needs needs
	up := n.Edited(func(c *Node) *Node {
		switch c.name {
		case "meta_attributes":
			return u.metaSet(n, c)
		case "instance_attributes":
			return u.parameterSet(n, c)
		case "operations":
			return c.Edited(func(op *Node) *Node { return u.operation(op, &needs) })
		}
		return c
	})
	set := needs.set(u, n)
	if set == nil || givenPlainly(n, "requires") {
		return up
	}
	u.note("resource %s: requires is a meta attribute of it now, not of an operation", n.ID())
	return up.WithChild(set)
}

// givenPlainly reports whether a meta attribute is given without a rule.
func givenPlainly(n *Node, name string) bool {
	for set := range n.Elements {
		if set.name == "meta_attributes" && set.Child("rule") == nil && set.pair(name) != nil {
			return true
		}
	}
	return false
}

// metaSet drops what is gone. A resource that ran isolated in a container does
// not run without one: it is stopped, unless the same set says otherwise.
func (u *upgrader) metaSet(rsc, set *Node) *Node {
	stopped := set.pair("target-role") != nil
	up := set.Edited(func(pair *Node) *Node {
		name := pair.Attr("name")
		switch {
		case pair.name != "nvpair":
		case isolationAttrs[name] && !stopped:
			stopped = true
			u.note("resource %s is stopped: %s is gone; make it a <bundle>", rsc.ID(), name)
			return pair.WithAttr("name", "target-role").WithAttr("value", "Stopped")
		case isolationAttrs[name], name == "resource-failure-stickiness", name == "resource_failure_stickiness":
			u.note("resource %s: meta attribute %s is gone: it has no effect", rsc.ID(), name)
			return nil
		}
		return pair
	})
	return u.unlessEmptied(set, up)
}

// unlessEmptied is the set as edited, nil if that took all that it had.
func (u *upgrader) unlessEmptied(set, up *Node) *Node {
	if up != set && up.Child("nvpair") == nil {
		return nil
	}
	return up
}

// parameterSet renames parameters of fence devices.
func (u *upgrader) parameterSet(rsc, set *Node) *Node {
	up := set.Edited(func(pair *Node) *Node {
		name := pair.Attr("name")
		switch {
		case pair.name != "nvpair":
		case renamedParameters[name] != "":
			u.note("resource %s: parameter %s is called %s now", rsc.ID(), name, renamedParameters[name])
			return pair.WithAttr("name", renamedParameters[name])
		case name == "pcmk_arg_map":
			argument, ok := strings.CutPrefix(pair.Attr("value"), "port:")
			if !ok || strings.Contains(argument, ",") {
				u.note("resource %s: parameter pcmk_arg_map is gone: set pcmk_host_argument", rsc.ID())
				return nil
			}
			u.note("resource %s: parameter pcmk_arg_map is pcmk_host_argument now", rsc.ID())
			return pair.WithAttr("name", "pcmk_host_argument").WithAttr("value", argument)
		}
		return pair
	})
	return u.unlessEmptied(set, up)
}

// needs is what the starts and promotions of a resource say that it requires.
// An attribute of the operation counts before a pair in its sets, and the last
// of equals.
type needs struct {
	value, op string // "" if nothing was said
	rank      int
}

func (d *needs) learn(op *Node, value string, attribute bool) {
	if name := op.Attr("name"); name != "start" && name != "promote" {
		return
	}
	rank := 1
	if attribute {
		rank = 2
	}
	if rank >= d.rank {
		d.value, d.op, d.rank = value, op.ID(), rank
	}
}

func (d *needs) set(u *upgrader, rsc *Node) *Node {
	if d.rank == 0 {
		return nil
	}
	pair := NewNode("nvpair", "id", u.freshID(d.op+"-requires"), "name", "requires", "value", d.value)
	return NewNode("meta_attributes", "id", u.freshID(rsc.ID()+"-requires")).WithChild(pair)
}

// operation takes requires out of an operation, and puts what is its own but
// stood among the agent's parameters where it belongs.
func (u *upgrader) operation(op *Node, needs *needs) *Node {
	if op.name != "op" {
		return op
	}
	up := op
	if value, there := op.Lookup("requires"); there {
		needs.learn(op, value, true)
		up = up.WithoutAttr("requires")
	}
	var own []*Node
	up = up.Edited(func(set *Node) *Node { return u.operationSet(op, set, needs, &own) })
	if len(own) == 0 {
		return up
	}
	if target := plainSet(up, "meta_attributes"); target != nil {
		return up.WithReplaced(target, target.WithChild(own...))
	}
	return up.WithChild(NewNode("meta_attributes", "id", u.freshID(op.ID()+"-meta")).WithChild(own...))
}

// operationSet edits one set of an operation and collects what moves from it.
func (u *upgrader) operationSet(op, set *Node, needs *needs, own *[]*Node) *Node {
	if set.name != "meta_attributes" && set.name != "instance_attributes" {
		return set
	}
	ruled := set.Child("rule") != nil
	up := set.Edited(func(pair *Node) *Node {
		name := pair.Attr("name")
		switch {
		case pair.name != "nvpair":
		case name == "requires":
			needs.learn(op, pair.Attr("value"), false)
			return nil
		case set.name == "instance_attributes" && operationAttrs[name]:
			if ruled {
				u.note("operation %s: %s is gone: a rule decided it", op.ID(), name)
				return nil
			}
			u.note("operation %s: %s is a meta attribute now, not a parameter", op.ID(), name)
			*own = append(dropPair(*own, name), pair)
			return nil
		}
		return pair
	})
	return u.unlessEmptied(set, up)
}

// dropPair removes the pair of that name: of several sets, the last one counts.
func dropPair(pairs []*Node, name string) []*Node {
	var kept []*Node
	for _, p := range pairs {
		if p.Attr("name") != name {
			kept = append(kept, p)
		}
	}
	return kept
}
