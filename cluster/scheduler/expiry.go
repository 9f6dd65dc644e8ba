package scheduler

import (
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// checkExpiry decides whether a result is so old that it does not count any
// more (failure-timeout), and forgets the resource's failures where they
// expired, or are of parameters that changed since.
func (h *replay) checkExpiry(o *result) bool {
	if o.status == statusNotInstalled {
		return false // an agent does not come back by itself
	}
	w, r, n := h.w, h.rsc, h.node
	lastFailure := strings.HasSuffix(o.xml.ID(), "_last_failure_0")
	expired, unexpired := h.isOld(o, lastFailure)
	why := ""
	if expired {
		if count, _ := w.failCountFor(r, n, false, false, o.xml); count != 0 {
			if unexpired == 0 {
				why = "the failure expired (failure-timeout)"
			} else {
				expired = false // there was a later failure
			}
		} else if lastFailure && r.reconnect > 0 {
			why = "the next attempt to connect is due (reconnect_interval)"
		}
	}
	if !expired && lastFailure && h.changedSince(o) {
		why = "the parameters of " + r.id + " changed since it failed"
	}
	if why != "" {
		forget := w.clearFailures(r, n, why)
		if m := w.nodeByName[r.id]; w.options.fencing && r.reconnect > 0 && m != nil {
			w.order(w.fenceAction(m, "", true, "", false), forget, firstForcesThen)
		}
	}
	if expired && isProbe(o.task, o.interval) {
		switch o.exit {
		case exitOK, exitNotRunning, exitPromoted, exitDegraded, exitDegradedPromoted:
			return false // what is there is still there
		}
	}
	return expired
}

// isOld reports whether the result is older than failures live, and what
// number of failures has not expired.
func (h *replay) isOld(o *result, lastFailure bool) (old bool, unexpired Score) {
	w, r := h.w, h.rsc
	at, recorded := o.xml.Lookup("last-rc-change")
	if r.failureTimeout == 0 || !recorded || at == "" {
		return false, 0
	}
	life := r.failureTimeout / 1000
	expires := number(o.xml, "last-rc-change", 0) + life
	old = w.now.Unix() >= expires && !h.waitsForFencing(o)
	w.changesAt(r, time.Unix(expires, 0))
	unexpired, last := w.failCountFor(r, h.node, true, false, o.xml)
	if unexpired != 0 && !last.IsZero() {
		again := last.Add(time.Duration(r.failureTimeout)*time.Millisecond + time.Second)
		w.recheckAt(again)
		w.changesAt(r, again)
		if again.After(w.now) && (r.recheck.IsZero() || again.Before(r.recheck)) {
			r.recheck = again
		}
	}
	return old, unexpired
}

// waitsForFencing: the failed monitor of a connection that is tried again after
// a while does not expire before the node was fenced.
func (h *replay) waitsForFencing(o *result) bool {
	if h.rsc.reconnect == 0 || !h.w.options.fencing || o.interval == 0 || o.task != taskMonitor {
		return false
	}
	m := h.w.nodeByName[h.rsc.id]
	return m != nil && !m.remoteFenced
}

// changedSince reports whether the configured parameters are not those that
// failed. For what is only known when its node is, the comparison waits.
func (h *replay) changedSince(o *result) bool {
	w, r := h.w, h.rsc
	if o.task != taskStart && o.task != taskMonitor {
		return false
	}
	if w.needsRemoteName(r) {
		w.paramChecks = append(w.paramChecks, paramCheck{op: o.xml, rsc: r, node: h.node, kind: checkLastFailure})
		return false
	}
	v := w.compareDigests(o.xml, r, h.node).verdict
	return v == digestAll || v == digestRestart
}

// expire notes that the recorded failure of a recurring operation expired, so
// that the operation begins anew.
func (w *working) expire(op *cib.Node) {
	if w.expiredOps == nil {
		w.expiredOps = map[*cib.Node]bool{}
	}
	w.expiredOps[op] = true
}
