package scheduler

import (
	"strings"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
)

// The exit codes that the reading of a history knows by name, besides those of probes.
const (
	exitOK               = int(agent.OK)
	exitInvalidParam     = int(agent.ErrArgs)
	exitUnimplemented    = int(agent.ErrUnimplement)
	exitPermission       = int(agent.ErrPerm)
	exitNotInstalled     = int(agent.ErrInstalled)
	exitNotConfigured    = int(agent.ErrConfigured)
	exitFailedPromoted   = int(agent.FailedPromoted)
	exitDegraded         = int(agent.Degraded)
	exitDegradedPromoted = int(agent.DegradedPromoted)
)

// The states of a recorded operation (op-status).
const (
	statusUnknown      = -2
	statusPending      = -1
	statusDone         = 0
	statusCancelled    = 1
	statusNotSupported = 3
	statusError        = 4
	statusHardError    = 5 // not on this node
	statusFatalError   = 6 // on no node
	statusNotInstalled = 7
	statusNotConnected = 8
	statusNoDevice     = 10
	statusNoSecrets    = 11
)

// result is one recorded result while it is read.
type result struct {
	xml      *cib.Node
	task     string
	interval int64
	status   int
	exit     int
	expected int  // exit code, -1: not known
	masked   bool // see isMasked
}

// readResult reads a recorded result; false if it says nothing about the
// resource, or is malformed.
func readResult(op *cib.Node) (result, bool) {
	o := result{xml: op, task: op.Attr("operation"), interval: historyInterval(op),
		status: int(number(op, "op-status", statusUnknown)), exit: int(number(op, "rc-code", 1))}
	switch {
	case op.ID() == "", o.task == "", o.task == taskNotify, o.task == "meta-data":
		return o, false
	case o.status < statusPending, o.status > statusNoSecrets, o.status == statusCancelled:
		return o, false
	}
	o.masked = o.isMasked()
	if o.exit < 0 || o.exit > 255 {
		o.exit = 1
	}
	o.expected = expectedExit(op)
	return o, true
}

// unpack takes one result into account.
func (h *replay) unpack(op *cib.Node) {
	o, ok := readResult(op)
	if !ok {
		return
	}
	original := o
	expired := h.checkExpiry(&o)
	h.judge(&o)
	if expired && h.forgets(&o, original.exit) {
		return
	}
	if !h.rsc.isBundled() && o.masked {
		h.rsc.failure = failureText(h.rsc, h.node, &original)
		h.succeeded(&o, o.expected)
		h.banHere("cannot run")
		return
	}
	switch o.status {
	case statusPending:
		h.pending(&o)
		return
	case statusDone:
		h.succeeded(&o, o.exit)
		return
	case statusNotInstalled:
		if what, _ := h.onFailOf(&o); what == onFailIgnore {
			h.onFail = onFailBan // nothing can be ignored that is not there
		}
		h.banHere("is not installed")
		h.failed(&o)
		return
	case statusNotConnected:
		if c := h.node.connection; h.node.isRemoteOrGuest() && c != nil && c.managed {
			c.failed, c.stopWanted = true, true
		}
	}
	what, _ := h.onFailOf(&o)
	if what == onFailIgnore || what == onFailRestartContainer && o.task == taskStop {
		h.succeeded(&o, o.expected)
		h.rsc.failureIgnored = true
		if what == onFailRestartContainer && h.onFail <= onFailRestart {
			h.onFail = what
		}
		return
	}
	h.failed(&o)
	switch o.status {
	case statusHardError:
		h.banHere("failed")
	case statusFatalError:
		why := h.rsc.failureReason()
		for _, n := range h.w.nodes {
			h.group().prefer(n, -Infinity, TermFailure, "fatal-error", why)
		}
	}
}

// forgets reports whether an expired result says nothing any more, where it was
// a failure; exit is its exit code before it was judged.
func (h *replay) forgets(o *result, exit int) bool {
	switch {
	case exit != o.expected && !h.rsc.isBundled() && o.masked:
		if h.rsc.role.rank() <= Stopped.rank() {
			h.rsc.role = "" // it has to be probed again
		}
		return true
	case o.exit == o.expected:
		return false
	case o.interval == 0:
		return true
	case h.node.online && !h.node.unclean:
		// The operation has to begin anew, since only changes of its result are reported.
		h.w.expire(o.xml)
		return true
	}
	return false
}

// group is what a hard error or a failed stop bans: of anonymous instances the clone.
func (h *replay) group() *resource {
	if h.rsc.unique {
		return h.rsc
	}
	return h.rsc.outermost(false)
}

func (h *replay) banHere(what string) {
	r, n := h.rsc, h.node
	h.group().prefer(n, -Infinity, TermFailure, "hard-error", func() string {
		return firstOf(r.failure, r.id+" "+what+" on "+n.name)
	})
}

// failureReason is the last failure in words; it is asked for later.
func (r *resource) failureReason() func() string {
	return func() string { return firstOf(r.failure, r.id+" failed") }
}

// unconfigured is the key of operations that have no configuration.
const unconfigured = "(unconfigured)"

// onFailOf is what the failure of the recorded operation leads to. The
// configuration counts if the recorded name is the operation's.
func (h *replay) onFailOf(o *result) (onFail, Role) {
	task := o.task
	if key := recordedKey(o.xml); !strings.EqualFold(key, cib.OpKey(h.rsc.id, task, o.interval)) &&
		!strings.EqualFold(key, cib.OpKey(h.rsc.recorded, task, o.interval)) {
		return h.w.onFailAs(h.rsc, unconfigured, task, o.interval, nil)
	}
	return h.w.onFailOf(h.rsc, task, o.interval)
}

// pending takes into account that an operation has begun.
func (h *replay) pending(o *result) {
	r := h.rsc
	switch {
	case o.task == taskStart:
		r.startPending = true
		r.setActive()
	case o.task == taskPromote:
		r.role = Promoted
	case o.task == taskMigrateTo && h.node.unclean:
		// Nobody knows how far the migration came: the target has to stop it, too.
		if target := h.w.nodeByName[o.xml.Attr("migrate_target")]; target != nil {
			h.w.stopAction(r, target, false).because(func() string {
				return "a migration of " + r.id + " from " + h.node.name + " was under way when that was lost"
			})
		}
	}
	if r.pendingTask == "" && !isProbe(o.task, o.interval) {
		r.pendingTask, r.pendingNode = o.task, h.node
	}
}

// setActive gives the resource the role that being active means.
func (r *resource) setActive() {
	r.role = Started
	if r.outermost(false).promotable {
		r.role = Unpromoted
	}
}

// succeeded takes into account that an operation ended with an exit code as it should.
func (h *replay) succeeded(o *result, exit int) {
	r := h.rsc
	forgiven := false
	switch {
	case exit == exitNotInstalled, !r.isBundled() && o.masked:
		r.role = Stopped
	case exit == exitNotRunning:
		forgiven = true
	case o.task == taskMonitor:
		forgiven = h.failure != nil && recordedKey(o.xml) == recordedKey(h.failure)
		if r.role.rank() < Started.rank() {
			r.setActive()
		}
	case o.task == taskStart, o.task == taskMigrateFrom:
		r.role, forgiven = Started, true
	case o.task == taskStop:
		r.role, forgiven = Stopped, true
	case o.task == taskPromote:
		r.role, forgiven = Promoted, true
	case o.task == taskDemote:
		forgiven = h.onFail == onFailDemote
		r.role = Unpromoted
	case o.task == taskMigrateTo:
		h.migratedTo(o.xml)
	case r.role.rank() < Started.rank():
		r.setActive()
	}
	if forgiven {
		h.forgive()
	}
}

// forgive forgets earlier failures, except those whose consequences last.
func (h *replay) forgive() {
	switch h.onFail {
	case onFailStop, onFailFence, onFailBan, onFailStandby:
		return
	case onFailReset:
		if h.rsc.reconnect > 0 {
			return
		}
	}
	h.onFail = onFailIgnore
	h.rsc.next = ""
}

// failed takes into account that an operation failed.
func (h *replay) failed(o *result) {
	r := h.rsc
	h.failure = o.xml
	r.failure = failureText(r, h.node, o)
	what, role := h.onFailOf(o)
	h.onFail = max(h.onFail, what)
	switch o.task {
	case taskStop:
		// Not this instance alone: another one would take its place where it may still
		// be active, be taken for it as soon as it runs, and have to go again.
		h.group().prefer(h.node, -Infinity, TermFailure, "stop", r.failureReason())
	case taskMigrateTo:
		h.migrateToFailed(o.xml)
	case taskMigrateFrom:
		h.migrateFromFailed(o.xml)
	case taskPromote:
		r.role = Promoted
	case taskDemote:
		switch {
		case what == onFailBlock:
			r.role, r.next = Promoted, Stopped
		case o.exit == exitNotRunning:
			r.role = Stopped
		default:
			// It is stopped anyway, and nothing is promoted before that.
			r.role = Unpromoted
		}
	}
	if isProbe(o.task, o.interval) && o.exit == exitNotInstalled {
		r.role = Stopped
	} else if r.role.rank() < Started.rank() {
		r.setActive()
	}
	if role != Started && r.next.rank() < role.rank() {
		r.next = role
	}
	if role == Stopped {
		h.w.banEverywhere(r, r.failureReason())
	}
}

// failureText: "web failed on n1 (monitor: not running: 'connection refused')".
func failureText(r *resource, n *node, o *result) string {
	text := r.id + " failed on " + n.name + " (" + o.words()
	if reason := o.xml.Attr("exit-reason"); reason != "" {
		text += ": '" + reason + "'"
	}
	return text + ")"
}

// words names a failed operation and its result: "monitor: not running".
func (o *result) words() string {
	task := o.task
	if isProbe(o.task, o.interval) {
		task = "probe"
	}
	text := task + ": " + agent.Code(o.exit).String()
	switch {
	case o.exit == exitOK && o.status <= statusError && o.expected != exitOK:
		if o.expected == exitPromoted {
			return task + ": found it not promoted"
		}
		return task + ": found it running"
	case o.status != statusDone && o.status != statusError && o.status != statusHardError && o.status != statusFatalError:
		if status := agent.Status(o.status).String(); status != agent.Code(o.exit).String() {
			text += ", " + status
		}
	}
	return text
}
