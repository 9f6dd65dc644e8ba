package scheduler

import (
	"cmp"
	"slices"
)

// createActions makes the actions of a clone's instances, and the points in the
// order that sum them up:
//
//	demote ─▶ demoted ─▶ stop ─▶ stopped ─▶ start ─▶ running ─▶ promote ─▶ promoted
//
// Where the instances want to be told, notifications come before and after each.
func (cloneMethods) createActions(w *working, r *resource) {
	w.createInstanceActions(r, r.children)
	if r.notify {
		w.notifyStartAndStop(r)
	}
	w.chainInstances(r)
	if r.clone.promotable {
		w.createRoleActions(r)
		if r.notify {
			w.notifyPromoteAndDemote(r)
		}
		for _, c := range r.children {
			c.priority = r.priority // it was used to weigh promotions
		}
	}
}

// instances are what a collection runs several of: a clone's children, or the
// containers of a bundle.
func (r *resource) instances() []*resource {
	if r.variant != bundle {
		return r.children
	}
	list := make([]*resource, len(r.bundle.replicas))
	for i, replica := range r.bundle.replicas {
		list[i] = replica.container
	}
	return list
}

// createInstanceActions makes the actions of instances, and those of their
// collection for starting and stopping them.
func (w *working) createInstanceActions(r *resource, instances []*resource) {
	var all activity
	mayMigrate := true
	for _, c := range instances {
		c.methods.createActions(w, c)
		its := activity{active: all.active}
		its.look(c)
		if its.starting && its.stopping {
			mayMigrate = false // what depends on the clone cannot outlive that
		}
		all.add(its)
	}
	w.pseudoAction(r, taskStart, !all.starting, true)
	started := w.pseudoAction(r, taskStarted, !all.starting, false)
	started.priority = int(Infinity)
	if all.active || all.starting {
		started.allow()
	} else {
		started.block("no instance of " + r.id + " runs or can be started")
	}
	stop := w.pseudoAction(r, taskStop, !all.stopping, true)
	w.pseudoAction(r, taskStopped, !all.stopping, true).priority = int(Infinity)
	if mayMigrate {
		stop.set(migratable)
	}
}

// activity is what happens to the primitives of an instance.
type activity struct{ active, starting, stopping bool }

func (s *activity) add(its activity) {
	s.active = s.active || its.active
	s.starting = s.starting || its.starting
	s.stopping = s.stopping || its.stopping
}

func (s *activity) look(r *resource) {
	for _, c := range r.children {
		s.look(c)
	}
	if len(r.children) > 0 {
		return
	}
	s.active = s.active || len(r.running) > 0
	for _, a := range r.actions {
		switch {
		case a.is(optional):
		case a.task == taskStop:
			s.stopping = s.stopping || a.flags&(pseudo|runnable) != 0
		case a.task == taskStart:
			s.starting = s.starting || a.is(runnable)
		}
	}
}

// chainInstances puts what instances of an ordered clone have to do one after the
// other, across those that stay as they are.
func (w *working) chainInstances(r *resource) {
	if !r.clone.ordered {
		return
	}
	r.sortChildren()
	var lastStop, lastStart *action
	for _, c := range r.children {
		if stop := c.onlyRequired(taskStop); stop != nil {
			w.order(stop, lastStop, onlyOrder)
			lastStop = stop
		}
		if start := c.onlyRequired(taskStart); start != nil {
			w.order(lastStart, start, onlyOrder)
			lastStart = start
		}
	}
}

// onlyRequired is the action of a task that has to happen; nil if there are
// several (of what is active on more than one node).
func (r *resource) onlyRequired(task string) *action {
	var found *action
	for _, a := range r.actions {
		if a.key != task || a.interval != 0 || a.is(optional) {
			continue
		}
		if found != nil {
			return nil
		}
		found = a
	}
	return found
}

// sortChildren brings instances into the order of their numbers.
func (r *resource) sortChildren() {
	slices.SortStableFunc(r.children, func(a, b *resource) int { return cmp.Compare(a.number, b.number) })
}

// createRoleActions makes the points that sum up promotions and demotions.
func (w *working) createRoleActions(r *resource) {
	promoting, demoting := false, false
	for p := range r.primitives {
		for _, a := range p.actions {
			promoting = promoting || a.task == taskPromote && !a.is(optional)
			demoting = demoting || a.task == taskDemote && !a.is(optional)
		}
	}
	w.pseudoAction(r, taskPromote, !promoting, true)
	w.pseudoAction(r, taskPromoted, !promoting, true).priority = int(Infinity)
	w.pseudoAction(r, taskDemote, !demoting, true)
	w.pseudoAction(r, taskDemoted, !demoting, true).priority = int(Infinity)
}
