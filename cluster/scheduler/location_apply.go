package scheduler

// prefer adds to the scores of a resource and of all below it on a node, and
// keeps why; kind is one of Term's.
func (r *resource) prefer(n *node, s Score, kind TermKind, object string, why func() string) {
	for _, c := range r.children {
		c.prefer(n, s, kind, object, why)
	}
	r.addScore(n, s, kind, object, why)
}

// addScore is prefer for this resource alone.
func (r *resource) addScore(n *node, s Score, kind TermKind, object string, why func() string) {
	a := r.allowed.at(n)
	if !a.present {
		*a = allowance{present: true, score: n.weight, discover: n.discover}
	}
	a.score = a.score.Add(s)
	if s != 0 {
		r.terms = append(r.terms, term{node: n, score: s, kind: kind, object: object, why: why})
	}
}

// applyCriteria brings locations, shutdown locks, stickiness, failures and
// exclusive discovery into the scores.
func (w *working) applyCriteria() {
	if w.options.shutdownLock {
		for _, r := range w.resources {
			r.methods.lockToNode(w, r)
		}
	}
	for i := len(w.locations) - 1; i >= 0; i-- {
		l := w.locations[i]
		l.rsc.methods.applyLocation(w, l.rsc, l)
	}
	for _, r := range w.resources {
		w.applyStickiness(r)
	}
	for _, r := range w.resources {
		for p := range r.primitives {
			w.applyFailures(p)
		}
		w.applyExclusive(r)
	}
}

// applyOwnLocation applies a location to one resource, unless it is about a
// role that the resource will not have.
func applyOwnLocation(r *resource, l *location, scores bool) {
	if l.role != "" && l.role != r.next {
		return
	}
	for _, on := range l.on {
		a := r.allowed.at(on.node)
		if !a.present {
			*a = allowance{present: true, discover: on.node.discover}
		}
		if scores {
			a.score = a.score.Add(on.score)
			if on.score != 0 {
				r.terms = append(r.terms, term{node: on.node, score: on.score, kind: l.kind, object: firstOf(l.constraint, l.id),
					why: func() string { return l.words(on.node, on.score) }})
			}
		}
		if a.discover < l.discover {
			if a.discover = l.discover; l.discover == discoverExclusive {
				r.exclusive = true
			}
		}
	}
}

func (primitiveMethods) applyLocation(w *working, r *resource, l *location) {
	applyOwnLocation(r, l, true)
}

// applyLocation: the scores count for the first member of a colocated group,
// which the others follow; the others may merely be there.
func (groupMethods) applyLocation(w *working, r *resource, l *location) {
	applyOwnLocation(r, l, true)
	for i, c := range r.children {
		applyOwnLocation(c, l, i == 0 || !r.group.colocated)
	}
}

func (cloneMethods) applyLocation(w *working, r *resource, l *location) {
	applyOwnLocation(r, l, true)
	for _, c := range r.children {
		c.methods.applyLocation(w, c, l)
	}
}

// applyStickiness makes what is active in one place stay there.
func (w *working) applyStickiness(r *resource) {
	for _, c := range r.children {
		w.applyStickiness(c)
	}
	if len(r.children) > 0 || !r.managed || r.stickiness < 1 || len(r.running) != 1 {
		return
	}
	n := r.running[0]
	if w.options.symmetric || r.allowed.get(n).present {
		r.prefer(n, r.stickiness, TermStickiness, "resource-stickiness", func() string {
			return "it runs on " + n.name + " already (resource-stickiness " + r.stickiness.String() + ")"
		})
	}
}

// applyFailures bans a primitive from where it failed too often; an anonymous
// instance means the whole clone.
func (w *working) applyFailures(r *resource) {
	if r.threshold == 0 {
		return
	}
	for _, n := range w.nodes {
		if !w.thresholdReached(r, n) || r.find(taskClearFailcount, 0, n) != nil {
			continue
		}
		count, last := w.failCount(r, n, true, true)
		banned := r
		if !r.unique {
			banned = r.outermost(false)
		}
		banned.prefer(n, -Infinity, TermFailure, "migration-threshold", func() string { return w.failureWords(r, n, count, last) })
	}
}

// thresholdReached reports a resource that failed so often on a node that it
// has to leave.
func (w *working) thresholdReached(r *resource, n *node) bool {
	if r.threshold == 0 || r.failureIgnored || !w.hasFailCount(n) {
		return false
	}
	count, _ := w.failCount(r, n, true, true)
	return count > 0 && count >= Score(r.threshold)
}

// applyExclusive: a resource with an exclusive location is nowhere else. What a
// bundle implies is asked for itself: its connections do not go where it goes.
func (w *working) applyExclusive(r *resource) {
	if !r.exclusive && !r.outermost(false).exclusive {
		return
	}
	for _, c := range r.children {
		w.applyExclusive(c)
	}
	for _, n := range w.nodes {
		if a := r.allowed.at(n); a.present && a.discover != discoverExclusive {
			a.score = -Infinity
			r.terms = append(r.terms, term{node: n, score: -Infinity, kind: TermDiscovery,
				why: func() string { return n.name + " is not one of the nodes named by its exclusive location" }})
		}
	}
}
