package scheduler

import "github.com/takt-ha/takt/cluster/cib"

// agentChanged reports whether the history is of another agent than the
// configured one; if the resource is active there, it restarts.
func (w *working) agentChanged(r *resource, n *node, entry *cib.Node, active bool) bool {
	changed := false
	for _, name := range [...]string{"type", "class", "provider"} {
		was, _ := entry.Lookup(name)
		if is := r.agentPart(name); is != was {
			changed = true
			w.triggerUnfencing(r, n, "the agent of "+r.id+" changed", nil)
		}
	}
	if changed && active {
		stop := w.stopAction(r, n, false)
		stop.reason = firstOf(stop.reason, r.id+" has another agent now")
		r.startPending = true
	}
	return changed
}

func (r *resource) agentPart(name string) string {
	switch name {
	case "class":
		return r.standard
	case "provider":
		return r.provider
	}
	return r.agentType
}

// scheduleCleanup makes the executor of a node forget a resource between its
// stop and its next start; nothing is done for failed resources and absent nodes.
func (w *working) scheduleCleanup(r *resource, n *node, isOptional bool, why string) {
	if r.failed || n.unclean || !n.online {
		return
	}
	e := onlyOrder // matters only if both are necessary
	if isOptional {
		e = firstForcesThen
	}
	a := w.deleteAction(r, n, isOptional)
	a.because(func() string { return why })
	w.orderTasks(r, taskStop, r, taskDelete, e)
	w.orderTasks(r, taskDelete, r, taskStart, e)
}

// deleteAction makes the executor forget a resource on a node.
func (w *working) deleteAction(r *resource, n *node, isOptional bool) *action {
	return w.action(r, taskDelete, 0, n, isOptional)
}

// forgetAction drops the recorded history of a resource on a node, which need
// not be there: what ends a shutdown lock.
func (w *working) forgetAction(r *resource, n *node, why string) *action {
	a := w.action(r, taskForget, 0, n, false)
	a.reason = firstOf(a.reason, why)
	return a
}

// clearOrphanFailures forgets the failures of a resource that is not configured
// any more. Its children, if it has any, are instances without a node.
func (w *working) clearOrphanFailures(r *resource) {
	if !r.orphan {
		return
	}
	for _, n := range w.nodes {
		if !n.online {
			continue
		}
		if count, _ := w.failCount(r, n, true, false); count != 0 {
			a := w.clearFailures(r, n, r.id+" is not configured any more")
			w.orderActionTask(a, r, taskStop, onlyOrder)
		}
	}
}

// createResourceActions makes all actions of resources: pending checks of
// parameters, probes, forgetting of orphans' failures, and what each variant needs.
func (w *working) createResourceActions() {
	w.checkDeferred()
	w.scheduleProbes()
	if w.options.stopOrphans {
		for _, r := range w.resources {
			w.clearOrphanFailures(r)
		}
	}
	for _, r := range w.resources {
		r.methods.createActions(w, r)
	}
}

func (w *working) startAction(r *resource, n *node, isOptional bool) *action {
	return w.action(r, taskStart, 0, n, isOptional)
}

func (w *working) stopAction(r *resource, n *node, isOptional bool) *action {
	return w.action(r, taskStop, 0, n, isOptional)
}

// shutdownAction makes a node leave, after all that it runs has stopped.
func (w *working) shutdownAction(n *node) *action {
	a := w.keyedAction(nil, taskShutdown+"-"+n.name, taskShutdown, 0, n, false)
	a.reason = firstOf(a.reason, n.name+" was asked to leave the cluster")
	a.setMeta("op_no_wait", "true")
	w.stopBeforeShutdown(n, a)
	return a
}

// stopBeforeShutdown makes the stops on a node necessary that have to be before
// it leaves; what the cluster may not touch stays, and does not hold it up.
func (w *working) stopBeforeShutdown(n *node, leave *action) {
	for i := len(w.actions) - 1; i >= 0; i-- {
		a := w.actions[i]
		if a.node != n || a.task != taskStop || a.rsc == nil || a.rsc.maintenance || n.maintenance ||
			!a.rsc.managed && !a.rsc.blocked {
			continue
		}
		a.clear(optional)
		a.reason = firstOf(a.reason, n.name+" leaves the cluster")
		w.orderActions(a, leave, onlyOrder|thenNeedsFirst)
	}
}
