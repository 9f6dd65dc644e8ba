package scheduler

// createProbe probes a clone on a node: every instance of a unique clone; of an
// anonymous one a single instance, as a probe cannot tell them apart.
func (cloneMethods) createProbe(w *working, r *resource, n *node) bool {
	r.sortChildren()
	if len(r.children) == 0 {
		return false
	}
	if r.exclusive {
		if a := r.allowed.at(n); a.present && a.discover != discoverExclusive {
			// Instances are told of the nodes where others may be: this is none.
			a.present = false
			return false
		}
	}
	if r.unique {
		return w.probeAll(r.children, n)
	}
	c := r.instanceToProbe(n)
	return c.methods.createProbe(w, c, n)
}

// instanceToProbe is the instance of which the node knew something last time,
// or that will be there, or else the first.
func (r *resource) instanceToProbe(n *node) *resource {
	for _, c := range r.children {
		for p := range c.primitives {
			if p.isKnown(n) {
				return c
			}
		}
	}
	for _, c := range r.children {
		if at := c.methods.locations(c, afterwards); len(at) == 1 && at[0] == n {
			return c
		}
	}
	return r.children[0]
}
