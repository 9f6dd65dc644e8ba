package scheduler

import (
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
