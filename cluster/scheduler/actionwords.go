package scheduler

// title names an action in a sentence.
func (a *action) title() string {
	task := a.task
	switch {
	case task == taskMonitor && a.interval == 0:
		task = "probe"
	case task == taskMonitor:
		task = "monitor every " + interval(a.interval)
	case task == taskFence:
		task = "fencing"
	}
	if a.rsc != nil {
		task += " of " + a.rsc.id
	}
	if a.node != nil {
		task += " on " + a.node.name
	}
	return task
}

// words says why an action is there: what was said when it was made, else why
// the action that forced it is there.
func (a *action) words() string {
	if a.reason != "" {
		return a.reason
	}
	seen := map[*action]bool{a: true}
	for c := a.cause; c != nil && !seen[c]; c = c.cause {
		seen[c] = true
		if c.is(pseudo) && c.reason == "" && c.cause != nil {
			continue
		}
		if c.reason != "" {
			return "because of the " + c.title() + ": " + c.reason
		}
		return "because of the " + c.title()
	}
	if a.is(pseudo) {
		return ""
	}
	return a.standing()
}

// whyNot says why an action cannot happen: what was found out about itself, or
// about the first of those that it waits for.
func (w *working) whyNot(a *action) string {
	root := a
	for seen := map[*action]bool{}; root.blocked == "" && root.barrier != nil && !seen[root]; root = root.barrier {
		seen[root] = true
	}
	switch {
	case root == a:
		return a.blocked
	case root.rsc != nil && root.rsc.variant == primitive && root.rsc.chosen == nil && root.task != taskStop:
		return root.rsc.id + " comes first, and runs nowhere" + colon(w.whyNowhere(root.rsc))
	case root.blocked == "":
		return "the " + root.title() + " comes first, and cannot happen"
	}
	return "the " + root.title() + " comes first, and " + root.blocked
}

// standing is the reason of what is there as a matter of course.
func (a *action) standing() string {
	switch {
	case a.rsc == nil:
		return a.title()
	case a.task == taskMonitor && a.interval == 0:
		return "what " + a.rsc.id + " is on " + a.node.name + " is not known"
	case a.task == taskMonitor:
		return a.rsc.id + " is watched every " + interval(a.interval)
	}
	return "the " + a.title() + " is part of the way of " + a.rsc.id + " to the role " + string(a.rsc.next)
}
