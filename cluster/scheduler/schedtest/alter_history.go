package schedtest

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

var historyChanges = []func(*alterer) string{
	(*alterer).result, (*alterer).result, (*alterer).callOrder, (*alterer).failure, (*alterer).failure, (*alterer).digests,
	(*alterer).dropOperation, (*alterer).dropHistory, (*alterer).copyHistory, (*alterer).renameOperation,
}

// lastOperation is the newest of a resource on a node, or any.
func (m *alterer) lastOperation(h *element) *element {
	if len(h.kids) == 0 {
		return nil
	}
	if m.percent(30) {
		return m.one(h.kids)
	}
	return slices.MaxFunc(h.kids, func(a, b *element) int { return cmp.Compare(call(a), call(b)) })
}

func call(op *element) int {
	n, _ := strconv.Atoi(op.get("call-id"))
	return n
}

func (m *alterer) result() string {
	h := m.one(m.histories)
	if h == nil {
		return ""
	}
	op := m.lastOperation(h)
	if op == nil {
		return ""
	}
	rc, status := m.pick("0", "7", "8", "1", "2", "5", "6", "9", "190", "193", "3", "4"), "0"
	switch {
	case rc == "193":
		status = "-1"
	case m.percent(50) && rc != "0" && rc != "7" && rc != "8":
		status = "4"
	case m.percent(15):
		status = m.pick("1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
	}
	m.finish(op, rc, status)
	return did("%s of %s ended with %s, status %s", op.get("id"), h.get("id"), rc, status)
}

// finish gives an operation another result, in both places.
func (m *alterer) finish(op *element, rc, status string) {
	op.set("rc-code", rc)
	op.set("op-status", status)
	if magic := op.get("transition-magic"); magic != "" {
		if _, rest, ok := strings.Cut(magic, ";"); ok {
			op.set("transition-magic", status+":"+rc+";"+rest)
		}
	}
}

func (m *alterer) callOrder() string {
	h := m.one(m.histories)
	if h == nil || len(h.kids) < 2 {
		return ""
	}
	a, b := m.one(h.kids), m.one(h.kids)
	if a == b {
		return ""
	}
	x, y := a.get("call-id"), b.get("call-id")
	a.set("call-id", y)
	b.set("call-id", x)
	return did("%s and %s ended in another order", a.get("id"), b.get("id"))
}

// failure adds a failed operation and its count.
func (m *alterer) failure() string {
	h := m.one(m.histories)
	if h == nil || len(h.kids) == 0 {
		return ""
	}
	state := m.stateWith(h)
	op := m.lastOperation(h).clone()
	task := m.pick("start", "stop", "monitor", "monitor", "promote", "demote")
	interval := "0"
	if task == "monitor" {
		interval = m.pick("10000", "0", "60000")
	}
	rsc := h.get("id")
	op.set("id", rsc+"_last_failure_0")
	op.set("operation", task)
	op.set("operation_key", rsc+"_"+task+"_"+interval)
	op.set("interval", interval)
	op.set("call-id", strconv.Itoa(call(op)+1))
	op.set("last-rc-change", m.ago(60))
	m.finish(op, m.pick("1", "1", "7", "5", "9", "2", "190"), m.pick("0", "4", "4", "2"))
	for _, k := range h.kids {
		if k.get("id") == op.get("id") {
			h.remove(k)
			break
		}
	}
	h.kids = append(h.kids, op)
	if m.percent(80) {
		base, _, _ := strings.Cut(rsc, ":")
		name := base // old clusters counted by resource, and newer ones by operation
		if m.root.get("crm_feature_set") >= "3.0.13" {
			name += "#" + task + "_" + interval
		}
		m.transient(state, "fail-count-"+name, m.pick("1", "1", "3", "INFINITY"))
		m.transient(state, "last-failure-"+name, m.ago(m.r.IntN(600)))
	}
	return did("%s of %s failed on %s with %s", task, rsc, state.get("uname"), op.get("rc-code"))
}

// stateWith is the node state that holds a history.
func (m *alterer) stateWith(h *element) *element {
	for _, s := range m.states {
		if s.parent(h) != nil {
			return s
		}
	}
	return m.states[0]
}

func (m *alterer) digests() string {
	op := m.one(m.ops)
	if op == nil {
		return ""
	}
	const other = "0123456789abcdef0123456789abcdef"
	what := m.pick("op-digest", "op-digest", "op-restart-digest", "op-secure-digest")
	op.set(what, other)
	if what == "op-restart-digest" {
		op.set("op-digest", other)
		op.set("op-force-restart", m.pick("", " state ", " ip "))
	}
	return did("%s of %s changed", what, op.get("id"))
}

func (m *alterer) dropOperation() string {
	h := m.one(m.histories)
	if h == nil || len(h.kids) == 0 {
		return ""
	}
	op := m.one(h.kids)
	h.remove(op)
	return did("%s of %s is gone", op.get("id"), h.get("id"))
}

func (m *alterer) dropHistory() string {
	h := m.one(m.histories)
	if h == nil {
		return ""
	}
	state := m.stateWith(h)
	m.status.parent(h).remove(h)
	return did("history of %s on %s is gone", h.get("id"), state.get("uname"))
}

// copyHistory lets another node have what one has.
func (m *alterer) copyHistory() string {
	h, to := m.one(m.histories), m.one(m.states)
	if h == nil || m.stateWith(h) == to {
		return ""
	}
	lrm := to.child("lrm")
	if lrm.get("id") == "" {
		lrm.set("id", to.get("id"))
	}
	list := lrm.child("lrm_resources")
	list.kids = slices.DeleteFunc(list.kids, func(k *element) bool { return k.get("id") == h.get("id") })
	list.kids = append(list.kids, h.clone())
	return did("history of %s is copied to %s", h.get("id"), to.get("uname"))
}

// renameOperation makes the newest operation another one.
func (m *alterer) renameOperation() string {
	h := m.one(m.histories)
	if h == nil {
		return ""
	}
	op := m.lastOperation(h)
	if op == nil {
		return ""
	}
	task := m.pick("start", "stop", "promote", "demote", "migrate_to", "migrate_from")
	op.set("operation", task)
	op.set("operation_key", h.get("id")+"_"+task+"_0")
	op.set("interval", "0")
	if strings.HasPrefix(task, "migrate") && len(m.states) > 1 {
		op.set("migrate_source", m.one(m.states).get("uname"))
		op.set("migrate_target", m.one(m.states).get("uname"))
	}
	if m.percent(30) {
		m.finish(op, m.pick("1", "193"), m.pick("-1", "4", "0"))
	}
	return did("newest operation of %s is %s", h.get("id"), task)
}
