package scheduler

// judge decides what a result means: neither a monitor that finds the resource
// degraded has failed, nor a probe that finds what nobody expected, and an
// agent's complaint says how far the failure reaches.
func (h *replay) judge(o *result) {
	if o.task == taskMonitor {
		switch o.exit {
		case exitDegraded:
			o.exit = exitOK
		case exitDegradedPromoted:
			o.exit = exitPromoted
		}
	}
	if !h.rsc.isBundled() && o.masked && (o.status != statusDone || o.exit != exitNotRunning) {
		o.status, o.exit = statusDone, exitNotRunning
	}
	switch o.status {
	case statusDone, statusError:
	case statusNoDevice, statusNoSecrets:
		o.status = statusHardError
		return
	default:
		return // the executor knows best
	}
	if o.expected >= 0 {
		o.status = statusError
		if o.exit == o.expected {
			o.status = statusDone
		}
	}
	h.judgeExit(o)
}

// judgeExit judges the exit code of what ran to its end.
func (h *replay) judgeExit(o *result) {
	r := h.rsc
	probe := isProbe(o.task, o.interval)
	switch o.exit {
	case exitOK:
		if probe && o.expected == exitNotRunning {
			o.status = statusDone
		}
	case exitNotRunning:
		if probe || o.expected == o.exit || !r.managed {
			o.status = statusDone
			r.role, r.next = Stopped, ""
			h.onFail = onFailIgnore
		}
	case exitPromoted, exitDegradedPromoted:
		if probe && o.exit != o.expected {
			o.status = statusDone
		}
		r.role = Promoted // even if that is so long ago that the failure is forgotten
	case exitFailedPromoted:
		r.role = Promoted
		o.status = statusError
	case exitNotConfigured:
		o.status = statusFatalError
	case exitUnimplemented:
		if o.interval > 0 {
			o.status = statusNotSupported
			return
		}
		h.judgeHard(o)
	case exitNotInstalled, exitInvalidParam, exitPermission:
		h.judgeHard(o)
	default:
		if o.status == statusDone {
			o.status = statusError
		}
	}
}

// judgeHard: the resource cannot run on this node. If it cannot even be stopped
// there, and the node cannot be fenced, nothing more can be done.
func (h *replay) judgeHard(o *result) {
	if o.task == taskStop && !h.w.canFence(h.node) {
		h.rsc.managed, h.rsc.blocked = false, true
		h.rsc.blockedWhy = firstOf(h.rsc.blockedWhy, failureText(h.rsc, h.node, o)+", and "+h.node.name+" cannot be fenced")
	}
	o.status = statusHardError
}
