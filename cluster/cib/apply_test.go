package cib

import (
	"strings"
	"testing"

	"github.com/takt-ha/takt/internal/errs"
)

const small = `<cib admin_epoch="0" epoch="3" num_updates="1"><configuration><crm_config/><nodes><node id="web" uname="web" type="remote"/></nodes>` +
	`<resources><primitive id="web" class="ocf" provider="takt" type="Dummy"><meta_attributes id="web-meta"><nvpair id="web-role" name="target-role" value="Started"/></meta_attributes></primitive><primitive id="db" class="ocf" provider="takt" type="Dummy"/></resources>` +
	`<constraints/></configuration><status><node_state id="1" uname="n1"/><node_state id="web" uname="web"/></status></cib>`

func TestApply(t *testing.T) {
	for _, c := range []struct {
		name string
		op   Op
		sel  string // what to look at afterwards
		want string
	}{
		{"create below a path", Op{Kind: Create, Path: "/cib/configuration/constraints", XML: `<rsc_location id="l" rsc="db" node="n1" score="5"/>`}, "//rsc_location", `<rsc_location id="l" rsc="db" node="n1" score="5"/>`},
		{"create below an id", Op{Kind: Create, ID: "db", XML: `<meta_attributes id="db-meta"/>`}, "//primitive[@id='db']", `<primitive id="db" class="ocf" provider="takt" type="Dummy"><meta_attributes id="db-meta"/></primitive>`},
		{"create a reference", Op{Kind: Create, ID: "db", XML: `<resource_ref id="web"/>`}, "//resource_ref", `<resource_ref id="web"/>`},
		{"create in status", Op{Kind: Create, Path: "/cib/status", XML: `<node_state id="db"/>`}, "//node_state[@id='db']", `<node_state id="db"/>`},
		{"modify sets and keeps", Op{Kind: Modify, ID: "web", XML: `<primitive id="web" type="Stateful"/>`}, "//primitive[1]/@type|//primitive[1]/@class", `ocf Stateful`},
		{"modify merges by id", Op{Kind: Modify, ID: "web", XML: `<primitive><meta_attributes id="web-meta"><nvpair id="web-role" value="Stopped"/><nvpair id="web-x" name="x" value="1"/></meta_attributes></primitive>`},
			"//meta_attributes", `<meta_attributes id="web-meta"><nvpair id="web-role" name="target-role" value="Stopped"/><nvpair id="web-x" name="x" value="1"/></meta_attributes>`},
		{"an id is a resource's before a node's", Op{Kind: Modify, ID: "web", XML: `<primitive critical="x"/>`}, "//@critical", `x`},
		{"replace", Op{Kind: Replace, ID: "web-meta", XML: `<meta_attributes id="other"/>`}, "//primitive[1]/*", `<meta_attributes id="other"/>`},
		{"replace keeps the place", Op{Kind: Replace, ID: "web", XML: `<group id="g"/>`}, "name(//resources/*[1])", `group`},
		{"replace of nothing appends", Op{Kind: Replace, ID: "new", Parent: "//resources", XML: `<primitive id="new"/>`}, "//resources/*[last()]", `<primitive id="new"/>`},
		{"replace the root", Op{Kind: Replace, Path: "/cib", XML: `<cib><configuration/></cib>`}, "/cib", `<cib><configuration/></cib>`},
		{"delete by id", Op{Kind: Delete, ID: "web-role"}, "//meta_attributes", `<meta_attributes id="web-meta"/>`},
		{"delete by path", Op{Kind: Delete, Path: "//node_state[@uname='n1']"}, "count(//node_state)", `1`},
		{"delete nothing", Op{Kind: Delete, ID: "nope", Optional: true}, "count(//primitive)", `2`},
		{"modify nothing", Op{Kind: Modify, ID: "nope", XML: "<x/>", Optional: true}, "count(//primitive)", `2`},
	} {
		root := mustParse(t, small)
		after, err := Apply(root, []Op{c.op})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := shown(t, after, c.sel); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if root.String() != small {
			t.Errorf("%s: the document before has changed", c.name)
		}
	}
}

func shown(t *testing.T, root *Node, e string) string {
	t.Helper()
	x, err := CompileXPath(e)
	if err != nil {
		t.Fatal(err)
	}
	v, err := x.Evaluate(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Nodes) == 0 {
		return strings.Join(v.Strings, " ")
	}
	var out []string
	for _, n := range v.Nodes {
		out = append(out, n.String())
	}
	return strings.Join(out, "")
}

func TestApplyRefuses(t *testing.T) {
	for _, c := range []struct {
		op    Op
		kind  errs.Kind
		words string
	}{
		{Op{Kind: "drop", ID: "web"}, errs.Invalid, `"drop" is no kind`},
		{Op{Kind: Delete}, errs.Invalid, "exactly one of id and path"},
		{Op{Kind: Delete, ID: "web", Path: "/cib"}, errs.Invalid, "exactly one of id and path"},
		{Op{Kind: Delete, ID: "nope"}, errs.NotFound, `delete in CIB id "nope": there is no such element`},
		{Op{Kind: Delete, Path: "//primitive"}, errs.Conflict, "selects 2 elements"},
		{Op{Kind: Delete, Path: "//["}, errs.Invalid, "unexpected"},
		{Op{Kind: Delete, Path: "//@id"}, errs.Invalid, "does not select elements"},
		{Op{Kind: Delete, Path: "/cib"}, errs.Invalid, "<cib> must stay"},
		{Op{Kind: Replace, Path: "/cib", XML: "<x/>"}, errs.Invalid, "<cib> must stay"},
		{Op{Kind: Create, ID: "web"}, errs.Invalid, "has no XML"},
		{Op{Kind: Create, ID: "web", XML: "<a>"}, errs.Invalid, "line 1, column 4"},
		{Op{Kind: Create, Path: "//resources", XML: `<primitive id="web"/>`}, errs.Exists, `<resources> has a <primitive> with id "web" already`},
		{Op{Kind: Create, Path: "//constraints", XML: `<rsc_order id="web"/>`}, errs.Exists, `a <primitive> has the id "web" already (line 1)`},
		{Op{Kind: Create, Path: "/cib/status", XML: `<node_state id="1"/>`}, errs.Exists, "with id \"1\" already"},
		{Op{Kind: Modify, ID: "web", XML: "<group/>"}, errs.Invalid, "<primitive> cannot be modified into a <group>"},
		{Op{Kind: Modify, ID: "db", XML: `<primitive><op id="web"/></primitive>`}, errs.Exists, `id "web"`},
		{Op{Kind: Replace, ID: "nope", XML: "<a/>"}, errs.NotFound, "no such element"},
		{Op{Kind: Replace, ID: "nope", Parent: "//nowhere", XML: "<a/>"}, errs.NotFound, "nor its parent //nowhere"},
	} {
		after, err := Apply(mustParse(t, small), []Op{c.op})
		if after != nil || errs.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.words) || errs.HintOf(err) == "" {
			t.Errorf("%+v: error %v (%v, hint %q), want %v with %q", c.op, err, errs.KindOf(err), errs.HintOf(err), c.kind, c.words)
		}
	}
}

func TestApplyIsAllOrNothingAndShares(t *testing.T) {
	root := mustParse(t, small)
	good := Op{Kind: Delete, ID: "db"}
	if after, err := Apply(root, []Op{good, {Kind: Delete, ID: "nope"}}); after != nil || err == nil || !strings.Contains(err.Error(), "operation 2 of 2") {
		t.Errorf("a failing second operation gives %v, %v", after, err)
	}
	after, err := Apply(root, []Op{good})
	if err != nil {
		t.Fatal(err)
	}
	if after.Child("status") != root.Child("status") || Find(after, "web") != Find(root, "web") {
		t.Error("what was not touched is not shared")
	}
	if same, err := Apply(root, []Op{{Kind: Modify, ID: "db", XML: `<primitive class="ocf"/>`}}); err != nil || same != root {
		t.Errorf("a change to what is there already gives a new document, err %v", err)
	}
	// An id may be used anew once it is free.
	if _, err := Apply(root, []Op{good, {Kind: Create, Path: "//constraints", XML: `<rsc_order id="db"/>`}}); err != nil {
		t.Error(err)
	}
}

func TestFind(t *testing.T) {
	root := mustParse(t, small)
	for id, want := range map[string]string{"web": "primitive", "web-role": "nvpair", "1": "", "": "", "nope": ""} {
		if got := Find(root, id).Name(); got != want {
			t.Errorf("Find(%q) is a %q, want %q", id, got, want)
		}
	}
}
