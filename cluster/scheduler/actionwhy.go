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
	case r.chosen != nil && r.chosen != n && len(r.running) == 1:
		return r.id + " moves from " + n.name + " to " + r.chosen.name
	case r.failed:
		return r.lastFailure() + " and has to be recovered"
	case r.blocked:
		return r.id + " is blocked" + in(r.blockedWhy)
	case len(r.running) > 1:
		return r.id + " is active on several nodes (" + names(r.running) + ")"
	case r.metaOf("target-role") == string(Stopped):
		return "the target-role of " + r.id + " is Stopped"
	case r.chosen == nil:
		return "no node may run " + r.id + in(n.whyUnavailable())
	}
	return r.id + " has to restart"
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
		return r.id + " moves from " + names(r.running) + " to " + n.name
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
	return r.id + " should be promoted on " + n.name
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
	return r.id + " should not be promoted any more on " + n.name
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
