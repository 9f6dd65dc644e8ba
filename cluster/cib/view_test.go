package cib

import (
	"strings"
	"testing"
	"time"
)

func record(op string, interval int64, rc int, call int64) OpRecord {
	return OpRecord{Resource: "web", Operation: op, IntervalMS: interval, RC: rc, Call: call, Transition: 7, Action: 3,
		OnNode: "n1", Changed: time.Unix(1000, 0), Digest: "d"}
}

func historyIDs(lrm *Node) string {
	var ids []string
	for op := range lrm.Elements {
		ids = append(ids, op.ID()+"="+op.Attr("operation")+":"+op.Attr("rc-code"))
	}
	return strings.Join(ids, " ")
}

func TestMergeOp(t *testing.T) {
	lrm := LRMResource("web", "ocf", "takt", "Dummy")
	for _, step := range []struct {
		record OpRecord
		want   string
	}{
		{record("start", 0, 0, 1), "web_last_0=start:0"},
		{record("monitor", 10000, 0, 2), "web_last_0=start:0 web_monitor_10000=monitor:0"},
		{record("monitor", 10000, 7, 2), "web_last_0=start:0 web_monitor_10000=monitor:0 web_last_failure_0=monitor:7"},
		{record("stop", 0, 0, 3), "web_last_failure_0=monitor:7 web_last_0=stop:0"},
		{record("start", 0, 1, 4), "web_last_failure_0=start:1 web_last_0=start:1"},
	} {
		lrm = MergeOp(lrm, step.record)
		if got := historyIDs(lrm); got != step.want {
			t.Errorf("after %s rc=%d: %s, want %s", step.record.Operation, step.record.RC, got, step.want)
		}
	}
}

func TestOpRecordAttributes(t *testing.T) {
	n := record("monitor", 10000, 7, 2).Node()
	key := "3:7:0:" + HistoryUUID
	for name, want := range map[string]string{"operation_key": "web_monitor_10000", "transition-key": key,
		"transition-magic": "0:7;" + key, "interval": "10000", "last-rc-change": "1000", "on_node": "n1"} {
		if got := n.Attr(name); got != want {
			t.Errorf("%s=%q, want %q", name, got, want)
		}
	}
}

func TestFailureCounts(t *testing.T) {
	s := NodeState(1, "n1", true)
	s = WithFailure(s, "web", "monitor", 10000, false, time.Unix(5, 0))
	s = WithFailure(s, "web", "monitor", 10000, false, time.Unix(6, 0))
	if got := NodeAttr(s, "fail-count-web#monitor_10000"); got != "2" {
		t.Errorf("count %q, want 2", got)
	}
	if got := NodeAttr(s, "last-failure-web#monitor_10000"); got != "6" {
		t.Errorf("last failure %q, want 6", got)
	}
	s = WithFailure(s, "web", "start", 0, true, time.Unix(7, 0))
	s = WithFailure(s, "web2", "start", 0, false, time.Unix(7, 0))
	if got := NodeAttr(s, "fail-count-web#start_0"); got != "INFINITY" {
		t.Errorf("fatal count %q, want INFINITY", got)
	}
	s = WithoutFailures(s, "web")
	if NodeAttr(s, "fail-count-web#start_0") != "" || NodeAttr(s, "last-failure-web#monitor_10000") != "" {
		t.Errorf("failures are left: %s", s)
	}
	if NodeAttr(s, "fail-count-web2#start_0") != "1" {
		t.Error("another resource's failures are gone")
	}
}

func TestPairs(t *testing.T) {
	root, err := Parse([]byte(`<cib><configuration><resources>
<primitive id="a"><instance_attributes id="low" score="1"><nvpair id="1" name="x" value="low"/><nvpair id="2" name="y" value="low"/></instance_attributes>
<instance_attributes id="high" score="2"><nvpair id="3" name="x" value="high"/></instance_attributes></primitive>
<primitive id="b"><instance_attributes id-ref="low"/><instance_attributes id-ref="none"/></primitive></resources></configuration></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	v := NewView(root)
	a, b := v.Pairs(v.ByID("a"), "instance_attributes", nil), v.Pairs(v.ByID("b"), "instance_attributes", nil)
	if a["x"] != "high" || a["y"] != "low" || b["x"] != "low" || len(b) != 2 {
		t.Errorf("got %v and %v", a, b)
	}
}

func TestParseScore(t *testing.T) {
	for text, want := range map[string]int{"INFINITY": 1_000_000, "-INFINITY": -1_000_000, "+INFINITY": 1_000_000, "-5": -5, " +7x": 7, "1e3": 1, "99999999999": 1_000_000, "Red": 0} {
		if got, ok := ParseScore(text); !ok || got != want {
			t.Errorf("%s: %d %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"much", "infinity", "+-5", "99999999999999999999", " INFINITY", ""} {
		if got, ok := ParseScore(text); ok || got != 0 {
			t.Errorf("%q: %d is no score", text, got)
		}
	}
}
