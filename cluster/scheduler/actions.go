package scheduler

import "fmt"

// createActions makes the actions that bring each resource from where it is to
// where it should be. Actions that are needed only if something else changes
// are optional.
func (w *working) createActions() {
	for _, r := range w.top {
		if r.variant == group {
			w.createGroupActions(r)
		}
	}
	for _, r := range w.flat {
		w.createPrimitiveActions(r)
	}
}

func (w *working) createGroupActions(g *resource) {
	for _, task := range []string{"start", "running", "stop", "stopped"} {
		a := w.newAction(g, task, 0, nil)
		a.kind, a.runnable = Pseudo, true
	}
}

func (w *working) createPrimitiveActions(r *resource) {
	stay := r.next != Stopped && r.node != nil
	for _, m := range r.running {
		w.createStop(r, m, w.needsStop(r, m, stay), stay)
	}
	if stay && !(r.blocked) {
		w.createStart(r)
	}
	w.createRecurring(r)
	if r.orphan && r.managed {
		w.forgetOrphan(r)
	}
}

// needsStop says why the resource has to stop on a node where it runs; "" if
// it need not.
func (w *working) needsStop(r *resource, m *member, stay bool) string {
	switch {
	case !stay:
		return w.stopReason(r, m)
	case len(r.running) > 1:
		if r.multiple == "stop_unexpected" && m == r.node {
			return ""
		}
		return fmt.Sprintf("%s is active on %d nodes: it is stopped on all and started on %s", r.id, len(r.running), r.node.name)
	case m != r.node:
		return w.moveReason(r, m)
	case r.failed:
		return r.failure + ": restart"
	case r.restart != "":
		return r.restart + ": restart"
	}
	return ""
}

func (w *working) stopReason(r *resource, m *member) string {
	switch {
	case r.orphan:
		return r.id + " is not configured any more"
	case r.targetRole == Stopped && r.failure != "" && readRole(r.meta["target-role"]) != Stopped:
		return r.failure + ": on-fail=stop"
	case r.targetRole == Stopped:
		return "target-role of " + r.id + " is Stopped"
	case r.waits != "":
		return r.waits
	case !m.usable() && m.status.why != "":
		return m.name + " " + m.status.why + ", and no other node can run " + r.id
	}
	return "no node can run " + r.id + ": " + w.nowhere(r)
}

func (w *working) moveReason(r *resource, m *member) string {
	to := fmt.Sprintf(": %s moves to %s", r.id, r.node.name)
	switch {
	case r.failed:
		return r.failure + to
	case !m.usable():
		return m.name + " " + m.status.why + to
	}
	if d := w.deciding(r, m, false); d != "" {
		return d + to
	}
	if d := w.deciding(r, r.node, true); d != "" {
		return d + to
	}
	return fmt.Sprintf("%s has fewer resources than %s%s", r.node.name, m.name, to)
}

func (w *working) createStop(r *resource, m *member, why string, stay bool) {
	a := w.newAction(r, "stop", 0, m)
	a.def = r.findOp("stop", 0)
	a.optional = why == "" || !r.managed
	a.reason = why
	a.runnable = m.status.online && !m.status.unclean && r.managed
	if !a.runnable {
		a.blocked = m.name + " is not there"
		if !r.managed {
			a.blocked = r.id + " is not managed"
		}
	}
}

func (w *working) createStart(r *resource) {
	a := w.newAction(r, "start", 0, r.node)
	a.def = r.findOp("start", 0)
	a.optional = r.role != Stopped && r.runs(r.node) && len(r.running) == 1 && !r.failed && r.restart == "" || !r.managed
	if len(r.running) > 1 && r.multiple == "stop_unexpected" && r.runs(r.node) {
		a.kind, a.optional = Pseudo, !r.managed // it runs there already
	}
	a.reason = w.startReason(r)
	if !w.options.quorate && w.options.noQuorum != "freeze" && w.requires(r) != "nothing" {
		a.runnable, a.blocked = false, "the cluster has no quorum"
	}
	if !w.options.quorate && w.options.noQuorum == "freeze" && r.role == Stopped {
		a.runnable, a.blocked = false, "the cluster has no quorum"
	}
	if r.waits != "" {
		a.runnable, a.blocked = false, r.id+" "+r.waits
	}
}

// requires is what a start of the resource needs of the cluster.
func (w *working) requires(r *resource) string {
	if v := r.meta["requires"]; v != "" {
		return v
	}
	if r.class == "stonith" {
		return "nothing"
	}
	return "quorum"
}

func (w *working) startReason(r *resource) string {
	from := r.current()
	switch {
	case from == nil:
		return w.firstStart(r)
	case len(r.running) > 1:
		return fmt.Sprintf("%s was active on more than one node: it is started on %s", r.id, r.node.name)
	case from != r.node:
		return w.moveReason(r, from)
	case r.failed:
		return r.failure + ": restart"
	case r.restart != "":
		return r.restart + ": restart"
	}
	return ""
}

func (w *working) firstStart(r *resource) string {
	text := fmt.Sprintf("%s runs nowhere: it starts on %s", r.id, r.node.name)
	if d := w.deciding(r, r.node, true); d != "" {
		text += " (" + d + ")"
	}
	for _, m := range w.nodes {
		if !m.status.online && m.state.Path("lrm", "lrm_resources").ChildByID("lrm_resource", r.id) != nil {
			return fmt.Sprintf("%s is gone: %s moves to %s", m.name, r.id, r.node.name)
		}
	}
	return text
}

// forgetOrphan drops the history of a resource that is not configured any more.
func (w *working) forgetOrphan(r *resource) {
	for _, m := range w.nodes {
		if !r.known[m.index] || !m.status.online {
			continue
		}
		a := w.newAction(r, "lrm_delete", 0, m)
		a.kind, a.optional, a.reason = Cluster, false, r.id+" is not configured any more"
		if stop := r.find("stop", m); stop != nil {
			w.order(stop, a, thenNeedsFirst)
		}
	}
}
