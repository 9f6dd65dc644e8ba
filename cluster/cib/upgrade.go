package cib

import (
	"fmt"
	"strings"
)

// CurrentSchema is the schema that Upgrade brings a document to: what it means
// is what the rest of Takt reads.
const CurrentSchema = "pacemaker-3.9"

// Upgrade brings a document of an old schema to the meaning of CurrentSchema
// and says in words what it changed, in document order; nothing changed is the
// same root and no remarks.
//
// A document says its schema with validate-with. Those of Pacemaker 3.x mean
// today what they say; 1.x and 2.x have options and attributes that were since
// renamed, moved or taken away ("Pacemaker Explained", on upgrading). Heartbeat
// 2's dialect (0.6, or no schema at all and its elements) is translated first.
// With validate-with="none", or none at all, a document means what Pacemaker 2
// and later read in it, and old names have no effect.
func Upgrade(root *Node) (*Node, []string) {
	age := schemaAge(root)
	if age == currentAge {
		return root, nil
	}
	u := &upgrader{ids: map[string]bool{}}
	walkConfiguration(root, func(n, _ *Node) bool { u.ids[n.ID()] = true; return true })
	up := root
	if age == heartbeatAge {
		up = u.fromHeartbeat(up)
	}
	if config := up.Child("configuration"); config != nil {
		up = up.WithReplaced(config, u.configuration(config))
	}
	was := root.Attr("validate-with")
	if was == "" {
		was = "not given"
	}
	u.note("validate-with is %s now, it was %s", CurrentSchema, was)
	return up.WithAttr("validate-with", CurrentSchema), u.remarks
}

// age is how far a document's schema is behind.
type age uint8

const (
	currentAge   age = iota // 3.x, or nobody knows
	oldAge                  // 1.x, 2.x
	heartbeatAge            // 0.6 and what came before schemas
)

func schemaAge(root *Node) age {
	name, given := root.Lookup("validate-with")
	switch {
	case root.Name() != "cib":
		return currentAge
	case !given || name == "":
		if speaksHeartbeat(root) {
			return heartbeatAge
		}
	case name == "pacemaker-0.6", name == "transitional-0.6", name == "pacemaker-0.7":
		return heartbeatAge
	case strings.HasPrefix(name, "pacemaker-1."), strings.HasPrefix(name, "pacemaker-2."):
		return oldAge
	}
	return currentAge
}

// upgrader is one pass over an old document.
type upgrader struct {
	remarks []string
	ids     map[string]bool // of the configuration, and those made here
}

func (u *upgrader) note(format string, args ...any) {
	u.remarks = append(u.remarks, fmt.Sprintf(format, args...))
}

// freshID makes an id for a new element that nobody has yet.
func (u *upgrader) freshID(wanted string) string {
	id := wanted
	for i := 2; u.ids[id]; i++ {
		id = fmt.Sprintf("%s-%d", wanted, i)
	}
	u.ids[id] = true
	return id
}

// configuration upgrades section by section. The cluster's options come last:
// what they set aside for the defaults is put into those as upgraded.
func (u *upgrader) configuration(config *Node) *Node {
	config = config.Edited(func(section *Node) *Node {
		switch section.name {
		case "nodes":
			return section.Edited(u.node)
		case "resources":
			return section.Edited(u.resource)
		case "constraints":
			return section.Edited(u.constraint)
		case "acls":
			return u.acls(section)
		}
		return section
	})
	return u.clusterOptions(config)
}

// node says member for what once was called a normal node.
func (u *upgrader) node(n *Node) *Node {
	if n.name == "node" && n.Attr("type") == "normal" {
		u.note("node %s is a member: its type was %q", n.Attr("uname"), "normal")
		return n.WithAttr("type", "member")
	}
	return n
}

// constraint drops what colocations once took from node attributes.
func (u *upgrader) constraint(n *Node) *Node {
	if n.name != "rsc_colocation" {
		return n
	}
	for _, gone := range [...]string{"score-attribute", "score-attribute-mangle"} {
		if _, there := n.Lookup(gone); there {
			u.note("colocation %s has no %s any more: write a score", n.ID(), gone)
			n = n.WithoutAttr(gone)
		}
	}
	return n
}

// Edited returns n with each child element replaced by what edit returns for
// it, or removed where that is nil; n itself if nothing changed.
func (n *Node) Edited(edit func(*Node) *Node) *Node {
	var children []*Node
	for i, c := range n.children {
		repl := c
		if c.kind == elementKind {
			repl = edit(c)
		}
		if repl != c && children == nil {
			children = append(make([]*Node, 0, len(n.children)), n.children[:i]...)
		}
		if children == nil && repl == c {
			continue
		}
		if repl != nil {
			children = append(children, repl)
		}
	}
	if children == nil {
		return n
	}
	c := n.clone()
	c.children = children
	return c
}

// named returns a copy with another element name.
func (n *Node) named(name string) *Node {
	c := n.clone()
	c.name = name
	return c
}

// pair returns the first nvpair of that name, nil if there is none.
func (n *Node) pair(name string) *Node {
	for c := range n.Elements {
		if c.name == "nvpair" && c.Attr("name") == name {
			return c
		}
	}
	return nil
}

// plainSet returns the first set of that name that no rule limits.
func plainSet(owner *Node, name string) *Node {
	for c := range owner.Elements {
		if c.name == name && c.Child("rule") == nil && c.Attr("id-ref") == "" {
			return c
		}
	}
	return nil
}
