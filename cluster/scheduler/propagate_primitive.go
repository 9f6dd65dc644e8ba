package scheduler

func (primitiveMethods) actionFlags(w *working, a *action, n *node) actionFlags { return a.flags }

// updateOrdered of a primitive changes the two actions themselves.
func (primitiveMethods) updateOrdered(w *working, first, then *action, n *node, flags, filter actionFlags, e effect) (done changed) {
	return w.updateActions(first, then, flags, filter, e)
}

// updateActions applies one effect of an ordering to its two actions. flags are
// first's as the ordering sees them, filter says what may change.
func (w *working) updateActions(first, then *action, flags, filter actionFlags, e effect) (done changed) {
	thenFlags, firstFlags := then.flags, first.flags
	if e&asymmetric != 0 {
		updateAsymmetric(first, then)
	}
	if e&(thenForcesFirst|promotedForcesFirst|migratableForcesFirst) != 0 && filter&optional != 0 {
		updateForcing(first, then, flags, e)
	}
	if e&pseudoNeeds != 0 && filter&optional != 0 && !first.is(runnable) {
		then.lose(migratable, first)
		then.clear(pseudo)
	}
	if e&thenNeedsFirst != 0 && filter&runnable != 0 && then.is(runnable) && flags&runnable == 0 {
		then.lose(runnable, first)
		then.lose(migratable, first)
	}
	if e&firstForcesThen != 0 && filter&optional != 0 && then.is(optional) && flags&optional == 0 && !first.is(migratable) {
		then.lose(optional, first)
	}
	if e&restarts != 0 {
		updateRestart(first, then, filter)
	}
	if thenFlags != then.flags {
		done |= changedThen
		if then.rsc != nil && then.rsc.parent != nil {
			// A stop and a start of one instance of a cloned group.
			w.update(then)
		}
	}
	if firstFlags != first.flags {
		done |= changedFirst
	}
	return done
}

// updateForcing makes a first necessary that its then needs.
func updateForcing(first, then *action, flags actionFlags, e effect) {
	if e&thenForcesFirst != 0 && !then.is(optional) {
		if flags&optional == 0 {
			first.lose(optional, then)
		}
		if flags&migratable != 0 && !then.is(migratable) {
			first.lose(migratable, then)
		}
	}
	if e&promotedForcesFirst != 0 && then.rsc != nil && then.rsc.role == Promoted && !then.is(optional) {
		first.lose(optional, then)
		if !then.is(migratable) {
			first.lose(migratable, then)
		}
	}
	if e&migratableForcesFirst != 0 {
		if !then.is(migratable | runnable) {
			first.lose(runnable, then)
		}
		if !then.is(optional) {
			first.lose(optional, then)
		}
	}
}

// updateAsymmetric keeps then from happening after a first that cannot happen,
// unless it has been reached already.
func updateAsymmetric(first, then *action) {
	if then.rsc == nil || first.is(runnable) {
		return
	}
	if then.is(optional) {
		role := then.rsc.methods.state(then.rsc, true)
		if role == Stopped && then.task == taskStop {
			return
		}
		if role.rank() >= Started.rank() && then.task == taskStart && len(then.rsc.running) == 1 && then.rsc.running[0] == then.node {
			return
		}
	}
	then.lose(optional, first)
	then.lose(runnable, first)
}

// updateRestart ties a stop to the start after it: what has to be started again
// stops; what should restart and cannot start stops nevertheless.
func updateRestart(first, then *action, filter actionFlags) {
	if first.rsc == nil || then.rsc == nil {
		return
	}
	wanted := filter&optional != 0 && !then.is(optional)
	stuck := filter&runnable != 0 && !then.is(runnable) && then.rsc.managed && first.rsc == then.rsc
	if !wanted && !stuck {
		return
	}
	if first.is(runnable) || !then.is(optional) {
		first.lose(optional, then)
	}
	if !then.is(migratable) {
		first.lose(migratable, then)
	}
	if !first.is(optional) && !first.is(runnable) {
		then.lose(runnable, first)
	}
}

// lose takes a flag away because of another action: without optional the action
// has to happen, without runnable it cannot.
func (a *action) lose(f actionFlags, because *action) {
	if !a.is(f) {
		return
	}
	a.clear(f)
	switch f {
	case optional:
		a.cause = because
	case runnable:
		a.blockedBy(because)
	}
}

// blockedBy notes the first that an action cannot do without.
func (a *action) blockedBy(first *action) {
	if a.barrier == nil && first != a {
		a.barrier = first
	}
}
