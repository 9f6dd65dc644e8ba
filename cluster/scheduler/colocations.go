package scheduler

import (
	"fmt"
	"math"
	"sort"

	"github.com/takt-ha/takt/cluster/cib"
)

// colocation ties a dependent resource to where its primary is.
type colocation struct {
	id                 string
	dependent, primary *resource
	score              Score
	attribute          string // of the nodes that has to agree; #uname: the same node
	influence          bool   // the dependent's wishes count for the primary
}

func (w *working) unpackColocations() {
	for c := range w.root.Path("configuration", "constraints").Elements {
		if c.Name() == "rsc_colocation" {
			w.unpackColocation(c)
		}
	}
	for _, r := range w.top {
		if r.variant == group {
			w.colocateMembers(r)
		}
	}
	for _, r := range w.resources {
		sort.SliceStable(r.with, func(i, j int) bool { return r.with[i].primary.before(r.with[j].primary, r.with[i], r.with[j]) })
		sort.SliceStable(r.withMe, func(i, j int) bool {
			return r.withMe[i].dependent.before(r.withMe[j].dependent, r.withMe[i], r.withMe[j])
		})
	}
}

// before orders colocations: the more important partner first, groups before
// primitives, then by id.
func (r *resource) before(other *resource, a, b *colocation) bool {
	switch {
	case r.priority != other.priority:
		return r.priority > other.priority
	case r.variant != other.variant:
		return r.variant > other.variant
	}
	return a.id < b.id
}

func (w *working) colocateMembers(g *resource) {
	for i, c := range g.children {
		if i > 0 && g.colocated {
			w.colocate(&colocation{id: "group " + g.id, dependent: c, primary: g.children[i-1], score: Infinity, attribute: "#uname", influence: true})
		}
	}
}

func (w *working) unpackColocation(c *cib.Node) {
	score := Infinity
	if s, ok := c.Lookup("score"); ok {
		n, _ := cib.ParseScore(s)
		score = Score(n)
	}
	if score == 0 {
		return
	}
	proto := colocation{id: c.ID(), score: score, attribute: firstOf(c.Attr("node-attribute"), "#uname"),
		influence: c.Attr("influence") == "" || truth(c.Attr("influence"))}
	if c.Attr("rsc") != "" {
		w.colocatePairs(proto, c)
		return
	}
	w.colocateSets(proto, c)
}

func (w *working) colocatePairs(proto colocation, c *cib.Node) {
	for _, d := range w.targets(c.Attr("rsc")) {
		for _, p := range w.targets(c.Attr("with-rsc")) {
			w.colocateRoles(proto, d, p, c.Attr("rsc-role"), c.Attr("with-rsc-role"))
		}
	}
}

// colocateRoles leaves out colocations of roles that primitives cannot have.
func (w *working) colocateRoles(proto colocation, d, p *resource, role, withRole string) {
	if d == p || readRole(role) == Promoted || readRole(withRole) == Promoted {
		return
	}
	k := proto
	k.dependent, k.primary = d, p
	w.colocate(&k)
}

// colocateSets ties the members of each set, and each set to the next.
func (w *working) colocateSets(proto colocation, c *cib.Node) {
	var previous []*resource
	previousSequential := false
	for n := range c.Elements {
		if n.Name() != "resource_set" {
			continue
		}
		set := w.view.Deref(n)
		members := w.setMembers(set)
		k := proto
		if s, ok := cib.ParseScore(set.Attr("score")); ok {
			k.score = Score(s)
		}
		sequential := set.Attr("sequential") == "" || truth(set.Attr("sequential"))
		if sequential {
			for i := 1; i < len(members); i++ {
				d, p := members[i], members[i-1]
				if set.Attr("ordering") == "listed" {
					d, p = p, d
				}
				w.colocateRoles(k, d, p, set.Attr("role"), set.Attr("role"))
			}
		}
		w.joinSets(proto, previous, members, previousSequential, sequential)
		previous, previousSequential = members, sequential
	}
}

// joinSets makes the first set depend on the second.
func (w *working) joinSets(k colocation, first, second []*resource, firstSequential, secondSequential bool) {
	if len(first) == 0 || len(second) == 0 {
		return
	}
	if firstSequential {
		first = first[:1]
	}
	if secondSequential {
		second = second[len(second)-1:]
	}
	for _, d := range first {
		for _, p := range second {
			w.colocateRoles(k, d, p, "", "")
		}
	}
}

func (w *working) colocate(k *colocation) {
	k.dependent.with = append(k.dependent.with, k)
	k.primary.withMe = append(k.primary.withMe, k)
	if k.score <= -Infinity {
		w.orderApart(k.primary, k.dependent, k.id)
		w.orderApart(k.dependent, k.primary, k.id)
	}
}

// orderApart: where two may not be together, one leaves before the other comes.
func (w *working) orderApart(first, then *resource, id string) {
	for a := range first.primitives {
		for b := range then.primitives {
			w.constrain(a, "stop", b, "start", apart, "colocation "+id)
			w.constraints[len(w.constraints)-1].shared = first.variant == group
		}
	}
}

// follow applies a colocation to the dependent's scores.
func (w *working) follow(k *colocation, d *resource) {
	p := k.primary
	place := p.placedAs(k)
	if place == nil && k.score < 0 || !p.settled() {
		return
	}
	old, oldTerms := append([]Score(nil), d.scores...), len(d.terms)
	value := ""
	if place != nil {
		value, _ = w.nodeAttr(place, k.attribute)
	}
	for _, m := range w.nodes {
		if !d.allowed[m.index] {
			continue
		}
		here, _ := w.nodeAttr(m, k.attribute)
		switch {
		case place == nil:
			d.prefer(m, -k.score, fmt.Sprintf("colocation %s: %s runs nowhere", k.id, p.id))
		case here == value && k.score < Infinity:
			d.prefer(m, k.score, fmt.Sprintf("colocation %s: %s is on %s", k.id, p.id, place.name))
		case here != value && k.score >= Infinity:
			d.prefer(m, -Infinity, fmt.Sprintf("colocation %s: %s is on %s", k.id, p.id, place.name))
		}
	}
	if k.score > -Infinity && k.score < Infinity && !w.anyUsable(d.scores, d.allowed) {
		copy(d.scores, old)
		d.terms = d.terms[:oldTerms]
	}
}

// settled reports whether the resource has been allocated. In a circle of
// colocations one is not: its constraint then says nothing.
func (r *resource) settled() bool {
	for p := range r.primitives {
		if !p.assigned {
			return false
		}
	}
	return true
}

// placedAs is where the primary is for this colocation: of a group, where the
// whole of it is if that is needed, else where it begins.
func (r *resource) placedAs(k *colocation) *member {
	if r.variant == group && len(r.children) > 0 {
		if k.score >= Infinity {
			return r.children[len(r.children)-1].node
		}
		return r.children[0].node
	}
	return r.node
}

func (w *working) anyUsable(scores []Score, allowed []bool) bool {
	for _, m := range w.nodes {
		if allowed[m.index] && scores[m.index] >= 0 && m.usable() {
			return true
		}
	}
	return false
}

// attract adds to scores what the resource and those that follow it would
// prefer, weighed by factor. What would leave no node is left out.
func (w *working) attract(r *resource, id, attribute string, factor float64, scores []Score, allowed []bool) []Score {
	if r.merging {
		return scores
	}
	r.merging = true
	defer func() { r.merging = false }()
	source, chain := r, r.withMe
	if r.variant == group {
		if len(r.children) == 0 {
			return scores
		}
		source = r.children[0]
		chain = append(append([]*colocation(nil), source.withMe...), r.withMe...)
	}
	work := w.addWishes(source, attribute, factor, scores)
	if !w.anyUsable(work, allowed) {
		return scores
	}
	for _, k := range chain {
		if k.influence && k.dependent != r {
			work = w.attract(k.dependent, k.id, k.attribute, factor*float64(k.score)/float64(Infinity), work, allowed)
		}
	}
	return work
}

func (w *working) addWishes(r *resource, attribute string, factor float64, scores []Score) []Score {
	work := append([]Score(nil), scores...)
	for _, m := range w.nodes {
		wish := w.wish(r, attribute, m)
		if factor < 0 && wish < 0 || wish == 0 {
			continue
		}
		delta := Score(math.Round(factor * float64(wish)))
		if delta == 0 {
			delta = 1
			if factor*float64(wish) < 0 {
				delta = -1
			}
		}
		work[m.index] = work[m.index].Add(delta)
	}
	return work
}

// wish is the resource's best score among the usable nodes that agree with m
// in the attribute.
func (w *working) wish(r *resource, attribute string, m *member) Score {
	best := -Infinity
	value, _ := w.nodeAttr(m, attribute)
	if attribute == "#uname" {
		if r.allowed[m.index] && m.usable() {
			return r.scores[m.index]
		}
		return best
	}
	for _, n := range w.nodes {
		if v, _ := w.nodeAttr(n, attribute); v == value && r.allowed[n.index] && n.usable() {
			best = max(best, r.scores[n.index])
		}
	}
	return best
}
