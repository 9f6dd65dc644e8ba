package scheduler

// createActions makes the actions of all that a bundle implies, and the points
// in the order that sum up its containers and the roles of what is inside.
func (bundleMethods) createActions(w *working, r *resource) {
	for _, p := range r.bundle.replicas {
		for _, c := range []*resource{p.ip, p.container, p.remote} {
			if c != nil {
				c.methods.createActions(w, c)
			}
		}
	}
	w.createInstanceActions(r, r.instances())
	inside := r.bundle.child
	if inside == nil {
		return
	}
	inside.methods.createActions(w, inside)
	if inside.clone.promotable {
		w.pseudoAction(r, taskPromote, true, true)
		w.pseudoAction(r, taskPromoted, true, true).priority = int(Infinity)
		w.pseudoAction(r, taskDemote, true, true)
		w.pseudoAction(r, taskDemoted, true, true).priority = int(Infinity)
	}
}

// createProbe probes addresses, containers, connections, and on the nodes that
// the containers are what is inside.
func (bundleMethods) createProbe(w *working, r *resource, n *node) bool {
	any := false
	for _, p := range r.bundle.replicas {
		if p.ip != nil && p.ip.methods.createProbe(w, p.ip, n) {
			any = true
		}
		if p.child != nil && n == p.node && p.child.methods.createProbe(w, p.child, n) {
			any = true
		}
		if p.container.methods.createProbe(w, p.container, n) {
			any = true
			r.bundle.startAfterProbe(w, p)
		}
		if p.remote != nil && w.probeConnection(p, n) {
			any = true
		}
	}
	return any
}

// startAfterProbe: where a host may run one container only, none starts before
// it is known that no other runs there. Their ports would collide, too.
func (b *bundleData) startAfterProbe(w *working, p *replica) {
	if b.perHost != 1 {
		return
	}
	for _, other := range b.replicas {
		if other != p {
			w.orderTasks(p.container, taskMonitor, other.container, taskStart, onlyOrder|sameNode)
		}
	}
}

// probeConnection probes the connection to a container once it is known where
// that runs.
func (w *working) probeConnection(p *replica, n *node) bool {
	if !p.remote.methods.createProbe(w, p.remote, n) {
		return false
	}
	probe := p.remote.find(taskMonitor, 0, n)
	if probe == nil {
		return false
	}
	w.orderTaskAction(p.container, taskStart, probe, probeFirst)
	return true
}
