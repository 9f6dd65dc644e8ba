package scheduler

// assign distributes the instances over the nodes, then decides the roles of a
// promotable clone's.
func (cloneMethods) assign(w *working, r *resource, prefer *node) *node {
	if r.assigned || r.assigning {
		return nil
	}
	if r.promotable {
		w.addPromotionScores(r)
	}
	r.assigning = true
	for _, k := range r.with {
		k.primary.methods.assign(w, k.primary, prefer)
	}
	for _, k := range r.withMe {
		if k.hasInfluence(k.primary) {
			w.hear(r, k, addActive|addPositiveOnly)
		}
	}
	w.showScores(r, "pcmk__clone_allocate", r.allowed)
	w.sortInstances(r.children)
	w.distribute(r, r.children, r.clone.max, r.clone.nodeMax)
	if r.promotable {
		w.setInstanceRoles(r)
	}
	r.assigned, r.assigning = true, false
	return nil
}

// distribute places up to limit instances, at most perNode on a node: first
// those that run where they may stay, so that instances are not swapped.
func (w *working) distribute(r *resource, instances []*resource, limit, perNode int) {
	available := 0
	for _, n := range w.nodes {
		a := r.allowed.at(n)
		a.count = 0
		if a.present && w.available(n, nil, false) {
			available++
		}
	}
	optimal := 1
	if available > 0 {
		optimal = max(1, limit/available)
	}
	every := limit < available // not every node gets an instance: dependents' wishes count
	placed := 0
	for _, c := range instances {
		if placed < limit && w.keepInPlace(r, c, int32(optimal), every, perNode) {
			placed++
		}
	}
	for _, c := range instances {
		switch {
		case c.assigned:
		case placed >= limit:
			for _, n := range w.nodes {
				c.prefer(n, -Infinity, TermLimit, "clone-max", func() string { return "enough instances of " + r.id + " run already" })
			}
		default:
			if w.placeInstance(r, c, nil, every, perNode) != nil {
				placed++
			}
		}
	}
}

// keepInPlace tries to leave an active instance where it is.
func (w *working) keepInPlace(r, c *resource, optimal int32, every bool, perNode int) bool {
	at := c.methods.locations(c, atPresent)
	if len(at) == 0 || c.assigned || c.failed {
		return false
	}
	n := w.instanceNode(c)
	if n == nil || !w.available(n, nil, false) || n.weight < 0 {
		return false
	}
	if a := r.allowed.get(n); a.present && a.count >= optimal {
		return false
	}
	return w.placeInstance(r, c, n, every, perNode) != nil
}

// instanceNode is where an instance (perhaps of a group) is now.
func (w *working) instanceNode(c *resource) *node {
	if c.variant == primitive {
		n, _, _ := w.activeNode(c)
		return n
	}
	if len(c.running) > 0 {
		return c.running[0]
	}
	return nil
}

// placeInstance places one instance; on prefer or not at all, if that is given.
func (w *working) placeInstance(r, c *resource, prefer *node, every bool, perNode int) *node {
	if c.assigned {
		if at := c.methods.locations(c, afterwards); len(at) > 0 {
			return at[0]
		}
		return nil
	}
	if c.assigning {
		return nil
	}
	w.inheritColocations(r, c, every)
	if a := c.allowed.get(prefer); prefer != nil && (!a.present || a.score < 0) {
		return nil
	}
	w.banForInstance(r, c, perNode)
	before := map[*resource]table{}
	c.saveTables(before)
	chosen := c.methods.assign(w, c, prefer)
	if chosen != nil && prefer != nil && chosen != prefer {
		c.restoreTables(before)
		w.unassign(c)
		return nil
	}
	if chosen != nil {
		r.allowed.at(chosen).count++
	}
	return chosen
}

func (r *resource) saveTables(to map[*resource]table) { to[r] = r.allowed.clone() }

func (r *resource) restoreTables(from map[*resource]table) { r.allowed = from[r] }

// inheritColocations: an instance follows what its clone follows. Wishes and
// those of dependents only count where not every node gets an instance.
func (w *working) inheritColocations(r, c *resource, every bool) {
	for _, k := range r.with {
		if every || k.score < 0 || k.score == Infinity {
			c.with = insertColocation(c.with, k, func(k *colocation) *resource { return k.primary })
		}
	}
	for _, k := range r.withMe {
		if k.hasInfluence(c) && (every || k.score < 0) {
			c.withMe = insertColocation(c.withMe, k, func(k *colocation) *resource { return k.dependent })
		}
	}
}

// banForInstance forbids an instance the nodes that are full, or closed to the clone.
func (w *working) banForInstance(r, c *resource, perNode int) {
	for _, n := range w.nodes {
		if !c.allowed.get(n).present {
			continue
		}
		own := r.allowed.get(n)
		var why func() string
		switch {
		case !w.available(n, nil, false):
			why = n.whyUnavailable
		case c.orphan:
			why = func() string { return c.id + " is not configured any more" }
		case !own.present, own.score < 0:
			why = func() string {
				if t := r.vetoOn(n); t != nil {
					return t.why()
				}
				return r.id + " may not run on " + n.name
			}
		case int(own.count) >= perNode:
			why = func() string { return n.name + " runs as many instances of " + r.id + " as it may" }
		default:
			continue
		}
		c.banPresent(n, why)
	}
}

// banPresent forbids a node to a resource and all below it, where it is considered.
func (r *resource) banPresent(n *node, why func() string) {
	if a := r.allowed.at(n); a.present {
		a.score = -Infinity
		r.terms = append(r.terms, term{node: n, score: -Infinity, kind: TermLimit, why: why})
	}
	for _, c := range r.children {
		c.banPresent(n, why)
	}
}
