package scheduler

import (
	"fmt"
	"sort"
	"strings"
)

// allocateAll gives each resource its node, the important ones first.
func (w *working) allocateAll() {
	for _, r := range w.top {
		w.allocate(r)
	}
}

// allocate places a resource after those that it depends on.
func (w *working) allocate(r *resource) {
	if r.assigned || r.visiting {
		return
	}
	if r.parent != nil && !r.parent.visiting {
		w.allocate(r.parent)
		return
	}
	r.visiting = true
	defer func() { r.visiting = false }()
	if r.variant == group {
		w.allocateGroup(r)
		return
	}
	w.followPrimaries(r)
	w.hearDependents(r)
	w.place(r)
	r.assigned = true
}

// allocateGroup: what concerns the group as a dependent concerns its first
// member; what follows it follows its last.
func (w *working) allocateGroup(g *resource) {
	if len(g.children) > 0 {
		first, last := g.children[0], g.children[len(g.children)-1]
		first.with = append(first.with, g.with...)
		if g.colocated {
			last.withMe = append(last.withMe, g.withMe...)
		} else {
			first.withMe = append(first.withMe, g.withMe...)
		}
		if !g.colocated {
			for _, c := range g.children[1:] {
				c.with = append(c.with, g.with...)
			}
		}
	}
	for _, c := range g.children {
		w.allocate(c)
	}
	g.assigned = true
}

// followPrimaries applies what this resource depends on, mandatory ones first.
func (w *working) followPrimaries(r *resource) {
	for _, k := range r.with {
		w.allocate(k.primary)
		w.follow(k, r)
	}
}

// hearDependents adds what those prefer that will follow this resource.
func (w *working) hearDependents(r *resource) {
	for _, k := range r.withMe {
		if !k.influence || k.dependent == r {
			continue
		}
		old := append([]Score(nil), r.scores...)
		r.scores = w.attract(k.dependent, r.id, k.attribute, float64(k.score)/float64(Infinity), r.scores, r.allowed)
		for _, m := range w.nodes {
			if d := r.scores[m.index] - old[m.index]; d != 0 && r.allowed[m.index] {
				r.terms = append(r.terms, Term{m.name, d, fmt.Sprintf("colocation %s: %s, which goes where %s is, wants it", k.id, k.dependent.id, r.id)})
			}
		}
	}
}

// place chooses the node.
func (w *working) place(r *resource) {
	r.next = r.wants()
	if r.orphan && r.managed {
		r.next = Stopped
	}
	switch {
	case r.next == Stopped:
		for _, m := range w.nodes {
			why := "target-role is Stopped"
			if r.orphan {
				why = "it is not configured any more"
			}
			r.prefer(m, -Infinity, why)
		}
	case r.role == Stopped && !w.options.quorate && w.options.noQuorum == "freeze":
		r.next, r.waits = Stopped, "the cluster has no quorum and no-quorum-policy is freeze"
		for _, m := range w.nodes {
			r.prefer(m, -Infinity, r.waits)
		}
	}
	switch {
	case !r.managed:
		r.next = r.role
		r.node = r.current()
	case w.options.stopAll:
		r.next, r.waits = Stopped, "stop-all-resources is set"
	default:
		r.node = w.best(r)
		if r.node == nil {
			r.next = Stopped
		}
	}
	if r.node != nil {
		r.node.load++
	}
}

// best is the usable node with the highest score; among equals the one with
// the fewest resources, then where it runs, then by name. A resource that
// prefers any node at all stays among equals.
func (w *working) best(r *resource) *member {
	var list []*member
	for _, m := range w.nodes {
		if r.allowed[m.index] && r.scores[m.index] >= 0 && m.usable() {
			list = append(list, m)
		}
	}
	if len(list) == 0 {
		return nil
	}
	here := r.current()
	sort.SliceStable(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if x, y := r.scores[a.index], r.scores[b.index]; x != y {
			return x > y
		}
		if a.load != b.load {
			return a.load < b.load
		}
		if (a == here) != (b == here) {
			return a == here
		}
		return a.name < b.name
	})
	top := list[0]
	if s := r.scores[top.index]; s > 0 && here != nil && here.usable() && r.allowed[here.index] && r.scores[here.index] == s {
		return here
	}
	return top
}

// allocation describes where a primitive was placed.
func (w *working) allocation(r *resource) Allocation {
	a := Allocation{Resource: r.id, Role: r.next, Blocked: r.blocked, Scores: map[string]Score{}, Terms: append([]Term{}, r.terms...)}
	sort.SliceStable(a.Terms, func(i, j int) bool { return lessTerm(&a.Terms[i], &a.Terms[j]) })
	for _, m := range w.nodes {
		if r.allowed[m.index] {
			a.Scores[m.name] = r.scores[m.index]
		} else {
			a.Scores[m.name] = -Infinity
		}
	}
	for _, m := range r.running {
		a.From = append(a.From, m.name)
	}
	sort.Strings(a.From)
	if r.node != nil && r.next != Stopped {
		a.Node = r.node.name
	}
	a.Reason = w.why(r)
	return a
}

// lessTerm orders terms by node, the weightiest first.
func lessTerm(a, b *Term) bool {
	if a.Node != b.Node {
		return naturalLess(a.Node, b.Node)
	}
	if x, y := max(a.Score, -a.Score), max(b.Score, -b.Score); x != y {
		return x > y
	}
	return a.Why < b.Why
}

// why says in one sentence where the resource is to be, and for what reason.
func (w *working) why(r *resource) string {
	switch {
	case r.blocked:
		return r.id + " is left alone: " + r.blockedWhy
	case r.maintenance:
		return r.id + " is left alone: it is in maintenance"
	case !r.managed:
		return r.id + " is left alone: it is not managed"
	case r.node != nil && r.next != Stopped:
		text := r.id + " runs on " + r.node.name
		if d := w.deciding(r, r.node, true); d != "" {
			text += ": " + d
		}
		if r.waits != "" {
			text += "; it " + r.waits
		}
		return text
	case r.orphan:
		return r.id + " is stopped: it is not configured any more"
	case r.targetRole == Stopped:
		return r.id + " is stopped: target-role is Stopped"
	case r.waits != "":
		return r.id + " runs nowhere: " + r.waits
	}
	return r.id + " runs nowhere: " + w.nowhere(r)
}

// nowhere says for each node why it is out.
func (w *working) nowhere(r *resource) string {
	var parts []string
	for _, m := range w.nodes {
		switch {
		case !m.usable():
			parts = append(parts, m.name+" "+m.status.why)
		case !r.allowed[m.index]:
			parts = append(parts, "nothing allows it on "+m.name)
		default:
			parts = append(parts, m.name+": "+w.deciding(r, m, false))
		}
	}
	if len(parts) == 0 {
		return "the cluster has no node"
	}
	return strings.Join(parts, "; ")
}

// deciding is the weightiest term on a node in favour or against.
func (w *working) deciding(r *resource, m *member, favour bool) string {
	var best Term
	for _, t := range r.terms {
		if t.Node != m.name {
			continue
		}
		if favour && t.Score > best.Score || !favour && t.Score < best.Score || t.Score == best.Score && best.Why != "" && t.Why < best.Why {
			best = t
		}
	}
	return best.Why
}
