package scheduler

import (
	"slices"
	"strconv"
	"strings"
)

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

// words says why an action is there: what was said when it was made, else what
// forced it (causewords.go), else that it is there as a matter of course.
func (w *working) words(a *action) string {
	switch {
	case a.reason != "":
		return a.reason
	case a.cause != nil:
		if text := w.forcedWords(a); text != "" {
			return text
		}
	}
	if a.is(pseudo) {
		return ""
	}
	return w.standing(a)
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
	case root.is(needsAny):
		return root.tooFew()
	case root.blocked == "":
		return "the " + root.title() + " comes first, and cannot happen"
	}
	return "the " + root.title() + " comes first, and " + root.blocked
}

// tooFew says how many of a gate's predecessors have to be and can be.
func (a *action) tooFew() string {
	var list []string
	can := 0
	for _, in := range a.before {
		if in.action.is(runnable) && in.made&oneOrMore != 0 {
			can++
		}
		if r := in.action.rsc; r != nil {
			if name := r.outermost(true).id; !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	text := "of " + strings.Join(list, ", ") + " at least " + strconv.Itoa(max(1, a.minRunnable)) + " must come first, and "
	if can == 0 {
		return text + "none can"
	}
	return text + "only " + strconv.Itoa(can) + " can"
}

// standing is the reason of what is there as a matter of course.
func (w *working) standing(a *action) string {
	r := a.rsc
	switch {
	case r == nil || a.node == nil:
		return a.title()
	case a.task == taskMonitor && a.interval == 0:
		return "it is not known yet whether it runs there"
	case a.task == taskMonitor:
		return r.id + " is watched every " + interval(a.interval)
	case a.task == taskStop:
		return w.whyStop(r, a.node)
	case a.task == taskStart:
		return w.whyStart(r, a.node)
	case a.task == taskPromote:
		return w.whyPromote(r, a.node)
	case a.task == taskDemote:
		return w.whyDemote(r, a.node)
	}
	return "the " + a.title() + " is part of the way of " + r.id + " to the role " + string(r.next)
}
