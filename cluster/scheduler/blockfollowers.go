package scheduler

// blockFollowers keeps what is colocated with a resource, mandatorily, from
// starting (or being promoted) where the resource itself cannot.
func (w *working) blockFollowers(a *action) {
	if a.is(runnable) || a.rsc == nil || a.task != taskStart && a.task != taskPromote {
		return
	}
	// Of a collection it is enough that one child can.
	r := a.rsc.outermost(true)
	for _, child := range r.children {
		if b := child.latest(a.task, nil); b == nil || b.is(runnable) {
			return
		}
	}
	for _, k := range r.withMe {
		if k.score < Infinity || a.task == taskPromote && k.primaryRole != Promoted {
			continue
		}
		task := taskStart
		if k.dependentRole == Promoted {
			task = taskPromote
		}
		w.blockTask(k.dependent, task, a)
	}
}

// blockTask makes a resource's task, and that of all below it, impossible.
func (w *working) blockTask(r *resource, task string, because *action) {
	for i := len(r.actions) - 1; i >= 0; i-- {
		if a := r.actions[i]; a.task == task && a.is(runnable) {
			a.lose(runnable, because)
			w.blockFollowers(a)
			w.update(a)
		}
	}
	for _, child := range r.children {
		w.blockTask(child, task, because)
	}
}
