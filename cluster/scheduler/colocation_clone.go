package scheduler

import "strings"

// applyColocation applies a colocation with a clone to a dependent: with an
// instance next to it where the dependent is interleaved, else with all instances.
func (cloneMethods) applyColocation(w *working, dependent, primary *resource, k *colocation, _ bool) {
	if primary.promotable {
		switch {
		case !primary.assigned:
			return
		case k.primaryRole == "":
		case !dependent.assigned:
			w.colocateWithRole(dependent, primary, k)
			return
		case k.dependentRole == Promoted:
			w.colocatePromotion(dependent, primary, k)
			return
		}
	}
	if !primary.assigned {
		return
	}
	if w.interleaves(k) {
		w.colocateWithNeighbour(dependent, primary, k)
		return
	}
	if k.score >= Infinity {
		w.colocateWithInstances(dependent, primary, k)
		return
	}
	for _, c := range primary.children {
		c.methods.applyColocation(w, dependent, c, k, false)
	}
}

// interleaves reports whether each instance of the dependent cares only for the
// primary's instance on its own node.
func (w *working) interleaves(k *colocation) bool {
	d := k.dependent
	if d.variant <= group || !truth(d.metaOf("interleave")) {
		return false
	}
	if d.perNode() == k.primary.perNode() {
		return true
	}
	w.warn("colocation " + k.id + ": " + d.id + " cannot be interleaved with " + k.primary.id + ", as they allow different numbers of instances a node (clone-node-max)")
	return false
}

// perNode is how many instances of a collection one node may run.
func (r *resource) perNode() int {
	switch {
	case r.variant == bundle:
		return r.bundle.perHost
	case r.variant == clone && r.unique:
		return r.clone.nodeMax
	}
	return 1
}

func (w *working) colocateWithNeighbour(dependent, primary *resource, k *colocation) {
	c := w.compatibleInstance(dependent, primary, "", false)
	switch {
	case c != nil:
		dependent.methods.applyColocation(w, dependent, c, k, true)
	case k.score >= Infinity:
		dependent.waits = "no instance of " + primary.id + " is left that it could go with (" + k.words() + ")"
		w.assignTo(dependent, nil, true)
	}
}

// compatibleInstance finds the clone's instance on the node where a resource is
// (now or afterwards), or, without a place yet, would like best to be.
func (w *working) compatibleInstance(r, c *resource, role Role, current bool) *resource {
	at := afterwards
	if current {
		at = atPresent
	}
	if on := r.methods.locations(r, at); len(on) == 1 {
		return w.instanceOn(c, on[0], role, current)
	}
	for _, n := range w.sortedNodes(r.allowed, nil) {
		if found := w.instanceOn(c, n, role, current); found != nil {
			return found
		}
	}
	return nil
}

// instanceOn is the clone's instance (or the bundle's container) on a node, in a role (""  is any).
func (w *working) instanceOn(c *resource, n *node, role Role, current bool) *resource {
	for _, i := range c.instances() {
		if isInstanceOn(i, n, role, current) {
			return i
		}
	}
	return nil
}

func isInstanceOn(i *resource, n *node, role Role, current bool) bool {
	at := afterwards
	if current {
		at = atPresent
	}
	on := i.methods.locations(i, at)
	if len(on) != 1 || on[0] != n || i.isBlocked() {
		return false
	}
	return role == "" || i.methods.state(i, current) == role
}

// isBlocked reports whether the resource or anything below it is blocked.
func (r *resource) isBlocked() bool {
	if r.blocked {
		return true
	}
	for _, c := range r.children {
		if c.isBlocked() {
			return true
		}
	}
	return false
}

// colocateWithInstances forbids the nodes without an instance.
func (w *working) colocateWithInstances(dependent, primary *resource, k *colocation) {
	var on []place
	for _, c := range primary.children {
		if at := c.methods.locations(c, afterwards); len(at) == 1 && !c.isBlocked() {
			on = append(on, c.placeOn(at[0]))
		}
	}
	w.keepOnly(dependent, on, k, func() string {
		return dependent.id + " must be where an instance of " + primary.id + " is (" + k.words() + ")"
	})
}

// place is where an instance is, and what that node is for it.
type place struct {
	node *node
	allowance
}

func (r *resource) placeOn(n *node) place { return place{n, firstPrimitive(r).allowed.get(n)} }

// keepOnly forbids all nodes but these. Those of them that were not considered
// are from now on, as what they are for the primary: they may be probed.
func (w *working) keepOnly(r *resource, on []place, k *colocation, why func() string) {
	for _, n := range w.nodes {
		a := r.allowed.at(n)
		if !a.present || containsPlace(on, n) {
			continue
		}
		a.score = -Infinity
		r.terms = append(r.terms, term{node: n, score: -Infinity, kind: TermColocation, object: firstOf(k.id, k.primary.id), why: why})
	}
	for _, p := range on {
		if a := r.allowed.at(p.node); !a.present {
			*a = allowance{present: true, score: -Infinity, discover: p.discover}
			r.terms = append(r.terms, term{node: p.node, score: -Infinity, kind: TermSymmetry, why: func() string {
				return r.id + " was not allowed on " + p.node.name + " before " + k.primary.id + " came there"
			}})
		}
	}
}

func containsPlace(list []place, n *node) bool {
	for _, p := range list {
		if p.node == n {
			return true
		}
	}
	return false
}

// colocateWithRole places a dependent with the instances in a role.
func (w *working) colocateWithRole(dependent, primary *resource, k *colocation) {
	var on []place
	for _, c := range primary.children {
		at := c.methods.locations(c, afterwards)
		if len(at) != 1 || c.methods.state(c, false) != k.primaryRole {
			continue
		}
		on = append(on, c.placeOn(at[0]))
		if k.score < Infinity {
			w.scoreAlike(dependent, at[0], k)
		}
	}
	if k.score >= Infinity && !(k.dependentRole == Promoted && k.primaryRole == Promoted) {
		w.keepOnly(dependent, on, k, func() string {
			return dependent.id + " must be where " + primary.id + " is " + strings.ToLower(string(k.primaryRole)) + " (" + k.words() + ")"
		})
		// Of several nodes that are left, it likes what they like.
		for _, p := range on {
			if p.score != 0 {
				dependent.prefer(p.node, p.score, TermColocation, firstOf(k.id, primary.id), func() string {
					return primary.id + ", which " + dependent.id + " goes with, scores " + p.score.String() + " there (" + k.words() + ")"
				})
			}
		}
	}
}

// firstPrimitive is the resource itself, or the first primitive in it.
func firstPrimitive(r *resource) *resource {
	for len(r.children) > 0 {
		r = r.children[0]
	}
	return r
}

// scoreAlike adds a colocation's score to the nodes that share its attribute with n.
func (w *working) scoreAlike(dependent *resource, n *node, k *colocation) {
	value, has := n.attrs[k.attribute]
	for _, m := range w.nodes {
		a := dependent.allowed.at(m)
		if v, ok := m.attrs[k.attribute]; !a.present || ok != has || !strings.EqualFold(v, value) {
			continue
		}
		a.score = a.score.Add(k.score)
		dependent.terms = append(dependent.terms, term{node: m, score: k.score, kind: TermColocation, object: firstOf(k.id, k.primary.id),
			why: func() string {
				return dependent.id + " goes by where " + k.primary.id + " is " + strings.ToLower(string(k.primaryRole)) + ": " + n.name + " (" + k.words() + ", " + k.score.String() + ")"
			}})
	}
}

// colocatePromotion lets the primary's promoted instances decide which of the
// dependent's are promoted.
func (w *working) colocatePromotion(dependent, primary *resource, k *colocation) {
	if w.compatibleInstance(dependent, primary, k.primaryRole, false) != nil {
		dependent.priority = int(Score(dependent.priority).Add(k.score))
	} else if k.score >= Infinity {
		dependent.priority = -int(Infinity)
	}
}
