package scheduler

import "strconv"

// createRecurring makes the recurring operations of the role that a resource
// will have, where it will be, those of the role Stopped everywhere else, and
// cancels what runs already and should not.
func (w *working) createRecurring(r *resource) {
	if r.blocked || r.maintenance {
		return
	}
	var start *action
	if r.chosen != nil && !r.chosen.maintenance && (r.next != Stopped || !r.managed) {
		start = w.startAction(r, r.chosen, true)
	}
	for _, op := range r.ops {
		if op.interval <= 0 || !r.mayRecur(op) {
			continue
		}
		if op.role == Stopped {
			w.recurWhileStopped(r, op)
		} else if start != nil {
			w.recurWhileActive(r, op, start)
		}
	}
}

// mayRecur reports whether an operation is a valid recurring one that is not
// switched off. Of two with the same name and interval neither counts.
func (r *resource) mayRecur(op *opDef) bool {
	switch op.name {
	case taskStop, taskStart, taskDemote, taskPromote, taskReload, taskMigrateTo, taskMigrateFrom:
		return false
	}
	return op.id != "" && !op.repeated && op.enabled && !isOwnTask(op.name)
}

// isOwnTask reports what only the cluster itself may decide on: an operation of
// that name in a configuration or a history must not fence or forget anything.
func isOwnTask(name string) bool {
	switch name {
	case taskFence, taskShutdown, taskForget, taskDelete, taskClearFailcount, taskCancel, taskNotify, taskNotified, taskReprobe:
		return true
	}
	return false
}

// recurWhileActive makes a recurring operation where the resource will be
// active, or cancels it if it is for another role.
func (w *working) recurWhileActive(r *resource, op *opDef, start *action) {
	n := r.chosen
	running := r.actionsOn(op.name, op.interval, n)
	goesOn := len(running) > 0 && r.methods.actionFlags(w, start, nil)&optional != 0
	for _, a := range running {
		goesOn = goesOn && !a.is(rescheduled)
	}
	if op.role != "" && op.role != r.next || op.role == "" && r.next == Promoted {
		if goesOn {
			w.cancelForRole(r, op)
		}
		return
	}
	a := w.action(r, op.name, op.interval, n, goesOn)
	a.because(func() string {
		return r.id + " is watched every " + interval(op.interval) + " while it is " + string(r.next)
	})
	if !start.is(runnable) {
		a.block(r.id + " cannot be started on " + n.name)
	} else if !n.online || n.unclean {
		a.block(n.whyUnavailable())
	}
	if r.next == Promoted {
		a.target = exitPromoted
	}
	if r.managed {
		w.orderRecurring(r, a)
	}
}

// orderRecurring starts a recurring operation when the resource is in its role.
func (w *working) orderRecurring(r *resource, a *action) {
	w.orderTaskAction(r, taskStart, a, firstForcesThen|thenNeedsFirst)
	w.orderTaskAction(r, taskReload, a, firstForcesThen|thenNeedsFirst)
	if r.next == Promoted {
		w.orderTaskAction(r, taskPromote, a, onlyOrder|thenNeedsFirst)
	} else if r.role == Promoted {
		w.orderTaskAction(r, taskDemote, a, onlyOrder|thenNeedsFirst)
	}
}

// orderTaskAction puts a task of a resource before one action.
func (w *working) orderTaskAction(first *resource, task string, then *action, e effect) {
	w.addOrdering(ordering{first: first, firstTask: task, then: then.rsc, thenAction: then, effect: e})
}

// orderActionTask puts one action before a task of a resource.
func (w *working) orderActionTask(first *action, then *resource, task string, e effect) {
	w.addOrdering(ordering{first: first.rsc, firstAction: first, then: then, thenTask: task, effect: e})
}

// cancelForRole cancels an operation that is not for the role that the
// resource is about to have, before it changes.
func (w *working) cancelForRole(r *resource, op *opDef) {
	cancel := w.cancel(r, op.name, op.interval, r.chosen, func() string {
		return "the operation is not for the role " + string(r.next)
	})
	switch {
	case r.role == Promoted:
		w.orderActionTask(cancel, r, taskDemote, thenNeedsFirst)
	case r.role != Unpromoted && r.role != Started:
	case r.next == Promoted:
		w.orderActionTask(cancel, r, taskPromote, thenNeedsFirst)
	case r.next == Stopped:
		w.orderActionTask(cancel, r, taskStop, thenNeedsFirst)
	}
}

// cancel ends a recurring operation on a node. What was known to run becomes
// its cancellation.
func (w *working) cancel(r *resource, task string, every int64, n *node, why func() string) *action {
	a := w.keyedAction(r, task, taskCancel, every, n, false)
	a.task = taskCancel
	a.setMeta("operation", task)
	a.setMeta("interval", strconv.FormatInt(every, 10))
	a.reason = ""
	a.because(why)
	return a
}

// recurWhileStopped watches, on every node where the resource shall not be,
// that it is not.
func (w *working) recurWhileStopped(r *resource, op *opDef) {
	if !r.unique {
		return // which instance is watched where could not be told
	}
	for _, n := range w.nodes {
		if n == r.chosen {
			w.cancelWhereActive(r, op)
			continue
		}
		running := r.actionsOn(op.name, op.interval, n)
		a := w.action(r, op.name, op.interval, n, len(running) > 0)
		a.because(func() string {
			return "every " + interval(op.interval) + " it is checked that " + r.id + " does not run there"
		})
		a.target = exitNotRunning
		if r.managed {
			for _, probe := range r.findAll(taskMonitor, n) {
				w.order(probe, a, thenNeedsFirst)
			}
		}
		w.recurAfterStops(r, n, a)
		if !n.online || n.unclean {
			a.block(n.whyUnavailable())
		}
	}
}

// cancelWhereActive cancels the watch for a stopped resource where it will be
// active, before it starts.
func (w *working) cancelWhereActive(r *resource, op *opDef) {
	if len(r.actionsOn(op.name, op.interval, r.chosen)) == 0 {
		return
	}
	cancel := w.cancel(r, op.name, op.interval, r.chosen, func() string { return r.id + " will be active there" })
	if r.next == Started || r.next == Unpromoted {
		w.orderActionTask(cancel, r, taskStart, thenNeedsFirst)
	}
}

// recurAfterStops begins to watch a stopped resource when it has stopped.
func (w *working) recurAfterStops(r *resource, n *node, a *action) {
	for _, stop := range r.actionsOn(taskStop, 0, n) {
		if !stop.is(optional) && !a.is(optional) && !r.managed {
			a.set(optional)
		}
		if !stop.is(runnable) {
			a.block(r.id + " cannot be stopped on " + n.name)
		}
		if r.managed {
			w.orderActions(stop, a, firstForcesThen|thenNeedsFirst)
		}
	}
}

// The exit codes of monitors that are no failures besides 0.
const (
	exitNotRunning = 7
	exitPromoted   = 8
)

// interval says an interval in words.
func interval(ms int64) string {
	switch {
	case ms%60000 == 0:
		return strconv.FormatInt(ms/60000, 10) + " min"
	case ms%1000 == 0:
		return strconv.FormatInt(ms/1000, 10) + " s"
	}
	return strconv.FormatInt(ms, 10) + " ms"
}
