package scheduler

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
)

// definition is what one element of the configuration says about a resource.
// All instances of a clone share it, and with it whatever was merged from it.
type definition struct {
	xml      *cib.Node // with the template's content, if it uses one
	template *cib.Node
	agent    rule.Agent
	variant  variant

	ops      []*opDef
	opsRead  bool
	settings map[opKey]*opSettings
	meta     map[*resource]map[string]string // merged meta attributes, by what it is in
	own      rule.Pairs                      // its own meta attributes
	ownRead  bool
	params   rule.Dependence // what its own instance attributes depend on
	paramsOk bool            // params is known
}

// define reads an element that stands for a resource; nil if it is none, or
// cannot be one.
func (w *working) define(xml *cib.Node) *definition {
	if d, ok := w.definitions[xml]; ok {
		return d
	}
	d := &definition{xml: xml, variant: variantOf(xml.Name())}
	switch {
	case d.variant == 0:
		d = nil
	case xml.ID() == "":
		w.warn("a " + xml.Name() + " without an id is ignored: give it one")
		d = nil
	default:
		if d.template = w.templateOf(xml); d.template != nil {
			d.xml = w.expandTemplate(xml, d.template)
		} else if _, wanted := xml.Lookup("template"); wanted {
			d = nil
		}
	}
	if d != nil {
		d.agent = rule.Agent{Standard: d.xml.Attr("class"), Provider: d.xml.Attr("provider"), Type: d.xml.Attr("type")}
	}
	if w.definitions == nil {
		w.definitions = map[*cib.Node]*definition{}
	}
	w.definitions[xml] = d
	return d
}

func variantOf(element string) variant {
	switch element {
	case "primitive":
		return primitive
	case "group":
		return group
	case "clone", "master":
		return clone
	case "bundle":
		return bundle
	}
	return 0
}

// templateOf finds the template that a resource refers to.
func (w *working) templateOf(xml *cib.Node) *cib.Node {
	name, wanted := xml.Lookup("template")
	if !wanted {
		return nil
	}
	t := w.root.Path("configuration", "resources").ChildByID("template", name)
	if t == nil {
		w.warn("resource " + xml.ID() + " is ignored: there is no template " + name)
	}
	return t
}

// expandTemplate is the template with the resource's name and content added.
// Of two attribute sets the later counts more, so the resource's win; operations
// are merged one by one.
func (w *working) expandTemplate(xml, template *cib.Node) *cib.Node {
	pairs := make([]string, 0, 2*len(template.Attrs()))
	for _, a := range template.Attrs() {
		if a.Name == "id" {
			a.Value = xml.ID()
		}
		pairs = append(pairs, a.Name, a.Value)
	}
	merged := cib.NewNode(xml.Name(), pairs...)
	var children []*cib.Node
	ops := xml.Child("operations")
	for c := range template.Elements {
		if ops == nil || c.Name() != "operations" {
			children = append(children, c)
		}
	}
	for c := range xml.Elements {
		if c == ops {
			c = mergeOperations(ops, template.Child("operations"))
		}
		children = append(children, c)
	}
	return merged.WithChild(children...)
}

// mergeOperations adds to a resource's operations those of its template that it
// does not have: a monitor of one role does not replace that of another.
func mergeOperations(own, inherited *cib.Node) *cib.Node {
	has := map[string]bool{}
	for op := range own.Elements {
		has[templateOpKey(op)] = true
	}
	var more []*cib.Node
	for op := range inherited.Elements {
		if !has[templateOpKey(op)] {
			more = append(more, op)
		}
	}
	return own.WithChild(more...)
}

func templateOpKey(op *cib.Node) string {
	role := op.Attr("role")
	switch strings.ToLower(role) {
	case "started", "slave", "unpromoted":
		role = ""
	}
	return op.Attr("name") + "\x00" + role
}

// capabilities of a standard of agents.
func agentCanBeUnique(standard string) bool {
	s := strings.ToLower(standard)
	return s == "ocf" || s == "stonith"
}

func agentCanBePromoted(standard string) bool { return strings.EqualFold(standard, "ocf") }

// agentIsFenceDevice: its agents have parameters that begin with pcmk_.
func agentIsFenceDevice(standard string) bool { return strings.EqualFold(standard, "stonith") }
