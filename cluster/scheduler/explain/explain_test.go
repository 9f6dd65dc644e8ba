package explain

import (
	"strings"
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/internal/errs"
)

const document = `<cib><configuration><nodes><node id="1" uname="n1"/><node id="2" uname="n2"/><node id="10" uname="n10"/></nodes>
<resources><primitive id="web"/><group id="shop"><primitive id="ip"/><primitive id="db"/></group>
<clone id="pings"><primitive id="ping"/></clone><bundle id="box"><primitive id="app"/></bundle><group id="hollow"/></resources></configuration></cib>`

func parse(t *testing.T) *cib.Node {
	t.Helper()
	root, err := cib.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func term(node string, score scheduler.Score, kind scheduler.TermKind, object, why string) scheduler.Term {
	return scheduler.Term{Node: node, Score: score, Kind: kind, Object: object, Why: why}
}

func scores(n1, n2, n10 scheduler.Score) map[string]scheduler.Score {
	return map[string]scheduler.Score{"n1": n1, "n2": n2, "n10": n10}
}

const never = -scheduler.Infinity

// each case is one allocation of web, and what is said about it.
var cases = []struct {
	name   string
	alloc  scheduler.Allocation
	node   string // asked about
	says   []string
	change string
}{
	{
		name: "a failure outweighs a preference",
		alloc: scheduler.Allocation{Node: "n2", From: []string{"n2"}, Role: scheduler.Started, Scores: scores(never, 100, 0), Terms: []scheduler.Term{
			term("n1", 500, scheduler.TermLocation, "likes-n1", "location likes-n1 prefers n1 (500)"),
			term("n1", never, scheduler.TermFailure, "web", "n1 has 3 failures of web (migration-threshold 3)"),
			term("n2", 100, scheduler.TermStickiness, "", "web runs on n2 already (resource-stickiness 100)")}},
		says:   []string{"web runs on n2, not n1: n1 has 3 failures of web (migration-threshold 3)", "for n1 speaks: location likes-n1 prefers n1 (500)"},
		change: "mend the cause, then: takt resource cleanup web n1",
	},
	{
		name: "the weightiest difference decides, not the weightiest term",
		alloc: scheduler.Allocation{Node: "n1", From: []string{"n1"}, Role: scheduler.Started, Scores: scores(1100, 1050, 0), Terms: []scheduler.Term{
			term("n1", 1000, scheduler.TermLocation, "both", "location both prefers n1 (1000)"),
			term("n2", 1000, scheduler.TermLocation, "both", "location both prefers n2 (1000)"),
			term("n1", 100, scheduler.TermStickiness, "", "web runs on n1 already (resource-stickiness 100)"),
			term("n2", 50, scheduler.TermLocation, "bit", "location bit prefers n2 (50)")}},
		says: []string{"web runs on n1, not n2: web runs on n1 already (resource-stickiness 100)", "for n2 speaks: location bit prefers n2 (50)",
			"in sum n1 has 1100 and n2 has 1050"},
		change: "to move it nevertheless: takt resource move web n2",
	},
	{
		name: "of several vetoes the state of the node is named first",
		node: "n10",
		alloc: scheduler.Allocation{Node: "n1", From: []string{"n1"}, Role: scheduler.Started, Scores: scores(0, 0, never), Terms: []scheduler.Term{
			term("n10", never, scheduler.TermLocation, "cli-ban-web", "location cli-ban-web forbids n10"),
			term("n10", never, scheduler.TermState, "", "n10 is in standby")}},
		says:   []string{"web runs on n1, not n10: n10 is in standby", "besides, location cli-ban-web forbids n10"},
		change: "takt node online n10|a command left constraint cli-ban-web behind: takt resource clear web",
	},
	{
		name:   "equals are decided by where it runs",
		alloc:  scheduler.Allocation{Node: "n2", From: []string{"n2"}, Role: scheduler.Started, Scores: scores(0, 0, 0)},
		says:   []string{"web runs on n2, not n1: both are equal (0), and it runs there already"},
		change: "to have it there: takt resource move web n1, or a location constraint",
	},
	{
		name: "one reason for all nodes is said once",
		alloc: scheduler.Allocation{Role: scheduler.Stopped, Scores: scores(never, never, never), Terms: []scheduler.Term{
			term("n1", never, scheduler.TermRole, "web", "target-role is Stopped"), term("n2", never, scheduler.TermRole, "web", "target-role is Stopped"),
			term("n10", never, scheduler.TermRole, "web", "target-role is Stopped")}},
		says:   []string{"web runs nowhere: target-role is Stopped"},
		change: "takt resource start web",
	},
	{
		name: "different reasons are said node by node",
		alloc: scheduler.Allocation{Role: scheduler.Stopped, Scores: scores(never, never, never), Terms: []scheduler.Term{
			term("n1", never, scheduler.TermState, "", "n1 is offline"), term("n2", never, scheduler.TermTicket, "T", "ticket T is not granted"),
			term("n10", never, scheduler.TermFailure, "web", "web failed too often")}},
		says: []string{"web runs nowhere: no node is left", "n1 is offline", "n2: ticket T is not granted", "n10: web failed too often"},
		change: "bring n1 back into the cluster|grant ticket T to this site|" +
			"mend the cause, then: takt resource cleanup web n10",
	},
	{
		name:   "what is blocked has one reason",
		alloc:  scheduler.Allocation{Node: "n1", From: []string{"n1"}, Role: scheduler.Started, Blocked: true, Reason: "web is left alone: its stop failed on n1", Scores: scores(0, 0, 0)},
		says:   []string{"web is left alone: its stop failed on n1"},
		change: "once its cause is mended: takt resource cleanup web",
	},
	{
		name:   "what is not managed has one, too",
		alloc:  scheduler.Allocation{Node: "n1", From: []string{"n1"}, Role: scheduler.Started, Reason: "web is left alone: it is not managed", Scores: scores(0, 0, 0)},
		says:   []string{"web is left alone: it is not managed"},
		change: "let the cluster act on it: takt resource manage web",
	},
}

func TestSays(t *testing.T) {
	for _, c := range cases {
		c.alloc.Resource = "web"
		a, err := Explain(parse(t), &scheduler.Transition{Allocations: []scheduler.Allocation{c.alloc}}, "web", c.node)
		if err != nil {
			t.Fatal(err)
		}
		i := a.Instances[0]
		if got, want := strings.Join(i.Says, "\n"), strings.Join(c.says, "\n"); got != want {
			t.Errorf("%s: says\n%s\nwant\n%s", c.name, got, want)
		}
		if got := strings.Join(i.Change, "|"); got != c.change {
			t.Errorf("%s: change %q, want %q", c.name, got, c.change)
		}
	}
}

// A start waits for real actions on other things; points in the order are
// looked through, probes are not worth a word.
func TestWaits(t *testing.T) {
	tr := &scheduler.Transition{
		Allocations: []scheduler.Allocation{{Resource: "web", Node: "n2", From: []string{"n1"}, Role: scheduler.Started, Scores: scores(never, 0, 0),
			Terms: []scheduler.Term{term("n1", never, scheduler.TermState, "", "n1 is unclean")}}},
		Actions: []scheduler.Action{
			{ID: 0, Kind: scheduler.Cluster, Task: "stonith", Node: "n1", Detail: "off", Reason: "n1 is lost"},
			{ID: 1, Kind: scheduler.Pseudo, Task: "stop", Resource: "web", Node: "n1"},
			{ID: 2, Kind: scheduler.Resource, Task: "monitor", Resource: "web", Node: "n2", Reason: "not known"},
			{ID: 3, Kind: scheduler.Resource, Task: "start", Resource: "web", Node: "n2", Reason: "n1 is lost: web moves to n2"}},
		Order: []scheduler.Ordering{{Before: 0, After: 1}, {Before: 1, After: 3}, {Before: 2, After: 3}},
	}
	a, err := Explain(parse(t), tr, "web", "")
	if err != nil {
		t.Fatal(err)
	}
	want := "web moves from n1 to n2: n1 is unclean\nbefore it can start there: fence n1 (off)"
	if got := strings.Join(a.Instances[0].Says, "\n"); got != want {
		t.Errorf("says\n%s\nwant\n%s", got, want)
	}
	if len(a.Actions) != 2 || a.Actions[0].Words != "probe web on n2" || a.Actions[1].Words != "start web on n2" {
		t.Errorf("actions %+v", a.Actions)
	}
}

func TestPromotion(t *testing.T) {
	alloc := func(name, node string, role scheduler.Role) scheduler.Allocation {
		return scheduler.Allocation{Resource: name, Node: node, From: []string{node}, Role: role, Scores: scores(0, 0, 0)}
	}
	tr := &scheduler.Transition{
		Allocations: []scheduler.Allocation{alloc("ping:0", "n1", scheduler.Promoted), alloc("ping:1", "n2", scheduler.Unpromoted), alloc("ping:2", "n10", scheduler.Unpromoted)},
		ScoreLines: []string{"pcmk__clone_assign: ping:0 allocation score on n1: 3", "ping:0 promotion score on n1: 100", "ping:1 promotion score on n2: 5",
			"ping:2 promotion score on n10: -1"},
	}
	tr.Allocations[2].Unpromoted = "its agent has set no promotion score on n10"
	a, err := Explain(parse(t), tr, "pings", "")
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []string{"it is promoted: its promotion score is 100, that of ping:1 on n2 is 5",
		"it is not promoted: its promotion score is 5, that of ping:0 on n1 is 100",
		"it is not promoted: its agent has set no promotion score on n10"} {
		if says := a.Instances[n].Says; says[len(says)-1] != want {
			t.Errorf("%s: %q, want %q at the end", a.Instances[n].Resource, says, want)
		}
	}
}

func TestInstances(t *testing.T) {
	tr := &scheduler.Transition{}
	for _, name := range []string{"app:0", "box-docker-0", "db", "ip", "ping:0", "ping:1", "web", "web2"} {
		tr.Allocations = append(tr.Allocations, scheduler.Allocation{Resource: name, Node: "n1", Scores: scores(0, 0, 0)})
	}
	tr.Allocations[5].Node = "n2"
	for _, c := range []struct{ resource, node, want string }{
		{"web", "", "web"}, {"shop", "", "db ip"}, {"pings", "", "ping:0 ping:1"}, {"ping", "", "ping:0 ping:1"}, {"ping:1", "", "ping:1"},
		{"pings", "n2", "ping:1"}, {"pings", "n10", "ping:0 ping:1"}, {"box", "", "app:0 box-docker-0"},
	} {
		a, err := Explain(parse(t), tr, c.resource, c.node)
		if err != nil {
			t.Errorf("%s: %v", c.resource, err)
			continue
		}
		var names []string
		for _, i := range a.Instances {
			names = append(names, i.Resource)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s on %q: %s, want %s", c.resource, c.node, got, c.want)
		}
	}
	for _, c := range []struct{ resource, node string }{{"nothing", ""}, {"web", "n3"}, {"hollow", ""}} {
		if _, err := Explain(parse(t), tr, c.resource, c.node); errs.KindOf(err) != errs.NotFound {
			t.Errorf("%s on %q: %v, want not-found", c.resource, c.node, err)
		}
	}
}
