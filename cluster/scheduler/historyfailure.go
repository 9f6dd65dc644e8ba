package scheduler

// apply does what the failures of a resource on a node lead to.
func (h *replay) apply(what onFail) {
	w, r, n := h.w, h.rsc, h.node
	switch what {
	case onFailDemote:
		r.failed = true
		w.action(r, taskDemote, 0, n, false).because(func() string { return r.id + " failed, and on-fail=demote" })
	case onFailFence:
		w.fenceNode(n, firstOf(r.failure, r.id+" failed there")+", and on-fail=fence", false)
	case onFailStandby:
		n.standby, n.standbyOnFail = true, true
	case onFailBlock:
		r.managed, r.blocked = false, true
		r.blockedWhy = firstOf(r.blockedWhy, r.failure, r.id+" failed on "+n.name)
	case onFailBan:
		r.prefer(n, -Infinity, TermFailure, "on-fail", func() string { return firstOf(r.failure, r.id+" failed on "+n.name) })
	case onFailStop:
		r.next = Stopped
		r.stoppedWhy = firstOf(r.stoppedWhy, r.id+" failed, and on-fail=stop")
	case onFailRestart:
		if r.role != Stopped && r.role != "" {
			r.failed, r.stopWanted = true, true
			h.stop(r)
		}
	case onFailRestartContainer:
		h.restartContainer()
	case onFailReset:
		h.resetRemote()
	}
}

// stop makes the stop of a resource on the node necessary.
func (h *replay) stop(r *resource) {
	failed := h.rsc
	h.w.stopAction(r, h.node, false).because(func() string {
		return firstOf(failed.failure, failed.id+" failed on "+h.node.name)
	})
}

func (h *replay) restartContainer() {
	r := h.rsc
	r.failed, r.stopWanted = true, true
	switch {
	case r.container != nil && r.isBundled():
		// The connection may be made from another node than the container's, which
		// is perhaps not known yet.
		h.w.stops = append(h.w.stops, r.container)
	case r.container != nil:
		h.stop(r.container)
	case r.role != Stopped && r.role != "":
		h.stop(r)
	}
}

// resetRemote: a connection that failed means that its node is fenced.
func (h *replay) resetRemote() {
	w, r := h.w, h.rsc
	r.failed, r.stopWanted = true, true
	if m := w.nodeByName[r.id]; w.options.fencing && r.isRemoteConn && m != nil && m.isRemote() && !m.remoteFenced {
		w.fenceNode(m, "the connection to it failed and cannot be recovered", false)
	}
	if r.role.rank() > Stopped.rank() {
		h.stop(r)
	}
	if r.reconnect > 0 {
		// No new attempt before the failure expires.
		r.next = Stopped
		r.stoppedWhy = firstOf(r.stoppedWhy, "the next attempt to connect is made after reconnect_interval")
	}
}

// banEverywhere forbids every node. Of an anonymous clone that means all instances.
func (w *working) banEverywhere(r *resource, why func() string) {
	banned := r
	if r.parent != nil {
		if top := r.outermost(false); top.variant == clone && !top.unique {
			banned = top
		}
	}
	banned.forbidAll(w, TermFailure, why)
}

// forbidAll replaces a resource's own scores (not those of what is in it) by
// a ban from every node.
func (r *resource) forbidAll(w *working, kind TermKind, why func() string) {
	r.allowed = make(table, w.nodeCount)
	for _, n := range w.nodes {
		*r.allowed.at(n) = allowance{present: true, score: -Infinity, discover: n.discover}
		r.terms = append(r.terms, term{node: n, score: -Infinity, kind: kind, why: why})
	}
}
