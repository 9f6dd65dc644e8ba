package scheduler

import (
	"strconv"
)

// setInstanceRoles decides which instances of a promotable clone are promoted.
func (w *working) setInstanceRoles(r *resource) {
	for i := range r.allowed {
		r.allowed[i].count = 0 // from here on: of promoted instances
	}
	for _, c := range r.children {
		w.setPromotionPriority(r, c)
	}
	w.sortForPromotion(r)
	promoted := 0
	for _, c := range r.children {
		w.showPromotion(c)
		if w.promote(r, c, promoted) {
			promoted++
		}
	}
	r.clone.promoted = promoted
}

// setPromotionPriority: an instance's claim to promotion is its promotion
// score, and what locations and colocations of the promoted role add.
func (w *working) setPromotionPriority(r, c *resource) {
	if c.methods.state(c, true) == Started {
		c.becomeUnpromoted(true)
	}
	at := c.methods.locations(c, afterwards)
	if len(at) == 0 {
		return
	}
	if len(at) > 1 {
		w.warn("promotable clone " + r.id + ": the members of " + c.id + " are on different nodes: it cannot be promoted")
	}
	chosen := at[0]
	next := c.methods.state(c, false)
	switch next {
	case "", Started:
		score, set := w.promotionScore(c, chosen)
		if c.priority = int(score); !set {
			c.priority = -1 // a location for the promoted role can raise it
			c.notPromoted(func() string { return "its agent has set no promotion score on " + chosen.name })
		} else if score < 0 {
			c.notPromoted(func() string { return "its agent has set the promotion score " + score.String() + " on " + chosen.name })
		}
	case Unpromoted, Stopped:
		c.priority = -int(Infinity)
		c.notPromoted(func() string { return "its target-role is " + string(next) })
	}
	for _, l := range append(c.located[:len(c.located):len(c.located)], r.located...) {
		if l.role != Promoted {
			continue
		}
		for _, on := range l.on {
			if on.node == chosen {
				c.priority = int(Score(c.priority).Add(on.score))
				if on.score < 0 && c.priority < 0 {
					c.notPromoted(func() string { return l.words(on.node, on.score) + " in the promoted role" })
				}
			}
		}
	}
	for _, k := range c.with {
		before := c.priority
		c.methods.applyColocation(w, c, k.primary, k, true)
		if c.priority < before && c.priority < 0 {
			c.notPromoted(func() string { return "it may be promoted only by where " + k.primary.id + " is (" + k.words() + ")" })
		}
	}
	if c.sortIndex = Score(c.priority); next == Promoted {
		c.sortIndex = Infinity
	}
}

// sortForPromotion adds what others would prefer about the promoted instances,
// and sorts the instances by it.
func (w *working) sortForPromotion(r *resource) {
	if r.clone.promotionSorted {
		return
	}
	r.clone.promotionSorted = true
	r.merging = true
	w.eachCandidate(r, func(c *resource, a *allowance) { a.score = a.score.Add(c.sortIndex) })
	for _, k := range r.with {
		if k.dependentRole != Promoted {
			continue
		}
		flags := addActive
		if k.score == Infinity {
			flags = 0
		}
		w.addWishes(k.primary, &r.allowed, k.attribute, float64(k.score)/float64(Infinity), flags)
	}
	for _, k := range r.withMe {
		if k.primaryRole == Promoted && k.hasInfluence(k.primary) {
			w.addWishes(k.dependent, &r.allowed, k.attribute, float64(k.score)/float64(Infinity), addActive|addPositiveOnly)
		}
	}
	for _, k := range r.ticketed {
		if k.role == Promoted && (!k.ticket.granted || k.ticket.standby) {
			for _, n := range w.nodes {
				r.prefer(n, -Infinity, TermTicket, k.ticket.id, func() string { return "ticket " + k.ticket.id + " does not allow it to be promoted here" })
			}
			for _, c := range r.children {
				c.notPromoted(func() string {
					return "ticket " + k.ticket.id + " is " + k.ticket.words() + ", and has to be held for that"
				})
			}
		}
	}
	w.eachCandidate(r, func(c *resource, a *allowance) { c.sortIndex = a.score })
	for _, c := range r.children {
		if !c.managed && c.next == Promoted {
			c.sortIndex = Infinity // it is left promoted, wherever it is
		}
	}
	mergeSort(r.children, w.comparePromotable)
	r.merging = false
}

// eachCandidate visits the instances that have a node and could be promoted.
func (w *working) eachCandidate(r *resource, visit func(c *resource, a *allowance)) {
	for _, c := range r.children {
		if at := c.methods.locations(c, afterwards); len(at) > 0 && c.sortIndex >= 0 {
			visit(c, r.allowed.at(at[0]))
		}
	}
}

func (w *working) comparePromotable(a, b *resource) int {
	if a.sortIndex != b.sortIndex {
		return int(b.sortIndex - a.sortIndex)
	}
	if x, y := a.methods.state(a, true).rank(), b.methods.state(b, true).rank(); x != y {
		return y - x
	}
	return w.compareInstances(a, b)
}

// promote gives an instance its role, and reports whether it will be promoted.
func (w *working) promote(r, c *resource, promoted int) bool {
	var n *node
	if c.sortIndex >= 0 && (promoted < r.clone.promotedMax || !r.managed) {
		n = w.promotionNode(c)
	}
	switch {
	case n == nil:
		if c.sortIndex >= 0 && r.managed && promoted >= r.clone.promotedMax {
			c.notPromoted(func() string {
				return "as many are promoted as may be (promoted-max " + strconv.Itoa(r.clone.promotedMax) + ")"
			})
		}
		c.becomeUnpromoted(false)
		return false
	case c.role.rank() < Promoted.rank() && !w.options.quorate && w.options.noQuorum == quorumFreeze:
		c.waits = "is not promoted without quorum (no-quorum-policy=freeze)"
		c.notPromoted(func() string { return "without quorum nothing is promoted (no-quorum-policy=freeze)" })
		c.becomeUnpromoted(false)
		return false
	}
	c.outermost(false).allowed.at(n).count++
	c.becomePromoted()
	return true
}

// notPromoted notes, for a resource and all below it, why it is not promoted.
func (r *resource) notPromoted(why func() string) {
	r.unpromotedWhy = why
	for _, c := range r.children {
		c.notPromoted(why)
	}
}

// promotionNode is where an instance would be promoted, nil if it cannot be.
func (w *working) promotionNode(c *resource) *node {
	for _, m := range c.children {
		if w.promotionNode(m) == nil {
			return nil
		}
	}
	at := c.methods.locations(c, afterwards)
	if len(at) == 0 {
		return nil
	}
	n := at[0]
	top := c.outermost(false)
	switch {
	case !c.managed && c.methods.state(c, true) != Promoted, c.managed && c.priority < 0, c.managed && !w.available(n, nil, true):
		return nil
	}
	a := top.allowed.get(n)
	if !a.present || int(a.count) >= top.clone.promotedNodeMax && c.managed {
		return nil
	}
	return n
}

// becomeUnpromoted sets the role (now, or for afterwards) of an instance and all below it.
func (r *resource) becomeUnpromoted(current bool) {
	switch {
	case current:
		if r.role == Started {
			r.role = Unpromoted
		}
	case len(r.methods.locations(r, afterwards)) > 0:
		r.next = Unpromoted
	default:
		r.next = Stopped
	}
	for _, c := range r.children {
		c.becomeUnpromoted(current)
	}
}

func (r *resource) becomePromoted() {
	if r.next == "" {
		r.next = Promoted
	}
	for _, c := range r.children {
		c.becomePromoted()
	}
}
