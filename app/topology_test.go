package app

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/store"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/identity"
)

func testIdentity() *identity.Identity {
	return &identity.Identity{Node: identity.Node{
		Cluster: "test", ID: 1, Name: "n1",
		Links: []netip.AddrPort{netip.MustParseAddrPort("10.0.1.1:694"), netip.MustParseAddrPort("[2001:db8::1]:694")},
	}}
}

func TestFirstCIBIsValidAndKnowsItsNode(t *testing.T) {
	for profile, want := range map[string]node.Timing{"default": {Keepalive: 100, Deadtime: 1000}, "fast": {Keepalive: 20, Deadtime: 200}} {
		root, err := firstCIB(testIdentity(), Founding{Profile: profile})
		if err != nil {
			t.Fatal(err)
		}
		if err := cib.Validate(root); err != nil {
			t.Errorf("%s: %v", profile, err)
		}
		if got := node.TimingOf(root); got != want {
			t.Errorf("%s: timing %v, want %v", profile, got, want)
		}
		peers := peersOf(root)
		if len(peers) != 1 || peers[0].ID != 1 || peers[0].Name != "n1" || len(peers[0].Addrs) != 2 || peers[0].Addrs[1] != testIdentity().Links[1] {
			t.Errorf("%s: peers %v", profile, peers)
		}
	}
	if _, err := firstCIB(testIdentity(), Founding{Profile: "furious"}); err == nil {
		t.Error("an unknown profile was taken")
	}
}

func parse(t *testing.T, xml string) *cib.Node {
	t.Helper()
	root, err := cib.Parse([]byte(xml))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func withOptions(t *testing.T, pairs ...string) *cib.Node {
	var b strings.Builder
	b.WriteString(`<cib><configuration><crm_config><cluster_property_set id="o">`)
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString(`<nvpair id="o-` + pairs[i] + `" name="` + pairs[i] + `" value="` + pairs[i+1] + `"/>`)
	}
	b.WriteString(`</cluster_property_set></crm_config></configuration></cib>`)
	return parse(t, b.String())
}

func TestTimingNeverBecomesUnsafe(t *testing.T) {
	for _, c := range []struct {
		pairs []string
		want  node.Timing
	}{
		{nil, node.Timing{Keepalive: 100, Deadtime: 1000}},
		{[]string{"heartbeat-profile", "fast"}, node.Timing{Keepalive: 20, Deadtime: 200}},
		{[]string{"heartbeat-profile", "nonsense"}, node.Timing{Keepalive: 100, Deadtime: 1000}},
		{[]string{"keepalive", "50ms"}, node.Timing{Keepalive: 50, Deadtime: 1000}},
		{[]string{"keepalive", "500ms", "deadtime", "600ms"}, node.Timing{Keepalive: 500, Deadtime: 2000}}, // at least four heartbeats
		{[]string{"keepalive", "1ms"}, node.Timing{Keepalive: 100, Deadtime: 1000}},                        // refused: the pulse would do nothing else
		{[]string{"keepalive", "soon", "deadtime", "later"}, node.Timing{Keepalive: 100, Deadtime: 1000}},
	} {
		if got := node.TimingOf(withOptions(t, c.pairs...)); got != c.want {
			t.Errorf("%v: %v, want %v", c.pairs, got, c.want)
		}
	}
}

func TestNextIDIsNeverUsedTwice(t *testing.T) {
	root := parse(t, `<cib takt-last-node-id="7"><configuration><nodes><node id="2" uname="a"/></nodes></configuration></cib>`)
	if got := nextID(root, store.State{Voters: []cib.NodeID{2}}); got != 8 {
		t.Errorf("after 7 came %d, want 8: node 7 has left and keeps its id", got)
	}
	if got := nextID(root, store.State{Learners: []cib.NodeID{9}}); got != 10 {
		t.Errorf("with learner 9 came %d, want 10", got)
	}
}

func TestMergeNodesKeepsWhoTheNodesAre(t *testing.T) {
	have := parse(t, `<nodes><node id="1" uname="n1"><instance_attributes id="nodes-1"><nvpair id="a" name="takt-links" value="10.0.1.1:694"/></instance_attributes></node><node id="2" uname="n2"/></nodes>`)
	merged, err := mergeNodes(have, parse(t, `<nodes><node id="1" uname="n1"><instance_attributes id="nodes-1"><nvpair id="b" name="rack" value="7"/></instance_attributes></node></nodes>`))
	if err != nil {
		t.Fatal(err)
	}
	first := merged.ChildByID("node", "1")
	if len(linksOf(first)) != 1 || !strings.Contains(first.String(), "rack") || merged.ChildByID("node", "2") == nil {
		t.Errorf("merged: %s", merged)
	}
	for _, stranger := range []string{`<nodes><node id="3" uname="n3"/></nodes>`, `<nodes><node id="1" uname="other"/></nodes>`} {
		if _, err := mergeNodes(have, parse(t, stranger)); err == nil {
			t.Errorf("%s was taken: a machine becomes a member by takt join alone", stranger)
		}
	}
}

func TestSectionsOf(t *testing.T) {
	for xml, want := range map[string]int{
		`<cib><configuration><resources/><constraints/></configuration><status/></cib>`: 2,
		`<configuration><resources/></configuration>`:                                   1,
		`<resources/>`: 1,
		`<status/>`:    -1,
		`<cib/>`:       -1,
	} {
		got, err := sectionsOf(parse(t, xml))
		if (err != nil) != (want < 0) || err == nil && len(got) != want {
			t.Errorf("%s: %d sections, %v; want %d", xml, len(got), err, want)
		}
	}
}

func TestWitness(t *testing.T) {
	root, err := firstCIB(testIdentity(), Founding{Profile: "default", Witness: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := cib.Validate(root); err != nil {
		t.Fatal(err)
	}
	name := testIdentity().Name
	if node := findNode(root, name); !isWitness(node) || configuredAttr(node, "standby") != "on" {
		t.Errorf("the witness is %s", node)
	}
	if _, err := nodeEdit(root, name, "online"); errs.KindOf(err) != errs.Conflict {
		t.Errorf("a witness was let run resources: %v", err)
	}
	if _, err := nodeEdit(root, name, "maintenance"); err != nil {
		t.Errorf("maintenance of a witness: %v", err)
	}
}
