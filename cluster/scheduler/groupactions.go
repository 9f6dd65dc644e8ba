package scheduler

// createActions makes the members' actions, and the points in the order that
// sum them up.
func (groupMethods) createActions(w *working, r *resource) {
	for _, m := range r.children {
		m.methods.createActions(w, m)
	}
	tasks := []string{taskStart, taskStarted, taskStop, taskStopped}
	if r.inPromotable() {
		tasks = append(tasks, taskDemote, taskDemoted, taskPromote, taskPromoted)
	}
	for _, task := range tasks {
		w.pseudoAction(r, task, true, true)
	}
}

// inPromotable reports whether the resource is, or is part of, a promotable clone.
func (r *resource) inPromotable() bool {
	top := r.outermost(false)
	return top.promotable || top.clone != nil && top.clone.promotable
}

// orderInternally puts the members of a group after each other, and each
// between the beginning and the end of what the group does:
//
//	stop ─▶ members stop (last first) ─▶ stopped ─▶ start ─▶ members start ─▶ running
func (groupMethods) orderInternally(w *working, r *resource) {
	w.orderTasks(r, taskStop, r, taskStopped, thenNeedsFirst)
	w.orderTasks(r, taskStopped, r, taskStart, onlyOrder)
	w.orderTasks(r, taskStart, r, taskStarted, thenNeedsFirst)
	o := memberOrder{w: w, group: r, ordered: r.group.ordered, promotable: r.inPromotable()}
	for _, m := range r.children {
		m.methods.orderInternally(w, m)
		o.add(m)
	}
}

// memberOrder goes through the members of a group.
type memberOrder struct {
	w                   *working
	group               *resource
	ordered, promotable bool
	previous            *resource
	lastActive          *resource
}

func (o *memberOrder) add(m *resource) {
	if o.previous != nil && o.group.group.colocated {
		o.w.addColocation(withinGroup, "", Infinity, m, o.previous, "", "", m.critical)
	}
	down := firstListed
	afterDown := thenListed
	if o.previous == nil && o.ordered {
		down |= onlyOrder
		afterDown = firstForcesThen
	}
	o.withGroup(m, taskDemote, taskDemoted, down, afterDown, o.promotable)
	o.withGroupUp(m, taskPromote, taskPromoted, o.promotable)
	o.withGroup(m, taskStop, taskStopped, down, afterDown, true)
	o.withGroupUp(m, taskStart, taskStarted, true)
	if o.ordered && o.previous != nil {
		o.afterPrevious(m)
	}
	o.stopInSequence(m)
	o.previous = m
}

// withGroup orders what takes a member down.
func (o *memberOrder) withGroup(m *resource, task, done string, down, afterDown effect, wanted bool) {
	if wanted {
		o.w.orderTasks(o.group, task, m, task, down)
		o.w.orderTasks(m, task, o.group, done, afterDown)
	}
}

// withGroupUp orders what takes a member up. The end of a promotion goes first:
// it makes the promotion of a member that is not promoted now, which then takes
// its place after the beginning, so that the group leads to it.
func (o *memberOrder) withGroupUp(m *resource, task, done string, wanted bool) {
	if !wanted {
		return
	}
	ending := func() { o.w.orderTasks(m, task, o.group, done, thenNeedsFirst|firstForcesThen|thenListed) }
	if task == taskPromote {
		ending()
	}
	o.w.orderTasks(o.group, task, m, task, firstListed)
	if task != taskPromote {
		ending()
	}
	if !o.ordered {
		o.w.orderTasks(o.group, task, m, task, firstForcesThen|thenNeedsFirst|firstListed)
	}
}

// afterPrevious orders a member relative to the one before it.
func (o *memberOrder) afterPrevious(m *resource) {
	o.w.orderStarts(o.previous, m, firstForcesThen|thenNeedsFirst)
	o.w.orderStops(m, o.previous, onlyOrder|restarts)
	if o.promotable {
		o.w.orderTasks(o.previous, taskPromote, m, taskPromote, firstForcesThen|thenNeedsFirst)
		o.w.orderTasks(m, taskDemote, o.previous, taskDemote, onlyOrder)
	}
}

// stopInSequence keeps the order of stops across members that do not run.
func (o *memberOrder) stopInSequence(m *resource) {
	if len(m.running) == 0 {
		return
	}
	if o.ordered && o.previous != nil && len(o.previous.running) == 0 && o.lastActive != nil {
		o.w.orderStops(m, o.lastActive, onlyOrder)
	}
	o.lastActive = m
}

// createProbe makes the probes of the members.
func (groupMethods) createProbe(w *working, r *resource, n *node) bool {
	return w.probeAll(r.children, n)
}
