package scheduler

// canMigrate reports whether a resource that moves away from a node may be
// moved while it runs. What depends on it may still object (orderings).
func (r *resource) canMigrate(from *node) bool {
	return r.migratable && r.managed && !r.failed && !r.startPending && from != nil && !from.unclean
}

// createMigration makes, besides the stop and the start of a move, its
// migration; which of both it becomes is known when the orderings are bound:
//
//	probes ─▶ migrate_to (source) ─▶ migrate_from (target) ─▶ stop (source), start (target: nothing is done)
//
// Of a migration of which the first half is over, only the second is made.
func (w *working) createMigration(r *resource, source *node) {
	start, stop := w.startAction(r, r.chosen, true), w.stopAction(r, source, true)
	start.set(migratable | pseudo)
	stop.set(migratable)
	from := w.action(r, taskMigrateFrom, 0, r.chosen, true)
	from.set(migratable)
	w.addMigration(from, source, r.chosen)
	if r.migrationTarget == nil {
		to := w.action(r, taskMigrateTo, 0, source, true)
		to.set(migratable)
		to.needs = start.needs
		w.addMigration(to, source, r.chosen)
		if !r.isRemoteConn {
			// A migration changes the target, too: that it is under way has to be
			// known even if its source is lost.
			to.setMeta("record-pending", "true")
		}
		w.orderTasks(r, taskMonitor, r, taskMigrateTo, onlyOrder)
		w.orderTasks(r, taskMigrateTo, r, taskMigrateFrom, onlyOrder|migratableForcesFirst)
	} else {
		from.needs = start.needs
		w.orderTasks(r, taskMonitor, r, taskMigrateFrom, onlyOrder)
	}
	w.orderTasks(r, taskMigrateFrom, r, taskStop, onlyOrder|migratableForcesFirst)
	w.orderTasks(r, taskMigrateFrom, r, taskStart, onlyOrder|migratableForcesFirst|pseudoNeeds)
}

func (w *working) addMigration(a *action, source, target *node) {
	a.setMeta("migrate_source", source.name)
	a.setMeta("migrate_target", target.name)
	if a.reason == "" {
		a.reason = a.rsc.id + " moves from " + source.name + " to " + target.name + colon(w.whyLeave(a.rsc, source))
	}
}

func (a *action) setMeta(name, value string) {
	if a.meta == nil {
		a.meta = map[string]string{}
	}
	a.meta[name] = value
}

// stopDangling stops a resource on a node where a migration that was not
// completed may have left it.
func (w *working) stopDangling(r *resource, n *node) {
	stop := w.stopAction(r, n, false)
	stop.set(dangling)
	stop.reason = firstOf(stop.reason, "a migration of "+r.id+" that was not completed may have left it on "+n.name)
	if w.options.removeAfterStop {
		w.scheduleCleanup(r, n, false, "remove-after-stop is set")
	}
}
