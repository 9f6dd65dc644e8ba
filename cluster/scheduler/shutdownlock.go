package scheduler

import (
	"strconv"
	"time"
)

// metaShutdownLock is what a stop carries that keeps its resource for the node: the
// time of the lock, in seconds since the epoch. Whoever records the stop sets it as
// an attribute of the resource's history (shutdown-lock).
const metaShutdownLock = "shutdown_lock"

// lockToNode keeps a primitive for the node that ran it when it was shut down
// cleanly (shutdown-lock): no other node may run it until that is back, or the
// lock has expired. Fence devices and remote connections are never locked.
func (primitiveMethods) lockToNode(w *working, r *resource) {
	if r.standard == "stonith" || r.isRemoteConn && r.container == nil {
		return
	}
	if r.shutdownLocked != nil && len(r.running) > 0 {
		// Somebody started it elsewhere: leave it there.
		w.forgetAction(r, r.shutdownLocked, r.id+" is active elsewhere, so that it is not kept for "+r.shutdownLocked.name+" any more")
		r.shutdownLocked, r.lockedSince = nil, time.Time{}
	} else if r.shutdownLocked == nil && len(r.running) == 1 && r.running[0].shutdown && !r.running[0].unclean {
		r.shutdownLocked, r.lockedSince = r.running[0], w.shutdownTime(r.running[0])
	}
	if r.shutdownLocked == nil {
		return
	}
	if limit := w.options.shutdownLockLimit; limit > 0 {
		w.recheckAt(r.lockedSince.Add(time.Duration(limit)*time.Millisecond + time.Second))
	}
	why := func() string {
		return r.id + " is kept for " + r.shutdownLocked.name + ", which was shut down while it ran there (shutdown-lock)"
	}
	for _, n := range w.nodes {
		if n != r.shutdownLocked {
			r.prefer(n, -Infinity, TermLocation, "shutdown-lock", why)
		}
	}
}

// shutdownTime is when the node was asked to leave.
func (w *working) shutdownTime(n *node) time.Time {
	if t, err := strconv.ParseInt(n.attrs["shutdown"], 10, 64); err == nil && t != 0 {
		return time.Unix(t, 0)
	}
	return w.now
}

func (groupMethods) lockToNode(w *working, r *resource) {
	for _, m := range r.children {
		m.methods.lockToNode(w, m)
	}
}

// lockToNode does nothing: where the instances of clones and bundles are is not kept.
func (cloneMethods) lockToNode(*working, *resource) {}

// lockToNode does nothing, as for clones.
func (bundleMethods) lockToNode(*working, *resource) {}
