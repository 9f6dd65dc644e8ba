package verify

import (
	"fmt"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// checker is one pass over a document.
type checker struct {
	root      *cib.Node
	view      *cib.View
	parents   map[*cib.Node]*cib.Node // of all elements of the configuration
	resources map[string]*cib.Node    // primitives and what holds them, by id
	order     []*cib.Node             // the same, in document order
	templates map[string]*cib.Node
	tagged    map[string]*cib.Node // tags by id
	nodes     map[string]bool      // names and ids of nodes, in lower case
	findings  []Finding
	hints     int // names looked up for "Did you mean"
}

// learn indexes the document.
func (c *checker) learn(root *cib.Node) {
	c.root, c.view = root, cib.NewView(root)
	c.parents = map[*cib.Node]*cib.Node{}
	c.resources, c.templates, c.tagged = map[string]*cib.Node{}, map[string]*cib.Node{}, map[string]*cib.Node{}
	c.nodes = map[string]bool{}
	config := root.Child("configuration")
	c.adopt(config, root)
	for _, n := range c.order {
		c.learnGuest(n)
	}
	for n := range config.Child("nodes").Elements {
		c.nodes[strings.ToLower(n.Attr("uname"))] = true
		c.nodes[strings.ToLower(n.ID())] = true
	}
	for n := range root.Child("status").Elements {
		c.nodes[strings.ToLower(n.Attr("uname"))] = true
	}
	delete(c.nodes, "")
}

func (c *checker) adopt(n, parent *cib.Node) {
	if n == nil {
		return
	}
	c.parents[n] = parent
	if id := n.ID(); id != "" {
		switch n.Name() {
		case "primitive", "group", "clone", "master", "bundle":
			if c.resources[id] == nil {
				c.resources[id] = n
				c.order = append(c.order, n)
			}
		case "template":
			c.templates[id] = n
			c.order = append(c.order, n)
		case "tag":
			c.tagged[id] = n
		}
	}
	for child := range n.Elements {
		c.adopt(child, n)
	}
}

// learnGuest adds the nodes that resources make.
func (c *checker) learnGuest(n *cib.Node) {
	switch {
	case n.Name() == "primitive" && n.Attr("type") == "remote" && n.Attr("provider") == "pacemaker":
		c.nodes[strings.ToLower(n.ID())] = true
	case n.Name() == "primitive":
		if guest := c.view.Pairs(n, "meta_attributes", nil)["remote-node"]; guest != "" {
			c.nodes[strings.ToLower(guest)] = true
		}
	}
}

func (c *checker) warn(n *cib.Node, attr, remedy, format string, args ...any) {
	c.add(Warning, n, attr, remedy, format, args...)
}

func (c *checker) fail(n *cib.Node, attr, remedy, format string, args ...any) {
	c.add(Error, n, attr, remedy, format, args...)
}

func (c *checker) add(s Severity, n *cib.Node, attr, remedy, format string, args ...any) {
	path := c.path(n)
	if attr != "" {
		path += "/@" + attr
	}
	c.findings = append(c.findings, Finding{s, n.Line(), path, fmt.Sprintf(format, args...), remedy})
}

func (c *checker) path(n *cib.Node) string {
	var steps []string
	for ; n != nil; n = c.parents[n] {
		steps = append(steps, n.Step())
	}
	var b strings.Builder
	for i := len(steps) - 1; i >= 0; i-- {
		b.WriteString("/" + steps[i])
	}
	return b.String()
}

// maxHints bounds how many misspelled names are compared with all others.
const maxHints = 500

// didYouMean is the question after a misspelled name, else otherwise.
func (c *checker) didYouMean(name string, candidates []string, otherwise string) string {
	if c.hints++; c.hints > maxHints {
		return otherwise
	}
	if near := cib.Nearest(name, candidates); near != "" {
		return "Did you mean " + near + "?"
	}
	return otherwise
}

// every calls visit for each element of the configuration, in document order.
func (c *checker) every(visit func(n *cib.Node)) {
	var down func(n *cib.Node)
	down = func(n *cib.Node) {
		visit(n)
		for child := range n.Elements {
			down(child)
		}
	}
	if config := c.root.Child("configuration"); config != nil {
		down(config)
	}
}

// meta returns a resource's meta attributes; those that rules decide count as given.
func (c *checker) meta(n *cib.Node) map[string]string {
	own := c.view.Pairs(n, "meta_attributes", nil)
	if t := c.templates[n.Attr("template")]; t != nil {
		for name, value := range c.view.Pairs(t, "meta_attributes", nil) {
			if _, there := own[name]; !there {
				own[name] = value
			}
		}
	}
	return own
}

// class returns a primitive's class, its template's if it has one.
func (c *checker) class(n *cib.Node) string {
	if t := c.templates[n.Attr("template")]; t != nil {
		return t.Attr("class")
	}
	return n.Attr("class")
}

// promotable reports whether a resource, or what it stands in, has roles.
func (c *checker) promotable(n *cib.Node) bool {
	for ; n != nil; n = c.parents[n] {
		switch n.Name() {
		case "master":
			return true
		case "bundle":
			for container := range n.Elements {
				if container.Attr("promoted-max") != "" || container.Attr("masters") != "" {
					return true
				}
			}
		case "clone":
			if yes, _ := cib.ParseBool(c.meta(n)["promotable"]); yes {
				return true
			}
		}
	}
	return false
}

// inside reports whether inner is a part of outer.
func (c *checker) inside(inner, outer *cib.Node) bool {
	for n := c.parents[inner]; n != nil; n = c.parents[n] {
		if n == outer {
			return true
		}
	}
	return false
}

// members are the resources that a reference in a constraint stands for: itself,
// what has the template, what has the tag.
func (c *checker) members(id string) []*cib.Node {
	if rsc := c.resources[id]; rsc != nil {
		return []*cib.Node{rsc}
	}
	var list []*cib.Node
	switch {
	case c.templates[id] != nil:
		for _, n := range c.order {
			if n.Attr("template") == id {
				list = append(list, n)
			}
		}
	case c.tagged[id] != nil:
		for ref := range c.tagged[id].Elements {
			if rsc := c.resources[ref.ID()]; rsc != nil {
				list = append(list, rsc)
			}
		}
	}
	return list
}

// option returns a cluster option.
func (c *checker) option(name string) string {
	return c.view.Pairs(c.root.Path("configuration", "crm_config"), "cluster_property_set", nil)[name]
}

// fencingEnabled reports whether the cluster fences.
func (c *checker) fencingEnabled() bool {
	for _, name := range [...]string{"stonith-enabled", "fencing-enabled"} {
		if on, ok := cib.ParseBool(c.option(name)); ok && !on {
			return false
		}
	}
	return true
}
