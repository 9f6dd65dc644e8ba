package scheduler

// orderInternally puts what a bundle implies between the beginning and the end
// of what the bundle does:
//
//	start ─▶ address ─▶ container ─▶ connection ─▶ inside ─▶ running
//
// and the reverse for stops. The connection is tied to its container as every
// guest's is, and what is inside to its connection as on every remote node.
func (bundleMethods) orderInternally(w *working, r *resource) {
	inside := r.bundle.child
	if inside != nil {
		w.orderTasks(r, taskStart, inside, taskStart, firstListed)
		w.orderTasks(r, taskStop, inside, taskStop, firstListed)
		w.orderTasks(inside, taskStarted, r, taskStarted, thenListed)
		w.orderTasks(inside, taskStopped, r, taskStopped, thenListed)
	}
	for _, p := range r.bundle.replicas {
		w.orderReplica(r, p)
	}
	if inside == nil {
		return
	}
	inside.methods.orderInternally(w, inside)
	if !inside.clone.promotable {
		return
	}
	w.orderRoleChanges(r)
	w.orderTasks(inside, taskDemoted, r, taskDemoted, thenListed)
	w.orderTasks(r, taskDemote, inside, taskDemote, firstListed)
	w.orderTasks(inside, taskPromoted, r, taskPromoted, thenListed)
	w.orderTasks(r, taskPromote, inside, taskPromote, firstListed)
}

func (w *working) orderReplica(r *resource, p *replica) {
	c := p.container
	c.methods.orderInternally(w, c)
	w.orderStarts(r, c, thenNeedsFirst|firstListed)
	if p.child != nil {
		w.orderStops(r, p.child, firstListed)
	}
	w.orderStops(r, c, firstListed)
	w.orderTasks(c, taskStart, r, taskStarted, thenListed)
	w.orderTasks(c, taskStop, r, taskStopped, thenListed)
	if p.ip != nil {
		p.ip.methods.orderInternally(w, p.ip)
		w.orderStarts(p.ip, c, thenNeedsFirst|preserve)
		w.orderStops(c, p.ip, thenForcesFirst|preserve)
		w.addColocation("ip-with-docker", "", Infinity, p.ip, c, "", "", true)
	}
	if p.remote != nil {
		p.remote.methods.orderInternally(w, p.remote)
	}
}
