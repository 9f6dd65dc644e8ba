package scheduler

import "github.com/takt-ha/takt/cluster/cib"

// handleChangedParams compares the history with the configuration, node by
// node: what is not configured any more, or with another agent, is forgotten;
// what runs with other parameters is restarted, reloaded or watched anew.
func (w *working) handleChangedParams() {
	byName := w.byHistoryName()
	for _, n := range w.nodes {
		// In maintenance nothing is done, except that recurring operations end.
		if !n.maintenance && !w.available(n, nil, false) || n.state == nil {
			continue
		}
		for entry := range n.state.Path("lrm", "lrm_resources").Elements {
			if entry.Name() != "lrm_resource" || entry.Child("lrm_rsc_op") == nil {
				continue
			}
			for _, r := range byName[entry.ID()] {
				w.checkHistory(r, n, entry)
			}
		}
	}
}

// byHistoryName are the primitives by the names under which a history may have
// them: their own, and that of the instance of a clone that the executor knows.
func (w *working) byHistoryName() map[string][]*resource {
	byName := make(map[string][]*resource, len(w.resources))
	for _, top := range w.resources {
		for r := range top.primitives {
			byName[r.id] = append(byName[r.id], r)
			if r.recorded != "" && r.recorded != r.id {
				byName[r.recorded] = append(byName[r.recorded], r)
			}
		}
	}
	return byName
}

// checkHistory looks at one resource's history on one node.
func (w *working) checkHistory(r *resource, n *node, entry *cib.Node) {
	active := r.runs(n)
	switch {
	case r.orphan:
		if top := r.outermost(false); top.variant != clone || top.unique {
			w.scheduleCleanup(r, n, false, r.id+" is not configured any more")
		}
		return
	case w.agentChanged(r, n, entry, active):
		w.scheduleCleanup(r, n, false, r.id+" has another agent now")
	}
	if !active {
		return
	}
	ops, start, stop := historyOps(entry)
	if start < stop {
		return
	}
	for i, op := range ops {
		if i >= start {
			w.checkResult(r, n, op)
		}
	}
}

// checkResult looks at one result of a resource that is active on the node.
func (w *working) checkResult(r *resource, n *node, op *cib.Node) {
	task, every := op.Attr("operation"), historyInterval(op)
	switch {
	case every > 0 && (r.maintenance || n.maintenance):
		w.cancelRunning(r, n, op, task, every, "maintenance ends recurring operations")
	case every > 0, task == taskMonitor, task == taskStart, task == taskPromote, task == taskMigrateFrom:
		if w.needsRemoteName(r) {
			// Its address is the name of a node that is not known yet.
			w.paramChecks = append(w.paramChecks, paramCheck{op: op, rsc: r, node: n, kind: checkActive})
			return
		}
		w.clearIfChanged(r, n, op)
	}
}

// clearIfChanged acts on changed parameters, and forgets failures, since what
// failed is not what would be done now.
func (w *working) clearIfChanged(r *resource, n *node, op *cib.Node) {
	if !w.actOnChange(r, n, op) {
		return
	}
	if count, _ := w.failCount(r, n, true, false); count != 0 {
		w.clearFailures(r, n, "the definition of the operation changed")
	}
}

// needsRemoteName reports the connection of a bundle's replica whose address is
// the name of the node where the container runs.
func (w *working) needsRemoteName(r *resource) bool {
	return r.isRemoteConn && w.paramsOf(r, nil)["addr"] == "#uname"
}

// checkDeferred does the comparisons that had to wait for the nodes of resources.
func (w *working) checkDeferred() {
	for _, c := range w.paramChecks {
		switch c.kind {
		case checkActive:
			w.clearIfChanged(c.rsc, c.node, c.op)
		case checkLastFailure:
			if d := w.compareDigests(c.op, c.rsc, c.node); d.verdict == digestAll || d.verdict == digestRestart {
				w.clearFailures(c.rsc, c.node, "the parameters of "+c.rsc.id+" changed since it failed")
			}
		}
	}
}

// actOnChange compares a result's parameters with the configured ones, and
// does what follows; false if nothing does.
func (w *working) actOnChange(r *resource, n *node, op *cib.Node) bool {
	task, every := op.Attr("operation"), historyInterval(op)
	if every > 0 && r.findOp(task, every, false) == nil {
		if w.options.stopOrphanActions {
			w.cancelRunning(r, n, op, task, every, "the operation is not configured any more")
		}
		return true
	}
	d := w.compareDigests(op, r, n)
	if d.verdict != digestMatches && w.onlyPrivateChanged(op, r, n, d) {
		return false
	}
	if every == 0 && (task == taskMonitor || task == taskMigrateFrom || task == taskPromote) {
		task = taskStart // these ran with the parameters that the start has
	}
	_, reloads := op.Lookup("op-restart-digest")
	switch d.verdict {
	case digestRestart:
		w.forceRestart(r, n, task, every)
	case digestAll, digestUnknown:
		switch {
		case every > 0:
			w.reschedule(r, n, task, every)
		case reloads:
			w.triggerUnfencing(r, n, "the parameters of "+r.id+" changed", nil)
			w.reload(r, n)
		default:
			w.forceRestart(r, n, task, every)
		}
	default:
		return false
	}
	return true
}

// forceRestart makes the start (or, of an operation that has to be repeated,
// that one) necessary, on whatever node it will be.
func (w *working) forceRestart(r *resource, n *node, task string, every int64) {
	a := w.action(r, task, every, nil, false)
	a.reason = firstOf(a.reason, "a parameter of "+r.id+" changed")
	w.triggerUnfencing(r, n, "the parameters of "+r.id+" changed", nil)
}

// reschedule begins a recurring operation anew with its new parameters; the
// executor lets go of the old one by itself.
func (w *working) reschedule(r *resource, n *node, task string, every int64) {
	w.triggerUnfencing(r, n, "the parameters of "+r.id+" changed", nil)
	a := w.action(r, task, every, n, true)
	a.set(rescheduled)
	a.reason = firstOf(a.reason, "a parameter of the operation changed")
}

// reload lets the agent take over changed parameters without a restart.
func (w *working) reload(r *resource, n *node) {
	if n == nil || !r.managed || r.failed {
		return
	}
	if r.startPending {
		stop := w.stopAction(r, n, false)
		stop.reason = firstOf(stop.reason, "a parameter of "+r.id+" changed while it was starting")
		return
	}
	r.reloading = true
	a := w.action(r, taskReload, 0, n, false)
	a.reason = firstOf(a.reason, "a parameter of "+r.id+" changed that its agent can take over while it runs")
	w.orderActionTask(a, r, taskStop, onlyOrder|thenCancelsFirst)
	w.orderActionTask(a, r, taskDemote, onlyOrder|thenCancelsFirst)
}

// cancelRunning ends an operation that the history shows to be running.
func (w *working) cancelRunning(r *resource, n *node, op *cib.Node, task string, every int64, why string) {
	cancel := w.cancel(r, task, every, n, func() string { return why })
	cancel.setMeta("call-id", op.Attr("call-id"))
	w.orderTaskAction(r, taskStop, cancel, onlyOrder)
}
