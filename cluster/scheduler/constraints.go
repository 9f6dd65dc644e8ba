package scheduler

import (
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
)

// unpackConstraints reads locations, colocations, orders and ticket constraints.
func (w *working) unpackConstraints() {
	for c := range w.root.Path("configuration", "constraints").Elements {
		if c.ID() == "" {
			w.warn("a " + c.Name() + " without id is ignored: give it one")
			continue
		}
		if life := c.Child("lifetime"); life != nil && !w.anyRuleHolds(life) {
			continue
		}
		switch c.Name() {
		case "rsc_location":
			w.unpackLocation(c)
		case "rsc_colocation":
			w.unpackColocation(c)
		case "rsc_order":
			w.unpackOrder(c)
		case "rsc_ticket":
			w.unpackTicketConstraint(c)
		}
	}
}

// anyRuleHolds reports whether a rule without a node holds (the lifetime of a
// constraint in old configurations).
func (w *working) anyRuleHolds(owner *cib.Node) bool {
	c := rule.Context{View: w.view, Now: w.now}
	ok := c.Applies(owner)
	w.recheckAt(c.Change)
	return ok
}

// constrained finds the resource that a constraint names. What is cloned stands
// for the clone, but only under the name that a history has it by.
func (w *working) constrained(id string) *resource {
	if r := w.byID[id]; r != nil {
		return r
	}
	if w.byRecorded == nil {
		w.byRecorded = map[string]*resource{}
		for _, r := range w.resources {
			w.indexRecorded(r)
		}
	}
	return w.byRecorded[id]
}

func (w *working) indexRecorded(r *resource) {
	if r.recorded != "" && r.recorded != r.id && w.byRecorded[r.recorded] == nil {
		w.byRecorded[r.recorded] = r.outermost(false)
	}
	for _, c := range r.children {
		w.indexRecorded(c)
	}
}

// resourceSet is a resource_set of a constraint, or a tag or template in place
// of a resource.
type resourceSet struct {
	id         string
	xml        *cib.Node
	members    []*resource
	role       string
	action     string
	sequential bool
	explicit   bool // sequential was written down
	requireAll bool
}

// readSets reads the sets of a constraint; ok is false if one names something
// that there is not, and then the sets before it are returned.
func (w *working) readSets(c *cib.Node) (sets []*resourceSet, ok bool) {
	for n := range c.Elements {
		if n.Name() != "resource_set" {
			continue
		}
		set := w.view.Deref(n)
		if set == nil {
			w.warn(c.Name() + " " + c.ID() + ": there is no set " + n.Attr("id-ref"))
			return sets, false
		}
		s := w.readSet(c, set)
		if s == nil {
			return sets, false
		}
		sets = append(sets, s)
	}
	return sets, true
}

func (w *working) readSet(c, set *cib.Node) *resourceSet {
	s := &resourceSet{id: set.ID(), xml: set, role: set.Attr("role"), action: set.Attr("action"), sequential: true, requireAll: true}
	if v, ok := cib.ParseBool(set.Attr("sequential")); ok {
		s.sequential, s.explicit = v, true
	}
	if v, ok := cib.ParseBool(set.Attr("require-all")); ok {
		s.requireAll = v
	}
	for ref := range set.Elements {
		if ref.Name() != "resource_ref" {
			continue
		}
		for _, id := range w.expandTag(ref.ID()) {
			r := w.constrained(id)
			if r == nil {
				w.warn(c.Name() + " " + c.ID() + ": there is no resource " + id + ": the constraint is ignored; remove it or correct the name")
				return nil
			}
			s.members = append(s.members, r)
		}
	}
	return s
}

// chained reports a set that says of itself that it is sequential: its ends stand
// for all of it. One that is so by default is tied to others by each member.
func (s *resourceSet) chained() bool { return s.sequential && s.explicit }

// expandTag is what a name stands for: itself, or the members of a tag or the
// users of a template. One without any is no name of a resource at all.
func (w *working) expandTag(id string) []string {
	if w.constrained(id) != nil {
		return []string{id}
	}
	if members := w.tags[id]; len(members) > 0 {
		return members
	}
	return []string{id}
}

// isTag reports whether a name is a tag or a template.
func (w *working) isTag(id string) bool {
	return len(w.tags[id]) > 0 && w.constrained(id) == nil
}

// nameAsSet is a resource, tag or template that a constraint names, as a set.
func (w *working) nameAsSet(c *cib.Node, id, role, action string) *resourceSet {
	s := &resourceSet{id: id, role: role, action: action, sequential: !w.isTag(id), explicit: w.isTag(id), requireAll: true}
	for _, member := range w.expandTag(id) {
		r := w.constrained(member)
		if r == nil {
			w.warn(c.Name() + " " + c.ID() + ": there is no resource " + member + ": the constraint is ignored; remove it or correct the name")
			return nil
		}
		s.members = append(s.members, r)
	}
	return s
}
