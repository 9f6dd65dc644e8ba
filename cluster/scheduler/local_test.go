package scheduler

import (
	"slices"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// TestLocalStopOfWhatFailed: on-fail=block and a failed stop leave a resource
// alone until somebody has looked, but not on a node that is cut off: the others
// do not know of that, and start it.
func TestLocalStopOfWhatFailed(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	config := `<cib><configuration><crm_config/><nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes><resources>
<primitive id="web" class="ocf" provider="takt" type="Dummy"><operations><op id="m" name="monitor" interval="10s" on-fail="block"/></operations></primitive>
</resources><constraints/></configuration><status/></cib>`
	start := cib.OpRecord{Resource: "web", Operation: "start", OnNode: "n1", Call: 2, Changed: now}
	for name, last := range map[string]cib.OpRecord{
		"a failed monitor": {Resource: "web", Operation: "monitor", IntervalMS: 10_000, OnNode: "n1", RC: 7, Call: 3, Changed: now},
		"a failed stop":    {Resource: "web", Operation: "stop", OnNode: "n1", RC: 1, Call: 4, Changed: now},
		"a failed start":   {Resource: "web", Operation: "start", OnNode: "n1", RC: 1, Call: 5, Changed: now},
	} {
		root, err := cib.Parse([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		lrm := cib.MergeOp(cib.MergeOp(cib.LRMResource("web", "ocf", "takt", "Dummy"), start), last)
		state := cib.NodeState(1, "n1", true).WithPath(func(list *cib.Node) *cib.Node { return list.WithChild(lrm) }, "lrm", "lrm_resources")
		root = root.WithPath(func(s *cib.Node) *cib.Node { return s.WithChild(state) }, "status")
		stops := 0
		for _, a := range ScheduleLocalStop(root, "n1", now).Actions {
			if a.Task == "stop" && a.Resource == "web" {
				stops++
			}
		}
		if stops != 1 {
			t.Errorf("%s: %d stops, want 1", name, stops)
		}
	}
}

// TestLocalDemote: with no-quorum-policy=demote a promoted instance is demoted,
// after what stands on it, and goes on; everything else stops, and so does an
// instance of which something failed.
func TestLocalDemote(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	promotable := func(clone, rsc string) string {
		return `<clone id="` + clone + `"><meta_attributes id="` + clone + `m"><nvpair id="` + clone + `p" name="promotable" value="true"/></meta_attributes>
<primitive id="` + rsc + `" class="ocf" provider="takt" type="Dummy"/></clone>`
	}
	root, err := cib.Parse([]byte(`<cib><configuration><crm_config/><nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes><resources>
<primitive id="web" class="ocf" provider="takt" type="Dummy"/><primitive id="fs" class="ocf" provider="takt" type="Dummy"/>` +
		promotable("p", "db") + promotable("q", "broken") + promotable("r", "second") + `</resources>
<constraints><rsc_order id="o" first="p" first-action="promote" then="fs" then-action="start"/>
<rsc_colocation id="c" rsc="fs" with-rsc="p" with-rsc-role="Promoted" score="INFINITY"/></constraints></configuration><status/></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	state := cib.WithNodeAttr(cib.NodeState(1, "n1", true), "master-db", "10")
	ran := func(rsc string, call int64, ops ...cib.OpRecord) {
		lrm := cib.LRMResource(rsc, "ocf", "takt", "Dummy")
		for i, op := range ops {
			op.Resource, op.OnNode, op.Call, op.Changed, op.Digest = rsc, "n1", call+int64(i), now, ParamsDigest(nil)
			lrm = cib.MergeOp(lrm, op)
		}
		state = state.WithPath(func(list *cib.Node) *cib.Node { return list.WithChild(lrm) }, "lrm", "lrm_resources")
	}
	start, promote := cib.OpRecord{Operation: "start"}, cib.OpRecord{Operation: "promote"}
	ran("web", 1, start)
	ran("db", 2, start, promote, cib.OpRecord{Operation: "monitor", IntervalMS: 900, RC: 8, TargetRC: 8})
	ran("fs", 5, start)
	ran("broken", 6, start, promote, cib.OpRecord{Operation: "monitor", IntervalMS: 1000, RC: 9, TargetRC: 8})
	ran("second", 9, start)
	root = root.WithPath(func(s *cib.Node) *cib.Node { return s.WithChild(state) }, "status")
	tr := ScheduleLocalDemote(root, "n1", now)
	place := map[string]int{}
	for i, a := range tr.InOrder() {
		if a.Kind == Resource {
			place[a.Task+" "+a.Resource] = i + 1
		}
	}
	want := []string{"stop web", "stop fs", "demote db", "stop broken"}
	for _, w := range want {
		if place[w] == 0 {
			t.Errorf("there is no %s", w)
		}
	}
	if len(place) != len(want) {
		t.Errorf("there is %v, want %v", place, want)
	}
	if place["stop fs"] > place["demote db"] {
		t.Errorf("db is demoted before fs is stopped: %v", place)
	}
}

// TestLocalStopDemotes: a stop of what is promoted comes after its demote, on a node that
// is cut off, too. Its last monitor says 8, which is no failure.
func TestLocalStopDemotes(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	root, err := cib.Parse([]byte(`<cib><configuration><crm_config/><nodes><node id="1" uname="n1"/></nodes><resources>
<clone id="c"><meta_attributes id="cm"><nvpair id="cp" name="promotable" value="true"/></meta_attributes>
<primitive id="db" class="ocf" provider="takt" type="Dummy"/></clone></resources><constraints/></configuration><status/></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	for name, last := range map[string]cib.OpRecord{
		"promoted":           {Operation: "promote"},
		"seen promoted":      {Operation: "monitor", IntervalMS: 900, RC: 8, TargetRC: 8},
		"degraded":           {Operation: "monitor", IntervalMS: 900, RC: 191, TargetRC: 8},
		"monitor cut off":    {Operation: "monitor", IntervalMS: 900, RC: 193, TargetRC: 8, OpStatus: 1},
		"monitor under way":  {Operation: "monitor", IntervalMS: 900, RC: 193, TargetRC: 8, OpStatus: -1},
		"probed as promoted": {Operation: "monitor", RC: 8, TargetRC: 7},
	} {
		lrm := cib.LRMResource("db", "ocf", "takt", "Dummy")
		for i, op := range []cib.OpRecord{{Operation: "start"}, {Operation: "promote"}, last} {
			op.Resource, op.OnNode, op.Call, op.Changed = "db", "n1", int64(i+1), now
			lrm = cib.MergeOp(lrm, op)
		}
		state := cib.NodeState(1, "n1", true).WithPath(func(list *cib.Node) *cib.Node { return list.WithChild(lrm) }, "lrm", "lrm_resources")
		with := root.WithPath(func(s *cib.Node) *cib.Node { return s.WithChild(state) }, "status")
		var order []string
		for _, a := range ScheduleLocalStop(with, "n1", now).InOrder() {
			if a.Kind == Resource {
				order = append(order, a.Task)
			}
		}
		if !slices.Equal(order, []string{"demote", "stop"}) {
			t.Errorf("%s: %v, want a demote and then a stop", name, order)
		}
	}
}
