package scheduler

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

func (w *working) unpackColocation(c *cib.Node) {
	s, _ := cib.ParseScore(c.Attr("score"))
	score := Score(s)
	if c.Child("resource_set") != nil {
		sets := w.readSets(c)
		for i, set := range sets {
			w.colocateMembers(c, set, score)
			if i > 0 {
				w.colocateSets(c, sets[i-1], set, score)
			}
		}
		return
	}
	dependent, primary := c.Attr("rsc"), c.Attr("with-rsc")
	switch {
	case w.isTag(dependent) && w.isTag(primary):
		w.warn("rsc_colocation " + c.ID() + " is ignored, because two tags or templates cannot be colocated; use resource sets")
		return
	case w.isTag(dependent) || w.isTag(primary):
		w.colocateSets(c, w.nameAsSet(c, dependent, c.Attr("rsc-role"), ""), w.nameAsSet(c, primary, c.Attr("with-rsc-role"), ""), score)
		return
	}
	a, b := w.constrainedInstance(c, dependent, "rsc-instance"), w.constrainedInstance(c, primary, "with-rsc-instance")
	if a == nil || b == nil {
		return
	}
	w.addColocation(c.ID(), c.Attr("node-attribute"), score, a, b, readRole(c.Attr("rsc-role")), readRole(c.Attr("with-rsc-role")), influence(c, a))
}

// constrainedInstance finds the resource that a constraint names, or one
// instance of it (old configurations).
func (w *working) constrainedInstance(c *cib.Node, id, attr string) *resource {
	r := w.constrained(id)
	if number, ok := c.Lookup(attr); ok && r != nil {
		if r.variant != clone {
			r = nil
		} else if n := atoi(number); n >= 0 && n < len(r.children) {
			return r.children[n]
		} else {
			r = nil
		}
	}
	if r == nil {
		w.warn(c.Name() + " " + c.ID() + ": there is no resource " + id + ": the constraint is ignored; remove it or correct the name")
	}
	return r
}

// influence reports whether the dependent's wishes count for its primary.
func influence(c *cib.Node, dependent *resource) bool {
	if v, ok := cib.ParseBool(c.Attr("influence")); ok {
		return v
	}
	return dependent.critical
}

// colocateMembers ties the members of a set to one another.
func (w *working) colocateMembers(c *cib.Node, set *resourceSet, score Score) {
	if text, ok := set.xml.Lookup("score"); ok {
		s, _ := cib.ParseScore(text)
		score = Score(s)
	}
	if set.explicit && !set.sequential {
		return
	}
	role := readRole(set.role)
	members, _ := set.found()
	for i, r := range members {
		if score < 0 { // apart from all before it, and from all if its name is not its own but of a part of it
			for j, other := range members {
				if set.written[j] == r.id {
					break
				}
				w.addColocation(set.id, "", score, r, other, role, role, influence(c, r))
			}
			continue
		}
		if i == 0 {
			continue
		}
		if previous := members[i-1]; set.xml.Attr("ordering") == "" || set.xml.Attr("ordering") == "group" {
			w.addColocation(set.id, "", score, r, previous, role, role, influence(c, r))
		} else {
			w.addColocation(set.id, "", score, previous, r, role, role, influence(c, previous))
		}
	}
}

// colocateSets puts the members of one set where those of the next are. Of a
// sequential set the first depends, and the last is depended on.
func (w *working) colocateSets(c *cib.Node, a, b *resourceSet, score Score) {
	dependents, primaries := a.members, b.members
	if a.sequential && len(dependents) > 0 {
		dependents = dependents[:1]
	}
	if b.sequential && len(primaries) > 0 {
		primaries = primaries[len(primaries)-1:]
	}
	for _, d := range dependents {
		if d == nil {
			return
		}
		for _, p := range primaries {
			if p == nil {
				return
			}
			w.addColocation(c.ID(), "", score, d, p, readRole(a.role), readRole(b.role), influence(c, d))
		}
	}
}

// addColocation makes a colocation; score 0 is none.
func (w *working) addColocation(id, attribute string, s Score, dependent, primary *resource, dependentRole, primaryRole Role, influence bool) {
	if s == 0 || dependent == nil || primary == nil {
		return
	}
	if dependentRole == Started {
		dependentRole = ""
	}
	if primaryRole == Started {
		primaryRole = ""
	}
	k := &colocation{id: id, attribute: firstOf(attribute, "#uname"), dependent: dependent, primary: primary,
		dependentRole: dependentRole, primaryRole: primaryRole, score: s, influence: influence}
	w.colocations = append(w.colocations, k)
	dependent.with = insertColocation(dependent.with, k, func(k *colocation) *resource { return k.primary })
	primary.withMe = insertColocation(primary.withMe, k, func(k *colocation) *resource { return k.dependent })
	if s <= -Infinity {
		w.orderApart(dependent, dependentRole, primary, primaryRole)
		w.orderApart(primary, primaryRole, dependent, dependentRole)
	}
}

// insertColocation keeps a list sorted by the importance of the other resource;
// of several with the same one the last comes first.
func insertColocation(list []*colocation, k *colocation, other func(*colocation) *resource) []*colocation {
	at := sort.Search(len(list), func(i int) bool { return compareColocations(list[i], k, other) >= 0 })
	return slices.Insert(list, at, k)
}

func compareColocations(a, b *colocation, other func(*colocation) *resource) int {
	x, y := other(a), other(b)
	if c := cmp.Or(cmp.Compare(y.priority, x.priority), cmp.Compare(y.variant, x.variant)); c != 0 {
		return c
	}
	if x.variant == clone && x.promotable != y.promotable {
		if x.promotable {
			return -1
		}
		return 1
	}
	return strings.Compare(x.id, y.id)
}

// orderApart: where two must not be together, one leaves before the other comes.
func (w *working) orderApart(first *resource, firstRole Role, then *resource, thenRole Role) {
	leave, come := []string{taskStop}, []string{taskStart}
	switch firstRole {
	case Promoted:
		leave = []string{taskDemote}
	case Unpromoted:
		leave = append(leave, taskPromote)
	}
	switch thenRole {
	case Promoted:
		come = []string{taskPromote}
	case Unpromoted:
		come = append(come, taskDemote)
	}
	for _, f := range leave {
		for _, t := range come {
			w.orderTasks(first, f, then, t, apart)
		}
	}
}
