package scheduler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

const (
	here = `in_ccm="true" crmd="online" join="member" expected="member"`
	lost = `in_ccm="false" crmd="offline" join="down" expected="member"`
)

// twoNodes is a cluster with one resource, web.
type twoNodes struct {
	options string // name=value, separated by spaces
	meta    string // of web
	quorum  string
	state   [2]string
	attrs   [2]string // transient, name=value
	ops     [2]string // lrm_rsc_op elements of web
}

func (c twoNodes) schedule(t *testing.T) *Transition {
	t.Helper()
	w := world{quorum: c.quorum}
	if w.quorum == "" {
		w.quorum = "1"
	}
	w.options = nvpairs("o", c.options)
	for i := range 2 {
		w.nodes = append(w.nodes, fmt.Sprintf(`<node id="%d" uname="n%d"/>`, i+1, i+1))
		state := c.state[i]
		if state == "" {
			state = here
		}
		ops := c.ops[i]
		if ops == "" {
			ops = op("monitor", 0, 7, 7)
		}
		w.states = append(w.states, fmt.Sprintf(`<node_state id="%d" uname="n%d" %s><lrm id="%d"><lrm_resources><lrm_resource id="web" class="ocf" provider="p" type="D">%s</lrm_resource></lrm_resources></lrm><transient_attributes id="%d"><instance_attributes id="s%d">%s</instance_attributes></transient_attributes></node_state>`,
			i+1, i+1, state, i+1, ops, i+1, i+1, nvpairs(fmt.Sprintf("t%d", i), c.attrs[i])))
	}
	w.resources = []string{`<primitive id="web" class="ocf" provider="p" type="D"><meta_attributes id="m">` + nvpairs("m", c.meta) +
		`</meta_attributes><operations><op id="mon" name="monitor" interval="10s" timeout="7s"/></operations></primitive>`}
	return Schedule(w.parse(t), testTime)
}

func nvpairs(prefix, text string) string {
	var b strings.Builder
	for i, pair := range strings.Fields(text) {
		name, value, _ := strings.Cut(pair, "=")
		fmt.Fprintf(&b, `<nvpair id="%s%d" name="%s" value="%s"/>`, prefix, i, name, value)
	}
	return b.String()
}

var calls = map[string]int{"monitor": 1, "start": 2, "stop": 9}

func op(task string, interval int64, target, rc int) string {
	r := cib.OpRecord{Resource: "web", Operation: task, IntervalMS: interval, TargetRC: target, RC: rc,
		Call: int64(calls[task]) + min(interval, 1), Changed: testTime.Add(-time.Minute)}
	if r.Failed() {
		r.ExitReason = "process exited"
	}
	return r.Node().String()
}

// summary is what a transition does: "stop n1, start n2".
func summary(t *Transition) string {
	var words []string
	for _, task := range []string{"monitor", "stop", "start"} {
		for _, a := range t.Actions {
			if a.Kind == Resource && a.Task == task && a.Interval == 0 {
				words = append(words, a.Task+" "+a.Node)
			}
		}
	}
	return strings.Join(words, ", ")
}

func TestScenarios(t *testing.T) {
	running := op("start", 0, 0, 0) + op("monitor", 10000, 0, 0)
	failed := running + op("monitor", 10000, 0, 7)
	for _, c := range []struct {
		name, want, reason string
		cluster            twoNodes
	}{
		{"first start", "start n1", "runs nowhere", twoNodes{options: "stonith-enabled=false"}},
		{"nothing to do", "", "", twoNodes{options: "stonith-enabled=false", ops: [2]string{running}}},
		{"node gone", "start n2", "n1 is gone: web moves to n2",
			twoNodes{options: "stonith-enabled=false", state: [2]string{lost}, ops: [2]string{running}}},
		{"node gone, not fenced", "", "waits for n1 to be fenced; fencing is not configured",
			twoNodes{state: [2]string{lost}, ops: [2]string{running}}},
		{"failure: restart here", "stop n1, start n1", "web failed on n1 (monitor rc=7: 'process exited'): restart",
			twoNodes{options: "stonith-enabled=false", ops: [2]string{failed}, attrs: [2]string{"fail-count-web#monitor_10000=1"}}},
		{"failure at the threshold: move", "stop n1, start n2", "web moves to n2",
			twoNodes{options: "stonith-enabled=false", meta: "migration-threshold=1", ops: [2]string{failed}, attrs: [2]string{"fail-count-web#monitor_10000=1"}}},
		{"expired failure", "", "",
			twoNodes{options: "stonith-enabled=false", meta: "migration-threshold=1 failure-timeout=30s", ops: [2]string{failed}, attrs: [2]string{"fail-count-web#monitor_10000=1 last-failure-web#monitor_10000=1000"}}},
		{"expired failed start is not known to have stopped", "stop n1, start n1", "restart",
			twoNodes{options: "stonith-enabled=false", meta: "failure-timeout=30s", ops: [2]string{op("start", 0, 0, 1)}}},
		{"failed stop", "", "a stop that failed is not a stop",
			twoNodes{ops: [2]string{running + op("stop", 0, 0, 1)}}},
		{"failed stop without fencing", "", "on-fail=block",
			twoNodes{options: "stonith-enabled=false", ops: [2]string{running + op("stop", 0, 0, 1)}}},
		{"no quorum: stop", "stop n1", "", twoNodes{quorum: "0", options: "stonith-enabled=false", ops: [2]string{running}}},
		{"no quorum: freeze", "", "", twoNodes{quorum: "0", options: "stonith-enabled=false no-quorum-policy=freeze", ops: [2]string{running}}},
		{"no quorum: ignore", "start n1", "", twoNodes{quorum: "0", options: "stonith-enabled=false no-quorum-policy=ignore"}},
		{"standby", "stop n1, start n2", "n1 is in standby: web moves to n2",
			twoNodes{options: "stonith-enabled=false", ops: [2]string{running}, attrs: [2]string{"standby=on"}}},
		{"shutdown", "stop n1, start n2", "n1 is shutting down",
			twoNodes{options: "stonith-enabled=false", ops: [2]string{running}, attrs: [2]string{"shutdown=1772366000"}}},
		{"maintenance", "", "left alone", twoNodes{options: "stonith-enabled=false maintenance-mode=true", ops: [2]string{failed}}},
		{"target-role", "stop n1", "target-role of web is Stopped", twoNodes{options: "stonith-enabled=false", meta: "target-role=Stopped", ops: [2]string{running}}},
		{"active twice", "stop n1, stop n2, start n1", "active on 2 nodes", twoNodes{options: "stonith-enabled=false", ops: [2]string{running, running}}},
		{"active twice: block", "", "multiple-active is block", twoNodes{options: "stonith-enabled=false", meta: "multiple-active=block", ops: [2]string{running, running}}},
		{"not installed on n1", "start n2", "", twoNodes{options: "stonith-enabled=false", ops: [2]string{op("monitor", 0, 7, 5)}}},
		{"wrong everywhere", "stop n1", "configured wrongly", twoNodes{options: "stonith-enabled=false", ops: [2]string{op("start", 0, 0, 6)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.cluster.schedule(t)
			if s := summary(got); s != c.want {
				t.Errorf("got %q, want %q\n%s", s, c.want, got.Allocations[0].Reason)
			}
			if !strings.Contains(words(got), c.reason) {
				t.Errorf("no reason %q in\n%s", c.reason, words(got))
			}
		})
	}
}

func words(t *Transition) string {
	var b strings.Builder
	for _, a := range t.Actions {
		b.WriteString(a.Reason + "\n")
	}
	for _, a := range t.Allocations {
		b.WriteString(a.Reason + "\n")
		for _, term := range a.Terms {
			b.WriteString(term.Why + "\n")
		}
	}
	return b.String()
}

// TestRecheck: a failure that will expire says when.
func TestRecheck(t *testing.T) {
	running := op("start", 0, 0, 0) + op("monitor", 10000, 0, 0)
	c := twoNodes{options: "stonith-enabled=false", meta: "failure-timeout=10min", ops: [2]string{running + op("monitor", 10000, 0, 7)},
		attrs: [2]string{fmt.Sprintf("fail-count-web#monitor_10000=1 last-failure-web#monitor_10000=%d", testTime.Add(-time.Minute).Unix())}}
	if got, want := c.schedule(t).Recheck, testTime.Add(9*time.Minute); !got.Equal(want) {
		t.Errorf("recheck at %v, want %v", got, want)
	}
}

// TestActionFields: what an executor needs to know.
func TestActionFields(t *testing.T) {
	got := twoNodes{options: "stonith-enabled=false"}.schedule(t)
	for _, a := range got.Actions {
		if a.Task == "monitor" && (a.Timeout != 7000 || a.Meta["interval"] != "10000" || a.Meta["on_node"] != "n1" || a.Agent != "ocf:p:D" || a.TargetRC != 0) {
			t.Errorf("monitor: %+v", a)
		}
		if a.Task == "start" && a.Timeout != defaultTimeout {
			t.Errorf("start: %+v", a)
		}
	}
}

// TestParamsDigest: the digest is the one that others write.
func TestParamsDigest(t *testing.T) {
	if got, want := ParamsDigest(map[string]string{"ip": "127.0.0.11"}), "fd54394d262d771b8cb48f31f8df7242"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
