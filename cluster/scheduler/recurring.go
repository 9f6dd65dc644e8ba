package scheduler

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// recurring notes which recurring operations run on the node.
func (h *history) recurring(ops []opResult) {
	start, stop := lifetimes(ops)
	if !h.m.status.online {
		return
	}
	for i := range ops {
		o := &ops[i]
		if o.interval <= 0 || o.status == opCancelled || o.status == opPending || o.failure || o.forgotten {
			continue
		}
		if start < stop && i <= stop || i < start {
			continue
		}
		if h.r.active == nil {
			h.r.active = map[recurringKey]*opResult{}
		}
		h.r.active[recurringKey{h.m.index, o.task, o.interval}] = o
	}
}

// lifetimes returns where the last start and the last stop are, -1 if nowhere.
func lifetimes(ops []opResult) (start, stop int) {
	start, stop = -1, -1
	implied := -1
	for i := range ops {
		o := &ops[i]
		switch {
		case o.task == "stop" && o.status == opDone && o.rc == rcOK:
			stop = i
		case o.task == "start", o.task == "migrate_from":
			start = i
		case implied <= stop && o.task == "monitor" && (o.rc == rcOK || o.rc == rcPromoted):
			implied = i
		}
	}
	if start == -1 {
		start = implied
	}
	return start, stop
}

// compare looks for operations that ran with other parameters than are
// configured now, and for recurring ones that are not configured any more.
func (h *history) compare(ops []opResult) {
	r, m := h.r, h.m
	if !m.status.online || r.orphan || r.variant != primitive {
		return
	}
	start, stop := lifetimes(ops)
	for i := range ops {
		o := &ops[i]
		if start < stop && i <= stop || i < start || o.status == opPending {
			continue
		}
		switch {
		case o.interval > 0:
			h.compareRecurring(o)
		case o.task == "start", o.task == "migrate_from", o.task == "monitor" && start < 0:
			if r.runs(m) && h.changed(o, 0) {
				r.restart = "the parameters of " + r.id + " changed"
				if o.digest == RestartAsked {
					r.restart = "somebody asked for a restart of " + r.id
				}
			}
		}
	}
}

func (h *history) compareRecurring(o *opResult) {
	r, m := h.r, h.m
	if r.maintenance || m.status.maintenance {
		h.w.cancel(r, m, o.task, o.interval, r.id+" is in maintenance")
		return
	}
	if d := r.findOp(o.task, o.interval); d == nil || !d.enabled {
		if h.w.options.stopOrphanOps {
			h.w.cancel(r, m, o.task, o.interval, "no such operation is configured any more")
		}
		return
	}
	if r.runs(m) && !o.failure && h.changed(o, o.interval) {
		delete(r.active, recurringKey{m.index, o.task, o.interval})
	}
}

// changed reports whether the digest of the result's parameters is another
// than that of the configured ones. History of others includes the time-out of
// recurring operations.
func (h *history) changed(o *opResult, interval int64) bool {
	if o.digest == "" {
		return false
	}
	meta, d := h.w.opSettings(h.r, o.task, interval)
	params := h.w.opParams(h.r, d, h.m)
	for _, value := range params {
		if value != "" && strings.Trim(value, "*") == "" {
			return false // a secret was blotted out of this copy: nothing can be said
		}
	}
	if ParamsDigest(params) == o.digest {
		return false
	}
	if interval > 0 {
		params = maps.Clone(params)
		params["CRM_meta_timeout"] = strconv.FormatInt(timeoutOf(meta), 10)
		return ParamsDigest(params) != o.digest
	}
	return true
}

func (w *working) cancel(r *resource, m *member, task string, interval int64, why string) *action {
	if a := r.findInterval("cancel", interval, m); a != nil && a.cancelled == task {
		return a
	}
	a := w.newAction(r, "cancel", interval, m)
	a.optional, a.reason = false, why
	a.cancelled = task
	delete(r.active, recurringKey{m.index, task, interval})
	return a
}

// createRecurring makes the monitors of a resource that will run on m.
func (w *working) createRecurring(r *resource) {
	if r.maintenance {
		return
	}
	for _, d := range r.ops {
		if d.interval <= 0 || !d.enabled || d.name == "start" || d.name == "stop" {
			continue
		}
		if d.role == Stopped {
			w.createStoppedMonitors(r, d)
			continue
		}
		if r.node == nil || r.next == Stopped || r.node.status.maintenance || d.role == Promoted || d.role == Unpromoted {
			continue
		}
		w.createMonitor(r, d)
	}
}

func (w *working) createMonitor(r *resource, d *opDef) {
	_, running := r.active[recurringKey{r.node.index, d.name, d.interval}]
	a := w.newAction(r, d.name, d.interval, r.node)
	a.def = d
	a.optional = running && r.runs(r.node)
	a.reason = r.id + " is to be monitored while it runs"
	a.runnable = a.runnable && r.node.status.online
	if start := r.find("start", r.node); start != nil {
		w.order(start, a, firstForcesThen|thenNeedsFirst)
	}
}

// createStoppedMonitors makes the monitors that see to it that the resource
// does not run where it should not.
func (w *working) createStoppedMonitors(r *resource, d *opDef) {
	for _, m := range w.nodes {
		_, running := r.active[recurringKey{m.index, d.name, d.interval}]
		if m == r.node && r.next != Stopped {
			if running {
				c := w.cancel(r, m, d.name, d.interval, r.id+" is to run on "+m.name)
				if start := r.find("start", m); start != nil {
					w.order(c, start, onlyOrder)
				}
			}
			continue
		}
		if !m.status.online || m.status.unclean || m.status.pending || m.status.maintenance {
			continue
		}
		a := w.newAction(r, d.name, d.interval, m)
		a.def, a.target, a.optional = d, rcNotRunning, running
		a.reason = fmt.Sprintf("%s must not run on %s", r.id, m.name)
		if probe := r.findInterval("monitor", 0, m); probe != nil {
			w.order(probe, a, thenNeedsFirst)
		}
		if stop := r.find("stop", m); stop != nil {
			w.order(stop, a, firstForcesThen|thenNeedsFirst)
		}
	}
}
