package scheduler

// orderInternally puts what the instances do between the beginning and the end
// of what the clone does, and the instances of an ordered clone after each other.
func (cloneMethods) orderInternally(w *working, r *resource) {
	w.orderTasks(r, taskStopped, r, taskStart, onlyOrder)
	w.orderTasks(r, taskStart, r, taskStarted, thenNeedsFirst)
	w.orderTasks(r, taskStop, r, taskStopped, thenNeedsFirst)
	if r.clone.promotable {
		w.orderTasks(r, taskDemoted, r, taskStop, onlyOrder)
		w.orderTasks(r, taskStarted, r, taskPromote, thenNeedsFirst)
	}
	if r.clone.ordered {
		r.sortChildren()
	}
	var last *resource
	for _, c := range r.children {
		c.methods.orderInternally(w, c)
		w.orderStarts(r, c, thenNeedsFirst|firstListed)
		w.orderTasks(c, taskStart, r, taskStarted, thenListed)
		if r.clone.ordered && last != nil {
			w.orderStarts(last, c, onlyOrder)
		}
		w.orderStops(r, c, firstListed)
		w.orderTasks(c, taskStop, r, taskStopped, thenListed)
		if r.clone.ordered && last != nil {
			w.orderStops(c, last, onlyOrder)
		}
		last = c
	}
	if r.clone.promotable {
		w.orderPromotable(r)
	}
}

// orderPromotable orders what changes the roles of instances.
func (w *working) orderPromotable(r *resource) {
	w.orderRoleChanges(r)
	var last *resource
	for _, c := range r.children {
		w.orderTasks(c, taskDemote, c, taskPromote, onlyOrder)
		w.orderTasks(r, taskPromote, c, taskPromote, onlyOrder)
		w.orderTasks(c, taskPromote, r, taskPromoted, onlyOrder)
		if last != nil && r.clone.ordered {
			w.orderTasks(last, taskPromote, c, taskPromote, onlyOrder)
		}
		w.orderTasks(r, taskDemote, c, taskDemote, firstListed)
		w.orderTasks(c, taskDemote, r, taskDemoted, thenListed)
		if last != nil && r.clone.ordered {
			w.orderTasks(c, taskDemote, last, taskDemote, onlyOrder)
		}
		last = c
	}
}

// orderRoleChanges orders the points that sum up a collection's instances: all
// are demoted before any stops, starts or is promoted, all are stopped before
// any starts, and all run before any is promoted.
func (w *working) orderRoleChanges(r *resource) {
	w.orderTasks(r, taskStopped, r, taskStart, onlyOrder)
	w.orderTasks(r, taskStopped, r, taskPromote, onlyOrder)
	w.orderTasks(r, taskDemoted, r, taskStop, onlyOrder)
	w.orderTasks(r, taskDemoted, r, taskStart, onlyOrder)
	w.orderTasks(r, taskDemoted, r, taskPromote, onlyOrder)
	w.orderTasks(r, taskStarted, r, taskPromote, onlyOrder)
	w.orderTasks(r, taskDemote, r, taskDemoted, onlyOrder)
}
