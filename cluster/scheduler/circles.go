package scheduler

// cutCircles drops orderings until no action waits for itself: the mildest of a
// circle first. Constraints that contradict each other lead to circles; what is
// configured last gives way, rather than that nothing at all happens.
func (w *working) cutCircles(list []*action) {
	for {
		circle := findCircle(list)
		if circle == nil {
			return
		}
		weakest := 0
		for i := range circle {
			if circle[i].edge().weight() <= circle[weakest].edge().weight() {
				weakest = i
			}
		}
		cut := circle[weakest]
		w.warn("the order of " + cut.edge().action.title() + " before " + cut.then.title() +
			" is part of a circle, and is ignored: look for orders that contradict each other")
		cut.edge().effect = 0
	}
}

// input is the place of an edge: then waits for what stands there.
type input struct {
	then *action
	at   int
}

func (i input) edge() *edge { return &i.then.before[i.at] }

// weight says how much an ordering matters.
func (e *edge) weight() int {
	switch {
	case e.effect&^(onlyOrder|firstListed|thenListed|unlessFirstMigrates) == 0, e.effect&(apart|load|serialize) != 0:
		return 0
	case e.action.rsc == nil:
		return 2 // fencing and the like
	}
	return 1
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
