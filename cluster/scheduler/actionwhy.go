package scheduler

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// because keeps why a necessary action is there, unless something said it before.
func (a *action) because(why func() string) {
	if a.reason == "" && !a.is(optional) {
		a.reason = why()
	}
}

// whyStop says why a resource is stopped on a node.
func (w *working) whyStop(r *resource, n *node) string {
	switch {
	case r.orphan:
		return r.id + " is not configured any more"
	case r.restarting && r.stopUnexpected:
		return r.id + " is active on several nodes (" + names(r.running) + ") and only stays on one"
	case r.chosen != nil && len(r.running) > 1:
		return r.id + " is active on several nodes (" + names(r.running) + ")"
	case r.chosen != nil && r.chosen != n:
		return r.id + " moves from " + n.name + " to " + r.chosen.name + colon(w.whyLeave(r, n))
	case r.failed && r.next != Stopped:
		return r.lastFailure() + " and has to be recovered"
	case r.blocked:
		return r.id + " is blocked" + in(r.blockedWhy)
	case r.chosen == nil:
		return r.id + " is stopped" + colon(w.whyNowhere(r))
	case r.next == Stopped:
		return r.id + " is stopped" + colon(firstOf(r.stoppedWhy, r.waits))
	}
	if start := r.latest(taskStart, r.chosen); start != nil && !start.is(optional) && start.reason != "" {
		return r.id + " restarts: " + start.reason
	}
	return r.id + " has to restart"
}

// whyLeave is what keeps a resource from the node that it leaves, else what
// speaks most for the node where it goes; "" if that is nothing in particular.
func (w *working) whyLeave(r *resource, from *node) string {
	if why := from.whyUnavailable(); why != "" {
		return why
	}
	if t := r.vetoOn(from); t != nil {
		return t.why()
	}
	var best *term
	for i := range r.terms {
		if t := &r.terms[i]; t.node == r.chosen && t.score > 0 && t.why != nil && (best == nil || t.score > best.score) {
			best = t
		}
	}
	if best == nil {
		return ""
	}
	return best.why()
}

// vetoOn is the last term that rules a node out, nil if none does.
func (r *resource) vetoOn(n *node) *term { return r.vetoAmong(n, len(r.terms)) }

// vetoAmong is vetoOn among the first terms.
func (r *resource) vetoAmong(n *node, first int) *term {
	for i := min(first, len(r.terms)) - 1; i >= 0; i-- {
		if t := &r.terms[i]; t.score <= -Infinity && (t.node == n || t.node == nil) && t.why != nil {
			return t
		}
	}
	return nil
}

// whyStart says why a resource is started on a node.
func (w *working) whyStart(r *resource, n *node) string {
	switch {
	case len(r.running) == 0:
		if lost := w.lostOn(r); lost != nil {
			return lost.name + " is gone: " + r.id + " moves to " + n.name
		}
		return r.id + " runs nowhere: it starts on " + n.name
	case !r.runs(n):
		return r.id + " moves from " + names(r.running) + " to " + n.name + colon(w.whyLeave(r, r.running[0]))
	case r.failed:
		return r.lastFailure() + " and is recovered"
	}
	return r.id + " restarts"
}

// lastFailure names the failure that counts.
func (r *resource) lastFailure() string { return firstOf(r.failure, r.id+" failed") }

// lostOn is the node that the resource was last heard of on and that is gone.
func (w *working) lostOn(r *resource) *node {
	for _, n := range w.nodes {
		if n.online || n.state == nil {
			continue
		}
		var last *cib.Node
		for op := range w.historyOf(r, n).Elements {
			if op.Attr("interval") == "0" && (last == nil || atoi(op.Attr("call-id")) > atoi(last.Attr("call-id"))) {
				last = op
			}
		}
		if task := last.Attr("operation"); last.Attr("rc-code") == "0" && task != taskStop && task != taskDelete {
			return n
		}
	}
	return nil
}

// whyPromote says why an instance is promoted.
func (w *working) whyPromote(r *resource, n *node) string {
	if r.role == Promoted && r.failed {
		return r.lastFailure() + " and is promoted again"
	}
	text := r.id + " should be promoted on " + n.name
	if i := r.instance(); i != nil && i.sortIndex > 0 {
		text += ": its promotion score is " + i.sortIndex.String()
	}
	return text
}

// whyDemote says why an instance is demoted.
func (w *working) whyDemote(r *resource, n *node) string {
	switch {
	case r.failed:
		return r.lastFailure() + " and is demoted to recover"
	case r.next == Stopped:
		return r.id + " has to stop on " + n.name + ", and is demoted before"
	case r.next == Promoted:
		return r.id + " restarts, and is demoted before"
	}
	text := r.id + " should not be promoted any more on " + n.name
	if r.unpromotedWhy != nil {
		text += ": " + r.unpromotedWhy()
	}
	return text
}

// instance is the instance of a clone that a primitive is, or is part of; nil
// outside clones.
func (r *resource) instance() *resource {
	for ; r.parent != nil; r = r.parent {
		if r.parent.variant == clone {
			return r
		}
	}
	return nil
}

// in adds a detail in brackets.
func in(detail string) string {
	if detail == "" {
		return ""
	}
	return " (" + detail + ")"
}

func names(nodes []*node) string {
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = n.name
	}
	return strings.Join(list, ", ")
}
