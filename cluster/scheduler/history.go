package scheduler

import (
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// unpackNodeHistory replays what the status section says was done on a node:
// roles, failures, orphans, pending operations, migrations.
func (w *working) unpackNodeHistory(n *node) {
	entries := n.state.Path("lrm", "lrm_resources")
	filler := false
	for entry := range entries.Elements {
		if entry.Name() == "lrm_resource" && entry.ID() != "" {
			r := w.unpackEntry(n, entry)
			filler = filler || r != nil && r.orphanFiller
		}
	}
	if filler {
		w.adoptFillers(entries)
	}
}

// historyOf finds the resource's history on a node: a lrm_resource element, nil
// if there is none.
func (w *working) historyOf(r *resource, n *node) *cib.Node {
	return n.state.Path("lrm", "lrm_resources").ChildByID("lrm_resource", r.executorName())
}

// unpackEntry replays the history of one resource on one node.
func (w *working) unpackEntry(n *node, entry *cib.Node) *resource {
	recorded := entry.Child("lrm_rsc_op") != nil
	if !recorded && !w.options.shutdownLock {
		return nil
	}
	r := w.ownerOf(n, entry.ID())
	if r == nil {
		if !recorded {
			return nil
		}
		if r = w.orphanOf(entry); r == nil {
			return nil
		}
	}
	if w.options.shutdownLock {
		w.readShutdownLock(r, n, entry)
	}
	ops, start, stop := historyOps(entry)
	before := r.role
	r.role = ""
	h := replay{w: w, rsc: r, node: n}
	for _, op := range ops {
		h.unpack(op)
	}
	w.keepRecurring(r, n, ops, start, stop)
	h.conclude()
	if r.wanted != "" && (r.next == "" || r.wanted.rank() < r.next.rank()) {
		r.next = r.wanted
	}
	if before.rank() > r.role.rank() {
		r.role = before
	}
	return r
}

// readShutdownLock reads that the resource is kept for this node, because it
// ran there when the node was shut down. A lock that has expired goes with the
// history.
func (w *working) readShutdownLock(r *resource, n *node, entry *cib.Node) {
	since := number(entry, "shutdown-lock", 0)
	if since == 0 {
		return
	}
	if limit := w.options.shutdownLockLimit / 1000; limit > 0 && w.now.Unix() > since+limit {
		w.forgetAction(r, n, "it is not kept for "+n.name+" any more (shutdown-lock-limit)")
		return
	}
	r.shutdownLocked, r.lockedSince = n, time.Unix(since, 0)
}

// keepRecurring makes the recurring operations that run on a node, so that
// they go on, or are cancelled.
func (w *working) keepRecurring(r *resource, n *node, ops []*cib.Node, start, stop int) {
	if !n.online {
		return
	}
	for i, op := range ops {
		every := historyInterval(op)
		if start < stop && i <= stop || i < start || every == 0 || op.Attr("op-status") == "-1" || isOwnTask(op.Attr("operation")) {
			continue
		}
		w.action(r, op.Attr("operation"), every, n, true)
	}
}

// replay is the reading of a resource's history on one node.
type replay struct {
	w       *working
	rsc     *resource
	node    *node
	onFail  onFail    // what the failures so far lead to
	failure *cib.Node // the last failed result
}

// conclude draws the conclusions from what was read: is it active, does the
// node have to be fenced, what do the failures lead to.
func (h *replay) conclude() {
	r, n := h.rsc, h.node
	if r.role != "" {
		r.markKnown(n)
	}
	if r.role.rank() > Stopped.rank() && !n.online && !n.maintenance && r.managed {
		h.lostWith()
	}
	what := h.onFail
	if n.unclean {
		what = onFailIgnore // it is fenced, after which the resource may be started anew
	}
	h.apply(what)
	if r.failed && r.isRemoteConn {
		// A connection that failed means fencing whether or not it is made again.
		if m := h.w.nodeByName[r.id]; m != nil && m.unclean {
			m.unseen = false
		}
	}
	switch {
	case r.role != "" && r.role != Stopped:
		h.markActive(what)
	case r.numbered():
		// Histories of old number anonymous instances; what is stopped must not
		// look like an orphan for that.
		r.recorded = ""
	default:
		for _, stop := range r.findAll(taskStop, n) {
			stop.set(optional)
		}
	}
	if r.role == Stopped && r.migrationSource == n && r.migrationTarget != nil && len(r.running) > 0 {
		r.role = Started // a stop on the source does not end what the migration made of the target
	}
}

// numbered reports an instance that the history knows by a number.
func (r *resource) numbered() bool { return r.recorded != "" && baseName(r.recorded) != r.recorded }

// markKnown notes that what the resource is on the node is known. What is known
// of an anonymous instance is known of its clone.
func (r *resource) markKnown(n *node) {
	for ; r != nil; r = r.parent {
		r.setKnown(n)
		if r.unique {
			return
		}
	}
}

// lostWith: a node that is not online has the resource active, as far as is known.
func (h *replay) lostWith() {
	r, n := h.rsc, h.node
	why := r.id + " is thought to be active there"
	switch {
	case n.isGuest():
		// Recovery of the container is what fences a guest, whether or not fencing is enabled.
		r.failed, r.stopWanted = true, true
	case !h.w.options.fencing:
		return
	case n.isRemote() && n.connection != nil && !n.connection.failed:
		// The node is fenced only if the connection cannot be made from elsewhere.
		n.unseen = true
		why = r.id + " is active there, and the connection to it was lost"
	}
	h.w.fenceNode(n, why, false)
}

// markActive notes that the resource runs on the node.
func (h *replay) markActive(what onFail) {
	r := h.rsc
	if r.orphan && !r.managed {
		h.w.warn("resource " + r.id + " is not configured and runs on " + h.node.name +
			": stop it by hand, because stop-orphan-resources is false")
	}
	h.w.addRunning(r, h.node, h.onFail != onFailIgnore)
	switch what {
	case onFailIgnore:
	case onFailDemote, onFailBlock:
		r.failed = true
	default:
		r.failed, r.stopWanted = true, true
	}
}
