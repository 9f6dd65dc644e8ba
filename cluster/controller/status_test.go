package controller

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
)

// A node that was cut off stops what it ran and reports that as soon as there is
// a coordinator again, which may have started the same there meanwhile.
func TestSuperseded(t *testing.T) {
	id := agent.ID{Class: "ocf", Provider: "takt", Type: "Dummy"}
	op := func(action string, interval, call int64) agent.Record {
		return agent.Record{Command: agent.Command{Resource: "web", Agent: id, Action: action, Interval: interval}, Call: call}
	}
	state := cib.NodeState(1, "n1", true)
	for _, r := range []agent.Record{op(agent.Start, 0, 5), op(agent.Monitor, 1000, 6), op(agent.Monitor, 2000, 9)} {
		state = withRecord(state, "n1", r)
	}
	for _, c := range []struct {
		name   string
		record agent.Record
		want   bool
	}{
		{"a stop before the start", op(agent.Stop, 0, 4), true},
		{"a monitor before the start", op(agent.Monitor, 1000, 4), true},
		{"an older poll", op(agent.Monitor, 2000, 8), true},
		{"a poll of another monitor", op(agent.Monitor, 1000, 7), false},
		{"the same again", op(agent.Start, 0, 5), false},
		{"a newer stop", op(agent.Stop, 0, 10), false},
		{"a stop beside a later poll", op(agent.Stop, 0, 8), false},
		{"without a number", op(agent.Cancel, 1000, 0), false},
	} {
		if got := superseded(state, c.record); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if superseded(cib.NodeState(1, "n1", true), op(agent.Stop, 0, 1)) {
		t.Error("nothing is known, and yet newer")
	}
}

// What a node reports between its answer and the moment when the answer is
// written must not be overwritten by it.
func TestResultAfterTheAnswer(t *testing.T) {
	w := newWorld(t, "n1")
	root, err := cib.Parse([]byte(`<cib epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config><cluster_property_set id="o"><nvpair id="o-s" name="stonith-enabled" value="false"/></cluster_property_set></crm_config><nodes><node id="1" uname="n1"/><node id="2" uname="n2"/><node id="3" uname="n3"/></nodes><resources><primitive id="web" class="ocf" provider="takt" type="Dummy"/></resources><constraints/></configuration><status/></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	w.commit(root)
	id := agent.ID{Class: "ocf", Provider: "takt", Type: "Dummy"}
	start := agent.Record{Command: agent.Command{Resource: "web", Agent: id, Action: agent.Start}, Call: 3}
	for _, in := range []Input{
		w.state(), Peer{ID: 2, Alive: true, Working: true}, Peer{ID: 3, Alive: true, Working: true},
		Standing{Quorate: true}, Lead{Leadership{Leader: 1, Term: 5, Ready: true}},
		Joined{Node: 1, Term: 5, Transition: 1}, Joined{Node: 2, Term: 5, Transition: 2}, Noticed{Node: 2, Record: start}, // and n3 still thinks
	} {
		for _, e := range w.m.Step(w.now, in) {
			if p, is := e.(Propose); is {
				t.Fatalf("written before everybody has answered: %v", p.Ops)
			}
		}
	}
	w.feed(Joined{Node: 3, Term: 5, Transition: 3})
	lrm := w.root.Child("status").ChildByID("node_state", "2").Path("lrm", "lrm_resources").ChildByID("lrm_resource", "web")
	if !strings.Contains(lrm.String(), "web_start_0") {
		t.Errorf("the start is not in the history: %v", lrm)
	}
}

// A node sends its answer, and then a failure that overtakes it on the way: the
// failure is newer and must not be lost. An answer to an earlier question counts
// for nothing.
func TestFailureOvertakesTheAnswer(t *testing.T) {
	w := newWorld(t, "n1")
	root, err := cib.Parse([]byte(`<cib epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config><cluster_property_set id="o"><nvpair id="o-s" name="stonith-enabled" value="false"/></cluster_property_set></crm_config><nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes><resources><primitive id="web" class="ocf" provider="takt" type="Dummy"><operations><op id="web-m" name="monitor" interval="1s" timeout="20s"/></operations></primitive></resources><constraints/></configuration><status/></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	w.commit(root)
	id := agent.ID{Class: "ocf", Provider: "takt", Type: "Dummy"}
	started := agent.Record{Command: agent.Command{Resource: "web", Agent: id, Action: agent.Start}, Call: 3}
	failed := agent.Record{Command: agent.Command{Resource: "web", Agent: id, Action: agent.Monitor, Interval: 1000, Timeout: 20_000}, Call: 4,
		Result: agent.Result{Code: agent.NotRunning, Reason: "process exited"}}
	for _, in := range []Input{
		w.state(), Peer{ID: 2, Alive: true, Working: true}, Standing{Quorate: true}, Lead{Leadership{Leader: 1, Term: 5, Ready: true}},
		Joined{Node: 1, Term: 5, Transition: 1}, Noticed{Node: 2, Record: failed},
		Joined{Node: 2, Term: 5, Transition: 99},
	} {
		for _, e := range w.m.Step(w.now, in) {
			if p, is := e.(Propose); is {
				t.Fatalf("written without n2's answer: %v", p.Ops)
			}
		}
	}
	w.feed(Joined{Node: 2, Term: 5, Transition: 2, Records: []agent.Record{started}})
	if text := w.root.Child("status").ChildByID("node_state", "2").String(); !strings.Contains(text, "fail-count-web") {
		t.Errorf("the failure was lost: %s", text)
	}
}

// A node that has to take over the log first says so, and is asked again soon: all
// wait for its answer. That it still refuses is told once.
func TestAskedAgainSoonAfterARefusal(t *testing.T) {
	w := newWorld(t, "n1")
	root, err := cib.Parse([]byte(`<cib epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config/><nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes><resources/><constraints/></configuration><status/></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	w.commit(root)
	var asked []uint64
	told := 0
	step := func(in Input) {
		for _, e := range w.m.Step(w.now, in) {
			switch e := e.(type) {
			case Query:
				if e.Node == 2 {
					asked = append(asked, e.Transition)
				}
			case Report:
				if strings.Contains(e.Text, "did not join") {
					told++
				}
			}
		}
	}
	for _, in := range []Input{w.state(), Peer{ID: 2, Alive: true, Working: true}, Standing{Quorate: true}, Lead{Leadership{Leader: 1, Term: 5, Ready: true}}} {
		step(in)
	}
	for range 4 {
		step(Joined{Node: 2, Term: 5, Transition: asked[len(asked)-1], Err: errors.New("its log is behind")})
		w.now = w.now.Add(500 * time.Millisecond)
		step(Tick{})
	}
	if len(asked) != 5 || told != 1 {
		t.Errorf("in 2 s it was asked %d times and told %d times, want 5 and 1", len(asked), told)
	}
}
