package scheduler

// orderProbes puts probes before everything that relies on what they find.
func (w *working) orderProbes() {
	for _, r := range w.resources {
		w.orderProbesOf(r)
	}
	w.orderProbesLikeStops()
}

// orderProbesLikeStops: what waits for the stop of a resource waits for its
// probes, too: they may find that it runs and has to stop.
func (w *working) orderProbesLikeStops() {
	for _, o := range w.orderings {
		if o.effect == 0 || o.first == nil || o.first == o.then || o.firstKey() != taskStop ||
			o.then != nil && o.first.container == o.then && o.thenKey() == taskStop {
			continue
		}
		e := onlyOrder | o.effect&(unlessFirstMigrates|sameNode)
		if o.effect == apart || o.effect == load {
			e = o.effect
		}
		probes := o.first.findAll(taskMonitor, nil)
		if len(probes) == 0 {
			continue
		}
		thens := []*action{o.thenAction}
		if o.thenAction == nil {
			thens = o.then.findAll(o.thenTask, nil)
		}
		for _, p := range probes {
			for _, then := range thens {
				if probedBefore(p, then) {
					w.order(p, then, e)
				}
			}
		}
	}
}

// probedBefore: probes follow the unfencing of their node, and do not hold up
// the shutdown of other nodes.
func probedBefore(probe, then *action) bool {
	switch then.task {
	case taskFence:
		return probe.node != then.node || then.detail != "on"
	case taskShutdown:
		return probe.node == nil || then.node == nil || probe.node == then.node
	}
	return true
}

// orderProbesOf follows what comes after each probe of the resource.
func (w *working) orderProbesOf(r *resource) {
	if r.variant != primitive {
		for _, c := range r.children {
			w.orderProbesOf(c)
		}
		return
	}
	for _, p := range r.findAll(taskMonitor, nil) {
		for i := len(p.after) - 1; i >= 0; i-- {
			w.searches++
			w.orderBeforeRestarts(p, p.after[i].action)
		}
	}
}

// orderBeforeRestarts puts a probe before the stops of other resources that
// would restart if what was probed is started: they should not go down before it
// is known that they have to.
func (w *working) orderBeforeRestarts(probe, after *action) {
	if after.seen == w.searches {
		return
	}
	after.seen = w.searches
	if r := after.rsc; r != nil && r.variant == primitive && r != probe.rsc {
		w.orderBeforeUndo(probe, after)
	}
	interleaved, instance := false, (*resource)(nil)
	if r := after.rsc; r != nil && r.variant > group && truth(r.metaOf("interleave")) {
		interleaved, instance = true, w.compatibleInstance(probe.rsc, r, "", false)
	}
	for i := len(after.after) - 1; i >= 0; i-- {
		next := after.after[i]
		if next.effect&firstForcesThen == 0 && (!entersChild(probe, after, next.action) || interleaved && (instance == nil || instance != next.action.rsc)) {
			continue
		}
		w.orderBeforeRestarts(probe, next.action)
	}
}

// orderBeforeUndo puts a probe before the stop or demotion that would precede an action again.
func (w *working) orderBeforeUndo(probe, after *action) {
	task := ""
	switch after.task {
	case taskStart:
		task = taskStop
	case taskPromote:
		task = taskDemote
	default:
		return
	}
	for _, a := range after.rsc.findAll(task, nil) {
		if !a.is(pseudo) { // fencing would imply it
			w.order(probe, a, onlyOrder)
		}
	}
}

// entersChild reports whether next is an action of a child of the collection
// whose action after is, and the probe's resource is no child itself.
func entersChild(probe, after, next *action) bool {
	return after.rsc != nil && after.rsc.variant >= group && probe.rsc.parent != after.rsc &&
		next.rsc != nil && next.rsc.variant <= group && after.rsc == next.rsc.parent
}
