package scheduler

// addRunning records that the resource is active on a node, and what follows if
// it already was on another (multiple-active).
func (w *working) addRunning(r *resource, n *node, failed bool) {
	if r.runs(n) {
		return
	}
	r.running = append(r.running, n)
	if r.variant == primitive {
		n.running = append(n.running, r)
		n.addPriority(r, failed)
		if n.maintenance {
			r.managed = false
		}
	}
	if !r.managed {
		r.prefer(n, Infinity, TermActive, "", func() string { return r.id + " is not managed, and runs on " + n.name })
		if n.online {
			for p := r.parent; p != nil; p = p.parent {
				p.running = append(p.running, n)
			}
		}
		return
	}
	if r.variant == primitive && w.activeTwice(r) {
		w.recoverMultiple(r)
	}
	if r.parent != nil {
		w.addRunning(r.parent, n, false)
	}
}

// addPriority adds to the node's priority what runs there; on a guest that is
// the host's, too. Failed resources do not count.
func (n *node) addPriority(r *resource, failed bool) {
	if r.priority == 0 || failed {
		return
	}
	p := r.priority
	if r.role == Promoted {
		p++
	}
	n.priority += p
	if n.isGuest() {
		for _, host := range n.connection.container.running {
			host.priority += p
		}
	}
}

// activeTwice reports a resource that is active on several nodes, of which the
// unclean count where fencing has to come before.
func (w *working) activeTwice(r *resource) bool {
	_, all, clean := w.activeNode(r)
	if r.requires.includesFencing() {
		return all > 1
	}
	return clean > 1
}

// recoverMultiple does what multiple-active says.
func (w *working) recoverMultiple(r *resource) {
	switch r.multiple {
	case stopOnly:
		r.forbidAll(w, TermActive, func() string { return r.id + " is active on several nodes, and multiple-active=stop_only" })
	case leaveBlocked:
		r.blockMultiple()
		if p := r.parent; p != nil && (p.variant == group || p.variant == bundle) && p.multiple == leaveBlocked {
			for _, c := range p.children {
				c.blockMultiple()
			}
		}
	}
}

func (r *resource) blockMultiple() {
	r.managed, r.blocked = false, true
	r.blockedWhy = firstOf(r.blockedWhy, "it is active on several nodes, and multiple-active=block")
}

// activeNode is the node of those where it runs that counts as its current one
// (a migration's source before others), with how many there are, and how many
// of them are clean.
func (w *working) activeNode(r *resource) (n *node, all, clean int) {
	for _, m := range r.running {
		happy := m.online && !m.unclean
		all++
		if happy {
			clean++
		}
		switch {
		case r.migrationSource != nil:
			if m == r.migrationSource {
				n = m
			}
		case !r.requires.includesFencing() && happy && (n == nil || !n.online || n.unclean):
			n = m
		}
		if n == nil {
			n = m
		}
	}
	return n, all, clean
}
