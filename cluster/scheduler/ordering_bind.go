package scheduler

import "strings"

// applyOrderings binds orderings to actions, and spreads what has to and what
// cannot happen until nothing changes.
//
// Binding is sensitive to the order of the orderings: one whose first action
// does not exist makes it, and later ones find it then.
func (w *working) applyOrderings() {
	for i := 0; i < len(w.orderings); i++ {
		w.bind(w.orderings[i])
	}
	for i := len(w.actions) - 1; i >= 0; i-- {
		w.blockFollowers(w.actions[i])
	}
	w.orderProbes()
	for i := len(w.actions) - 1; i >= 0; i-- {
		w.update(w.actions[i])
	}
	w.disableInvalid()
}

func (w *working) bind(o *ordering) {
	switch {
	case o.first != nil:
		for _, a := range w.firstActions(o) {
			if o.then != nil {
				w.bindThen(a, o)
			} else {
				w.order(a, o.thenAction, o.effect)
			}
		}
	case o.then != nil:
		w.bindThen(o.firstAction, o)
	default:
		w.order(o.firstAction, o.thenAction, o.effect)
	}
}

// firstActions finds the actions that an ordering puts first. A missing one is
// made, needless for itself, unless the resource is already where it would lead.
func (w *working) firstActions(o *ordering) []*action {
	if o.firstAction != nil {
		return []*action{o.firstAction}
	}
	if list := o.first.findAll(o.firstTask, nil); len(list) > 0 || o.first == o.then {
		return list
	}
	role := o.first.methods.state(o.first, true)
	if role == Stopped && o.firstTask == taskStop || role == Unpromoted && o.firstTask == taskDemote {
		return nil
	}
	return []*action{w.action(o.first, o.firstTask, 0, nil, true)}
}

func (w *working) bindThen(first *action, o *ordering) {
	e := o.effect
	var thens []*action
	if o.thenAction != nil {
		thens = []*action{o.thenAction}
	} else {
		thens = o.then.findAll(o.thenTask, nil)
	}
	// What a migration left behind is cleared away without a restart.
	if first.rsc == o.then && first.is(dangling) {
		e &^= firstForcesThen
	}
	for _, then := range thens {
		w.order(first, then, e)
	}
}

// order ties two actions; false if they were already.
func (w *working) order(first, then *action, e effect) bool {
	if e == 0 || first == nil || then == nil || first == then {
		return false
	}
	// Both ends know each other: the one with fewer neighbours is searched.
	list, other := first.after, then
	if len(then.before) < len(first.after) {
		list, other = then.before, first
	}
	for i := range list {
		if list[i].action == other && list[i].made&e != 0 {
			return false
		}
	}
	first.after = append(first.after, edge{action: then, effect: e, made: e})
	then.before = append(then.before, edge{action: first, effect: e, made: e})
	return true
}

// orderMigration adds to an ordering what it means where the actions are parts
// of a live migration.
func (w *working) orderMigration(o *ordering) {
	a, b := o.first, o.then
	if a == nil || b == nil || a == b || !b.migratable || isAncestor(a, b) || isAncestor(b, a) {
		return
	}
	e := onlyOrder
	if a.migratable {
		e |= unlessFirstMigrates
	}
	first, then := o.firstKey(), o.thenKey()
	switch {
	case first == taskStart && then == taskStart:
		if a.migratable {
			w.orderTasks(a, taskMigrateFrom, b, taskMigrateTo, onlyOrder)
		}
		w.orderTasks(a, taskStart, b, taskMigrateTo, e)
	case first == taskPromote && then == taskStart:
		w.orderTasks(a, taskPromote, b, taskMigrateTo, e)
	case first == taskStop && then == taskStop, first == taskDemote && then == taskStop:
		w.orderTasks(a, first, b, taskMigrateTo, e)
		if b.migrationTarget != nil {
			w.orderTasks(a, first, b, taskMigrateFrom, e)
		}
	}
}

func (o *ordering) firstKey() string { return keyOf(o.firstTask, o.firstAction) }
func (o *ordering) thenKey() string  { return keyOf(o.thenTask, o.thenAction) }

// keyOf is the key of an end of an ordering; recurring actions have none.
func keyOf(task string, a *action) string {
	switch {
	case task != "" || a == nil:
		return task
	case a.interval != 0:
		return ""
	}
	return a.key
}

// isAncestor reports whether r holds the resource child.
func isAncestor(r, child *resource) bool {
	if r == nil || child == nil {
		return false
	}
	for p := child.parent; p != nil; p = p.parent {
		if p == r {
			return true
		}
	}
	return false
}

// remapped is the action that others wait for if they wait for a: a collection
// has started when its children have (and know of it), not when it begins to.
func remapped(a *action) *action {
	r := a.rsc
	if r.variant == primitive || a.interval > 0 || strings.Contains(a.key, taskNotify) {
		return a
	}
	key, ok := completion[a.key]
	if !ok {
		return a
	}
	if r.notify && (r.parent == nil || r.variant == clone && r.parent.variant == bundle) {
		key = notifyKey("confirmed-post", key)
	}
	for i := len(r.actions) - 1; i >= 0; i-- {
		if b := r.actions[i]; b.key == key && b.interval == 0 {
			return b
		}
	}
	return a
}

// notifyKey is the key of a gate around a collection's task: phase is pre,
// post, or one of them with confirmed- in front.
func notifyKey(phase, task string) string { return phase + "_notify_" + task }

// completion is the task that says that a collection's task is done.
var completion = map[string]string{taskStart: taskStarted, taskStop: taskStopped, taskPromote: taskPromoted, taskDemote: taskDemoted,
	taskStarted: taskStarted, taskStopped: taskStopped, taskPromoted: taskPromoted, taskDemoted: taskDemoted}

// atomic is the task of a primitive that a collection's task stands for.
func atomic(task string) string {
	switch task {
	case taskStarted:
		return taskStart
	case taskStopped:
		return taskStop
	case taskPromoted:
		return taskPromote
	case taskDemoted:
		return taskDemote
	}
	return task
}

// latest is the youngest action of a task on a node (nil: on any).
func (r *resource) latest(task string, n *node) *action {
	for i := len(r.actions) - 1; i >= 0; i-- {
		if a := r.actions[i]; a.task == task && (n == nil || a.node == n) {
			return a
		}
	}
	return nil
}
