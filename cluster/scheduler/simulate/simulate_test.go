package simulate

import (
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

var now = time.Unix(1_790_000_000, 0)

const small = `<cib have-quorum="1"><configuration><crm_config><cluster_property_set id="o">
<nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes>
<resources><primitive id="web" class="ocf" provider="takt" type="Dummy"><operations>
<op id="m" name="monitor" interval="10s"/></operations></primitive></resources><constraints/></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/>
<node_state id="2" uname="n2" in_ccm="true" crmd="online" join="member" expected="member"/></status></cib>`

func parse(t *testing.T, xml string) *cib.Node {
	t.Helper()
	root, err := cib.Parse([]byte(xml))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// history lists what a node's status says, as RESOURCE:OPERATION_ID=RC.
func history(root *cib.Node, node string) string {
	var list []string
	for s := range root.Child("status").Elements {
		for r := range s.Path("lrm", "lrm_resources").Elements {
			for op := range r.Elements {
				if s.Attr("uname") == node {
					list = append(list, op.Attr("operation_key")+"="+op.Attr("rc-code"))
				}
			}
		}
	}
	return strings.Join(list, " ")
}

func transition(actions ...scheduler.Action) *scheduler.Transition {
	t := &scheduler.Transition{}
	for i, a := range actions {
		a.ID = scheduler.ActionID(i)
		if a.Kind == "" {
			a.Kind = scheduler.Resource
		}
		t.Actions = append(t.Actions, a)
		if i > 0 {
			t.Order = append(t.Order, scheduler.Ordering{Before: a.ID - 1, After: a.ID})
		}
	}
	return t
}

func TestApplyWritesResults(t *testing.T) {
	root := parse(t, small)
	after := Apply(root, transition(
		scheduler.Action{Task: "monitor", Resource: "web", Node: "n2", TargetRC: 7, Agent: "ocf:takt:Dummy"},
		scheduler.Action{Task: "start", Resource: "web", Node: "n1", Agent: "ocf:takt:Dummy"},
		scheduler.Action{Task: "monitor", Interval: 10000, Resource: "web", Node: "n1", Agent: "ocf:takt:Dummy"}), now)
	if got, want := history(after, "n1"), "web_start_0=0 web_monitor_10000=0"; got != want {
		t.Errorf("n1: %s, want %s", got, want)
	}
	if got, want := history(after, "n2"), "web_monitor_0=7"; got != want {
		t.Errorf("n2: %s, want %s", got, want)
	}
	if history(root, "n1") != "" {
		t.Error("the document that was given changed")
	}
	stopped := Apply(after, transition(
		scheduler.Action{Task: "cancel", Interval: 10000, Resource: "web", Node: "n1"},
		scheduler.Action{Task: "stop", Resource: "web", Node: "n1"}), now)
	if got, want := history(stopped, "n1"), "web_stop_0=0"; got != want {
		t.Errorf("after the stop: %s, want %s", got, want)
	}
	gone := Apply(stopped, transition(scheduler.Action{Task: "delete", Resource: "web", Node: "n1"}), now)
	if got := history(gone, "n1"); got != "" {
		t.Errorf("after the delete: %s", got)
	}
}

func TestApplyFences(t *testing.T) {
	root := Apply(parse(t, small), transition(scheduler.Action{Task: "start", Resource: "web", Node: "n1"}), now)
	after := Apply(root, transition(scheduler.Action{Kind: scheduler.Cluster, Task: "stonith", Node: "n1", Detail: "off"}), now)
	s := after.Child("status").ChildByID("node_state", "1")
	if s.Attr("in_ccm") != "false" || s.Attr("crmd") != "offline" || s.Attr("expected") != "down" || s.Child("lrm").Child("lrm_resources").Child("lrm_resource") != nil {
		t.Errorf("a fenced node says %s", s)
	}
	left := Apply(root, transition(scheduler.Action{Kind: scheduler.Cluster, Task: "do_shutdown", Node: "n1"}), now)
	if s := left.Child("status").ChildByID("node_state", "1"); s.Attr("join") != "down" {
		t.Errorf("a node that left says %s", s)
	}
	if stays := Replay(root, transition(scheduler.Action{Kind: scheduler.Cluster, Task: "do_shutdown", Node: "n1"}), now); stays != root {
		t.Error("in a replay a node left")
	}
}

// What waits for something refused does not happen, however long the chain.
func TestExecuteRefuses(t *testing.T) {
	tr := transition(
		scheduler.Action{Kind: scheduler.Cluster, Task: "stonith", Node: "n1", Detail: "off"},
		scheduler.Action{Kind: scheduler.Pseudo, Task: "stop", Resource: "web"},
		scheduler.Action{Task: "start", Resource: "web", Node: "n2"})
	root := parse(t, small)
	after, done := Execute(root, tr, now, func(a *scheduler.Action) bool { return a.Task == "stonith" })
	if after != root || len(done) != 0 {
		t.Errorf("%d actions happened: %v", len(done), done)
	}
	after, done = Execute(root, tr, now, nil)
	if len(done) != 2 || history(after, "n2") != "web_start_0=0" {
		t.Errorf("done: %v, n2: %s", done, history(after, "n2"))
	}
}

// An instance keeps the name that old histories gave it.
func TestApplyKeepsNumberedInstances(t *testing.T) {
	root := Apply(parse(t, small), transition(
		scheduler.Action{Task: "stop", Resource: "web:0", Node: "n1"},
		scheduler.Action{Task: "start", Resource: "web:1", Node: "n1"}), now)
	after := Apply(root, transition(scheduler.Action{Task: "stop", Resource: "web", Node: "n1"}), now)
	if got, want := history(after, "n1"), "web:0_stop_0=0 web:1_stop_0=0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestClearFailures(t *testing.T) {
	root := parse(t, small)
	root = root.WithPath(func(status *cib.Node) *cib.Node {
		s := status.ChildByID("node_state", "1")
		return status.WithReplaced(s, cib.WithFailure(s, "web", "monitor", 10000, false, now))
	}, "status")
	after := Apply(root, transition(scheduler.Action{Kind: scheduler.Cluster, Task: "clear_failcount", Resource: "web", Node: "n1"}), now)
	if s := after.Child("status").ChildByID("node_state", "1"); cib.NodeAttr(s, cib.FailCountName("web", "monitor", 10000)) != "" {
		t.Errorf("the count is still there: %s", s)
	}
}

func TestFollowSettles(t *testing.T) {
	c := Follow(parse(t, small), now, nil)
	if !c.Settled || len(c.Done) == 0 {
		t.Fatalf("settled %v after %d actions", c.Settled, len(c.Done))
	}
	before := scheduler.Placements(c.Root, now)
	if len(before["web"]) != 1 {
		t.Errorf("web runs on %v", before["web"])
	}
}

// TestStuckIsNotDone: what waits for something outside the transition does not happen.
func TestStuckIsNotDone(t *testing.T) {
	start := scheduler.Action{Task: "start", Resource: "web", Node: "n1", Agent: "ocf:takt:Dummy", Stuck: "stop of other"}
	if got := history(Apply(parse(t, small), transition(start), now), "n1"); got != "" {
		t.Errorf("the history is %q", got)
	}
}
