package scheduler

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// result writes the transition: needless and impossible actions pruned, circles
// cut, the rest sorted and numbered.
func (w *working) result() *Transition {
	for _, r := range w.resources {
		w.exportResource(r)
	}
	for i := len(w.actions) - 1; i >= 0; i-- {
		w.export(w.actions[i])
	}
	list := w.exportedInOrder()
	w.cutCircles(list)
	t := &Transition{Actions: make([]Action, len(list)), Order: w.orderOf(list)}
	metas := metaCache{}
	for i, a := range list {
		w.publish(&t.Actions[i], a, metas)
	}
	t.Allocations = w.allocations()
	t.Recheck = w.recheck
	t.Warnings = slices.Compact(w.warnings)
	t.ScoreLines = w.scoreLines
	return t
}

// exportResource decides which of a resource's actions are part of the
// transition. Those of a clone are made to sum up its instances' before, and
// it tells its instances what happens.
func (w *working) exportResource(r *resource) {
	if r.variant == clone {
		for i := len(r.actions) - 1; i >= 0; i-- {
			r.methods.actionFlags(w, r.actions[i], nil)
		}
		w.createNotifications(r)
		for _, c := range r.children {
			w.exportResource(c)
		}
	}
	for i := len(r.actions) - 1; i >= 0; i-- {
		w.export(r.actions[i])
	}
	if r.variant != clone {
		for _, c := range r.children {
			w.exportResource(c)
		}
	}
}

// export makes an action part of the transition if it belongs to it, and finds
// out what it waits for.
func (w *working) export(a *action) {
	a.mergeInputs()
	if a.is(exported) || !a.belongs() {
		return
	}
	a.set(exported)
	for i := range a.before {
		in := &a.before[i]
		if !w.counts(a, in) {
			in.effect = 0
		}
	}
}

// exportedInOrder lists the actions of the transition: resource by resource,
// what is in a collection before its own, then the others; the order does not depend on that of their creation.
func (w *working) exportedInOrder() []*action {
	rank := make([]int, w.nodeCount)
	for i, n := range w.nodes {
		rank[n.index] = i
	}
	var list []*action
	add := func(actions []*action) {
		from := len(list)
		for _, a := range actions {
			if a.is(exported) {
				list = append(list, a)
			}
		}
		slices.SortFunc(list[from:], func(a, b *action) int { return a.compare(b, rank) })
	}
	var walk func(r *resource)
	walk = func(r *resource) {
		for _, c := range r.children {
			walk(c)
		}
		add(r.actions)
	}
	for _, r := range w.resources {
		walk(r)
	}
	add(w.single)
	for i, a := range list {
		a.id = ActionID(i)
	}
	return list
}

// compare sorts the actions of one resource, or those of none.
func (a *action) compare(b *action, rank []int) int {
	place := func(a *action) int {
		if a.node == nil {
			return -1
		}
		return rank[a.node.index]
	}
	// A reload is begun before anything else is: it is recorded as a start, and
	// what comes after it counts. What is looked for, watched or not watched any
	// more comes last.
	phase := func(a *action) int {
		switch {
		case a.task == taskReload:
			return 0
		case a.task == taskMonitor, a.interval != 0:
			return 2
		}
		return 1
	}
	return cmp.Or(cmp.Compare(phase(a), phase(b)), strings.Compare(a.task, b.task), cmp.Compare(a.interval, b.interval), cmp.Compare(place(a), place(b)),
		strings.Compare(a.key, b.key), strings.Compare(a.detail, b.detail), cmp.Compare(a.number, b.number))
}

// orderOf lists what waits for what, sorted by the later and then the earlier one.
func (w *working) orderOf(list []*action) []Ordering {
	count := 0
	for _, a := range list {
		count += len(a.before)
	}
	order := make([]Ordering, 0, count)
	for _, a := range list {
		from := len(order)
		for _, in := range a.before {
			switch {
			case in.effect == 0:
			case in.action.is(exported):
				order = append(order, Ordering{Before: in.action.id, After: a.id})
			default:
				a.stickTo(in.action)
			}
		}
		slices.SortFunc(order[from:], func(x, y Ordering) int { return cmp.Compare(x.Before, y.Before) })
	}
	return order
}

// stickTo marks an action, and all that come after it, as waiting for one that
// cannot happen.
func (a *action) stickTo(barrier *action) {
	if a.stuck {
		return
	}
	a.stuck, a.barrier = true, barrier
	for _, e := range a.after {
		if then := e.action; then.is(exported) && slices.ContainsFunc(then.before, func(in edge) bool { return in.action == a && in.effect != 0 }) {
			then.stickTo(barrier)
		}
	}
}

func (a *action) stuckWhy() string {
	if a.circular {
		return a.barrier.title() + " and this action wait for each other"
	}
	return a.barrier.title() + " is not possible in this transition"
}

// publish writes an action as others see it.
func (w *working) publish(p *Action, a *action, metas metaCache) {
	*p = Action{ID: a.id, Kind: a.publicKind(), Task: a.task, Interval: a.interval, Detail: a.publicDetail(),
		TargetRC: a.target, Priority: a.priority, Reason: w.words(a)}
	if a.node != nil && (p.Kind != Pseudo || a.task == taskFence) {
		p.Node = a.node.name
	}
	if a.stuck {
		p.Stuck = a.stuckWhy()
	}
	if a.task == taskFence {
		p.Timeout, p.Delay = w.options.fenceTimeout, a.delay
	}
	p.Meta = a.meta
	r := a.rsc
	if r == nil {
		return
	}
	p.Priority = max(p.Priority, r.priority)
	p.Resource = r.id
	if a.is(pseudo) {
		return
	}
	p.Resource = r.executorName()
	if p.Kind != Resource {
		return
	}
	p.Agent = r.agentName()
	p.Params = w.agentParams(a)
	if a.settings != nil {
		p.Timeout = a.settings.timeout
	}
	if a.task == taskStop && a.node == r.shutdownLocked && !r.lockedSince.IsZero() {
		a.setMeta(metaShutdownLock, strconv.FormatInt(r.lockedSince.Unix(), 10))
	}
	p.Meta = metas.of(a)
}

func (a *action) publicKind() Kind {
	if a.is(pseudo) && (a.kind == Resource || a.task == taskFence) {
		return Pseudo
	}
	return a.kind
}

// publicDetail of a notification is its phase and the task that it is about.
func (a *action) publicDetail() string {
	if a.detail != "" || a.task != taskNotify && a.task != taskNotified {
		return a.detail
	}
	phase, task := a.meta["notify_type"], a.meta["notify_operation"]
	if phase == "" || task == "" {
		phase, task, _ = strings.Cut(a.key, "_notify_")
	}
	return phase + "-" + task
}

// agentName is class:provider:type, without a provider where there is none.
func (r *resource) agentName() string {
	switch {
	case r.agentText != "":
	case r.provider == "":
		r.agentText = r.standard + ":" + r.agentType
	default:
		r.agentText = r.standard + ":" + r.provider + ":" + r.agentType
	}
	return r.agentText
}

// metaCache keeps what agents are told beside their parameters: the same for a
// resource's operation on every node.
type metaCache map[metaKey]map[string]string

type metaKey struct {
	r *resource
	s *opSettings
}

func (c metaCache) of(a *action) map[string]string {
	key := metaKey{a.rsc, a.settings}
	shared, ok := c[key]
	if !ok {
		shared = a.sharedMeta()
		c[key] = shared
	}
	host := a.hostMeta()
	if len(a.meta)+len(host) == 0 {
		return shared
	}
	m := make(map[string]string, len(shared)+len(a.meta)+len(host))
	maps.Copy(m, shared)
	maps.Copy(m, host)
	for k, v := range a.meta {
		m[strings.ReplaceAll(k, "-", "_")] = v
	}
	return m
}
