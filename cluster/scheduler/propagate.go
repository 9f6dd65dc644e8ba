package scheduler

import (
	"cmp"
	"slices"
	"sort"
)

// effect is what an ordering means beyond order.
type effect uint16

const (
	onlyOrder       effect = 0
	thenNeedsFirst  effect = 1 << (iota - 1) // a first that cannot happen keeps then from happening
	firstForcesThen                          // a first that has to happen makes then happen
	thenForcesFirst                          // a then that has to happen makes first happen
	restarts                                 // first is the stop of what then starts: both or neither
	asymmetric                               // then is not done while first cannot be
	apart                                    // counts on the same node only
	serialize                                // not at the same time
	oneOrMore                                // then needs one such first
)

// action is a vertex while the transition is computed.
type action struct {
	kind      Kind
	task      string
	interval  int64
	rsc       *resource
	node      *member
	def       *opDef
	target    int
	optional  bool
	runnable  bool
	absent    bool // stands for one that there is not, so that what needs it cannot be either
	needsAny  bool // runnable if one of its oneOrMore predecessors is
	cancelled string
	reason    string
	blocked   string // why it cannot happen

	before []edge // predecessors
	after  []*action
	queued bool
	id     ActionID
	kept   bool
}

type edge struct {
	first  *action
	effect effect
}

func (w *working) newAction(r *resource, task string, interval int64, m *member) *action {
	a := &action{kind: Resource, task: task, interval: interval, rsc: r, node: m, optional: true}
	a.runnable = m != nil && m.status.online
	w.actions = append(w.actions, a)
	r.actions = append(r.actions, a)
	return a
}

// find returns the resource's one-shot action of a task on a node.
func (r *resource) find(task string, m *member) *action { return r.findInterval(task, 0, m) }

func (r *resource) findInterval(task string, interval int64, m *member) *action {
	for _, a := range r.actions {
		if a.task == task && a.interval == interval && (m == nil || a.node == m) {
			return a
		}
	}
	return nil
}

func (w *working) order(first, then *action, e effect) {
	if first == then {
		return
	}
	then.before = append(then.before, edge{first, e})
	first.after = append(first.after, then)
}

// bindOrders ties the constraints to the actions that there are.
func (w *working) bindOrders() {
	sort.SliceStable(w.constraints, func(i, j int) bool { return w.constraints[i].less(&w.constraints[j]) })
	for _, c := range w.constraints {
		firsts := c.first.all(c.firstTask)
		thens := slices.DeleteFunc(c.then.all(c.thenTask), func(a *action) bool { return a.absent })
		if len(thens) == 0 {
			continue
		}
		if len(firsts) == 0 {
			if c.first == c.then || c.firstTask == "stop" && c.first.role == Stopped || c.effect == onlyOrder || c.effect&(apart|serialize|thenForcesFirst) != 0 {
				continue
			}
			a := w.newAction(c.first, c.firstTask, 0, nil)
			a.absent, a.blocked = true, c.first.id+" runs nowhere"
			firsts = []*action{a}
		}
		for _, f := range firsts {
			for _, t := range thens {
				if c.effect&apart == 0 || f.node == t.node {
					w.order(f, t, effectOf(c, f, t))
				}
			}
		}
	}
}

// less orders constraints, so that their place in the document has no meaning.
func (c *orderConstraint) less(d *orderConstraint) bool {
	return cmp.Or(cmp.Compare(c.why, d.why), cmp.Compare(c.first.id, d.first.id), cmp.Compare(c.firstTask, d.firstTask),
		cmp.Compare(c.then.id, d.then.id), cmp.Compare(c.thenTask, d.thenTask)) < 0
}

// effectOf is the constraint's effect between two of its actions. Stopping an
// instance that should not be there leaves the expected one alone.
func effectOf(c orderConstraint, first, then *action) effect {
	if c.first == c.then && first.rsc.multiple == "stop_unexpected" && first.node == then.node && len(first.rsc.running) > 1 {
		return onlyOrder
	}
	return c.effect &^ apart
}

// all returns the resource's one-shot actions of a task.
func (r *resource) all(task string) []*action {
	var list []*action
	for _, a := range r.actions {
		if a.task == task && a.interval == 0 {
			list = append(list, a)
		}
	}
	return list
}

// propagate spreads what has to and what cannot happen along the orderings
// until nothing changes. Flags are only ever cleared, so it ends.
func (w *working) propagate() {
	queue := make([]*action, 0, len(w.actions))
	push := func(a *action) {
		if !a.queued {
			a.queued = true
			queue = append(queue, a)
		}
	}
	for _, a := range w.actions {
		push(a)
	}
	for len(queue) > 0 {
		then := queue[0]
		queue = queue[1:]
		then.queued = false
		for _, changed := range w.update(then) {
			push(changed)
			for _, next := range changed.after {
				push(next)
			}
			if p := changed.rsc.parent; p != nil {
				for _, sum := range p.actions {
					push(sum)
					for _, next := range sum.after {
						push(next)
					}
				}
			}
			for _, c := range changed.rsc.children {
				for _, m := range c.actions {
					push(m)
				}
			}
		}
	}
}

// flags of an action; those of a group's sum up its members'.
func (a *action) flags() (optional, runnable bool) {
	if a.rsc.variant != group {
		return a.optional, a.runnable
	}
	optional, runnable = a.optional, a.runnable
	task := a.base()
	for _, c := range a.rsc.children {
		member := c.all(task)
		if len(member) == 0 && task == "start" && c.next == Stopped {
			runnable = false
		}
		for _, m := range member {
			optional = optional && m.optional
			runnable = runnable && (m.runnable || m.optional && task == "stop")
		}
	}
	return optional, runnable
}

func (a *action) base() string {
	switch a.task {
	case "running":
		return "start"
	case "stopped":
		return "stop"
	}
	return a.task
}

// update applies what precedes an action to both ends; it returns what changed.
func (w *working) update(then *action) []*action {
	var changed []*action
	if then.needsAny {
		changed = w.updateAny(then)
	}
	for i := range then.before {
		e := &then.before[i]
		changed = append(changed, w.relate(e.first, then, e.effect)...)
	}
	return changed
}

func (w *working) updateAny(then *action) []*action {
	any, seen := false, false
	for _, e := range then.before {
		if e.effect&oneOrMore != 0 {
			_, runnable := e.first.flags()
			any, seen = any || runnable, true
		}
	}
	if seen && !any && then.runnable {
		then.runnable, then.blocked = false, "none of those it needs can run"
		return []*action{then}
	}
	return nil
}

func (w *working) relate(first, then *action, e effect) []*action {
	var changed []*action
	firstOptional, firstRunnable := first.flags()
	thenOptional, thenRunnable := then.flags()
	if e&asymmetric != 0 && !firstRunnable && !satisfied(then) {
		changed = then.stopFrom(changed, first)
	}
	if e&thenForcesFirst != 0 && !thenOptional && firstOptional {
		changed = first.force(changed, then)
	}
	if e&thenNeedsFirst != 0 && !firstRunnable && thenRunnable {
		changed = then.stopFrom(changed, first)
	}
	if e&firstForcesThen != 0 && !firstOptional && thenOptional {
		changed = then.force(changed, first)
	}
	if e&restarts != 0 {
		changed = relateRestart(changed, first, then)
	}
	if e&(firstForcesThen|thenForcesFirst|restarts) != 0 && first.base() == "stop" && first.rsc.blocked && !firstRunnable {
		changed = then.stopFrom(changed, first)
	}
	return changed
}

// satisfied reports whether an asymmetric order has nothing to say: what should
// be done is so already.
func satisfied(then *action) bool {
	r := then.rsc
	switch then.task {
	case "stop":
		return r.role == Stopped && r.variant == primitive
	case "start":
		return then.optional && len(r.running) == 1 && r.running[0] == then.node
	}
	return false
}

// relateRestart: a start that is needed, or that cannot be, needs the stop
// before; a stop that is needed but cannot be keeps from starting.
func relateRestart(changed []*action, stop, start *action) []*action {
	stopOptional, stopRunnable := stop.flags()
	startOptional, startRunnable := start.flags()
	if startOptional && (startRunnable || stop.rsc != start.rsc || !start.rsc.managed) {
		return changed
	}
	if (stopRunnable || !startOptional) && stopOptional {
		changed = stop.force(changed, start)
	}
	if stopOptional, stopRunnable = stop.flags(); !stopOptional && !stopRunnable && startRunnable {
		changed = start.stopFrom(changed, stop)
	}
	return changed
}

// force makes an action necessary; of a group, the members'.
func (a *action) force(changed []*action, because *action) []*action {
	if a.rsc.variant == group {
		for _, c := range a.rsc.children {
			for _, m := range c.all(a.base()) {
				changed = m.force(changed, because)
			}
		}
	}
	if !a.optional {
		return changed
	}
	a.optional = false
	if a.reason == "" {
		a.reason = because.reasonFor(a)
	}
	return append(changed, a)
}

// stopFrom makes an action impossible.
func (a *action) stopFrom(changed []*action, because *action) []*action {
	if a.rsc.variant == group {
		for _, c := range a.rsc.children {
			for _, m := range c.all(a.base()) {
				changed = m.stopFrom(changed, because)
			}
		}
	}
	if !a.runnable {
		return changed
	}
	a.runnable = false
	a.blocked = "it needs " + because.task + " of " + because.rsc.id
	if because.blocked != "" {
		a.blocked += ", and " + because.blocked
	}
	return append(changed, a)
}

// reasonFor is why another action follows from this one.
func (a *action) reasonFor(other *action) string {
	if a.rsc == other.rsc {
		return a.reason
	}
	if a.reason == "" {
		return other.rsc.id + " depends on " + a.rsc.id
	}
	return other.rsc.id + " depends on " + a.rsc.id + ": " + a.reason
}
