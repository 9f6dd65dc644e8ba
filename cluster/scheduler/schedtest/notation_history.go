package schedtest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// entry is one operation of a history line: OPERATION[>NODE|<NODE][/INTERVAL][=RESULT][@SECONDS].
type entry struct {
	result
	ago   string
	attrs []string
}

// results are the words for how an operation ended.
var results = map[string][2]int{"pending": {193, -1}, "timeout": {1, 2}, "error": {1, 4}, "notinstalled": {5, 4}, "cancelled": {6, 1}, "nodevice": {1, 9}}

func readEntry(word, node string, active int) entry {
	e := entry{}
	word, e.ago, _ = strings.Cut(word, "@")
	word, outcome, ended := strings.Cut(word, "=")
	word, interval, _ := strings.Cut(word, "/")
	e.ms = milliseconds(interval)
	if op, to, ok := strings.Cut(word, ">"); ok {
		word, e.from, e.to = op, node, to
	} else if op, from, ok := strings.Cut(word, "<"); ok {
		word, e.from, e.to = op, from, node
	}
	e.operation = word
	switch {
	case word == "probe":
		e.operation, e.target, e.rc = "monitor", 7, 7
	case word == "monitor" && e.ms > 0:
		e.target, e.rc = active, active
	}
	if !ended {
		return e
	}
	switch outcome {
	case "stopped": // a monitor for the role Stopped that found nothing
		e.rc, e.target = 7, 7
		return e
	case "found": // and one that did find something
		e.rc, e.target = 0, 7
		return e
	}
	if r, known := results[outcome]; known {
		e.rc, e.status = r[0], r[1]
	} else if rc, err := strconv.Atoi(outcome); err == nil {
		e.rc = rc
	} else {
		fail("%q is no result", outcome)
	}
	return e
}

// historyLine reads:
//
//	run RESOURCE,… NODE,… [promoted] [OPERATION…]      it was started, or promoted, and is monitored
//	run … as=CLASS:PROVIDER:TYPE                       with another agent than today; lock@SECONDS: shutdown-lock
//	history RESOURCE,… NODE,… OPERATION…               these operations alone
//	fail RESOURCE NODE [promoted] OPERATION [xCOUNT]   as run, and then it failed, COUNT times (1)
func (b *builder) historyLine(l *line) {
	for _, id := range strings.Split(l.words[1], ",") {
		for _, name := range strings.Split(l.words[2], ",") {
			b.remembered(l, id, name)
		}
	}
}

func (b *builder) remembered(l *line, id, name string) {
	a := b.agentOf(id)
	h := b.known(name)
	what, rest := l.words[0], l.words[3:]
	promoted := len(rest) > 0 && rest[0] == "promoted"
	if promoted {
		rest = rest[1:]
	}
	active := 0
	if promoted {
		active = 8
	}
	var list []entry
	if what != "history" {
		list = b.activeEntries(a, name, promoted)
	}
	count, lock := "1", ""
	for _, w := range rest {
		if strings.HasPrefix(w, "x") {
			count = w[1:]
			continue
		}
		if t, ok := strings.CutPrefix(w, "lock@"); ok {
			lock = b.ago(t)
			continue
		}
		if agent, ok := strings.CutPrefix(w, "as="); ok {
			other := *a
			n := withAgent(cib.NewNode("primitive"), agent)
			other.class, other.provider, other.typ = n.Attr("class"), n.Attr("provider"), n.Attr("type")
			a = &other
			continue
		}
		list = append(list, readEntry(w, name, active))
	}
	for _, k := range l.kids {
		e := readEntry(k.words[0], name, active)
		for _, w := range k.words[1:] {
			key, v := keyValue(w)
			e.attrs = append(e.attrs, key, v)
		}
		list = append(list, e)
	}
	b.write(a, h, id, list, lock)
	if what == "fail" {
		b.count(h, id, list[len(list)-1], count)
	}
}

// known is the host of a history; a new one is a node that a resource makes.
func (b *builder) known(name string) *host {
	for _, h := range b.hosts {
		if h.name == name {
			return h
		}
	}
	h := b.host(name)
	h.kind, h.id, h.stateAttrs = "guest", name, remoteState
	return h
}

func (b *builder) agentOf(id string) *agent {
	if a := b.agents[id]; a != nil {
		return a
	}
	base, _, _ := strings.Cut(id, ":")
	if a := b.agents[base]; a != nil {
		return a
	}
	return &agent{id: id, class: "ocf", provider: "pacemaker", typ: "Dummy"} // an orphan
}

func (b *builder) activeEntries(a *agent, node string, promoted bool) []entry {
	list := []entry{readEntry("start", node, 0)}
	rc := 0
	if promoted {
		list = []entry{readEntry("promote", node, 0)}
		rc = 8
	}
	for _, op := range a.ops {
		inPromoted := op.role == "Promoted" || op.role == "Master"
		if op.name == "monitor" && op.ms > 0 && op.role != "Stopped" && (op.role == "" || inPromoted == promoted) {
			e := entry{}
			e.result = result{operation: "monitor", ms: op.ms, rc: rc, target: rc}
			list = append(list, e)
		}
	}
	return list
}

func (b *builder) write(a *agent, h *host, id string, list []entry, lock string) {
	var ops []*cib.Node
	for _, e := range list {
		b.calls++
		n := b.op(a, h, id, e)
		if e.status >= 0 && e.rc != e.target && !(e.operation == "monitor" && e.ms == 0 && (e.rc == 0 || e.rc == 8)) && e.status != 1 {
			ops = append(ops, n.WithAttr("id", id+"_last_failure_0"))
		}
		ops = append(ops, n)
	}
	pairs := []string{"id", id, "class", a.class, "provider", a.provider, "type", a.typ, "container", a.container, "shutdown-lock", lock}
	h.history = append(h.history, cib.NewNode("lrm_resource", pairs...).WithChild(dropEarlier(ops)...))
}

// op makes one lrm_rsc_op.
func (b *builder) op(a *agent, h *host, id string, e entry) *cib.Node {
	key := fmt.Sprintf("%s_%s_%d", id, e.operation, e.ms)
	name := key
	if e.ms == 0 {
		name = id + "_last_0"
	}
	call, at := strconv.Itoa(b.calls), b.ago(strconv.Itoa(3600-b.calls))
	if e.status < 0 {
		call = "-1"
	}
	if e.ago != "" {
		at = b.ago(e.ago)
	}
	transition := fmt.Sprintf("%d:%d:%d:8a2e3f10-0000-4000-8000-000000000001", b.calls, b.calls%7+1, e.target)
	n := cib.NewNode("lrm_rsc_op", "id", name, "operation_key", key, "operation", e.operation, "crm-debug-origin", "takt",
		"crm_feature_set", "3.16.1", "transition-key", transition,
		"transition-magic", fmt.Sprintf("%d:%d;%s", e.status, e.rc, transition), "on_node", h.name, "call-id", call,
		"rc-code", strconv.Itoa(e.rc), "op-status", strconv.Itoa(e.status), "interval", strconv.FormatInt(e.ms, 10),
		"last-rc-change", at, "exec-time", "10", "queue-time", "0", "migrate_source", e.from, "migrate_target", e.to,
		"op-digest", parametersDigest(a.at(h.name, e.result)))
	for i := 0; i+1 < len(e.attrs); i += 2 {
		v := e.attrs[i+1]
		if strings.HasSuffix(e.attrs[i], "-digest") && strings.ContainsAny(v, ":,") || v == "none" {
			v = parametersDigest(pairsOf(v))
		}
		n = n.WithAttr(e.attrs[i], v)
	}
	return n
}

// pairsOf reads NAME:VALUE,… or none.
func pairsOf(s string) []pair {
	var list []pair
	for _, p := range strings.Split(s, ",") {
		if k, v, ok := strings.Cut(p, ":"); ok {
			list = append(list, pair{k, v})
		}
	}
	return list
}

// at are the parameters that an operation was called with on a node.
func (a *agent) at(node string, o result) []pair {
	var params []pair
	for _, p := range a.params {
		if p.value == hostName {
			p.value = node
		}
		if a.class != "stonith" || !strings.HasPrefix(p.name, "pcmk_") {
			params = append(params, p)
		}
	}
	if o.ms == 0 {
		return params
	}
	timeout := int64(20_000)
	for _, op := range a.ops {
		if op.name == o.operation && op.ms == o.ms && op.timeout != "" {
			timeout = milliseconds(op.timeout)
		}
	}
	return append(params, pair{"CRM_meta_timeout", strconv.FormatInt(timeout, 10)})
}

// count sets the counters of a failure.
func (b *builder) count(h *host, id string, e entry, count string) {
	base, _, _ := strings.Cut(id, ":")
	if b.agentOf(id).instances > 0 {
		base = id
	}
	ago := e.ago
	if ago == "" {
		ago = strconv.Itoa(3600 - b.calls)
	}
	what := fmt.Sprintf("%s#%s_%d", base, e.operation, e.ms)
	h.transient = append(h.transient, pair{"fail-count-" + what, score(count)}, pair{"last-failure-" + what, b.ago(ago)})
}

// probeAll notes that what could run on a node that is online was looked for,
// and was not there.
func (b *builder) probeAll() {
	for _, h := range b.hosts {
		if !h.online || h.gone || b.unprobed[h.name] || b.unprobed[""] || h.kind == "guest" {
			continue
		}
		for _, id := range b.order {
			a := b.agents[id]
			if a.quiet || h.kind != "member" && (a.class == "stonith" || a.typ == "remote") {
				continue
			}
			b.probe(h, a)
		}
	}
}

func (b *builder) probe(h *host, a *agent) {
	ids := []string{a.id}
	if a.instances > 0 {
		ids = nil
		for i := range a.instances {
			ids = append(ids, fmt.Sprintf("%s:%d", a.id, i))
		}
	}
	for _, id := range ids {
		there := false
		for _, n := range h.history {
			there = there || n.ID() == id
		}
		if !there {
			b.write(a, h, id, []entry{readEntry("probe@7200", h.name, 0)}, "")
		}
	}
}
