package scheduler

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// targets returns the resources that a reference names: a resource, all that
// use a template, or all with a tag.
func (w *working) targets(id string) []*resource {
	if r := w.resources[id]; r != nil {
		return []*resource{r}
	}
	n := w.view.ByID(id)
	var list []*resource
	switch n.Name() {
	case "template":
		for _, r := range w.flatInDocumentOrder() {
			if r.template == n {
				list = append(list, r)
			}
		}
	case "tag":
		for ref := range n.Elements {
			if r := w.resources[ref.ID()]; r != nil {
				list = append(list, r)
			}
		}
	}
	return list
}

func (w *working) flatInDocumentOrder() []*resource {
	var list []*resource
	for n := range w.root.Path("configuration", "resources").Elements {
		if r := w.resources[n.ID()]; r != nil {
			for p := range r.primitives {
				list = append(list, p)
			}
		}
	}
	return list
}

// setMembers returns the resources of a resource_set.
func (w *working) setMembers(set *cib.Node) []*resource {
	var list []*resource
	for ref := range set.Elements {
		if ref.Name() == "resource_ref" {
			list = append(list, w.targets(ref.ID())...)
		}
	}
	return list
}

// applyLocations adds the scores of location constraints.
func (w *working) applyLocations() {
	for c := range w.root.Path("configuration", "constraints").Elements {
		if c.Name() != "rsc_location" {
			continue
		}
		for _, r := range w.located(c) {
			w.applyLocation(c, r)
		}
	}
}

func (w *working) located(c *cib.Node) []*resource {
	var list []*resource
	if id := c.Attr("rsc"); id != "" {
		list = w.targets(id)
	}
	if pattern := c.Attr("rsc-pattern"); pattern != "" {
		expr, invert := strings.CutPrefix(pattern, "!")
		re, err := regexp.Compile(expr)
		if err != nil {
			w.warn("location " + c.ID() + ": the pattern is not understood: " + err.Error())
			return nil
		}
		for _, r := range w.top {
			if re.MatchString(r.id) != invert {
				list = append(list, r)
			}
		}
	}
	for set := range c.Elements {
		if set.Name() == "resource_set" {
			list = append(list, w.setMembers(w.view.Deref(set))...)
		}
	}
	return list
}

func (w *working) applyLocation(c *cib.Node, r *resource) {
	if role := readRole(c.Attr("role")); role == Promoted {
		return
	}
	if name := c.Attr("node"); name != "" {
		if m := w.nodeByName[name]; m != nil {
			s, _ := cib.ParseScore(c.Attr("score"))
			w.locate(r, m, Score(s), fmt.Sprintf("location %s: %s on %s", c.ID(), Score(s), m.name))
		}
	}
	for n := range c.Elements {
		if n.Name() == "rule" {
			w.applyRule(c, w.view.Deref(n), r)
		}
	}
}

func (w *working) applyRule(c, rule *cib.Node, r *resource) {
	if readRole(rule.Attr("role")) == Promoted {
		return
	}
	for _, m := range w.nodes {
		ctx := ruleContext{node: m, meta: r.meta}
		if usesParams(rule) {
			ctx.params = w.params(r, m)
		}
		if !w.ruleHolds(rule, ctx) {
			continue
		}
		s, _ := cib.ParseScore(rule.Attr("score"))
		if attr := firstOf(rule.Attr("score-attribute"), rule.Attr("score_attribute")); attr != "" {
			value, ok := w.nodeAttr(m, attr)
			if s, _ = cib.ParseScore(value); !ok {
				s = -int(Infinity)
			}
		}
		w.locate(r, m, Score(s), fmt.Sprintf("location %s, rule %s: %s on %s", c.ID(), rule.ID(), Score(s), m.name))
	}
}

// usesParams reports whether a rule compares with parameters of the resource.
func usesParams(rule *cib.Node) bool {
	for e := range rule.Elements {
		if e.Attr("value-source") == "param" || e.Name() == "rule" && usesParams(e) {
			return true
		}
	}
	return false
}

// locate applies a location score. In a group it counts for the first member,
// which the others follow; the others may merely be there.
func (w *working) locate(r *resource, m *member, s Score, why string) {
	r.prefer(m, s, why)
	for i, c := range r.children {
		if i > 0 && r.colocated {
			c.allowed[m.index] = true
			continue
		}
		w.locate(c, m, s, why)
	}
}

// applyStickiness makes active resources stay.
func (w *working) applyStickiness() {
	for _, r := range w.flat {
		if len(r.running) != 1 || !r.managed || r.stickiness == 0 {
			continue
		}
		if m := r.running[0]; r.allowed[m.index] || w.options.symmetric {
			r.prefer(m, r.stickiness, fmt.Sprintf("it runs on %s: stickiness %s", m.name, r.stickiness))
		}
	}
}
