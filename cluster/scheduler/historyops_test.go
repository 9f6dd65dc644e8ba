package scheduler

import (
	"fmt"
	"strings"
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
)

// TestAgeOfResults: which of two results is the older one.
func TestAgeOfResults(t *testing.T) {
	op := func(id, node string, call, changed int, transition int, uuid string) *cib.Node {
		return cib.NewNode("lrm_rsc_op", "id", id, "on_node", node, "call-id", fmt.Sprint(call), "last-rc-change", fmt.Sprint(changed),
			"transition-magic", fmt.Sprintf("0:0;1:%d:0:%s", transition, uuid))
	}
	for name, c := range map[string]struct {
		a, b *cib.Node
		want int
	}{
		"call ids of one node":              {op("a", "n1", 3, 9, 1, "u"), op("b", "n1", 4, 1, 1, "u"), -1},
		"times of two nodes":                {op("a", "n1", 3, 9, 1, "u"), op("b", "n2", 4, 1, 1, "u"), 1},
		"equal call ids: time":              {op("a", "n1", 3, 9, 1, "u"), op("b", "n1", 3, 1, 1, "u"), 1},
		"the same result twice":             {op("a", "n1", 3, 9, 1, "u"), op("a", "n1", 4, 1, 1, "u"), 0},
		"both pending":                      {op("a", "n1", -1, 9, 1, "u"), op("b", "n1", -1, 1, 2, "u"), 0},
		"pending, of an earlier transition": {op("a", "n1", -1, 9, 1, "u"), op("b", "n1", 4, 1, 2, "u"), -1},
		"pending, of the same transition":   {op("a", "n1", -1, 9, 2, "u"), op("b", "n1", 4, 1, 2, "u"), 1},
		"pending, of another coordinator":   {op("a", "n1", 4, 9, 9, "u"), op("b", "n1", -1, 1, 2, "v"), -1},
		"of a shutdown":                     {op("a", "n1", 4, 9, 9, "u"), op("b", "n1", -1, 1, -1, "u"), -1},
	} {
		if got := compareAge(c.a, c.b, true); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		if got := compareAge(c.b, c.a, true); got != -c.want {
			t.Errorf("%s, the other way round: %d, want %d", name, got, -c.want)
		}
	}
}

// TestActiveSpan: from which result on a history is about the resource as it runs now.
func TestActiveSpan(t *testing.T) {
	for text, want := range map[string][2]int{
		"start 0, monitor/10000 0":                {0, -1},
		"start 0, stop 0":                         {0, 1},
		"stop 0, start 0, stop 1 status=4 id=x":   {1, 0},
		"monitor 0, monitor/10000 0":              {0, -1},
		"monitor 7, promote 0, monitor/10000 8":   {1, -1},
		"stop 0, monitor 0":                       {1, 0},
		"migrate_from 0, migrate_to 0, stop 0":    {0, 2},
		"monitor 7 target=7":                      {-1, -1},
		"start 0, stop 193 status=-1 call=-1":     {0, -1},
		"monitor/10000 0, stop 0, monitor 8, x 0": {2, 1},
	} {
		root, err := cib.Parse([]byte(entry("web", strings.Split(text, ",")...)))
		if err != nil {
			t.Fatal(err)
		}
		if _, start, stop := historyOps(root); start != want[0] || stop != want[1] {
			t.Errorf("%s: from %d, stopped at %d, want %v", text, start, stop, want)
		}
	}
}

// TestFailCount: failures are counted by operation, or in old documents by
// resource; they expire.
func TestFailCount(t *testing.T) {
	attrs := func(pairs ...string) string {
		text := `<transient_attributes id="1"><instance_attributes id="t">`
		for i := 0; i < len(pairs); i += 2 {
			text += fmt.Sprintf(`<nvpair id="t%d" name="%s" value="%s"/>`, i, pairs[i], pairs[i+1])
		}
		return text + `</instance_attributes></transient_attributes>`
	}
	recently, longAgo := fmt.Sprint(historyTime.Unix()-30), fmt.Sprint(historyTime.Unix()-3600)
	block := `<op id="web-x" name="stop" interval="0" on-fail="block"/>`
	for name, c := range map[string]struct {
		attrs, ops, history string
		all, effective      Score
	}{
		"one operation":           {attrs: attrs("fail-count-web#monitor_10000", "2", "last-failure-web#monitor_10000", recently), all: 2, effective: 2},
		"several operations":      {attrs: attrs("fail-count-web#monitor_10000", "2", "fail-count-web#start_0", "INFINITY"), all: Infinity, effective: Infinity},
		"of an instance":          {attrs: attrs("fail-count-web:3#start_0", "1")},
		"of another resource":     {attrs: attrs("fail-count-website#start_0", "1")},
		"expired":                 {attrs: attrs("fail-count-web#start_0", "1", "last-failure-web#start_0", longAgo), all: 1},
		"the last one counts":     {attrs: attrs("fail-count-web#start_0", "1", "last-failure-web#start_0", longAgo, "last-failure-web#monitor_10000", recently), all: 1, effective: 1},
		"what blocks never fades": {attrs: attrs("fail-count-web#stop_0", "1", "last-failure-web#stop_0", longAgo), ops: block, history: "stop 1", all: 1, effective: 1},
	} {
		entries := map[string]string{"attrs n1": c.attrs}
		if c.history != "" {
			entries["n1"] = entry("web", c.history)
		}
		w := historyWorld(t, "", web(c.ops, metaSet("failure-timeout", "60s")), entries)
		r, n := w.byID["web"], w.nodeByName["n1"]
		all, _ := w.failCount(r, n, false, false)
		effective, _ := w.failCount(r, n, true, false)
		if all != c.all || effective != c.effective {
			t.Errorf("%s: %s, effective %s; want %s, %s", name, all, effective, c.all, c.effective)
		}
	}
}

// TestDigests: what a changed parameter means.
func TestDigests(t *testing.T) {
	const with = `<instance_attributes id="web-p"><nvpair id="web-p1" name="port" value="80"/><nvpair id="web-p2" name="name" value="x"/></instance_attributes>`
	same := ParamsDigest(map[string]string{"port": "80", "name": "x"})
	port, other := ParamsDigest(map[string]string{"port": "80"}), ParamsDigest(map[string]string{"port": "81"})
	timed := ParamsDigest(map[string]string{"port": "80", "name": "x", "CRM_meta_timeout": "20000"})
	for name, c := range map[string]struct {
		task string
		want digestVerdict
	}{
		"none recorded":         {"start 0", digestUnknown},
		"the same":              {"start 0 op-digest=" + same, digestMatches},
		"another":               {"start 0 op-digest=" + other, digestAll},
		"asked for a restart":   {"start 0 op-digest=" + RestartAsked, digestAll},
		"what can be reloaded":  {"start 0 op-digest=" + other + " op-restart-digest=" + port + " op-force-restart=_port_", digestAll},
		"what needs a restart":  {"start 0 op-digest=" + same + " op-restart-digest=" + other + " op-force-restart=_port_", digestRestart},
		"with the time-out":     {"monitor/10000 0 op-digest=" + timed, digestMatches},
		"without the time-out":  {"monitor/10000 0 op-digest=" + same, digestAll},
		"a start has time-outs": {"start 0 op-digest=" + timed, digestAll},
	} {
		text := strings.ReplaceAll(entry("web", c.task), `op-force-restart="_port_"`, `op-force-restart=" port "`)
		w := historyWorld(t, "", web("", with), map[string]string{"n1": text})
		n := w.nodeByName["n1"]
		op := w.historyOf(w.byID["web"], n).Child("lrm_rsc_op")
		if got := w.compareDigests(op, w.byID["web"], n).verdict; got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestDigestForm: the digest is what other tools compute of the same parameters.
func TestDigestForm(t *testing.T) {
	for value, want := range map[string]string{
		"a b": "85aa8133ab60bcc40a5ac8d1f48c1f00", "a&b": "1e7515b6e65abe30a7c95ba8f072b751", "a'b": "877457c3513934b0cecdda5bdd6c382d",
		"a\tb": "6a2910fd93283d442b4390b1117ebcff", "a\nb": "0b0a81c2f6782a026748b9ffff00568e", "a\rb": "5e108f37064e386461d3e68c94558816",
		"a\x7fb": "2d4e596423a769dce20eb2fb89c50d9f", "aéb": "d600bc1fef12ea1cafc6dc7d7ca50361",
	} {
		if got := ParamsDigest(map[string]string{"p": value, "zz": "1"}); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}
