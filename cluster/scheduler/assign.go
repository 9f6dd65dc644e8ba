package scheduler

// assignAll gives each resource its node: connections of remote nodes first, as
// they decide which nodes there are, then the important ones.
func (w *working) assignAll() {
	if w.utilization {
		w.sortForPlacement()
	}
	if w.haveRemote {
		for _, r := range w.resources {
			if r.isRemoteConn {
				r.methods.assign(w, r, r.migrationTarget)
			}
		}
	}
	for i, r := range w.resources {
		if !r.isRemoteConn {
			w.shares.begin(w, i)
			r.methods.assign(w, r, nil)
			w.shares.end(w, i)
		}
	}
	w.shares.finish(w)
}

// assign places a primitive after what it depends on, at what it and its
// dependents like best.
func (primitiveMethods) assign(w *working, r *resource, prefer *node) *node {
	if r.parent != nil && !r.parent.assigning {
		r.parent.methods.assign(w, r.parent, prefer)
	}
	if r.assigned {
		return r.chosen
	}
	if r.assigning {
		return nil // in a circle of colocations one has to be the first
	}
	r.assigning = true
	for _, k := range r.with {
		w.follow(r, k)
	}
	for _, k := range r.withMe {
		if k.hasInfluence(k.primary) {
			w.hear(r, k, addActive)
		}
	}
	w.judgeRole(r)
	w.showScores(r, "pcmk__primitive_assign", r.allowed)
	w.chooseNode(r, prefer)
	r.assigning = false
	if r.isRemoteConn {
		w.connectionAssigned(r)
	}
	return r.chosen
}

// follow assigns what r depends on, and applies the colocation. One that leaves
// no node is taken back if it is no more than a wish.
func (w *working) follow(r *resource, k *colocation) {
	var before table
	terms := len(r.terms)
	if k.dependentRole.rank() >= Promoted.rank() || k.score < 0 && k.score > -Infinity {
		before = r.allowed.clone()
	}
	k.primary.methods.assign(w, k.primary, nil)
	r.methods.applyColocation(w, r, k.primary, k, true)
	if before != nil && !w.anyAvailable(r.allowed) {
		r.allowed, r.terms = before, r.terms[:terms]
	}
}

// hear adds the wishes of a dependent to r's scores.
func (w *working) hear(r *resource, k *colocation, flags colocatedFlags) {
	before := r.allowed.clone()
	known := len(firstPrimitive(k.dependent).terms)
	w.addWishes(k.dependent, &r.allowed, k.attribute, float64(k.score)/float64(Infinity), flags)
	for _, n := range w.nodes {
		old, now := before.get(n).score, r.allowed.get(n).score
		if old == now {
			continue
		}
		r.terms = append(r.terms, term{node: n, score: now - old, kind: TermPreference, object: k.dependent.id,
			why: func() string { return k.wish(n, old, now, known) }})
	}
}

// wish says what a dependent wants of its primary's place: its scores there
// changed it from old to now. Only its first terms were known then.
func (k *colocation) wish(n *node, old, now Score, known int) string {
	id, detail := k.dependent.id, " ("+k.words()+", "+k.score.String()+")"
	switch {
	case now <= -Infinity && k.score > 0:
		text := id + ", which has to be with it, may not be on " + n.name + " (" + k.words() + ")"
		if t := firstPrimitive(k.dependent).vetoAmong(n, known); t != nil {
			text += ": " + t.why()
		}
		return text
	case k.score < 0:
		return id + ", which keeps away from it, changes " + n.name + " by " + (now - old).String() + detail
	case now < old:
		return id + ", which goes with it, would rather not be on " + n.name + " (" + (now - old).String() + ", " + k.words() + ")"
	}
	return id + ", which goes with it, would like " + n.name + " (" + (now - old).String() + ", " + k.words() + ")"
}

// judgeRole: what is to be stopped has no node; without quorum nothing rises
// where the policy is to freeze.
func (w *working) judgeRole(r *resource) {
	switch {
	case r.next == Stopped:
		for _, n := range w.nodes {
			r.prefer(n, -Infinity, TermRole, "target-role", func() string { return firstOf(r.stoppedWhy, "its target-role is Stopped") })
		}
	case r.next.rank() > r.role.rank() && !w.options.quorate && w.options.noQuorum == quorumFreeze:
		r.next = r.role
		r.waits = "waits for quorum (no-quorum-policy=freeze)"
	}
}

func (w *working) chooseNode(r *resource, prefer *node) {
	if w.options.fencing && !w.haveFencing {
		r.managed = false
		r.unmanagedWhy = "fencing is enabled, but there is no fence device (configure one; stonith-enabled=false is for clusters without shared data alone)"
	}
	switch {
	case !r.managed: // it stays where it is
		r.next = r.role
		n, _, _ := w.activeNode(r)
		w.assignTo(r, n, true)
	case w.options.stopAll:
		r.waits = "stop-all-resources is set"
		w.assignTo(r, nil, true)
	case !r.assigned:
		w.assignBest(r, prefer)
	}
}

// assignBest places a primitive on the best node; on prefer, or where it is
// already, if that is as good.
func (w *working) assignBest(r *resource, prefer *node) {
	if roomiest := w.banTooSmall(r); prefer == nil {
		prefer = roomiest
	}
	if r.assigned {
		return
	}
	current, _, _ := w.activeNode(r)
	nodes := w.sortedNodes(r.allowed, current)
	if len(nodes) == 0 {
		w.assignTo(r, nil, false)
		return
	}
	offered := prefer
	best := nodes[0]
	score := r.allowed.get(best).score
	chosen := best
	if a := r.allowed.get(prefer); prefer != nil && a.present && a.score >= score && w.available(prefer, r.allowed, false) {
		chosen = prefer
	} else if r.mayStay() && score > 0 && w.available(best, nil, false) && current != nil && w.available(current, nil, false) &&
		r.allowed.get(current).present && r.allowed.get(current).score == score {
		chosen = current
	}
	if w.wantScores {
		w.keepTies(r, chosen, offered, current, nodes)
	}
	w.assignTo(r, chosen, false)
}

// mayStay: instances of a unique clone were offered their present place before.
func (r *resource) mayStay() bool {
	return r.parent == nil || r.parent.variant != clone || !r.parent.unique
}

// assignTo fixes the node of a resource (nil: nowhere), and reports whether any
// part of it had one before. Without force a node that may not run it is none.
func (w *working) assignTo(r *resource, n *node, force bool) bool {
	if len(r.children) > 0 {
		changed := false
		for _, c := range r.children {
			changed = w.assignTo(c, n, force) || changed
		}
		return changed
	}
	hadOne := r.chosen != nil
	r.assigned = true
	if !force && n != nil && (r.allowed.get(n).score < 0 || !w.available(n, nil, false) && !n.isGuest()) {
		r.next, n = Stopped, nil
	}
	w.release(r)
	if n == nil {
		w.assignNowhere(r)
		return hadOne
	}
	r.chosen = n
	n.allocated = append(n.allocated, r)
	n.load++
	n.consume(r.utilization, -1)
	return hadOne
}

// assignNowhere: actions that were made already (by history) turn into what ends it.
func (w *working) assignNowhere(r *resource) {
	r.next = Stopped
	for _, a := range r.actions {
		switch {
		case a.task == taskStop:
			a.clear(optional)
		case a.task == taskStart:
			a.clear(runnable)
		case a.interval != 0 && a.target != 7:
			a.clear(runnable)
		}
	}
}

// unassign takes a primitive's node away again. Members of a group keep theirs:
// users are used to clones of groups that go over clone-node-max that way.
func (w *working) unassign(r *resource) {
	if len(r.children) == 0 {
		w.release(r)
		r.assigned = false
	}
}

func (w *working) release(r *resource) {
	n := r.chosen
	if n == nil {
		return
	}
	for i, other := range n.allocated {
		if other == r {
			n.allocated = append(n.allocated[:i:i], n.allocated[i+1:]...)
			break
		}
	}
	n.load--
	n.consume(r.utilization, +1)
	r.chosen = nil
}

// connectionAssigned: where its connection will be up, a remote node will be
// online; where not, it is on its way out.
func (w *working) connectionAssigned(r *resource) {
	n := w.nodeByName[r.id]
	if n == nil {
		return
	}
	if r.chosen == nil || r.next == Stopped {
		n.shutdown = true
		return
	}
	n.online = true
	if n.unseen {
		n.unclean = false // the attempt to connect will tell
	}
}

// assign places the members one after the other, each with what is colocated
// with the group on the end where it counts.
func (groupMethods) assign(w *working, r *resource, prefer *node) *node {
	if r.assigned {
		return r.chosen
	}
	if r.assigning || len(r.children) == 0 {
		r.assigned = r.assigned || len(r.children) == 0
		return nil
	}
	r.assigning = true
	first, last := r.children[0], r.children[len(r.children)-1]
	r.role = first.role
	for _, k := range r.with {
		first.with = insertColocation(first.with, k, func(k *colocation) *resource { return k.primary })
	}
	for _, k := range r.withMe {
		last.withMe = insertColocation(last.withMe, k, func(k *colocation) *resource { return k.dependent })
	}
	with := r.with
	r.with, r.withMe = nil, nil
	w.showScores(r, "pcmk__group_assign", r.allowed)
	var chosen *node
	unmanaged := false
	for _, m := range r.children {
		if unmanaged {
			m.bindTo(with)
		}
		if n := m.methods.assign(w, m, prefer); chosen == nil {
			chosen = n
		}
		unmanaged = unmanaged || !m.managed
	}
	r.next = first.next
	r.assigning, r.assigned = false, true
	if !r.group.colocated {
		return nil
	}
	return chosen
}

// bindTo: behind a member that stays where it is, unmanaged, being with that
// one is not enough: the member itself must be where its group has to be.
func (r *resource) bindTo(with []*colocation) {
	for _, k := range with {
		if k.score >= Infinity {
			r.with = insertColocation(r.with, k, func(k *colocation) *resource { return k.primary })
		}
	}
}
