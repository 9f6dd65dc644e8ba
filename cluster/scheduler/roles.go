package scheduler

// A resource gets from one role to another in steps that an agent can do. The
// next step depends on where the way leads:
//
//	          start                promote
//	Stopped ────────▶ Started ─────────────────┐
//	   │  ▲                                    ▼
//	   │  └─── stop ──── Unpromoted ◀─demote─ Promoted
//	   └──── start ─────▶    └────promote───────▲
//
// A promoted instance is demoted before it stops; a stopped one that shall be
// promoted is started first.

// nextRole is the role after the next step on the way from one role to another.
func nextRole(from, to Role) Role {
	switch from {
	case Stopped:
		switch to {
		case Started:
			return Started
		case Unpromoted, Promoted:
			return Unpromoted
		}
	case Started:
		if to.rank() >= Started.rank() {
			return to
		}
	case Unpromoted:
		if to == Unpromoted || to == Promoted {
			return to
		}
	case Promoted:
		switch to {
		case Stopped, Started, Unpromoted:
			return Unpromoted
		case Promoted:
			return Promoted
		}
	}
	return Stopped
}

// roleStep makes the actions of one step; n is where the resource goes.
type roleStep func(w *working, r *resource, n *node, isOptional bool) bool

// stepBetween is what takes a resource from one role to the role after it; nil
// if there is no such step.
func stepBetween(from, to Role) roleStep {
	switch {
	case from == Promoted && to == Promoted, from == Stopped && to == Stopped,
		from == Started && (to == Started || to == Unpromoted), from == Unpromoted && to == Unpromoted:
		return stepNothing
	case from == Promoted && to != "" && to != Promoted:
		return stepDemote
	case (from == Started || from == Unpromoted) && to == Promoted:
		return stepPromote
	case from == Stopped && (to == Started || to == Unpromoted):
		return stepStart
	case from == "" && to == Stopped, from == Started && to == Stopped,
		from == Unpromoted && (to == Stopped || to == Started):
		return stepStop
	}
	return nil
}

func stepNothing(*working, *resource, *node, bool) bool { return true }

// staysOn reports the one node where a resource that is active on several, and
// of which only the surplus shall stop (multiple-active=stop_unexpected), is
// left alone.
func (r *resource) staysOn(n *node) bool {
	return r.stopUnexpected && r.restarting && r.next.rank() > Stopped.rank() && r.chosen == n
}

// stepStop stops a resource wherever it is active.
func stepStop(w *working, r *resource, _ *node, isOptional bool) bool {
	for _, n := range r.running {
		if r.staysOn(n) {
			continue
		}
		if r.migrationTarget != nil {
			if n == r.migrationTarget && n == r.chosen {
				continue // the migration goes on: it is just arriving there
			}
			isOptional = false
		}
		w.stopOn(r, n, isOptional)
	}
	return true
}

func (w *working) stopOn(r *resource, n *node, isOptional bool) {
	stop := w.stopAction(r, n, isOptional)
	stop.because(func() string { return w.whyStop(r, n) })
	if !r.managed {
		stop.block(r.id + " is not managed by the cluster")
	}
	if w.options.removeAfterStop {
		w.scheduleCleanup(r, n, isOptional, "remove-after-stop is set")
	}
	if r.requires == needsUnfencing {
		if unfence := w.fenceAction(n, "on", true, "", false); unfence != nil {
			w.order(stop, unfence, thenForcesFirst)
		}
	}
}

// stepStart starts a resource on a node, after unfencing where that is required.
func stepStart(w *working, r *resource, n *node, isOptional bool) bool {
	if n == nil {
		return false
	}
	start := w.startAction(r, n, true)
	w.orderUnfencing(r, n, start, firstForcesThen)
	if start.is(runnable) && !isOptional {
		start.clear(optional)
		start.because(func() string { return w.whyStart(r, n) })
	}
	if r.staysOn(n) {
		start.set(pseudo)
	}
	return true
}

// stepPromote promotes a resource on a node, if its start there can be.
func stepPromote(w *working, r *resource, n *node, isOptional bool) bool {
	if n == nil {
		return false
	}
	can := true
	for _, start := range r.actionsOn(taskStart, 0, n) {
		can = can && start.is(runnable)
	}
	if !can {
		for _, promote := range r.actionsOn(taskPromote, 0, n) {
			promote.block(r.id + " cannot be started on " + n.name)
		}
		return true
	}
	promote := w.action(r, taskPromote, 0, n, isOptional)
	promote.because(func() string { return w.whyPromote(r, n) })
	if r.staysOn(n) {
		promote.set(pseudo)
	}
	return true
}

// stepDemote demotes a resource wherever it is active: if that is more than one
// node, all of them are demoted, whichever it shall stay on.
func stepDemote(w *working, r *resource, _ *node, isOptional bool) bool {
	for _, n := range r.running {
		if r.staysOn(n) {
			continue
		}
		demote := w.action(r, taskDemote, 0, n, isOptional)
		demote.because(func() string { return w.whyDemote(r, n) })
	}
	return true
}

// actionsOn are the resource's actions of a key and interval that were made for
// this node; those without a node are not among them.
func (r *resource) actionsOn(key string, interval int64, n *node) []*action {
	var list []*action
	for _, a := range r.actions {
		if a.node == n && n != nil && a.interval == interval && a.key == key {
			list = append(list, a)
		}
	}
	return list
}
