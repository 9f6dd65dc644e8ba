package scheduler

import "strconv"

// cutCircles drops orderings until no action waits for itself. Constraints that
// contradict each other lead to circles. Mere wishes among them give way, and
// among what only takes things down the one configured last. Any other circle is
// left alone: none of its actions, and nothing that comes after them, may be
// started, since what they wait for may be that something has stopped elsewhere,
// or that a node was fenced.
func (w *working) cutCircles(list []*action) {
	cuts := 0
	for circle := findCircle(list); circle != nil; circle = findCircle(list) {
		if cuts++; cuts > maxCuts {
			w.giveUp(unreachable(list))
			return
		}
		cut := weakest(circle)
		e := cut.edge()
		if e.weight(cut.then) > 1 {
			// All of it waits for ever: it does not matter which ordering goes.
			w.leaveCircle(circle)
		} else {
			w.warn("the order of " + e.action.title() + " before " + cut.then.title() +
				" is part of a circle, and is ignored: look for orders that contradict each other")
		}
		e.effect = 0
	}
}

// maxCuts is how many circles are looked at one by one.
const maxCuts = 200

func weakest(circle []input) input {
	least := circle[0]
	for _, in := range circle[1:] {
		if in.edge().weight(in.then) <= least.edge().weight(least.then) {
			least = in
		}
	}
	return least
}

// leaveCircle keeps the actions of a circle, and all after them, from being started.
func (w *working) leaveCircle(circle []input) {
	a, b := circle[0].then, circle[0].edge().action
	w.warn(a.title() + " and " + b.title() + " wait for each other, so that neither is done: look for orders that contradict each other")
	for _, in := range circle {
		in.then.stickToCircle(in.edge().action)
	}
}

// giveUp drops all orderings between actions that wait for themselves or for
// such ones, none of which is started.
func (w *working) giveUp(left []*action) {
	w.warn("there are so many circles of orders that " + strconv.Itoa(len(left)) + " actions are not done: look for orders that contradict each other")
	for _, a := range left {
		for i := range a.before {
			if in := &a.before[i]; in.effect != 0 && in.action.is(exported|tracking) {
				a.stickToCircle(in.action)
			}
		}
	}
	for _, a := range left {
		for i := range a.before {
			if in := &a.before[i]; in.action.is(tracking) {
				in.effect = 0
			}
		}
	}
}

// stickToCircle marks an action as waiting for another one that waits for it,
// and with it all that comes after.
func (a *action) stickToCircle(other *action) {
	a.circular = true
	a.stickTo(other)
}

// input is the place of an edge: then waits for what stands there.
type input struct {
	then *action
	at   int
}

func (i input) edge() *edge { return &i.then.before[i.at] }

// weight says how much an ordering matters; those above 1 are not given up. An
// order of stops may be lost without harm, as may what is only a wish between
// different resources: that something stops in one place before it starts in
// another, or after fencing, is always said by orderings of its own, within one
// resource or from the fencing.
func (e *edge) weight(then *action) int {
	first := e.action
	switch {
	case first.rsc == nil && first.is(pseudo) && e.effect == load:
		return 0
	case first.rsc == nil || then.rsc == nil || first.rsc.outermost(true) == then.rsc.outermost(true):
		return 3
	case e.effect&^(onlyOrder|firstListed|thenListed|unlessFirstMigrates|apart|load|serialize) == 0:
		return 0
	case first.goesDown() && then.goesDown():
		return 1
	}
	return 2
}

func (a *action) goesDown() bool {
	switch a.task {
	case taskStop, taskStopped, taskDemote, taskDemoted:
		return true
	}
	return false
}

// findCircle finds one circle among the actions of the transition, nil if there
// is none. It looks at what is left when all that can ever start is taken away.
func findCircle(list []*action) []input {
	left := unreachable(list)
	if len(left) == 0 {
		return nil
	}
	// Each that is left waits for another that is: going back, one comes twice.
	at := map[*action]int{}
	var path []input
	for a := left[0]; ; {
		if from, seen := at[a]; seen {
			return path[from:]
		}
		at[a] = len(path)
		for i := range a.before {
			if in := &a.before[i]; in.effect != 0 && in.action.is(exported|tracking) {
				path = append(path, input{a, i})
				a = in.action
				break
			}
		}
	}
}

// unreachable lists the actions that wait for themselves or for such ones. They
// alone keep the flag tracking.
func unreachable(list []*action) []*action {
	after := successors(list)
	waits := make([]int32, len(list))
	ready := make([]*action, 0, len(list))
	for _, a := range list {
		a.set(tracking)
		for _, in := range a.before {
			if in.effect != 0 && in.action.is(exported) {
				waits[a.id]++
			}
		}
		if waits[a.id] == 0 {
			ready = append(ready, a)
		}
	}
	for i := 0; i < len(ready); i++ {
		ready[i].clear(tracking)
		for _, next := range after(ready[i]) {
			if waits[next.id]--; waits[next.id] == 0 {
				ready = append(ready, next)
			}
		}
	}
	var left []*action
	if len(ready) < len(list) {
		for _, a := range list {
			if a.is(tracking) {
				left = append(left, a)
			}
		}
	}
	return left
}

// successors returns who waits for an action of the list. All of them stand in
// one slice, one action's after the other's.
func successors(list []*action) func(*action) []*action {
	end := make([]int32, len(list)+1)
	for _, a := range list {
		for _, in := range a.before {
			if in.effect != 0 && in.action.is(exported) {
				end[in.action.id+1]++
			}
		}
	}
	for i := range list {
		end[i+1] += end[i]
	}
	all := make([]*action, end[len(list)])
	// Here end[i] is where the next successor of i goes; it ends up where those
	// of i do, and that is where those of i+1 begin.
	for _, a := range list {
		for _, in := range a.before {
			if in.effect != 0 && in.action.is(exported) {
				all[end[in.action.id]] = a
				end[in.action.id]++
			}
		}
	}
	return func(a *action) []*action {
		from := int32(0)
		if a.id > 0 {
			from = end[a.id-1]
		}
		return all[from:end[a.id]]
	}
}
