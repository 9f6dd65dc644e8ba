package scheduler

// effect is what an ordering means, as bits; 0 is an ordering that has nothing
// to say (any more). Two actions are tied once for each set of bits that
// overlaps none of an earlier one, so onlyOrder is a bit of its own.
type effect uint32

const (
	onlyOrder             effect = 1 << iota // mere order
	thenNeedsFirst                           // a first that cannot happen keeps then from happening
	firstForcesThen                          // a first that has to happen makes then happen
	firstForcesThenOnNode                    // the same, where first is on the same node as then
	thenForcesFirst                          // a then that has to happen makes first happen
	promotedForcesFirst                      // the same, where first's resource is promoted
	migratableForcesFirst                    // the same, and first loses its migration, or then does
	restarts                                 // a stop before a start: both or neither
	sameNode                                 // counts only between actions on the same node
	asymmetric                               // then is not done while first cannot be; nothing the other way
	serialize                                // not at the same time
	oneOrMore                                // then needs as many of its firsts as it says
	apart                                    // of an anti-colocation: only order, where both go to the same node
	load                                     // of utilization: only where first frees what then takes
	preserve                                 // is kept although it looks needless
	pseudoNeeds                              // then, a pseudo-action, needs first
	probeFirst                               // first is a probe
	fencingStop                              // first is fencing that then waits for
	firstListed                              // first belongs to the transition if then does
	thenListed                               // then belongs to the transition if first does
	thenCancelsFirst                         // a then that has to happen makes first needless
	unlessFirstMigrates                      // only where first is no part of a migration
)

// ordering names two actions that may or may not come to be; applyOrderings
// binds it to those that did. An end is a resource and a task (of every node
// and instance), or one action.
type ordering struct {
	first, then             *resource
	firstTask, thenTask     string // key of one-shot actions
	firstAction, thenAction *action
	effect                  effect
	why                     string // constraint id or "" for those of the scheduler's own
}

// orderTasks puts a task of one resource before a task of another (or the same).
func (w *working) orderTasks(first *resource, firstTask string, then *resource, thenTask string, e effect) {
	w.addOrdering(ordering{first: first, firstTask: firstTask, then: then, thenTask: thenTask, effect: e})
}

// orderStarts, orderStops … are the common pairs.
func (w *working) orderStarts(first, then *resource, e effect) {
	w.orderTasks(first, taskStart, then, taskStart, e)
}

func (w *working) orderStops(first, then *resource, e effect) {
	w.orderTasks(first, taskStop, then, taskStop, e)
}

// orderActions puts one action before another; applyOrderings binds them.
func (w *working) orderActions(first, then *action, e effect) {
	w.addOrdering(ordering{first: first.rsc, firstAction: first, then: then.rsc, thenAction: then, effect: e})
}

func (w *working) addOrdering(o ordering) {
	if o.firstAction == nil && o.first == nil || o.thenAction == nil && o.then == nil {
		return
	}
	if o.first == nil && o.firstAction != nil {
		o.first = o.firstAction.rsc
	}
	if o.then == nil && o.thenAction != nil {
		o.then = o.thenAction.rsc
	}
	w.orderings = append(w.orderings, &o)
	w.orderMigration(&o)
}
