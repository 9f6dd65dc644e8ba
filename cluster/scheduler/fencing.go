package scheduler

import "strconv"

// fenceAction finds or makes the action that fences a node (op "": the cluster's
// stonith-action). It becomes necessary if isOptional is false and it can be done.
func (w *working) fenceAction(n *node, op string, isOptional bool, why string, priorityDelay bool) *action {
	if op == "" {
		op = w.options.fenceAction
	}
	key := taskFence + "-" + n.name + "-" + op
	a := w.fences[key]
	if a == nil {
		a = w.keyedAction(nil, key, taskFence, 0, n, true)
		a.kind, a.detail = Cluster, op
		w.fences[key] = a
		if w.haveUnfence {
			changed, all, secure := w.deviceChanged(n)
			a.setMeta("digests-all", all)
			a.setMeta("digests-secure", secure)
			if changed {
				isOptional, why = false, "the definition of a fence device that unfences "+n.name+" changed"
			}
		}
	}
	if w.options.priorityFencingDelay > 0 && (priorityDelay || a.meta["priority-fencing-delay"] != "") {
		a.delay = w.priorityDelay(n)
		a.setMeta("priority-fencing-delay", strconv.FormatInt(a.delay/1000, 10))
	}
	if !isOptional && w.canFence(n) {
		a.clear(optional)
	}
	if why != "" && (a.reason == "" || !isOptional) && a.uncleanReason() == "" {
		a.reason = why
	}
	return a
}

// uncleanReason is why the node is unclean, which says more than that it is.
func (a *action) uncleanReason() string {
	if a.detail == "on" {
		return ""
	}
	if a.node.uncleanWhy != "" {
		a.reason = a.node.uncleanWhy
	}
	return a.node.uncleanWhy
}

// priorityDelay is how long fencing of a node is held back, in ms, so that of two
// halves that fence each other the more important one wins.
func (w *working) priorityDelay(n *node) int64 {
	if n.kind != member || n.online { // no half of its own
		return 0
	}
	members, online, lowest, highest := 0, 0, 0, 0
	for _, m := range w.nodes {
		if m.kind != member {
			continue
		}
		members++
		if members == 1 || m.priority < lowest {
			lowest = m.priority
		}
		if members == 1 || m.priority > highest {
			highest = m.priority
		}
		if m.online {
			online++
		}
	}
	switch {
	case online > members/2: // more than half: no race to be won
		return 0
	case lowest == highest, n.priority < highest:
		return 0
	}
	return w.options.priorityFencingDelay
}

// scheduleFencingAndShutdowns makes fencing and shutdown actions and orders
// everything around them. The coordinator's own comes last.
func (w *working) scheduleFencingAndShutdowns() {
	managed := w.anyManaged()
	var ownEnd *action
	var fences, shutdowns []*action
	for _, n := range w.nodes {
		switch {
		case n.isGuest():
			if n.remoteReset && managed && w.canFence(n) {
				w.fenceGuest(n)
			}
		case managed && n.unclean && w.canFence(n):
			a := w.fenceAction(n, "", false, n.whyUnclean(), false)
			w.orderAroundFencing(a)
			if n.dc {
				ownEnd = a
				continue
			}
			if !w.options.concurrentFencing && len(fences) > 0 {
				w.order(fences[len(fences)-1], a, onlyOrder)
			}
			fences = append(fences, a)
		case n.kind == member && n.online && n.shutdown:
			if a := w.shutdownAction(n); n.dc {
				ownEnd = a
			} else {
				shutdowns = append(shutdowns, a)
			}
			w.warnUnclean(n)
		default:
			w.warnUnclean(n)
		}
	}
	if ownEnd != nil {
		w.orderOwnEnd(ownEnd, fences, shutdowns)
	}
}

// whyUnclean is for nodes that no event made unclean.
func (n *node) whyUnclean() string {
	if n.state == nil {
		return n.name + " was never seen (startup-fencing)"
	}
	return n.name + " is unclean"
}

func (w *working) warnUnclean(n *node) {
	if n.unclean {
		w.warn(n.whyUnavailable() + ", but cannot be: what ran there is not started elsewhere")
	}
}

func (w *working) orderOwnEnd(ownEnd *action, fences, shutdowns []*action) {
	if ownEnd.task == taskShutdown {
		for _, a := range shutdowns {
			w.order(a, ownEnd, onlyOrder)
		}
	}
	if !w.options.concurrentFencing && len(fences) > 0 {
		fences = fences[len(fences)-1:]
	}
	for _, a := range fences {
		w.order(a, ownEnd, onlyOrder)
	}
}

func (w *working) anyManaged() bool {
	for _, r := range w.resources {
		if r.anyManaged() {
			return true
		}
	}
	return false
}

func (r *resource) anyManaged() bool {
	if r.managed {
		return true
	}
	for _, c := range r.children {
		if c.anyManaged() {
			return true
		}
	}
	return false
}

// fenceGuest makes the pseudo-fencing of a guest node: a point in the order that
// says that its container has gone down.
func (w *working) fenceGuest(n *node) {
	vm := n.connection.container
	op := "off"
	stop := vm.find(taskStop, 0, nil)
	if vm.find(taskStart, 0, nil) != nil {
		op = "reboot"
	}
	a := w.fenceAction(n, op, false, "its container "+vm.id+" has to be recovered", false)
	a.set(pseudo | runnable)
	switch {
	case stop != nil && stop.is(pseudo) && stop.node != nil: // the container's host is fenced
		w.order(w.fenceAction(stop.node, "", false, "", false), a, thenNeedsFirst|firstForcesThen)
	case stop != nil:
		w.order(stop, a, thenNeedsFirst|firstForcesThen)
	default:
		if stop := n.connection.find(taskStop, 0, nil); stop != nil {
			w.order(stop, a, onlyOrder)
		}
	}
	w.orderAroundFencing(a)
}
