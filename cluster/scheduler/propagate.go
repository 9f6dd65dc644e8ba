package scheduler

// update looks at what an action waits for and changes both ends of each
// ordering as it says: what has to happen, what cannot. Whatever changed is
// looked at again, with all that waits for it.
func (w *working) update(then *action) {
	var done changed
	last := then.flags
	if then.is(needsAny) {
		// Counted anew below: each predecessor that can happen adds one.
		then.runnableNow = 0
		then.minRunnable = max(then.minRunnable, 1)
		then.clear(runnable)
	}
	// Orderings made meanwhile are seen when the action is looked at again.
	for i := len(then.before) - 1; i >= 0; i-- {
		done = w.updateFrom(then, i, done)
	}
	if then.is(needsAny) {
		done &^= changedThen
		if last != then.flags {
			done |= changedThen
		}
	}
	if done&changedThen == 0 {
		return
	}
	if last&runnable != 0 && !then.is(runnable) {
		w.blockFollowers(then)
	}
	w.update(then)
	for i := len(then.after) - 1; i >= 0; i-- {
		w.update(then.after[i].action)
	}
}

// updateFrom applies the ordering from one predecessor, and returns what
// changed so far.
func (w *working) updateFrom(then *action, at int, done changed) changed {
	other := then.before[at]
	first := other.action
	firstNode, thenNode := placeOf(first), placeOf(then)
	if other.effect&sameNode != 0 && firstNode != nil && thenNode != nil && firstNode != thenNode {
		then.before[at].effect = 0
		return done
	}
	done &^= changedFirst
	if first.rsc != nil && other.effect&thenCancelsFirst != 0 && !then.is(optional) {
		first.set(optional)
	}
	if first.rsc != nil && then.rsc != nil && first.rsc != then.rsc && !isAncestor(first.rsc, then.rsc) {
		first = remapped(first)
	}
	if first == other.action {
		done |= w.updatePair(first, then, at, w.flagsFor(first, thenNode), w.flagsFor(then, firstNode))
	} else if w.order(first, then, other.effect) {
		// The collection's completion counts instead; then is looked at once more.
		then.before[at].effect = 0
		done |= changedThen
	}
	if done&changedFirst != 0 {
		for i := len(first.after) - 1; i >= 0; i-- {
			w.update(first.after[i].action)
		}
		w.update(first)
	}
	return done
}

// placeOf is the node of an action; a group starts where it goes.
func placeOf(a *action) *node {
	if a.rsc != nil && a.rsc.variant == group && a.task == taskStart {
		if at := a.rsc.methods.locations(a.rsc, afterwards); len(at) == 1 {
			return at[0]
		}
		return nil
	}
	return a.node
}

// flagsFor are an action's flags as an ordering sees them: of a clone, those of
// what it does on the node; it is enough that it can be done anywhere.
func (w *working) flagsFor(a *action, n *node) actionFlags {
	if a.rsc == nil {
		return a.flags
	}
	flags := a.rsc.methods.actionFlags(w, a, nil)
	if n == nil || a.rsc.variant != clone {
		return flags
	}
	return a.rsc.methods.actionFlags(w, a, n) | flags&runnable
}

// mildEffects are applied last, in this order; each with the flags that it may
// change.
var mildEffects = [...]struct {
	effect effect
	filter actionFlags
}{
	{migratableForcesFirst, optional}, {pseudoNeeds, optional}, {onlyOrder, runnable}, {asymmetric, runnable},
}

// updatePair applies everything that one ordering says.
func (w *working) updatePair(first, then *action, at int, firstFlags, thenFlags actionFlags) (done changed) {
	// Of clones only what is on this node counts.
	n := then.node
	e := then.before[at].effect
	if e&firstForcesThenOnNode != 0 {
		e = e&^firstForcesThenOnNode | firstForcesThen
		then.before[at].effect = e
		n = first.node
	}
	through := func(r *resource, kind effect, flags, filter actionFlags) {
		done |= r.methods.updateOrdered(w, first, then, n, flags, filter, kind)
	}
	if e&firstForcesThen != 0 {
		if then.rsc != nil {
			through(then.rsc, firstForcesThen, firstFlags&optional, optional)
		} else if firstFlags&optional == 0 && then.is(optional) {
			then.clear(optional)
			done |= changedThen
		}
	}
	if e&restarts != 0 && then.rsc != nil {
		through(then.rsc, restarts, firstFlags, optional|runnable)
	}
	if e&thenForcesFirst != 0 {
		if first.rsc != nil {
			through(first.rsc, thenForcesFirst, firstFlags, optional)
		} else if firstFlags&optional == 0 && first.is(runnable) {
			first.clear(runnable)
			done |= changedFirst
		}
	}
	if e&promotedForcesFirst != 0 && then.rsc != nil {
		through(then.rsc, promotedForcesFirst, firstFlags&optional, optional)
	}
	done |= w.updateNeeds(first, then, at, n, firstFlags)
	if then.rsc != nil {
		for _, p := range mildEffects {
			if e&p.effect != 0 {
				through(then.rsc, p.effect, firstFlags, p.filter)
			}
		}
	}
	updateListed(first, then, e, firstFlags, thenFlags)
	return done | stuckBefore(first, then, e)
}

// updateNeeds applies what an ordering says about a first that cannot happen.
func (w *working) updateNeeds(first, then *action, at int, n *node, firstFlags actionFlags) (done changed) {
	e := then.before[at].effect
	through := func(kind effect) {
		done |= then.rsc.methods.updateOrdered(w, first, then, n, firstFlags, runnable, kind)
	}
	if e&oneOrMore != 0 {
		if then.rsc != nil {
			through(oneOrMore)
		} else if firstFlags&runnable != 0 {
			if then.runnableNow++; then.runnableNow >= then.minRunnable && !then.is(runnable) {
				then.set(runnable)
				done |= changedThen
			}
		}
	}
	if e&probeFirst != 0 && then.rsc != nil {
		if firstFlags&runnable == 0 && first.rsc != nil && len(first.rsc.running) > 0 {
			then.before[at].effect = 0
		} else {
			through(thenNeedsFirst)
		}
	}
	if then.before[at].effect&thenNeedsFirst == 0 {
		return done
	}
	if then.rsc != nil {
		through(thenNeedsFirst)
	} else if firstFlags&runnable == 0 && then.is(runnable) {
		then.clear(runnable)
		then.blockedBy(first)
		done |= changedThen
	}
	return done
}

// updateListed makes needless actions part of the transition that others refer to.
func updateListed(first, then *action, e effect, firstFlags, thenFlags actionFlags) {
	if first.is(runnable) && e&thenListed != 0 && firstFlags&optional == 0 {
		then.set(listed)
	}
	if e&firstListed != 0 && thenFlags&optional == 0 {
		first.set(listed)
	}
}

// stuckBefore keeps back what would follow the stop of a resource that is left
// alone after a failure.
func stuckBefore(first, then *action, e effect) changed {
	if e&(firstForcesThen|thenForcesFirst|restarts) == 0 || first.rsc == nil || first.rsc.managed || !first.rsc.blocked ||
		first.is(runnable) || first.task != taskStop || !then.is(runnable) {
		return 0
	}
	then.clear(runnable)
	then.blockedBy(first)
	return changedThen
}
