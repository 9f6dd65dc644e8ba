package scheduler

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// partID is a part of the configuration; 0 is none.
type partID int32

// division is a configuration's division into parts: top-level resources that
// constraints tie, directly or through others. More is tied than has to be: a
// constraint ties whatever its attributes name.
type division struct {
	config *cib.Node
	view   *cib.View
	// undivided: the parts would not be independent. There are bundles (which
	// bring nodes in) or rules about the time (which hold for all at once), or
	// names that are not unique.
	undivided      bool
	failuresMatter bool // something may read the attributes that count failures, besides the resource concerned

	top         map[string]int      // id of a resource → index of the element in <resources> that it is in
	groups      []int               // of each of these elements: another one of the same part, or itself
	constraints []partID            // of each constraint; 0: it concerns any
	aliases     map[string][]string // what tags and templates stand for
	steps       int                 // taken by tie
}

func divide(root *cib.Node) *division {
	d := &division{config: root.Child("configuration"), view: cib.NewView(root), top: map[string]int{}, aliases: map[string][]string{}}
	for xml := range d.config.Child("resources").Elements {
		at := len(d.groups)
		d.groups = append(d.groups, at)
		d.addResource(xml, at)
	}
	collectTemplateUsers(d.config.Child("resources"), d.aliases, map[[2]string]bool{})
	for tag := range d.config.Child("tags").Elements {
		for ref := range tag.Elements {
			d.aliases[tag.ID()] = append(d.aliases[tag.ID()], ref.ID())
		}
	}
	d.scan(d.config)
	constraints := d.config.Child("constraints")
	for c := range constraints.Elements {
		d.tie(c, -1, 0)
	}
	for c := range constraints.Elements {
		part := partID(0)
		if _, pattern := c.Lookup("rsc-pattern"); !pattern {
			if at := d.tie(c, -1, 0); at >= 0 {
				part = d.part(at)
			}
		}
		d.constraints = append(d.constraints, part)
	}
	return d
}

// addResource notes the names of a top-level resource and of what is in it.
func (d *division) addResource(xml *cib.Node, at int) {
	switch variantOf(xml.Name()) {
	case 0:
		return
	case bundle:
		d.undivided = true
	}
	id := xml.ID()
	if _, twice := d.top[id]; twice || strings.Contains(id, ":") {
		d.undivided = true
	}
	d.top[id] = at
	for c := range xml.Elements {
		d.addResource(c, at)
	}
}

// scan looks for what makes parts depend on more than themselves.
func (d *division) scan(n *cib.Node) {
	if n.Name() == "date_expression" {
		d.undivided = true
	}
	for _, a := range n.Attrs() {
		switch {
		case a.Name == "interval-origin", a.Value == "interval-origin":
			d.undivided = true
		case strings.Contains(a.Value, failCountPrefix), strings.Contains(a.Value, lastFailurePrefix),
			strings.Contains(a.Value, "%"): // which stands for what a pattern matched
			d.failuresMatter = true
		}
	}
	for c := range n.Elements {
		d.scan(c)
	}
}

// tie puts whatever an element and those below it name, directly or by
// reference, into the part of the resource at with (-1: of the first that is
// named), and returns that.
func (d *division) tie(n *cib.Node, with, depth int) int {
	if d.steps++; depth > 50 || d.steps > 1_000_000 {
		d.undivided = true // references go round in a circle, or lead to more and more
		return with
	}
	for _, a := range n.Attrs() {
		with = d.join(a.Value, with)
		for _, name := range d.aliases[a.Value] {
			with = d.join(name, with)
		}
	}
	for c := range n.Elements {
		with = d.tie(c, with, depth+1)
		if target := d.view.Deref(c); target != c && target != nil {
			with = d.tie(target, with, depth+1)
		}
	}
	return with
}

func (d *division) join(name string, with int) int {
	d.steps++
	at, ok := d.top[baseName(name)]
	switch {
	case !ok:
		return with
	case with < 0:
		return at
	}
	d.groups[d.find(at)] = d.find(with)
	return with
}

// find is the element that stands for all of its part.
func (d *division) find(at int) int {
	for d.groups[at] != at {
		d.groups[at] = d.groups[d.groups[at]]
		at = d.groups[at]
	}
	return at
}

func (d *division) part(at int) partID { return partID(d.find(at) + 1) }

// partOf is the part of the resource of a name, as a configuration or a history
// has it; 0 if there is no such resource.
func (d *division) partOf(name string) partID {
	if at, ok := d.top[baseName(name)]; ok {
		return d.part(at)
	}
	return 0
}

// assign tells each resource its part; false if one has none.
func (d *division) assign(resources []*resource) bool {
	for _, top := range resources {
		part := d.partOf(top.id)
		if part == 0 {
			return false
		}
		top.setPart(part)
	}
	return true
}

func (r *resource) setPart(part partID) {
	r.part = part
	for _, c := range r.children {
		c.setPart(part)
	}
}
