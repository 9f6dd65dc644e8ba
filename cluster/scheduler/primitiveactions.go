package scheduler

// createActions makes what brings a primitive down and up again (optional,
// unless it has to restart) and then from its role to the next one, with its
// recurring operations.
func (primitiveMethods) createActions(w *working, r *resource) {
	r.defaultNextRole()
	current, active, clean := w.activeNode(r)
	for _, n := range r.dangling {
		w.stopDangling(r, n)
	}
	plan := restartPlan{current: current}
	moving := current != nil && r.chosen != nil && current != r.chosen && r.next.rank() >= Started.rank()
	if moving {
		plan.migrate = r.canMigrate(current)
		plan.stop = true
	}
	w.judgeActivity(r, &plan, active, clean)
	if r.startPending {
		w.startAction(r, r.chosen, true).set(listed)
	}
	if !moving {
		w.judgeStaying(r, &plan)
	}
	w.restart(r, plan)
	w.changeRole(r)
	w.createRecurring(r)
	if plan.migrate {
		w.createMigration(r, current)
	}
}

// restartPlan is what has to be of a restart, most of which is optional.
type restartPlan struct {
	current *node
	stop    bool // it has to stop (and start)
	promote bool // it was demoted to recover, and has to be promoted again
	migrate bool // the restart is a move that can be a migration
}

func (r *resource) defaultNextRole() {
	if r.next != "" {
		return
	}
	r.next = Started
	if r.chosen == nil {
		r.next = Stopped
	}
}

// judgeActivity decides what half a migration or an activity on several nodes
// mean.
func (w *working) judgeActivity(r *resource, plan *restartPlan, active, clean int) {
	several := clean > 1
	switch {
	case r.migrationSource != nil && r.migrationTarget != nil && plan.migrate && active == 2 &&
		plan.current == r.migrationSource && r.chosen == r.migrationTarget:
		several = false // the migration goes on
	case r.migrationSource != nil || r.migrationTarget != nil:
		plan.stop, plan.migrate = true, false
		r.migrationSource, r.migrationTarget = nil, nil
		several = false
	case r.requires.includesFencing():
		// What needs fencing counts as active on unclean nodes, too.
		several = active > 1
	}
	r.stopUnexpected = several && r.multiple == stopUnexpected
	if several && (r.multiple == stopStart || r.multiple == stopUnexpected) {
		plan.stop = true
	}
}

// includesFencing: what needs unfencing needs fencing, too.
func (q requirement) includesFencing() bool { return q == needsFencing || q == needsUnfencing }

// judgeStaying decides whether a resource that stays where it is has to restart.
func (w *working) judgeStaying(r *resource, plan *restartPlan) {
	switch {
	case r.failed && r.stopWanted:
		plan.stop = true
	case r.failed:
		plan.promote = plan.promote || r.next == Promoted // it recovers by a demotion
	case r.blocked:
		plan.stop = true
	case r.role.rank() > Started.rank() && plan.current != nil && r.chosen != nil:
		if start := w.startAction(r, r.chosen, true); !start.is(optional) {
			plan.stop = true // a promoted instance that has to be started is one that recovers
		}
	}
}

// restart makes the actions that take the resource down where it is, and up to
// the same role where it will be.
func (w *working) restart(r *resource, plan restartPlan) {
	r.restarting = true
	defer func() { r.restarting = false }()
	role := r.role
	for role != Stopped {
		next := nextRole(role, Stopped)
		step := stepBetween(role, next)
		if step == nil || !step(w, r, plan.current, !plan.stop) {
			break
		}
		role = next
	}
	for r.role.rank() <= r.next.rank() && role != r.role && !r.blocked {
		next := nextRole(role, r.role)
		required := plan.stop || next == Promoted && plan.promote
		step := stepBetween(role, next)
		if step == nil || !step(w, r, r.chosen, !required) {
			break
		}
		role = next
	}
}

// changeRole makes the actions that take the resource from its role to the next.
func (w *working) changeRole(r *resource) {
	for role := r.role; role != r.next; {
		next := nextRole(role, r.next)
		step := stepBetween(role, next)
		if step == nil || !step(w, r, r.chosen, false) {
			return
		}
		role = next
	}
}
