package scheduler

// action finds or makes the action of a task on a node. An existing one becomes
// necessary if isOptional is false. Whether it is runnable follows from node,
// quorum, fencing and management.
func (w *working) action(r *resource, task string, interval int64, n *node, isOptional bool) *action {
	return w.keyedAction(r, task, task, interval, n, isOptional)
}

// keyedAction is action with a key that is not its task (notifications); r may be nil.
func (w *working) keyedAction(r *resource, key, task string, interval int64, n *node, isOptional bool) *action {
	a := w.existingAction(r, key, interval, n)
	if a == nil {
		a = w.newAction(r, key, task, interval, n, isOptional)
	}
	switch {
	case a.leftAlone():
		a.set(optional)
	case !isOptional:
		a.clear(optional)
	}
	if r != nil {
		w.updateRunnable(a)
	}
	return a
}

// leftAlone: what is not managed is only watched.
func (a *action) leftAlone() bool {
	return a.rsc != nil && !a.rsc.managed && a.node != nil && a.interval == 0 && !a.is(pseudo)
}

// pseudoAction finds or makes an action of a resource that is only a point in the order.
func (w *working) pseudoAction(r *resource, task string, isOptional, isRunnable bool) *action {
	a := w.action(r, task, 0, nil, isOptional)
	a.set(pseudo)
	if isRunnable {
		a.set(runnable)
		a.blocked = ""
	}
	return a
}

// existingAction is the oldest one of a key; one that has no node yet gets n.
func (w *working) existingAction(r *resource, key string, interval int64, n *node) *action {
	list := w.singles[key]
	if r != nil {
		list = r.actions
	}
	for _, a := range list {
		if (n == nil || a.node == n || a.node == nil) && a.interval == interval && a.key == key {
			if a.node == nil {
				a.node = n
			}
			return a
		}
	}
	return nil
}

func (w *working) newAction(r *resource, key, task string, interval int64, n *node, isOptional bool) *action {
	if len(w.unusedActions) == 0 {
		w.unusedActions = make([]action, 64+min(len(w.actions)/4, 1024))
	}
	a := &w.unusedActions[0]
	w.unusedActions = w.unusedActions[1:]
	*a = action{number: len(w.actions), task: task, key: key, interval: interval, rsc: r, node: n,
		flags: runnable, kind: kindOf(task), onDC: task == taskForget}
	if isOptional {
		a.set(optional)
	}
	w.actions = append(w.actions, a)
	if r == nil {
		w.single = append(w.single, a)
		if w.singles == nil {
			w.singles = map[string][]*action{}
		}
		w.singles[key] = append(w.singles[key], a)
		return a
	}
	r.actions = append(r.actions, a)
	if r.variant == primitive {
		a.op = r.configOf(key, interval)
		a.settings = w.settingsOf(r, key, task, interval, a.op, n)
	}
	if task == taskStart || task == taskPromote {
		a.needs = min(r.requires, needsFencing)
	}
	return a
}

func kindOf(task string) Kind {
	switch task {
	case taskFence, taskShutdown, taskClearFailcount, taskForget:
		return Cluster
	}
	return Resource
}

// gate finds or makes a pseudo-action that belongs to no resource.
func (w *working) gate(key string) *action {
	if list := w.singles[key]; len(list) > 0 {
		return list[0]
	}
	a := w.keyedAction(nil, key, key, 0, nil, true)
	a.set(pseudo | runnable)
	return a
}

// find returns the resource's newest action of a key and interval on a node (nil: any).
func (r *resource) find(key string, interval int64, n *node) *action {
	for i := len(r.actions) - 1; i >= 0; i-- {
		if a := r.actions[i]; (n == nil || a.node == n) && a.interval == interval && a.key == key {
			return a
		}
	}
	return nil
}

// findAll returns the resource's one-shot actions of a key on a node (nil: any),
// the oldest first; those without a node count for every one.
func (r *resource) findAll(key string, n *node) []*action {
	var list []*action
	for _, a := range r.actions {
		if (n == nil || a.node == n || a.node == nil) && a.interval == 0 && a.key == key {
			list = append(list, a)
		}
	}
	return list
}

// updateRunnable decides whether an action can happen on its node.
func (w *working) updateRunnable(a *action) {
	switch n := a.node; {
	case a.is(pseudo):
	case n == nil:
		a.block("it has no node")
	case !a.onDC && !n.online && (!n.isGuest() || n.remoteReset):
		a.block(n.name + " is offline")
		if a.rsc.managed && a.task == taskStop && !n.unclean {
			w.fenceNode(n, a.rsc.id+" cannot be stopped there", false)
		}
	case !a.onDC && n.pending:
		a.block(n.name + " is still joining")
	case a.needs == needsNothing:
		// The host of a guest may have to be fenced first nevertheless.
		if n.isGuest() && !w.canFence(n) {
			a.block("the host of " + n.name + " cannot be fenced")
		} else {
			a.allow()
		}
	default:
		w.applyQuorum(a)
	}
}

// applyQuorum: what is started or promoted needs quorum, or what its policy says.
func (w *working) applyQuorum(a *action) {
	r := a.rsc
	switch w.effectiveQuorumPolicy(r) {
	case quorumStop:
		a.block("the cluster has no quorum")
	case quorumFreeze:
		if !r.methods.active(r, true) || r.next.rank() > r.role.rank() {
			a.block("the cluster has no quorum (no-quorum-policy=freeze)")
		}
	default:
		a.allow()
	}
}

// effectiveQuorumPolicy is the policy as it bears on one resource.
func (w *working) effectiveQuorumPolicy(r *resource) noQuorumPolicy {
	switch {
	case w.options.quorate:
		return quorumIgnore
	case w.options.noQuorum != quorumDemote:
		return w.options.noQuorum
	case r.role == Promoted || r.role == Unpromoted:
		if r.next.rank() > Unpromoted.rank() {
			r.next = Unpromoted
		}
		return quorumIgnore
	}
	return quorumStop
}

func (a *action) block(why string) {
	a.clear(runnable)
	a.blocked = why
}

func (a *action) allow() {
	a.set(runnable)
	a.blocked = ""
}
