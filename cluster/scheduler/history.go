package scheduler

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// opResult is one lrm_rsc_op.
type opResult struct {
	task      string
	interval  int64
	rc        int
	target    int
	status    int
	call      int
	changed   time.Time
	reason    string
	digest    string
	magic     string
	failure   bool // a record of the last failure
	forgotten bool // a failure that has expired: the monitor has to be asked for again
}

// Exit codes and states that decisions depend on.
const (
	rcOK, rcArgs, rcUnimplemented, rcPerm, rcInstalled, rcConfigured, rcNotRunning = 0, 2, 3, 4, 5, 6, 7
	rcPromoted, rcFailedPromoted, rcDegraded, rcDegradedPromoted                   = 8, 9, 190, 191
	opPending, opDone, opCancelled, opNotInstalled                                 = -1, 0, 1, 7
)

// unpackHistory reads what each node did with each resource.
func (w *working) unpackHistory() {
	for _, m := range w.nodes {
		if !m.status.online && !w.options.fencing {
			continue
		}
		for lrm := range m.state.Path("lrm", "lrm_resources").Elements {
			if lrm.Name() != "lrm_resource" {
				continue
			}
			w.unpackResourceHistory(m, lrm)
		}
	}
	w.flatten()
	for _, r := range w.flat {
		w.resolveActive(r)
	}
}

func (w *working) unpackResourceHistory(m *member, lrm *cib.Node) {
	ops := readOps(lrm)
	if len(ops) == 0 {
		return
	}
	r := w.resources[lrm.ID()]
	if r == nil && lrm.ID() != "" && !w.belongsElsewhere(lrm.ID()) {
		r = w.adoptOrphan(lrm)
	}
	if r == nil || r.variant != primitive {
		return
	}
	if !r.orphan && r.agent != agentOf(lrm) {
		w.replacedAgent(r, m, lrm)
	}
	h := history{w: w, r: r, m: m, role: Stopped, worst: "ignore"}
	for i := range ops {
		h.apply(&ops[i])
	}
	h.conclude()
	h.recurring(ops)
	h.compare(ops)
}

// belongsElsewhere reports whether the name is that of an instance of a
// resource that this scheduler leaves alone.
func (w *working) belongsElsewhere(id string) bool {
	base, _, _ := strings.Cut(id, ":")
	n := w.view.ByID(base)
	return n.Name() == "primitive" && w.resources[base] == nil
}

func agentOf(lrm *cib.Node) string {
	if p := lrm.Attr("provider"); p != "" {
		return lrm.Attr("class") + ":" + p + ":" + lrm.Attr("type")
	}
	return lrm.Attr("class") + ":" + lrm.Attr("type")
}

func (w *working) replacedAgent(r *resource, m *member, lrm *cib.Node) {
	if agentOf(lrm) != ":" {
		r.restart = fmt.Sprintf("%s was %s on %s and is %s now", r.id, agentOf(lrm), m.name, r.agent)
	}
}

// readOps returns the results in the order in which they came.
func readOps(lrm *cib.Node) []opResult {
	var ops []opResult
	seen := map[string]bool{}
	for n := range lrm.Elements {
		if n.Name() != "lrm_rsc_op" {
			continue
		}
		o := opResult{task: n.Attr("operation"), interval: int64(atoi(n.Attr("interval"))), rc: atoi(n.Attr("rc-code")),
			status: atoi(n.Attr("op-status")), call: atoi(n.Attr("call-id")), reason: n.Attr("exit-reason"),
			digest: n.Attr("op-digest"), magic: n.Attr("transition-magic"), failure: strings.HasSuffix(n.ID(), "_last_failure_0")}
		o.target = -1
		if parts := strings.Split(n.Attr("transition-key"), ":"); len(parts) == 4 {
			o.target = atoi(parts[2])
		}
		if s, err := strconv.ParseInt(n.Attr("last-rc-change"), 10, 64); err == nil {
			o.changed = time.Unix(s, 0)
		}
		if key := n.Attr("call-id") + o.magic; o.magic == "" || !seen[key] || o.failure {
			seen[key] = true
			ops = append(ops, o)
		}
	}
	sort.SliceStable(ops, func(i, j int) bool { return before(&ops[i], &ops[j]) })
	return ops
}

// before orders results: by call; a pending one is the newest.
func before(a, b *opResult) bool {
	switch {
	case a.call == b.call:
		return a.changed.Before(b.changed)
	case a.call < 0 || b.call < 0:
		if !a.changed.IsZero() && !b.changed.IsZero() && !a.changed.Equal(b.changed) {
			return a.changed.Before(b.changed)
		}
		return b.call < 0
	}
	return a.call < b.call
}

// history replays the results of one resource on one node.
type history struct {
	w          *working
	r          *resource
	m          *member
	role       Role
	worst      string    // the heaviest consequence of a failure that still counts
	failed     *opResult // the failure that counts
	stopped    bool      // the failure asks to stop it for good
	unknown    bool      // nothing certain is known: probe
	seen       bool
	stopFailed bool
}

// severity orders consequences.
var severity = map[string]int{"ignore": 0, "restart": 1, "demote": 2, "block": 3, "stop": 4, "standby": 5, "fence": 6}

func (h *history) apply(o *opResult) {
	probe := o.task == "monitor" && o.interval == 0
	switch {
	case o.status == opCancelled, o.task == "notify", o.task == "meta-data", o.task == "delete", o.task == "cancel":
		return
	case o.status == opPending:
		h.pending(o, probe)
		return
	}
	h.seen = true
	if o.target < 0 {
		o.target = 0
	}
	rc := o.rc
	switch rc {
	case rcDegraded:
		rc = rcOK
	case rcDegradedPromoted:
		rc = rcPromoted
	}
	ok := rc == o.target && o.status == opDone || o.status != opDone && rc == o.target && o.target != 0
	if probe && o.status != 2 && (rc == rcOK || rc == rcNotRunning || rc == rcPromoted) || rc == rcNotRunning && probe {
		ok = true
	}
	if rc == rcNotRunning && o.task == "monitor" && !h.r.managed && o.interval == 0 {
		ok = true
	}
	if ok {
		h.success(o, rc)
		return
	}
	if h.w.expired(h.r, h.m, o) {
		h.forgotten(o, probe)
		return
	}
	h.fail(o, rc, probe)
}

func (h *history) pending(o *opResult, probe bool) {
	switch {
	case probe:
		h.unknown = !h.seen
	case o.task == "start", o.task == "promote", o.task == "migrate_from":
		h.seen = true
		h.role = Started
	case o.task == "stop", o.task == "monitor":
		h.seen = true
	}
}

// success takes a result that was as expected.
func (h *history) success(o *opResult, rc int) {
	clears := false
	switch {
	case o.task == "monitor" && rc == rcNotRunning, o.task == "stop", o.task == "migrate_to" && h.m.status.online:
		h.role, clears = Stopped, true
	case o.task == "monitor":
		h.role = Started
		clears = h.failed != nil && h.failed.task == o.task && h.failed.interval == o.interval
	case o.task == "start", o.task == "migrate_from":
		h.role, clears = Started, true
	}
	if clears && (h.worst == "ignore" || h.worst == "restart" || h.worst == "block" || h.worst == "demote") {
		h.worst, h.failed, h.stopFailed = "ignore", nil, false
	}
}

// forgotten takes a failure that is too old to count: the resource is as it
// was meant to be.
func (h *history) forgotten(o *opResult, probe bool) {
	o.forgotten = true
	switch {
	case o.target == rcNotRunning:
	case o.task == "monitor" && !probe:
		h.role = Started
	case o.task == "start": // nobody stopped it since: what it left behind has to go first
		h.role = Started
		if severity[h.worst] <= severity["restart"] {
			h.worst, h.failed = "restart", o
		}
	}
}

// fail takes a failure that counts.
func (h *history) fail(o *opResult, rc int, probe bool) {
	policy := h.w.onFail(h.r, o.task, o.interval)
	if policy == "ignore" {
		h.r.ignoreFailure = true
		if o.task != "stop" && o.target != rcNotRunning {
			h.role = Started
		} else {
			h.role = Stopped
		}
		return
	}
	if severity[policy] >= severity[h.worst] {
		h.worst, h.failed = policy, o
	}
	what := describeFailure(o)
	if o.task == "stop" {
		h.stopFailed = true
		h.ban(h.m, fmt.Sprintf("a stop failed on %s (%s)", h.m.name, what))
	}
	switch {
	case probe && (rc == rcInstalled || o.status == opNotInstalled):
		h.role = Stopped
	case h.role == Stopped:
		h.role = Started
	}
	if policy == "stop" {
		h.stopped = true
	}
	h.banHard(o, rc, what)
}

// banHard keeps the resource off where another try is useless.
func (h *history) banHard(o *opResult, rc int, what string) {
	switch {
	case rc == rcConfigured:
		for _, m := range h.w.nodes {
			h.ban(m, fmt.Sprintf("it is configured wrongly (%s on %s)", what, h.m.name))
		}
	case o.task == "stop":
	case rc == rcArgs, rc == rcPerm, rc == rcInstalled, rc == rcUnimplemented && o.interval == 0, o.status == opNotInstalled:
		h.ban(h.m, fmt.Sprintf("it cannot work on %s (%s)", h.m.name, what))
	}
}

func (h *history) ban(m *member, why string) { h.r.prefer(m, -Infinity, why) }

// describeFailure says what failed: "monitor rc=7: 'process exited'".
func describeFailure(o *opResult) string {
	text := fmt.Sprintf("%s rc=%d", o.task, o.rc)
	if o.status == 2 {
		text = o.task + " timed out"
	}
	if o.reason != "" {
		text += ": '" + o.reason + "'"
	}
	return text
}

// conclude turns what was replayed into the resource's state.
func (h *history) conclude() {
	r, m := h.r, h.m
	if !h.seen {
		return
	}
	r.known[m.index] = true
	if h.role == Stopped && h.worst != "standby" && h.worst != "stop" {
		return
	}
	if m.status.maintenance {
		r.managed, r.maintenance = false, true
	}
	if h.role != Stopped {
		r.role = Started
		r.running = append(r.running, m)
	}
	if m.status.unclean {
		return
	}
	if h.failed != nil {
		r.failure = fmt.Sprintf("%s failed on %s (%s)", r.id, m.name, describeFailure(h.failed))
	}
	switch h.worst {
	case "restart", "demote":
		r.failed = true
	case "block":
		r.block(r.failure + ": on-fail=block; clean up the failure when it is mended")
	case "fence":
		r.block(r.failure + ": " + blockedByFence(h.stopFailed, m))
	case "standby":
		m.status.standby, m.status.why = true, "is in standby, because "+r.failure
		r.failed = true
	case "stop":
		r.targetRole = Stopped
		r.failed = true
	}
}

func blockedByFence(stopFailed bool, m *member) string {
	if stopFailed {
		return "a stop that failed is not a stop; it waits for " + m.name + " to be fenced, and fencing is not configured"
	}
	return "it waits for " + m.name + " to be fenced; fencing is not configured"
}

// block leaves the resource alone until somebody has looked.
func (r *resource) block(why string) {
	r.managed, r.blocked = false, true
	if r.blockedWhy == "" {
		r.blockedWhy = why
	}
}

// resolveActive decides about a resource that is active more than once.
func (w *working) resolveActive(r *resource) {
	if len(r.running) > 1 {
		switch r.multiple {
		case "block":
			for p := range topOf(r).primitives {
				if topOf(r).variant == group || p == r {
					p.block(r.id + " is active on more than one node and multiple-active is block")
				}
			}
		case "stop_only":
			for _, m := range w.nodes {
				r.prefer(m, -Infinity, "active on more than one node and multiple-active is stop_only")
			}
		}
	}
	if r.orphan && !r.managed {
		return
	}
	for _, m := range r.running {
		if m.status.unclean && !m.status.online {
			r.waits = "waits for " + m.name + " to be fenced; fencing is not configured"
		}
	}
}

func topOf(r *resource) *resource {
	for r.parent != nil {
		r = r.parent
	}
	return r
}
