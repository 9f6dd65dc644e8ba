package scheduler

import "slices"

// belongs reports whether an action is part of the transition.
func (a *action) belongs() bool {
	if !a.is(runnable) || a.is(optional) && !a.is(listed) {
		return false
	}
	// Of what is left alone only monitors, and ends of monitors.
	if a.rsc != nil && !a.rsc.managed && a.task != taskMonitor && a.interval == 0 {
		return false
	}
	switch {
	case a.is(pseudo) || a.task == taskFence || a.task == taskShutdown:
		return true
	case a.node == nil:
		return false
	case a.onDC:
		return true
	case a.node.isGuest() && !a.node.remoteReset:
		return true
	}
	return a.node.online && !a.node.unclean
}

// counts reports whether a predecessor has to be waited for in the transition.
// Orderings that turn out to say nothing are disabled.
func (w *working) counts(a *action, in *edge) bool {
	first := in.action
	mere := in.effect&^(firstListed|thenListed|onlyOrder) == 0
	switch {
	case in.effect == 0:
		return false
	case !first.is(runnable) && (mere || in.effect&(oneOrMore|migratableForcesFirst) != 0):
		return false
	case in.effect&unlessFirstMigrates != 0 && first.is(migratable):
		return false
	case in.effect == onlyOrder && first.is(migratable) && first.key == taskStop && first.interval == 0:
		return false
	case in.effect == load:
		return frees(a, in)
	case in.effect == apart:
		if first.node != nil && a.node != nil && first.node != a.node || first.is(optional) {
			in.effect = 0
			return false
		}
		return true
	case stuckForClone(a, first):
		return false
	}
	return !first.is(optional) || first.flags&(listed|exported) != 0 || first.belongs()
}

// frees reports whether a first makes room where then is going to be.
func frees(a *action, in *edge) bool {
	if a.rsc != nil && a.task == taskMigrateTo {
		if in.action.node == nil || a.rsc.chosen == nil || in.action.node != a.rsc.chosen {
			in.effect = 0
		}
	} else if in.action.node == nil || a.node == nil || in.action.node != a.node || in.action.is(optional) {
		in.effect = 0
	}
	return in.effect != 0
}

// stuckForClone: the failed stop of what is left alone does not hold up a clone.
func stuckForClone(a, first *action) bool {
	return first.rsc != nil && first.rsc != a.rsc && first.rsc.failed && !first.rsc.managed &&
		first.key == taskStop && first.interval == 0 && a.rsc != nil && a.rsc.variant == clone
}

// mergeInputs leaves one edge from each predecessor, with the effects of all.
func (a *action) mergeInputs() {
	if a.is(dedup) {
		return
	}
	a.set(dedup)
	slices.Reverse(a.before)
	slices.SortStableFunc(a.before, func(x, y edge) int { return x.action.number - y.action.number })
	kept := a.before[:0]
	for _, in := range a.before {
		if last := len(kept) - 1; last >= 0 && kept[last].action == in.action {
			kept[last].effect |= in.effect
			continue
		}
		kept = append(kept, in)
	}
	a.before = kept
}
