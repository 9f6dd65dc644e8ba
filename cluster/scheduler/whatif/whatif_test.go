package whatif

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

var now = time.Unix(1_790_000_000, 0)

// cluster writes a CIB of n nodes that are all up.
func cluster(t *testing.T, n int, fencing bool, resources, constraints string) *cib.Node {
	t.Helper()
	var nodes, states strings.Builder
	for i := range n {
		fmt.Fprintf(&nodes, `<node id="%d" uname="n%d"/>`, i+1, i+1)
		fmt.Fprintf(&states, `<node_state id="%d" uname="n%d" in_ccm="true" crmd="online" join="member" expected="member"/>`, i+1, i+1)
	}
	device := ""
	if fencing {
		device = `<primitive id="fence" class="stonith" type="fence_ipmilan"/>`
	}
	root, err := cib.Parse([]byte(fmt.Sprintf(`<cib crm_feature_set="3.16.2" have-quorum="1" dc-uuid="1"><configuration><crm_config><cluster_property_set id="o">
<nvpair id="o1" name="stonith-enabled" value="%v"/></cluster_property_set></crm_config><nodes>%s</nodes>
<resources>%s%s</resources><constraints>%s</constraints>
<rsc_defaults><meta_attributes id="d"><nvpair id="d1" name="resource-stickiness" value="1"/></meta_attributes></rsc_defaults></configuration><status>%s</status></cib>`,
		fencing, nodes.String(), device, resources, constraints, states.String())))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// dummy is a primitive with a monitor; meta are NAME=VALUE pairs.
func dummy(id, onFail string, meta ...string) string {
	var pairs strings.Builder
	for i, m := range meta {
		name, value, _ := strings.Cut(m, "=")
		fmt.Fprintf(&pairs, `<nvpair id="%s-m%d" name="%s" value="%s"/>`, id, i, name, value)
	}
	if onFail != "" {
		onFail = ` on-fail="` + onFail + `"`
	}
	return fmt.Sprintf(`<primitive id="%s" class="ocf" provider="takt" type="Dummy"><meta_attributes id="%s-m">%s</meta_attributes>
<operations><op id="%s-op" name="monitor" interval="10s"%s/></operations></primitive>`, id, id, pairs.String(), id, onFail)
}

func location(id, rsc, node, score string) string {
	return fmt.Sprintf(`<rsc_location id="%s" rsc="%s" node="%s" score="%s"/>`, id, rsc, node, score)
}

func report(t *testing.T, root *cib.Node, pairs bool) *Report {
	t.Helper()
	s := New(root, now)
	var outcomes []Outcome
	for _, sc := range s.Scenarios(pairs) {
		outcomes = append(outcomes, s.Try(sc))
	}
	return s.Report(outcomes)
}

// of finds the outcome of a scenario.
func of(t *testing.T, list []Outcome, name string) Outcome {
	t.Helper()
	for _, o := range list {
		if o.Scenario.String() == name {
			return o
		}
	}
	t.Fatalf("%s was not tried", name)
	return Outcome{}
}

// words is an outcome for an error message.
func words(o Outcome) string {
	text, _ := json.Marshal(o)
	return string(text)
}

func lostNames(list []Loss) string {
	var names []string
	for _, l := range list {
		names = append(names, l.Resource)
	}
	return strings.Join(names, " ")
}

// A resource that only one node may run is lost with it; one that others may
// run moves.
func TestNodeFailure(t *testing.T) {
	root := cluster(t, 3, false, dummy("db", "")+dummy("web", ""),
		location("a", "db", "n2", "-INFINITY")+location("b", "db", "n3", "-INFINITY")+location("c", "web", "n1", "100"))
	r := report(t, root, false)
	o := of(t, r.Nodes, "n1")
	if lostNames(o.Lost) != "db" || len(o.Moved) != 1 || o.Moved[0].Resource != "web" || o.Quorum != Kept {
		t.Errorf("n1: lost %s, moved %v, quorum %s", lostNames(o.Lost), o.Moved, o.Quorum)
	}
	if r.Nodes[0].Nodes[0] != "n1" {
		t.Errorf("the worst node is %s, want n1", r.Nodes[0])
	}
	if len(r.Points) != 1 || r.Points[0].Scenario.String() != "n1" {
		t.Errorf("single points of failure: %v", r.Points)
	}
	if n2 := of(t, r.Nodes, "n2"); len(n2.Lost)+len(n2.Moved)+len(n2.Restarted) != 0 {
		t.Errorf("n2 runs nothing, but %s", words(n2))
	}
}

// Members of a group count as one.
func TestGroupMovesAsOne(t *testing.T) {
	root := cluster(t, 3, false, `<group id="shop">`+dummy("ip", "")+dummy("site", "")+`</group>`, location("c", "shop", "n1", "100"))
	o := of(t, report(t, root, false).Nodes, "n1")
	if len(o.Moved) != 1 || o.Moved[0].Resource != "shop" || !slices.Equal(o.Moved[0].From, []string{"n1"}) || len(o.Moved[0].To) != 1 {
		t.Errorf("moved %+v", o.Moved)
	}
}

// The more important loss is worse than many unimportant ones.
func TestHarmOrder(t *testing.T) {
	h := func(moved, fenced int, priorities ...int) Harm {
		return Harm{Lost: len(priorities), Priorities: priorities, Moved: moved, Fenced: fenced}
	}
	worst := []Harm{h(0, 0, 10), h(0, 0, 5, 5), h(9, 0, 5), h(0, 0, 5), h(0, 0, 0, 0), h(0, 1, 0), h(2, 0), h(1, 1), h(1, 0), h(0, 1), h(0, 0)}
	for i, a := range worst {
		for j, b := range worst {
			if got := a.Compare(b); (got > 0) != (i < j) || (got < 0) != (i > j) {
				t.Errorf("%+v against %+v: %d", a, b, got)
			}
		}
	}
}

func TestResourceFailure(t *testing.T) {
	root := cluster(t, 3, false, dummy("web", "")+dummy("once", "", "migration-threshold=1")+dummy("stuck", "block")+
		`<primitive id="blind" class="ocf" provider="takt" type="Dummy"/>`, "")
	r := report(t, root, false)
	for _, o := range r.Resources {
		switch o.Resource {
		case "web", "blind":
			if len(o.Lost)+len(o.Moved) > 0 || !slices.Equal(o.Restarted, []string{o.Resource}) {
				t.Errorf("%s: want a restart in place, got %s", o.Resource, words(o))
			}
		case "once":
			if len(o.Moved) != 1 || len(o.Lost) > 0 {
				t.Errorf("once: want a move, got %s", words(o))
			}
		case "stuck":
			if lostNames(o.Lost) != "stuck" || o.Lost[0].Why == "" {
				t.Errorf("stuck: want a loss with a reason, got %s", words(o))
			}
		}
	}
	if len(r.Resources) != 4 || !slices.Equal(r.Unnoticed, []string{"blind"}) {
		t.Errorf("%d resources failed, unnoticed %v", len(r.Resources), r.Unnoticed)
	}
}

// Quorum by proof: a vote is taken from a node only if it can be fenced.
func TestQuorum(t *testing.T) {
	for _, c := range []struct {
		nodes   int
		fencing bool
		dead    []string
		want    Quorum
	}{
		{1, true, []string{"n1"}, Nobody},
		{2, true, []string{"n1"}, Tie},
		{2, false, []string{"n1"}, Broken},
		{3, false, []string{"n2"}, Kept},
		{3, true, []string{"n1", "n2"}, Broken},
		{4, true, []string{"n1", "n2"}, Tie},
		{4, false, []string{"n1", "n2"}, Broken},
		{5, false, []string{"n1", "n2"}, Kept},
	} {
		s := New(cluster(t, c.nodes, c.fencing, dummy("web", ""), ""), now)
		if root, got := s.failNodes(s.base.Root, c.dead); got != c.want || (root.Attr("have-quorum") == "0") != (c.want == Broken) {
			t.Errorf("%d nodes, fencing %v, %v die: %s (have-quorum %s), want %s", c.nodes, c.fencing, c.dead, got, root.Attr("have-quorum"), c.want)
		}
	}
}

// Where quorum is lost, everything stops, and the reason says so.
func TestWithoutQuorum(t *testing.T) {
	r := report(t, cluster(t, 3, true, dummy("web", "")+dummy("db", ""), ""), true)
	if len(r.Pairs) != 3 {
		t.Fatalf("%d pairs", len(r.Pairs))
	}
	for _, o := range r.Pairs {
		if o.Quorum != Broken || lostNames(o.Lost) != "db web" || o.Lost[0].Why == "" {
			t.Errorf("%s: quorum %s, lost %+v", o.Scenario, o.Quorum, o.Lost)
		}
	}
}

// With fencing a lost node is fenced before what it ran moves; if no device
// can do that, what it ran is lost.
func TestFencing(t *testing.T) {
	root := cluster(t, 3, true, dummy("web", ""), location("c", "web", "n1", "100"))
	o := of(t, report(t, root, false).Nodes, "n1")
	if !slices.Equal(o.Fenced, []string{"n1"}) || len(o.Moved) != 1 || len(o.Lost) != 0 {
		t.Errorf("with a device: %s", words(o))
	}
	device := root.Path("configuration", "resources").ChildByID("primitive", "fence")
	only := root.WithPath(func(list *cib.Node) *cib.Node {
		return list.WithReplaced(device, device.WithChild(cib.NewNode("instance_attributes", "id", "i").WithChild(
			cib.NewNode("nvpair", "id", "i1", "name", "pcmk_host_list", "value", "n2 n3"))))
	}, "configuration", "resources")
	r := report(t, only, false)
	o = of(t, r.Nodes, "n1")
	if lostNames(o.Lost) != "web" || !slices.Equal(o.CannotFence, []string{"n1"}) || len(o.Fenced) != 0 {
		t.Errorf("without a device for n1: %s", words(o))
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "n1") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

// A clone that loses an instance still runs; a promoted role moves.
func TestClones(t *testing.T) {
	root := cluster(t, 3, false, `<clone id="drbds"><meta_attributes id="dm"><nvpair id="dm1" name="promotable" value="true"/></meta_attributes>`+
		dummy("drbd", "")+`</clone>`, `<rsc_location id="p" rsc="drbds"><rule id="pr" score="100" role="Promoted"><expression id="pe" attribute="#uname" operation="defined"/></rule></rsc_location>`+
		`<rsc_location id="q" rsc="drbds"><rule id="qr" score="50" role="Promoted"><expression id="qe" attribute="#uname" operation="eq" value="n1"/></rule></rsc_location>`)
	o := of(t, report(t, root, false).Nodes, "n1")
	if len(o.Lost) != 0 || len(o.Fewer) != 1 || o.Fewer[0].Before != 3 || o.Fewer[0].After != 2 {
		t.Errorf("lost %v, fewer %+v", o.Lost, o.Fewer)
	}
	if len(o.Moved) != 1 || !o.Moved[0].Promoted || o.Moved[0].Resource != "drbds" {
		t.Errorf("moved %+v", o.Moved)
	}
}

// What moves although its node lives was only disturbed.
func TestDisturbed(t *testing.T) {
	s := New(cluster(t, 3, false, `<group id="g">`+dummy("web", "")+`</group>`+dummy("db", ""), ""), now)
	for _, c := range []struct {
		sc   Scenario
		move Move
		want bool
	}{
		{Scenario{Kind: Node, Nodes: []string{"n1"}}, Move{Resource: "db", From: []string{"n1"}}, false},
		{Scenario{Kind: Node, Nodes: []string{"n1"}}, Move{Resource: "db", From: []string{"n2"}}, true},
		{Scenario{Kind: Pair, Nodes: []string{"n1", "n2"}}, Move{Resource: "db", From: []string{"n2"}}, false},
		{Scenario{Kind: Resource, Nodes: []string{"n1"}, Resource: "web"}, Move{Resource: "g", From: []string{"n1"}}, false},
		{Scenario{Kind: Resource, Nodes: []string{"n1"}, Resource: "web"}, Move{Resource: "db", From: []string{"n1"}}, true},
	} {
		o := Outcome{Scenario: c.sc}
		s.moved(&o, c.move)
		if o.Moved[0].Disturbed != c.want {
			t.Errorf("%s fails, %s moves: disturbed %v", c.sc, c.move.Resource, o.Moved[0].Disturbed)
		}
	}
}

func TestBeyond(t *testing.T) {
	node := func(n string, lost ...string) Outcome {
		o := Outcome{Scenario: Scenario{Kind: Node, Nodes: []string{n}}}
		for _, l := range lost {
			o.Lost = append(o.Lost, Loss{Resource: l})
		}
		return o
	}
	r := &Report{Nodes: []Outcome{node("n1", "a"), node("n2"), node("n3", "b")}}
	pair := node("n1", "a", "b", "c")
	pair.Nodes = []string{"n1", "n2"}
	if got := lostNames(r.Beyond(pair)); got != "b c" {
		t.Errorf("beyond: %s, want b c", got)
	}
}

func TestFeatureSet(t *testing.T) {
	for set, want := range map[string]bool{"": false, "2.0": false, "3.0.9": false, "3.0.13": true, "3.0.14": true, "3.1": true, "3.16.2": true} {
		if got := atLeast(set, 3, 0, 13); got != want {
			t.Errorf("%q: %v", set, got)
		}
	}
}

func TestNaturalCompare(t *testing.T) {
	list := []string{"n10", "n2", "n1", "n02", "a", "n1b", ""}
	slices.SortFunc(list, naturalCompare)
	if got, want := strings.Join(list, " "), " a n1 n1b n2 n02 n10"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMonitorOf(t *testing.T) {
	root := cluster(t, 1, false, `<master id="ms"><primitive id="db" class="ocf" provider="takt" type="Dummy"><operations>
<op id="1" name="monitor" interval="11s" role="Master"/><op id="2" name="monitor" interval="10s"/><op id="3" name="monitor" interval="9s" role="Stopped"/>
</operations></primitive></master>`, "")
	l := newLayout(root)
	for role, want := range map[scheduler.Role]int64{scheduler.Promoted: 11000, scheduler.Unpromoted: 10000, scheduler.Started: 10000} {
		if _, got, noticed := l.monitor("db:1", role); got != want || !noticed {
			t.Errorf("%s: every %d ms, noticed %v, want %d", role, got, noticed, want)
		}
	}
}
