package scheduler

// notification is how the instances of a clone are told about one task: before
// it begins and after it has ended, and each time all have to have heard before
// it goes on. The points in the order are the clone's:
//
//	pre ─▶ (instances) ─▶ preDone ─▶ task ─▶ task's end ─▶ post ─▶ (instances) ─▶ postDone
type notification struct {
	task                         string
	pre, preDone, post, postDone *action
	env                          *notifyEnv
}

// notifiedTasks are what instances are told about, in the order in which
// notifications are made.
var notifiedTasks = [...]string{taskStart, taskStop, taskPromote, taskDemote}

// notifyAround makes the points around a task of a clone; begin or end may be nil.
func (w *working) notifyAround(r *resource, task string, begin, end *action) *notification {
	t := &notification{task: task}
	if begin != nil {
		t.pre = w.notifyPoint(r, task, taskNotify, "pre", begin)
		t.preDone = w.notifyPoint(r, task, taskNotified, "confirmed-pre", begin)
		t.pre.allow()
		t.preDone.allow()
		w.order(t.pre, t.preDone, onlyOrder)
		w.order(t.preDone, begin, onlyOrder)
	}
	if end != nil {
		t.post = w.notifyPoint(r, task, taskNotify, "post", end)
		t.postDone = w.notifyPoint(r, task, taskNotified, "confirmed-post", end)
		for _, a := range [...]*action{t.post, t.postDone} {
			a.priority = int(Infinity)
			if end.is(runnable) {
				a.allow()
			} else {
				a.clear(runnable)
				a.blockedBy(end)
			}
		}
		w.order(end, t.post, firstForcesThen)
		w.order(t.post, t.postDone, firstForcesThen)
	}
	if begin != nil && end != nil {
		w.order(t.preDone, t.post, onlyOrder)
	}
	return t
}

// notifyPoint makes one point; about is the action that it comes before or after.
func (w *working) notifyPoint(r *resource, task, kind, phase string, about *action) *action {
	a := w.keyedAction(r, notifyKey(phase, about.task), kind, 0, nil, about.is(optional))
	a.set(pseudo)
	a.setMeta("notify_key_type", phase)
	a.setMeta("notify_key_operation", about.task)
	if len(phase) > len("post") {
		phase = phase[len("confirmed-"):]
	}
	a.setMeta("notify_type", phase)
	a.setMeta("notify_operation", task)
	return a
}

func (w *working) notifyStartAndStop(r *resource) {
	if r.clone.notifications == nil {
		r.clone.notifications = map[string]*notification{}
	}
	all := r.clone.notifications
	start := w.notifyAround(r, taskStart, r.latest(taskStart, nil), r.latest(taskStarted, nil))
	stop := w.notifyAround(r, taskStop, r.latest(taskStop, nil), r.latest(taskStopped, nil))
	all[taskStart], all[taskStop] = start, stop
	w.order(stop.postDone, start.pre, onlyOrder)
}

func (w *working) notifyPromoteAndDemote(r *resource) {
	all := r.clone.notifications
	start, stop := all[taskStart], all[taskStop]
	promote := w.notifyAround(r, taskPromote, r.latest(taskPromote, nil), r.latest(taskPromoted, nil))
	demote := w.notifyAround(r, taskDemote, r.latest(taskDemote, nil), r.latest(taskDemoted, nil))
	all[taskPromote], all[taskDemote] = promote, demote
	w.order(stop.postDone, promote.pre, onlyOrder)
	w.order(start.postDone, promote.pre, onlyOrder)
	w.order(demote.postDone, promote.pre, onlyOrder)
	w.order(demote.postDone, start.pre, onlyOrder)
	w.order(demote.postDone, stop.pre, onlyOrder)
}

// createNotifications makes what tells the instances of a clone about what
// happens to the others. It comes last: what happens has to be known.
func (w *working) createNotifications(r *resource) {
	if !r.notify {
		return
	}
	var env notifyEnv
	for p := range r.primitives {
		env.collect(p, true)
	}
	w.describe(r, &env)
	for _, task := range notifiedTasks {
		t := r.clone.notifications[task]
		if t == nil {
			continue
		}
		t.env = &env
		if len(*env.of(task)) > 0 {
			for _, a := range [...]*action{t.pre, t.preDone, t.post, t.postDone} {
				a.clear(optional)
			}
		}
		for p := range r.primitives {
			w.notifyInstance(p, t)
		}
	}
}

// notifyAfterFencing makes a second notification of a stop that fencing
// implies, right after it: the other instances may have to know before they
// stop or recover themselves.
func (w *working) notifyAfterFencing(stop *action, r *resource, fence *action) {
	if !r.notify {
		return
	}
	t := w.notifyAround(r, taskStop, nil, fence)
	t.env = &notifyEnv{}
	t.env.collect(r, false)
	t.env.set("notify_stop_resource", r.id)
	t.env.set("notify_stop_uname", stop.node.name)
	for p := range r.outermost(false).primitives {
		w.notifyInstance(p, t)
	}
}
