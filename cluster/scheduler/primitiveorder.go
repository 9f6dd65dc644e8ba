package scheduler

// orderInternally makes the orderings between a primitive's own actions, and
// ties it to its container if it has one. What is not managed gets none.
func (primitiveMethods) orderInternally(w *working, r *resource) {
	if !r.managed {
		return
	}
	w.orderTasks(r, taskStop, r, taskStart, onlyOrder|firstForcesThen|restarts)
	if r.inPromotable() || r.role == Promoted {
		w.orderTasks(r, taskDemote, r, taskStop, promotedForcesFirst)
		w.orderTasks(r, taskStart, r, taskPromote, thenNeedsFirst)
	}
	// A probe writes the history that would be dropped.
	w.orderTasks(r, taskForget, r, taskMonitor, sameNode|thenCancelsFirst)
	if !r.fenceDevice && w.haveUnfence && r.requires == needsUnfencing {
		w.orderByUnfencing(r)
	}
	if w.utilization && len(r.utilization) > 0 {
		w.orderByLoad(r)
	}
	if r.container != nil {
		w.tieToContainer(r)
	}
	if r.isRemoteConn || r.fenceDevice {
		w.keepOffRemotes(r)
	}
}

// orderByUnfencing lets a resource stop before the unfencing of its node, and
// start after it.
func (w *working) orderByUnfencing(r *resource) {
	for _, n := range w.nodes {
		if !r.allowed.get(n).present {
			continue
		}
		if unfence := w.fenceAction(n, "on", true, "", false); unfence != nil {
			w.orderTaskAction(r, taskStop, unfence, onlyOrder|sameNode)
			w.orderActionTask(unfence, r, taskStart, firstForcesThenOnNode|sameNode)
		}
	}
}

// orderByLoad lets what needs capacity come to a node after what frees some.
func (w *working) orderByLoad(r *resource) {
	for _, n := range r.running {
		w.orderTaskAction(r, taskStop, w.loadGate(n), load)
	}
	for _, n := range w.nodes {
		if r.allowed.get(n).present {
			gate := w.loadGate(n)
			w.orderActionTask(gate, r, taskStart, load)
			w.orderActionTask(gate, r, taskMigrateTo, load)
		}
	}
}

// loadGate is the point at which everything that leaves a node has left.
func (w *working) loadGate(n *node) *action {
	g := w.gate(taskLoadStopped + "_" + n.name)
	if g.node == nil {
		g.node = n
		g.clear(optional)
	}
	return g
}

// tieToContainer puts a resource into its container: on the guest node that it
// is, or else on the same node, started after and stopped before it.
func (w *working) tieToContainer(r *resource) {
	vm := r.container
	var guest *resource
	switch {
	case r.isRemoteConn:
		if !r.followsContainer {
			w.keepOffRemotes(vm)
		}
		// A probe may find that the container runs after all, so that its
		// connection need not be recovered.
		w.orderTasks(vm, taskMonitor, r, taskStop, onlyOrder)
	case vm.isRemoteConn:
		guest = vm
	default:
		guest = w.guestIn(vm)
	}
	if guest != nil {
		for _, n := range w.nodes {
			if r.allowed.get(n).present && n.connection != guest {
				w.forbid(r, n, r.id+" belongs on the node that "+guest.id+" connects to")
			}
		}
		return
	}
	w.orderTasks(vm, taskStart, r, taskStart, firstForcesThen|thenNeedsFirst)
	w.orderTasks(r, taskStop, vm, taskStop, thenForcesFirst)
	score := Infinity
	if r.followsContainer {
		score = 10000 // the connection may be made from another node than the container's
	}
	w.addColocation(withinContainer, "", score, r, vm, "", "", true)
}

// keepOffRemotes keeps connections, containers of guests and fence devices off
// remote nodes and guests.
func (w *working) keepOffRemotes(r *resource) {
	for _, n := range w.nodes {
		if n.connection != nil && r.allowed.get(n).present {
			w.forbid(r, n, r.id+" cannot run on a remote or guest node")
		}
	}
}

// forbid rules a node out.
func (w *working) forbid(r *resource, n *node, why string) {
	r.addScore(n, -Infinity, TermState, "", func() string { return why })
}
