package scheduler

// orderAroundFencing orders starts after fencing, and turns the stops and demotes
// that it implies into points in the order.
func (w *working) orderAroundFencing(fence *action) {
	for _, r := range w.resources {
		w.orderResourceAroundFencing(r, fence)
	}
}

func (w *working) orderResourceAroundFencing(r *resource, fence *action) {
	for _, c := range r.children {
		w.orderResourceAroundFencing(c, fence)
	}
	if len(r.children) > 0 || !r.managed {
		return
	}
	w.orderStartsAfterFencing(r, fence)
	w.implyStops(r, fence)
	w.implyDemotes(r, fence)
}

func (w *working) orderStartsAfterFencing(r *resource, fence *action) {
	for _, a := range r.actions {
		switch {
		case a.needs == needsFencing:
			w.order(fence, a, onlyOrder)
		case a.needs == needsQuorum && a.task == taskStart && r.allowed.get(fence.node).present && !r.knownOn(fence.node):
			// Nobody knows whether it is active there: as with a probe, wait.
			w.order(fence, a, onlyOrder|thenNeedsFirst)
		}
	}
}

// knownOn reports whether it is known what the resource is on a node; of
// anonymous instances that of any will do.
func (r *resource) knownOn(n *node) bool {
	return r.isKnown(n) || r.variant == primitive && r.parent != nil && r.parent.variant == clone && !r.parent.unique && r.parent.isKnown(n)
}

// inBundle reports whether a bundle implies the resource. What is in a bundle
// waits for what the bundle as a whole waits for: fencing before each part would
// make circles.
func (r *resource) inBundle() bool { return r.outermost(false).parent != nil }

// findTask returns the resource's newest action of a task.
func (r *resource) findTask(task string) *action {
	for i := len(r.actions) - 1; i >= 0; i-- {
		if r.actions[i].task == task {
			return r.actions[i]
		}
	}
	return nil
}

// implyStops: what runs on a node stops when the node is fenced. Where the
// resource requires fencing (or the node is a guest, whose fencing is a stop),
// that counts only after the fencing.
func (w *working) implyStops(r *resource, fence *action) {
	stops := r.actionsOn(taskStop, 0, fence.node)
	if len(stops) == 0 {
		return
	}
	implicit := r.requires >= needsFencing || fence.node.isGuest()
	top := r.outermost(false)
	for _, a := range stops {
		a.set(pseudo | runnable)
		if implicit {
			a.set(impliedByFencing)
			if !r.inBundle() {
				w.order(fence, a, preserve)
			}
			if parent := top.findTask(taskStop); parent != nil {
				w.order(fence, parent, preserve)
			}
		}
		if r.notify {
			w.notifyAfterFencing(a, r, fence)
		}
	}
}

func (w *working) implyDemotes(r *resource, fence *action) {
	implicit := r.requires >= needsFencing || fence.node.isGuest()
	for _, a := range r.actionsOn(taskDemote, 0, fence.node) {
		if a.node.online && !a.node.unclean && !r.failed {
			continue
		}
		a.set(pseudo | runnable)
		if implicit && !r.inBundle() {
			w.order(fence, a, onlyOrder|preserve)
		}
	}
}
