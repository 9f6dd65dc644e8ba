package scheduler

// notifyInstance tells one instance about a task, on the nodes where it is (for
// stops and demotions) or will be (for starts and promotions).
func (w *working) notifyInstance(r *resource, t *notification) {
	for _, a := range r.actions {
		if !a.is(optional) && a.node != nil && t.env.of(a.task) != nil {
			a.addMeta(t.env.pairs)
		}
	}
	// A stop may be implied by fencing, and then is not among what was collected.
	if t.task != taskStop && len(*t.env.of(t.task)) == 0 {
		return
	}
	switch t.task {
	case taskStop, taskDemote:
		if r.role != Stopped {
			w.notifyOfEnd(r, t)
		}
	default:
		if r.next != Stopped && r.chosen != nil {
			w.notifyOfBegin(r, t)
		}
	}
}

// notifyOfEnd tells an instance of stops or demotions. What itself stops hears
// nothing afterwards, and a node that is fenced nothing at all.
func (w *working) notifyOfEnd(r *resource, t *notification) {
	stop := r.latest(taskStop, nil)
	for _, n := range r.running {
		if stop != nil && stop.is(pseudo) && (n.unclean || n.remoteReset) {
			continue
		}
		w.notifyOn(r, n, t, t.pre, t.preDone)
		if t.task == taskDemote || stop == nil || stop.is(optional) {
			w.notifyAfterwards(r, n, t)
		}
	}
}

// notifyOfBegin tells an instance of starts or promotions; before, only what
// runs already.
func (w *working) notifyOfBegin(r *resource, t *notification) {
	start := r.latest(taskStart, nil)
	if start != nil && start.node != nil && start.node.connection != nil {
		// Behind a connection nothing is started or promoted before that is.
		if connect := start.node.connection.latest(taskStart, nil); connect != nil && !connect.is(runnable) {
			return
		}
	}
	if t.task != taskStart || start == nil || start.is(optional) {
		w.notifyOn(r, r.chosen, t, t.pre, t.preDone)
	}
	w.notifyAfterwards(r, r.chosen, t)
}

// notifyAfterwards tells an instance that a task has ended. It is watched again
// only after all have heard.
func (w *working) notifyAfterwards(r *resource, n *node, t *notification) {
	if a := w.notifyOn(r, n, t, t.post, t.postDone); a != nil {
		a.priority = int(Infinity)
	}
	if t.postDone == nil {
		return
	}
	for i := len(r.actions) - 1; i >= 0; i-- {
		if a := r.actions[i]; a.interval > 0 && a.task != taskCancel {
			w.order(t.postDone, a, onlyOrder)
		}
	}
}

// notifyOn makes the call of an agent between two points; nil if there is none.
func (w *working) notifyOn(r *resource, n *node, t *notification, from, to *action) *action {
	if from == nil || to == nil || !n.online || !from.is(runnable) {
		return nil
	}
	phase := from.meta["notify_type"]
	a := w.keyedAction(r, notifyKey(phase, t.task), taskNotify, 0, n, from.is(optional))
	a.addMeta(from.meta)
	a.addMeta(t.env.pairs)
	a.because(func() string { return whyNotify(r, t, phase) })
	w.order(from, a, onlyOrder)
	w.order(a, to, onlyOrder)
	return a
}

// addMeta adds what an agent is told; what it was told before stays.
func (a *action) addMeta(pairs map[string]string) {
	for k, v := range pairs {
		if _, ok := a.meta[k]; !ok {
			a.setMeta(k, v)
		}
	}
}

// whyNotify says what an instance is told.
func whyNotify(r *resource, t *notification, phase string) string {
	when := "before"
	if phase == "post" {
		when = "after"
	}
	ids, _ := join(*t.env.of(t.task))
	if ids == " " {
		ids = "others"
	}
	return r.id + " is told " + when + " the " + t.task + " of " + ids + " (notify=true)"
}
