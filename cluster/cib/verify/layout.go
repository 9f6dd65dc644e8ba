package verify

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/takt-ha/takt/cluster/cib"
)

// layout warns of what the schema has no place for, and of sections without
// which Pacemaker would not take the document.
func (c *checker) layout() {
	config := c.root.Child("configuration")
	if config != nil {
		for _, name := range [...]string{"crm_config", "nodes", "resources", "constraints"} {
			if config.Child(name) == nil {
				c.warn(config, "", "Add <"+name+"/>, which may be empty.", "there is no <%s>: Pacemaker would refuse the document", name)
			}
		}
	}
	c.every(func(n *cib.Node) {
		element, attrs := cib.Strangers(n, c.parents[n])
		if element {
			c.warn(n, "", "Remove it.", "<%s> is not known in <%s>: it has no effect, and Pacemaker would refuse the document", n.Name(), c.parents[n].Name())
		}
		for _, name := range attrs {
			c.warn(n, name, "Remove it.", "attribute %s is not known in <%s>: it has no effect, and Pacemaker would refuse the document", name, n.Name())
		}
		c.identity(n)
		if n.Name() == "lifetime" {
			c.warn(n, "", "Write a <rule> instead.", "<lifetime> is deprecated")
		}
	})
}

// identity refuses ids that are no names of XML, which Pacemaker's schema wants
// everywhere but for nodes, and dates and durations that have none.
func (c *checker) identity(n *cib.Node) {
	id, there := n.Lookup("id")
	switch n.Name() {
	case "node", "resource_ref", "obj_ref", "role", "acl_target", "acl_group", "acl_user":
		return
	case "date_spec", "duration":
		if !there {
			c.fail(n, "", `Add id="…".`, "<%s> has no id", n.Name())
		}
	}
	if first, _ := utf8.DecodeRuneInString(id); there && id != "" && (first != '_' && !unicode.IsLetter(first) || strings.Contains(id, ":")) {
		c.fail(n, "id", "Begin it with a letter or _, and write no colon.", "%q is no id: Pacemaker would refuse the document", id)
	}
}

// nodesOnce warns of two nodes of the same name.
func (c *checker) nodesOnce() {
	seen := map[string]bool{}
	for n := range c.root.Path("configuration", "nodes").Elements {
		name := strings.ToLower(n.Attr("uname"))
		switch {
		case n.Name() != "node":
		case name == "" && n.Attr("type") != "remote":
			c.fail(n, "", `Add uname="…".`, "node %s has no uname", n.ID())
		case seen[name]:
			c.warn(n, "uname", "Remove the one that is stale.", "there are two nodes of the name %s", n.Attr("uname"))
		}
		if name != "" {
			seen[name] = true
		}
		c.utilization(n)
	}
}

// tags warns of tags that do not stand for resources.
func (c *checker) tags() {
	for tag := range c.root.Path("configuration", "tags").Elements {
		for ref := range tag.Elements {
			if ref.Name() != "obj_ref" {
				continue
			}
			switch {
			case ref.ID() == tag.ID():
				c.warn(ref, "id", "Remove it.", "tag %s has itself in it", tag.ID())
			case c.tagged[ref.ID()] != nil:
				c.warn(ref, "id", "Name the resources themselves.", "tag %s is in tag %s: tags do not nest, it is ignored", ref.ID(), tag.ID())
			}
		}
	}
}
