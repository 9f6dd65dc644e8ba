package scheduler

import "strings"

// A chain of causes leads from an action that was forced to the one that is
// there for its own sake:
//
//	stop ip ◀─ start ip ◀─ start db (its parameters changed)
//
// "ip restarts because it starts after db, which restarts: a parameter of db changed".

// causeHop is where a chain goes over from one resource (or node) to the next.
type causeHop struct {
	from, to *action
}

// forcedWords follows the causes of an action and puts them in words; "" if
// they lead to nothing that could be said.
func (w *working) forcedWords(a *action) string {
	if a.task == taskMonitor && a.rsc != nil && a.interval > 0 {
		return "" // with a start it begins anew: a matter of course
	}
	hops, root := a.causes()
	why := w.rootWords(a, root)
	if a.rsc == nil {
		return why
	}
	if len(hops) == 0 {
		return w.ownCause(a, root, why)
	}
	text := a.rsc.id + " " + a.does() + " because it " + hops[0].relation()
	last := hops[len(hops)-1].to
	if len(hops) > 1 {
		text += ", which " + hops[len(hops)-1].dependence() + " " + last.thing()
	}
	return text + w.tail(last, why)
}

// rootWords says why the first of a chain of causes is there, or why it cannot be.
func (w *working) rootWords(a, root *action) string {
	switch {
	case root.reason != "":
		return root.reason
	case root == a:
		return ""
	case !root.is(runnable):
		return w.whyNot(root)
	case !root.is(pseudo):
		return w.standing(root)
	}
	// A point in the order sums up what comes before it.
	if part := root.part(map[*action]bool{}); part != nil {
		return w.words(part)
	}
	return ""
}

// part is a real action within the same collection that has to happen before a
// point in the order, nil if there is none.
func (a *action) part(seen map[*action]bool) *action {
	seen[a] = true
	for _, in := range a.before {
		b := in.action
		if seen[b] || b.rsc == nil || !b.sameThing(a) || b.is(optional) {
			continue
		}
		if !b.is(pseudo) {
			if b.reason != "" {
				return b
			}
			continue
		}
		if found := b.part(seen); found != nil {
			return found
		}
	}
	return nil
}

// ownCause is about a cause within the same resource.
func (w *working) ownCause(a, root *action, why string) string {
	id := a.rsc.id
	switch {
	case root == a || why == "":
		return ""
	case strings.HasPrefix(why, id+" "):
		return why
	case !root.is(runnable) && a.task == taskStop && root.task != taskStop:
		return id + " stops because it may not start again now: " + why
	}
	return id + " " + a.does() + ": " + why
}

// tail tells why the last of a chain does what it does.
func (w *working) tail(last *action, why string) string {
	switch thing := last.thing(); {
	case why == "":
		return ""
	case strings.HasPrefix(why, thing+" "):
		return ", which " + strings.TrimPrefix(why, thing+" ")
	case last.rsc != nil && last.rsc.variant == primitive && last.does() == "restarts":
		return ", which restarts: " + why
	}
	return ": " + why
}

// causes walks to the root of a chain, and notes where it changes the resource.
// A circle ends at what cannot happen: the rest of it is the consequence.
func (a *action) causes() (hops []causeHop, root *action) {
	root = a
	spoken := a // the last action of what was spoken of
	seen := map[*action]bool{a: true}
	for root.reason == "" && root.cause != nil && !seen[root.cause] && (root == a || root.is(runnable) || root.rsc == nil) {
		next := root.cause
		seen[next] = true
		root = next
		switch {
		case next.rsc == nil && next.is(pseudo):
		case !next.sameThing(spoken):
			hops = append(hops, causeHop{spoken, next})
			spoken = next
		case next.rsc != nil && next.rsc.variant == primitive:
			spoken = next
		}
	}
	return hops, root
}

// sameThing: a collection and what it holds are one.
func (a *action) sameThing(b *action) bool {
	if a.rsc == nil || b.rsc == nil {
		return a.rsc == b.rsc && a.node == b.node
	}
	return a.rsc == b.rsc || isAncestor(a.rsc, b.rsc) || isAncestor(b.rsc, a.rsc)
}

// thing is what an action is about.
func (a *action) thing() string {
	switch {
	case a.rsc != nil:
		return a.rsc.id
	case a.node != nil:
		return a.node.name
	}
	return a.key
}

// does says in a word what happens to the resource of an action.
func (a *action) does() string {
	r := a.rsc
	if r == nil {
		return "is fenced"
	}
	switch task := atomic(a.task); task {
	case taskStart, taskStop:
		stop, start := r.latest(taskStop, nil), r.latest(taskStart, nil)
		if stop.happens() && start.happens() {
			if r.chosen != nil && len(r.running) > 0 && !r.runs(r.chosen) {
				return "moves"
			}
			return "restarts"
		}
		return task + "s"
	case taskPromote:
		return "is promoted"
	case taskDemote:
		return "is demoted"
	case taskMigrateTo, taskMigrateFrom:
		return "migrates"
	case taskNotify:
		return "is notified"
	}
	return "has its " + a.task
}

func (a *action) happens() bool { return a != nil && !a.is(optional) && a.is(runnable) }

// relation is how the first of a hop hangs on the second: "starts after db".
func (h causeHop) relation() string {
	if h.to.rsc == nil {
		if h.to.node == nil {
			return "waits for the " + h.to.title()
		}
		if h.to.detail == "on" {
			return "waits until " + h.to.node.name + " is unfenced"
		}
		return "waits until " + h.to.node.name + " is fenced"
	}
	mine, its := stem(h.from.task), stem(h.to.about())
	word := "before"
	if h.from.comesAfter(h.to) {
		word = "after"
	}
	text := mine + " " + word + " " + h.to.rsc.id
	if mine != its {
		text += " " + its
	}
	return text
}

// about is the task of an action, or the one that a point around notifications
// is about ("confirmed-post_notify_promoted").
func (a *action) about() string {
	if _, task, ok := strings.Cut(a.key, "_notify_"); ok {
		return task
	}
	return a.task
}

// dependence is relation without a subject of its own.
func (h causeHop) dependence() string {
	if h.to.rsc == nil || h.from.comesAfter(h.to) {
		return "depends on"
	}
	return "comes before"
}

// comesAfter: the collections around count, too.
func (a *action) comesAfter(b *action) bool {
	for _, in := range a.before {
		if in.action.rsc != nil && !in.action.sameThing(a) && in.action.sameThing(b) && atomic(in.action.task) == atomic(b.task) {
			return true
		}
	}
	return atomic(a.task) != taskStop && atomic(a.task) != taskDemote && !b.comesAfterDirectly(a)
}

func (a *action) comesAfterDirectly(b *action) bool {
	for _, in := range a.before {
		if in.action == b {
			return true
		}
	}
	return false
}

// stem is a task as "it" does it.
func stem(task string) string {
	switch t := atomic(task); t {
	case taskStart, taskStop:
		return t + "s"
	case taskNotify, taskNotified:
		return "is told"
	case taskPromote:
		return "is promoted"
	case taskDemote:
		return "is demoted"
	case taskMigrateTo, taskMigrateFrom:
		return "migrates"
	case taskMonitor:
		return "is watched"
	}
	return "has its " + task
}
