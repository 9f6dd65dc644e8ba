package schedtest

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// result is one entry of a history in the making.
type result struct {
	operation string
	ms        int64
	rc        int
	target    int // the exit code that was expected
	status    int // 0 done, 2 timed out, 4 error, -1 pending
	failure   bool
	from, to  string // of a migration
}

// note writes what a node remembers of a resource.
func (g *generator) note(m *member, r *resource, id string, active, promoted bool) {
	if active {
		g.remember(m, r, id, g.activeOps(m, r, id, promoted))
		return
	}
	if g.with(Probes, 60) {
		return
	}
	last := result{operation: "monitor", rc: 7, target: 7}
	switch {
	case g.percent(25):
		last = result{operation: "stop"}
	case g.with(Failures, 6):
		last = result{operation: "monitor", rc: g.pickInt(1, 2, 4, 5, 6, 9), target: 7, failure: true}
	case g.with(Pending, 8):
		last = result{operation: g.pick("monitor", "start", "stop"), rc: 193, status: -1, target: 7}
	case g.with(Failures, 6):
		last = result{operation: "start", rc: g.pickInt(1, 5, 6), failure: true}
	}
	if last.failure {
		g.countFailure(m, id, last)
	}
	g.remember(m, r, id, g.entries(m, r, id, last))
}

// activeOps are the entries of a resource that runs, or has just failed to.
func (g *generator) activeOps(m *member, r *resource, id string, promoted bool) []*cib.Node {
	rc := 0
	last := result{operation: g.pick("start", "start", "start", "start", "monitor")}
	if last.operation == "monitor" {
		last.target = 7
	}
	if promoted {
		rc = 8
		last = result{operation: "promote"}
		if g.percent(10) {
			last = result{operation: "monitor", rc: 8, target: 7}
		}
	} else if r.typ == "Stateful" && g.percent(10) {
		last = result{operation: "demote"}
	}
	ops := g.entries(m, r, id, last)
	for _, op := range r.ops {
		if op.ms == 0 || !g.percent(92) || (op.role == "Promoted" || op.role == "Master") != promoted && op.role != "" || op.role == "Stopped" {
			continue
		}
		if g.has(Recurring) || g.percent(50) {
			ops = append(ops, g.entry(m, r, id, result{operation: "monitor", ms: op.ms, rc: rc, target: rc}, op.timeout))
		}
	}
	if g.with(Recurring, 2) {
		ops = append(ops, g.entry(m, r, id, result{operation: "monitor", ms: 17_000, rc: rc, target: rc}, ""))
	}
	switch {
	case g.with(Failures, 25):
		ops = append(ops, g.failed(m, r, id, promoted)...)
	case g.with(Pending, 12):
		pending := result{operation: g.pick("stop", "start", "monitor"), rc: 193, status: -1}
		if r.typ == "Stateful" && g.percent(50) {
			pending.operation = g.pick("promote", "demote")
		}
		ops = append(ops[1:], g.entry(m, r, id, pending, ""))
	}
	return dropEarlier(ops)
}

// failed are the entries that a failure leaves, and its counters.
func (g *generator) failed(m *member, r *resource, id string, promoted bool) []*cib.Node {
	f := result{operation: "monitor", ms: 10_000, rc: g.pickInt(1, 7, 7, 9, 2, 5, 8, 0), failure: true}
	if promoted {
		f.ms, f.target = 11_000, 8
	}
	switch g.r.IntN(6) {
	case 0:
		f = result{operation: "start", rc: g.pickInt(1, 2, 4, 5, 6, 7), failure: true}
	case 1:
		f = result{operation: "stop", rc: g.pickInt(1, 5, 6), failure: true}
	case 2:
		if r.typ == "Stateful" {
			f = result{operation: g.pick("promote", "demote"), rc: g.pickInt(1, 7, 8, 9), failure: true}
		}
	}
	if f.rc == f.target || g.percent(15) {
		f.status, f.rc = g.pickInt(2, 4), 1
	}
	g.countFailure(m, id, f)
	call := g.calls
	list := []*cib.Node{g.entry(m, r, id, f, "")}
	if f.ms == 0 || g.percent(60) {
		// The failed result stands twice: as the last one and as the last failure.
		g.calls = call
		again := f
		again.failure = false
		list = append(list, g.entry(m, r, id, again, ""))
	}
	return list
}

// countFailure sets the counters, most often.
func (g *generator) countFailure(m *member, id string, f result) {
	if !g.percent(85) {
		return
	}
	base, _, numbered := strings.Cut(id, ":")
	if !numbered || g.percent(50) {
		base = id
	}
	what := fmt.Sprintf("%s#%s_%d", base, f.operation, f.ms)
	count := g.pick("1", "1", "2", "3", "5")
	if f.operation != "monitor" && g.percent(60) {
		count = "INFINITY"
	}
	m.transient = append(m.transient, pair{"fail-count-" + what, count}, pair{"last-failure-" + what, g.ago(g.between(5, 2000))})
}

// entries are the entries for one last result.
func (g *generator) entries(m *member, r *resource, id string, last result) []*cib.Node {
	if !last.failure {
		return []*cib.Node{g.entry(m, r, id, last, "")}
	}
	again := last
	again.failure = false
	failure := g.entry(m, r, id, last, "")
	g.calls--
	return []*cib.Node{failure, g.entry(m, r, id, again, "")}
}

// entry makes one lrm_rsc_op; timeout is that of the configured operation.
func (g *generator) entry(m *member, r *resource, id string, o result, timeout string) *cib.Node {
	g.calls++
	key := fmt.Sprintf("%s_%s_%d", id, o.operation, o.ms)
	name := key
	if o.failure {
		name = id + "_last_failure_0"
	} else if o.ms == 0 {
		name = id + "_last_0"
	}
	call := strconv.Itoa(g.calls)
	if o.status < 0 {
		call = "-1"
	}
	at := g.ago(max(5, []int{7200, 3000, 900, 300}[g.r.IntN(4)]-g.calls))
	transition := fmt.Sprintf("%d:%d:%d:8a2e3f10-0000-4000-8000-000000000001", g.calls, g.calls%7+1, o.target)
	n := cib.NewNode("lrm_rsc_op", "id", name, "operation_key", key, "operation", o.operation, "crm-debug-origin", "takt",
		"crm_feature_set", "3.16.1", "transition-key", transition,
		"transition-magic", fmt.Sprintf("%d:%d;%s", o.status, o.rc, transition), "on_node", m.name, "call-id", call,
		"rc-code", strconv.Itoa(o.rc), "op-status", strconv.Itoa(o.status), "interval", strconv.FormatInt(o.ms, 10),
		"last-rc-change", at, "exec-time", "10", "queue-time", "0", "migrate_source", o.from, "migrate_target", o.to)
	return g.digests(n, m, r, o, timeout)
}

// digests adds those of the parameters: right ones, and sometimes wrong ones or
// none, which means that the parameters are not those of the past.
func (g *generator) digests(n *cib.Node, m *member, r *resource, o result, timeout string) *cib.Node {
	if g.with(Digests, 2) {
		return n
	}
	var params []pair
	for _, p := range r.params {
		if p.value == hostName {
			p.value = m.name
		}
		if r.class != "stonith" || !strings.HasPrefix(p.name, "pcmk_") {
			params = append(params, p)
		}
	}
	all := params
	if o.ms > 0 {
		all = append(slices.Clone(params), pair{"CRM_meta_timeout", g.milliseconds(r, timeout)})
	}
	if g.with(Digests, 10) {
		all = append(slices.Clone(all), pair{"old", "1"})
	}
	reloadable := g.with(Digests, 20)
	if reloadable && !slices.ContainsFunc(all, func(p pair) bool { return p.name == "old" }) {
		all = append(slices.Clone(all), pair{"fake", "before"})
		slices.Reverse(all) // the first of a name counts
	}
	n = n.WithAttr("op-digest", parametersDigest(all))
	if (reloadable || g.with(Digests, 30)) && o.ms == 0 {
		// "fake" may be changed while the resource runs, "state" may not.
		restart := slices.DeleteFunc(slices.Clone(params), func(p pair) bool { return p.name != "state" })
		if g.percent(15) {
			restart = append(restart, pair{"state", "other"})
		}
		n = n.WithAttr("op-force-restart", " state ").WithAttr("op-restart-digest", parametersDigest(restart))
	}
	return n
}

// milliseconds is the time-out of a recurring operation.
func (g *generator) milliseconds(r *resource, timeout string) string {
	if timeout == "" && g.opTimeout != "" && r.kind == "primitive" {
		timeout = g.opTimeout
	}
	return map[string]string{"": "20000", "20s": "20000", "30": "30000", "30s": "30000", "1min": "60000", "60s": "60000", "2min": "120000"}[timeout]
}

// parametersDigest is the digest that the history keeps of parameters.
func parametersDigest(list []pair) string {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	text := " <parameters"
	for _, p := range unique(list) {
		text += fmt.Sprintf(` %s="%s"`, p.name, p.value)
	}
	sum := md5.Sum([]byte(text + "/>\n"))
	return hex.EncodeToString(sum[:])
}

// dropEarlier keeps the last entry of each id.
func dropEarlier(ops []*cib.Node) []*cib.Node {
	var kept []*cib.Node
	for i, op := range ops {
		later := false
		for _, o := range ops[i+1:] {
			later = later || o.ID() == op.ID()
		}
		if !later {
			kept = append(kept, op)
		}
	}
	return kept
}

func (g *generator) pickInt(list ...int) int { return list[g.r.IntN(len(list))] }

// migration writes the history of a resource that moves while it runs.
func (g *generator) migration(r *resource, hosts []*member) {
	way := g.r.Perm(len(hosts))
	from, to := hosts[way[0]], hosts[way[1]]
	move := func(op string, rc, status int) result {
		return result{operation: op, rc: rc, status: status, from: from.name, to: to.name}
	}
	write := func(m *member, list ...result) {
		var ops []*cib.Node
		for _, o := range list {
			ops = append(ops, g.entry(m, r, r.id, o, ""))
		}
		g.remember(m, r, r.id, dropEarlier(ops))
	}
	write(from, g.leaving(move)...)
	switch g.r.IntN(5) {
	case 0:
		write(to, move("migrate_from", 0, 0))
	case 1:
		write(to, move("migrate_from", 1, 0))
	case 2:
		write(to, result{operation: "monitor", rc: 7, target: 7})
	case 3:
		write(to, move("migrate_from", 193, -1))
	}
	for _, i := range way[2:] {
		g.note(hosts[i], r, r.id, false, false)
	}
	if r.guest != nil {
		r.guest.online = from.online
	}
}

// leaving are the results on the node that is left.
func (g *generator) leaving(move func(op string, rc, status int) result) []result {
	switch g.r.IntN(6) {
	case 0:
		return []result{move("migrate_to", 1, 0)}
	case 1:
		return []result{move("migrate_to", 193, -1)}
	case 2:
		return []result{{operation: "stop"}}
	}
	return []result{move("migrate_to", 0, 0)}
}
