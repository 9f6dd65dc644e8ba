package cib

import (
	"strings"
	"testing"
)

func lines(a, b *Node) string {
	var out []string
	for _, d := range Diff(a, b) {
		out = append(out, d.String())
	}
	return strings.Join(out, "\n")
}

func TestDiff(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{`<a/>`, `<a/>`, ``},
		{`<a x="1" y="2"/>`, `<a x="3" z="4"/>`, "~ /a/@x \"1\" -> \"3\"\n+ /a/@z 4\n- /a/@y 2"},
		{`<a><p id="1"/><p id="2"/></a>`, `<a><p id="2"/><p id="3"/></a>`, "+ /a/p[@id='3'] <p id=\"3\"/>\n- /a/p[@id='1'] <p id=\"1\"/>"},
		{`<a><p id="1"/><p id="2"/><p id="3"/></a>`, `<a><p id="3"/><p id="1"/><p id="2"/></a>`, "~ /a/p[@id='3'] moved: after p[@id='2'] -> first"},
		{`<a><b/><b/></a>`, `<a><b/><b x="1"/></a>`, "+ /a/b[2]/@x 1"},
		{`<a><b>x</b></a>`, `<a><b>y</b></a>`, `~ /a/b/text() "x" -> "y"`},
		{`<a><!-- c --><b/></a>`, `<a><b/></a>`, ``},
		{`<a id="it's"/>`, `<b/>`, "- /a <a id=\"it's\"/>\n+ /b <b/>"},
	} {
		if got := lines(mustParse(t, c.a), mustParse(t, c.b)); got != c.want {
			t.Errorf("%s to %s:\n%s\nwant\n%s", c.a, c.b, got, c.want)
		}
	}
	if got := lines(nil, mustParse(t, `<a id="x"/>`)); got != `+ /a[@id='x'] <a id="x"/>` {
		t.Errorf("from nothing: %s", got)
	}
	if got := lines(mustParse(t, `<a/>`), nil); got != `- /a <a/>` {
		t.Errorf("to nothing: %s", got)
	}
}

// TestDiffOfApply checks that the paths of a diff are XPaths of the document.
func TestDiffOfApply(t *testing.T) {
	root := mustParse(t, small)
	after, err := Apply(root, []Op{{Kind: Modify, ID: "web", XML: `<primitive type="Stateful"/>`}, {Kind: Delete, ID: "db"}})
	if err != nil {
		t.Fatal(err)
	}
	want := "~ /cib/configuration/resources/primitive[@id='web']/@type \"Dummy\" -> \"Stateful\"\n" +
		"- /cib/configuration/resources/primitive[@id='db'] " + Find(root, "db").String()
	if got := lines(root, after); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := shown(t, after, Diff(root, after)[0].Path); got != "Stateful" {
		t.Errorf("the path of the difference selects %q", got)
	}
}

func BenchmarkDiff(b *testing.B) {
	root := bigCIB(b, 5_000_000)
	after, err := Apply(root, []Op{{Kind: Modify, ID: "rsc9", XML: `<primitive type="Stateful"/>`}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if len(Diff(root, after)) != 1 {
			b.Fatal("one difference expected")
		}
	}
}
