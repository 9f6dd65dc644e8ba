package scheduler

import (
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
	"slices"
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
	names      []string
	members    []*resource // nil where a name is none of a resource
	written    []string    // the name of each member as it was written: that of an instance may be short
	role       string
	action     string
	sequential bool
	explicit   bool // sequential was written down
	requireAll bool
}

// readSets reads the sets of a constraint; one that is referred to and does not
// exist ends the list. A name that means nothing keeps all the constraint's tags
// and templates from standing for their members.
func (w *working) readSets(c *cib.Node) []*resourceSet {
	var sets []*resourceSet
	understood := true
	for n := range c.Elements {
		if n.Name() != "resource_set" {
			continue
		}
		set := w.view.Deref(n)
		if set == nil {
			w.warn(c.Name() + " " + c.ID() + ": there is no set " + n.Attr("id-ref"))
			break
		}
		s := newSet(set)
		for ref := range set.Elements {
			if ref.Name() == "resource_ref" {
				s.names = append(s.names, ref.ID())
				for _, id := range w.expandTag(ref.ID()) {
					understood = understood && w.constrained(id) != nil
				}
			}
		}
		sets = append(sets, s)
	}
	for _, s := range sets {
		for _, id := range s.names {
			if understood {
				w.addMembers(c, s, w.expandTag(id))
			} else {
				w.addMembers(c, s, []string{id})
			}
		}
	}
	return sets
}

func newSet(set *cib.Node) *resourceSet {
	s := &resourceSet{id: set.ID(), xml: set, role: set.Attr("role"), action: set.Attr("action"), sequential: true, requireAll: true}
	if v, ok := cib.ParseBool(set.Attr("sequential")); ok {
		s.sequential, s.explicit = v, true
	}
	if v, ok := cib.ParseBool(set.Attr("require-all")); ok {
		s.requireAll = v
	}
	return s
}

// addMembers adds resources to a set, and nil where there is none.
func (w *working) addMembers(c *cib.Node, s *resourceSet, ids []string) {
	for _, id := range ids {
		r := w.constrained(id)
		if r == nil {
			w.warn(c.Name() + " " + c.ID() + ": there is no resource " + id + ": what follows in the constraint is ignored; remove it or correct the name")
		}
		s.members, s.written = append(s.members, r), append(s.written, id)
	}
}

// found are the members before the first one that there is not; all tells
// whether that is all of them.
func (s *resourceSet) found() (members []*resource, all bool) {
	if i := slices.Index(s.members, nil); i >= 0 {
		return s.members[:i], false
	}
	return s.members, true
}

// chained reports a set that says of itself that it is sequential: in orders its
// ends stand for all of it. One that is so by default is tied to others by each
// member there, though not in colocations.
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
	w.addMembers(c, s, w.expandTag(id))
	return s
}
