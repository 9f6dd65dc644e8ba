package cib

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/takt-ha/takt/internal/errs"
)

// sampleDir holds published regression cases where they are at hand; tests
// that read it are skipped elsewhere.
func sampleDir() string {
	if d := os.Getenv("TAKT_SCHEDULER_CASES"); d != "" {
		return d
	}
	return "../../../shared/scheduler"
}

func samples(t testing.TB) []string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(sampleDir(), "*.xml"))
	if len(files) == 0 {
		t.Skip("no sample CIBs here; set TAKT_SCHEDULER_CASES to a folder of *.xml to run this test")
	}
	return files
}

func mustParse(t testing.TB, s string) *Node {
	t.Helper()
	n, err := Parse([]byte(s))
	if err != nil {
		t.Fatalf("Parse(%q): %v", s, err)
	}
	return n
}

// equal compares two trees in all but lines.
func equal(a, b *Node) bool {
	return a.name == b.name && a.kind == b.kind && a.text == b.text &&
		slices.Equal(a.attrs, b.attrs) && slices.EqualFunc(a.children, b.children, equal)
}

func TestParsePrints(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`<cib/>`, ``},
		{"\uFEFF<?xml version=\"1.0\" encoding='UTF-8'?>\n<!-- a --><?x y?><cib/><!-- b -->\n", `<cib/>`},
		{"<a>\n  <b x='1' y = \"2\"></b>\n <!-- c - d -->\n</a >", `<a><b x="1" y="2"/><!-- c - d --></a>`},
		{`<a v="&lt;&gt;&amp;&quot;&apos;&#65;&#x4a;"/>`, `<a v="&lt;&gt;&amp;&quot;'AJ"/>`},
		{"<a v='x\ny\tz\r\nq&#10;&#9;&#13;'/>", `<a v="x y z q&#10;&#9;&#13;"/>`},
		{"<a> x\r\ny &amp; <b/> z<![CDATA[<&]]>]]</a>", "<a> x\ny &amp; <b/> z&lt;&amp;]]</a>"},
		{"<a>&#32;</a>", `<a>&#32;</a>`},
		{"<a>&#9;\n</a>", "<a>&#9;\n</a>"},
		{"<a><![CDATA[ ]]><![CDATA[ ]]></a>", `<a>&#32; </a>`},
		{"<a>x]]&gt;</a>", `<a>x]]&gt;</a>`},
		{"<ä:b.c-d _=''>µ😀</ä:b.c-d>", `<ä:b.c-d _="">µ😀</ä:b.c-d>`},
		{"<a><?php echo 1 ?><b/></a>", ``},
	} {
		want := c.want
		if want == "" {
			want = c.in
		}
		n := mustParse(t, c.in)
		if got := n.String(); got != want {
			t.Errorf("%q:\n got %q\nwant %q", c.in, got, want)
		}
		if again := mustParse(t, n.String()); !equal(n, again) {
			t.Errorf("%q: reading the print back gives %q", c.in, again)
		}
		if again := mustParse(t, n.Indent()); !equal(n, again) {
			t.Errorf("%q: reading the indented print back gives %q", c.in, again)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("<a>", MaxDepth+1)
	for _, c := range []struct{ in, where, message, hint string }{
		{"", "line 1, column 1", "no element", "starts with an element"},
		{"  x", "line 1, column 3", "text before", "&lt;"},
		{"</a>", "line 1, column 1", "end tag without", "start tag"},
		{"<a>\n<b></a>", "line 2, column 4", "</a> does not close <b> of line 2", "</b>"},
		{"<a>\n<b/>", "line 2, column 5", "<a> of line 1 is not closed", "</a>"},
		{"<a/>\n<b/>", "line 2, column 1", "second root", "one root"},
		{"<a/>x", "line 1, column 5", "text after", "Remove"},
		{"<a x='1' x='2'/>", "line 1, column 10", "x occurs twice in <a>", "one of the two"},
		{"<a ü='1'x='2'/>", "line 1, column 9", "not separated", "space"},
		{"<a x/>", "line 1, column 4", "no value", `x="…"`},
		{"<a x=1/>", "line 1, column 6", "not in quotes", `x="…"`},
		{"<a x='1/>", "line 1, column 6", "does not end", "quote"},
		{"<a x='<'/>", "line 1, column 7", "< in the value", "&lt;"},
		{"<a x='1'", "line 1, column 1", "start tag <a does not end", ">"},
		{"<a =/>", "line 1, column 4", `unexpected "="`, "attribute"},
		{"<a / >", "line 1, column 4", `unexpected "/"`, "/>"},
		{"<1/>", "line 1, column 1", "not followed by the name", "&lt;"},
		{"<a>&nope;</a>", "line 1, column 4", "&nope; is not known", "&amp;"},
		{"<a>x & y</a>", "line 1, column 6", "does not start a reference", "&amp;"},
		{"<a x='&#0;'/>", "line 1, column 7", "&#0; is no character", "XML allows"},
		{"<a x='&#xD800;'/>", "line 1, column 7", "no character", "XML allows"},
		{"<a x='&#99999999999;'/>", "line 1, column 7", "no character", "XML allows"},
		{"<a>\x01</a>", "line 1, column 4", "control character U+0001", "Remove"},
		{"<a x='\x1b'/>", "line 1, column 7", "control character U+001B", "Remove"},
		{"<a><!--\x02--></a>", "line 1, column 8", "control character", "Remove"},
		{"<a><?x \x02?></a>", "line 1, column 8", "control character", "Remove"},
		{"<a><![CDATA[\x02]]></a>", "line 1, column 13", "control character", "Remove"},
		{"<a>\uFFFE</a>", "line 1, column 4", "U+FFFE", "Remove"},
		{"<a>\xff</a>", "line 1, column 4", "byte 0xff", "UTF-8"},
		{"<a><!-- x</a>", "line 1, column 4", "comment does not end", "-->"},
		{"<a><!-- -- --></a>", "line 1, column 9", "-- inside", "one dash"},
		{"<a><![CDATA[x</a>", "line 1, column 4", "CDATA section does not end", "]]>"},
		{"<a>]]></a>", "line 1, column 4", "]]> in text", "]]&gt;"},
		{"<a><?x</a>", "line 1, column 4", "does not end", "?>"},
		{"<a><? x?></a>", "line 1, column 4", "not followed by a name", "target"},
		{"<a><?xml version='1.0'?></a>", "line 1, column 4", "not at the start", "first character"},
		{" <?xml version='1.0'?><a/>", "line 1, column 2", "not at the start", "first character"},
		{"<?xml version='2.0'?><a/>", "line 1, column 1", `version "2.0"`, "1.0"},
		{"<?xml version='1.0' encoding='latin1'?><a/>", "line 1, column 1", `encoding "latin1"`, "UTF-8"},
		{"<!DOCTYPE a [<!ENTITY x 'y'>]><a/>", "line 1, column 1", "document type", "Remove"},
		{"<a>\n<!ENTITY x 'y'></a>", "line 2, column 1", "entity declaration", "Remove"},
		{deep, "line 1, column 769", "more than 256 deep", "end tag"},
	} {
		n, err := Parse([]byte(c.in))
		if err == nil {
			t.Errorf("Parse(%.40q) = %v, want an error", c.in, n)
			continue
		}
		var syn *SyntaxError
		if !errors.As(err, &syn) || errs.KindOf(err) != errs.Invalid {
			t.Errorf("%.40q: error %#v is not an invalid SyntaxError", c.in, err)
		}
		for _, want := range []string{c.where + ":", c.message} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%.40q: error %q lacks %q", c.in, err, want)
			}
		}
		if !strings.Contains(errs.HintOf(err), c.hint) {
			t.Errorf("%.40q: hint %q lacks %q", c.in, errs.HintOf(err), c.hint)
		}
	}
}

func TestParseLimits(t *testing.T) {
	if _, err := Parse(make([]byte, MaxSize+1)); err == nil || !strings.Contains(err.Error(), "at most 268435456") {
		t.Errorf("too large a document: %v", err)
	}
	if n := mustParse(t, strings.Repeat("<a>", MaxDepth)+strings.Repeat("</a>", MaxDepth)); n.Child("a") == nil {
		t.Error("a document of the greatest depth lost its content")
	}
	var b strings.Builder
	for i := range maxAttrs + 1 {
		fmt.Fprintf(&b, " a%d=''", i)
	}
	if _, err := Parse([]byte("<a" + b.String() + "/>")); err == nil || !strings.Contains(err.Error(), "more than 1024 attributes") {
		t.Errorf("too many attributes: %v", err)
	}
}

func TestLines(t *testing.T) {
	n := mustParse(t, "<?xml version='1.0'?>\n<a\n x='1\n2'>\n\n<b/><c>\n</c>\n<d/></a>")
	got := []int{n.Line(), n.Child("b").Line(), n.Child("c").Line(), n.Child("d").Line()}
	if want := []int{2, 6, 6, 8}; !slices.Equal(got, want) {
		t.Errorf("lines %v, want %v", got, want)
	}
}

// TestSlicesAreIndependent guards the carving of slices out of larger pieces:
// a changed copy must not write into its neighbour.
func TestSlicesAreIndependent(t *testing.T) {
	n := mustParse(t, `<a><b x="1"><p/></b><c y="2"><q/></c></a>`)
	before := n.String()
	n.Child("b").WithAttr("z", "3")
	n.Child("b").WithChild(NewNode("new"))
	_ = append(n.Child("b").Attrs(), Attr{"w", "4"})
	if got := n.String(); got != before {
		t.Errorf("the tree changed to %s", got)
	}
}

func TestWriteTo(t *testing.T) {
	root := bigCIB(t, 200_000)
	var b strings.Builder
	n, err := root.WriteTo(&b)
	if err != nil || n != int64(b.Len()) || b.String() != root.String() {
		t.Errorf("WriteTo wrote %d of %d bytes, err %v", n, b.Len(), err)
	}
	full := errors.New("full")
	if _, err := root.WriteTo(failingWriter{full}); !errors.Is(err, full) {
		t.Errorf("WriteTo to a full disk: %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestSamplesRoundTrip(t *testing.T) {
	for _, f := range samples(t) {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n, err := Parse(data)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		again := mustParse(t, n.Indent())
		if !equal(n, again) || n.String() != again.String() {
			t.Errorf("%s: does not survive printing", f)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`<a/>`, `<a x="&#10;">t<![CDATA[u]]><!-- c --><?p q?><b/></a>`, "<a>&#32;\r\n</a>", `<!DOCTYPE a><a/>`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Parse(data)
		if err != nil {
			return
		}
		for _, text := range []string{n.String(), n.Indent()} {
			again, err := Parse([]byte(text))
			if err != nil {
				t.Fatalf("cannot read back %q: %v", text, err)
			}
			if !equal(n, again) {
				t.Fatalf("%q came back as %q", n, again)
			}
		}
	})
}

// bigCIB makes a CIB of at least so many bytes.
func bigCIB(t testing.TB, size int) *Node {
	t.Helper()
	return mustParse(t, bigCIBText(size))
}

func bigCIBText(size int) string {
	var b strings.Builder
	b.WriteString(`<cib admin_epoch="0" epoch="1" num_updates="2"><configuration><resources>`)
	for i := 0; b.Len() < size/2; i++ {
		fmt.Fprintf(&b, "\n    <primitive id=\"rsc%d\" class=\"ocf\" provider=\"takt\" type=\"Dummy\">\n      <operations>\n        <op id=\"rsc%d-mon\" name=\"monitor\" interval=\"10s\"/>\n      </operations>\n    </primitive>", i, i)
	}
	b.WriteString(`</resources></configuration><status><node_state id="1" uname="n1"><lrm id="1"><lrm_resources>`)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "\n        <lrm_resource id=\"rsc%d\" type=\"Dummy\" class=\"ocf\" provider=\"takt\"><lrm_rsc_op id=\"rsc%d_last_0\" operation=\"start\" call-id=\"%d\" rc-code=\"0\" op-status=\"0\" interval=\"0\" transition-magic=\"0:0;3:1:7:abc\"/></lrm_resource>", i, i, i)
	}
	b.WriteString(`</lrm_resources></lrm></node_state></status></cib>`)
	return b.String()
}

func BenchmarkParse(b *testing.B) {
	data := []byte(bigCIBText(5_000_000))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPrint(b *testing.B) {
	root := bigCIB(b, 5_000_000)
	b.SetBytes(int64(len(root.String())))
	b.ReportAllocs()
	for b.Loop() {
		_ = root.Append(nil)
	}
}
