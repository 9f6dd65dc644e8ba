package scheduler

// assign places the containers of a bundle as if they were the instances of a
// clone, then with each what belongs to it: its address, the connection to it,
// and what runs inside. That has no choice, so that the clone inside has only
// roles to decide. Where colocations go round in a circle, an inner call places
// what the outer one has not come to yet.
func (bundleMethods) assign(w *working, r *resource, prefer *node) *node {
	r.assigning = true
	w.showScores(r, "pcmk__bundle_allocate", r.allowed)
	containers := r.instances()
	w.sortInstances(containers)
	w.distribute(r, containers, r.bundle.max, r.bundle.perHost)
	for _, p := range r.bundle.replicas {
		w.assignReplica(p, prefer)
	}
	if inside := r.bundle.child; inside != nil {
		r.bundle.openNodes(w)
		inside.methods.assign(w, inside, prefer)
	}
	r.assigned, r.assigning = true, false
	return nil
}

// assignReplica places what belongs to one container.
func (w *working) assignReplica(p *replica, prefer *node) {
	if p.ip != nil {
		p.ip.methods.assign(w, p.ip, prefer)
	}
	if p.remote != nil {
		if host := p.container.chosen; host != nil && host.connection != nil && !p.remote.assigned {
			// A remote node takes connections to its containers from one node only:
			// the one that is connected with it.
			w.addColocation("child-remote-with-docker-remote", "", Infinity, p.remote, host.connection, "", "", true)
		}
		p.remote.methods.assign(w, p.remote, prefer)
	}
	if p.child != nil {
		w.assignInside(p)
	}
}

// assignInside puts an instance into its container, unless it failed there too often.
func (w *working) assignInside(p *replica) {
	c := p.child
	for _, n := range w.nodes {
		switch {
		case !c.allowed.get(n).present:
		case n != p.node:
			c.setScore(n, -Infinity, TermState, func() string { return c.id + " belongs into the container " + p.container.id })
		case !w.thresholdReached(c, n):
			c.setScore(n, Infinity, TermState, func() string { return n.name + " is the container that " + c.id + " belongs into" })
		}
	}
	c.parent.assigning = true
	c.methods.assign(w, c, p.node)
	c.parent.assigning = false
}

// openNodes allows the clone inside a bundle its containers, and nothing else.
func (b *bundleData) openNodes(w *working) {
	own := map[*node]bool{}
	for _, p := range b.replicas {
		own[p.node] = true
	}
	for _, n := range w.nodes {
		switch {
		case !b.child.allowed.get(n).present:
		case own[n]:
			b.child.setScore(n, 0, TermState, nil)
		default:
			b.child.setScore(n, -Infinity, TermState, func() string { return b.child.id + " only runs in containers of its bundle" })
		}
	}
}

// setScore replaces what a resource's score on a node is, and the terms that made it.
func (r *resource) setScore(n *node, s Score, kind TermKind, why func() string) {
	r.allowed.at(n).score = s
	terms := r.terms[:0:0]
	for _, t := range r.terms {
		if t.node != n {
			terms = append(terms, t)
		}
	}
	if s != 0 {
		terms = append(terms, term{node: n, score: s, kind: kind, why: why})
	}
	r.terms = terms
}
