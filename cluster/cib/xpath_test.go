package cib

import (
	"bytes"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takt-ha/takt/internal/errs"
)

const xpathDoc = `<cib epoch="7"><!-- head --><configuration><nodes>
<node id="1" uname="n1" weight="5"/><node id="2" uname="n2" weight="20"/><node id="3" uname="n3"/></nodes>
<resources><group id="g"><primitive id="a" class="ocf" type="Dummy"><op id="a1" interval="10"/><op id="a2" interval="0"/></primitive>
<primitive id="b" class="lsb" type="sshd"><op id="b1" interval="10"/></primitive><?note keep?></group>
<primitive id="c" class="ocf" type="Dummy">some <em>mixed</em> text</primitive><clone id="k"><primitive id="d" class="ocf" type="Ä€x"/></clone></resources>
<constraints><rsc_order id="o1" first="a" then="c"/><rsc_order id="o2" first="c" then="d"/></constraints></configuration>
<status/></cib>`

// xpathCases are compared with another implementation; the expressions are
// chosen for what is easy to get wrong.
var xpathCases = []string{
	`/`, `/cib`, `/*`, `//primitive`, `//primitive[1]`, `//primitive[2]`, `(//primitive)[2]`, `//primitive[last()]`, `(//primitive)[last()]`,
	`//op[1]`, `//op[position()=2]`, `/descendant::op[2]`, `//group/primitive[2]/op`, `//primitive[@class='ocf'][2]`, `//primitive[2][@class='lsb']`,
	`//primitive[op]`, `//primitive[not(op)]`, `//primitive[count(op)>1]`, `//primitive[op/@interval='10']/@id`, `//@interval`, `//op/..`, `//op/../..`,
	`//op/ancestor::*`, `//op/ancestor::*[1]`, `//op/ancestor-or-self::*[2]`, `//op[@id='b1']/preceding::op`, `//op[@id='b1']/preceding::*[1]`, `//op[@id='b1']/preceding::node()[2]`,
	`//primitive[@id='a']/following::*`, `//primitive/following::*[1]`, `//node[2]/preceding-sibling::*`, `//node[3]/preceding-sibling::*[1]`, `//node[1]/following-sibling::*[2]`,
	`//op/following::primitive`, `//op/following-sibling::op | //op`, `//node | //primitive | //node[1]`, `//node[@uname='n2']/@weight | //node[@uname='n1']`,
	`//@id/..`, `//@id/parent::node`, `//@first/ancestor::*`, `//@weight/following::op`, `//@weight/preceding::*`, `//op/@*[1]`, `//op/@*[last()]`, `//node/self::node`, `//primitive/child::op[1]`,
	`//comment()`, `//text()[normalize-space()]`, `//processing-instruction()`, `//processing-instruction('note')`, `//processing-instruction('other')`, `//primitive/node()`, `//primitive/descendant-or-self::node()`,
	`//rsc_order[@then=//primitive[@type='Dummy']/@id]`, `//primitive[@id=//rsc_order/@first]`, `//primitive[@id!=//rsc_order/@first]`, `//primitive[not(@id=//rsc_order/@first)]`,
	`//node[@weight>5]`, `//node[@weight>=5]`, `//node[@weight<//node[2]/@weight]`, `//node[@weight!=5]`, `//node[number(@weight)!=5]`, `//node[@weight]`, `//node[-@weight < -6]`,
	`//*[starts-with(@id,'o')]`, `//*[contains(@uname,'2')]`, `//*[string-length(@id)=1]`, `//*[name()='op']`, `//*[local-name()='op'][last()]`, `//*[@*]`, `//*[self::op or self::node]`, `//*[not(*)]`,
	`//primitive[position() mod 2 = 1]`, `//primitive[position()!=last()]`, `//primitive[string()]`, `//primitive[.='some mixed text']`, `//*[.=''][2]`, `//node[position()>1][1]`,
	`/cib/configuration//op`, `/cib/configuration//op[2]`, `//configuration//primitive//op[1]`, `.//op[1]`, `//primitive[.//op]`, `//resources//.`, `//group/..//op`, `/descendant-or-self::node()/op[2]`,
	`count(//primitive)`, `count(//op[1])`, `count(//@*)`, `sum(//node[@weight]/@weight)`, `sum(//node/@weight)`, `string(//node)`, `string(//node/@uname)`, `string(//missing)`, `name(//@weight)`, `name(/)`, `name(/*)`,
	`concat('a', 1, true())`, `substring('12345', 2, 3)`, `substring('12345', 1.5, 2.6)`, `substring('12345', 0, 3)`, `substring('12345', 0 div 0, 3)`, `substring('12345', -42, 1 div 0)`, `substring('12345', 2)`,
	`substring-before('1999/04/01','/')`, `substring-after('1999/04/01','/')`, `substring-before('a','x')`, `substring-after('a','x')`, `translate('bar','abc','AB')`, `translate('--aaa--','abc-','ABC')`,
	`normalize-space('  a  b ')`, `string-length('Ä€x')`, `substring('Ä€x', 2, 1)`, `boolean('')`, `boolean('false')`, `boolean(0)`, `boolean(//op)`, `boolean(//nope)`, `not(1)`,
	`1 + 2 * 3`, `(1 + 2) * 3`, `7 mod 3`, `-7 mod 3`, `7 mod -3`, `1.5 mod 0.5`, `7 div 2`, `1 div 0`, `-1 div 0`, `0 div 0`, `- - 3`, `2 - -2`, `5-2`, `number('12')`, `number(' -1.5 ')`, `number('+1')`, `number('')`, `number(true())`,
	`floor(-1.5)`, `ceiling(1.2)`, `round(2.5)`, `round(-2.5)`, `round(1.4)`, `string(0.1)`, `string(1.0)`, `string(-0)`, `string(1 div 3 > 0.3)`, `1 = 1.0`, `'1' = 1`, `true() = 'x'`, `//op = 'x'`, `//nope = //nope`, `//nope != 'x'`, `//nope = false()`,
	`//@interval = 10`, `//@interval != 10`, `//@interval < 5`, `//@weight > //@interval`, `1 < 2 = true()`, `3 > 2 > 1`, `1 or 0 and 0`, `'a' < 'b'`, `count(//div) or 1`, `count(//*[@id='a']/self::primitive)`,
	`//primitive[@type="Ä€x"]/@id`, `count(//primitive[last()-1])`, `(//op | //node)[3]`, `(//op/ancestor::*)[1]`, `(//op/ancestor::*)[last()]`, `//primitive[2]/preceding-sibling::primitive[1]/op[last()]`, `//namespace::*[. = 'x']`, `//em/text()`,
}

func TestXPathAgainstXmllint(t *testing.T) {
	program, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("no xmllint here; install libxml2-utils to compare with libxml2")
	}
	file := filepath.Join(t.TempDir(), "doc.xml")
	root := mustParse(t, xpathDoc)
	// What is not kept (white space between elements) must not differ.
	if err := os.WriteFile(file, []byte(root.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := strings.NewReplacer("&#xC4;&#x20AC;", "Ä€", ` encoding="UTF-8"`, "")
	for _, e := range xpathCases {
		var out, stderr bytes.Buffer
		cmd := exec.Command(program, "--xpath", e, file)
		cmd.Stdout, cmd.Stderr = &out, &stderr
		err := cmd.Run()
		want := plain.Replace(strings.TrimRight(out.String(), "\n"))
		if err != nil && !strings.Contains(stderr.String(), "XPath set is empty") {
			t.Errorf("%s: xmllint: %v %s", e, err, stderr.String())
			continue
		}
		if got := like(t, root, e); got != want {
			t.Errorf("%s:\n got %q\nwant %q", e, got, want)
		}
	}
}

// like prints a result as xmllint does.
func like(t *testing.T, root *Node, e string) string {
	t.Helper()
	x, err := CompileXPath(e)
	if err != nil {
		t.Errorf("%v", err)
		return ""
	}
	ev := newEvaluator(root, x.budget)
	v := x.root.eval(ev, xpathContext{node: ref{}, pos: 1, size: 1})
	if v.kind != NodeSet {
		return ev.toString(v)
	}
	var lines []string
	for _, r := range v.set {
		n := ev.nodes[r.at].node
		switch {
		case r.attr > 0:
			a := n.attrs[r.attr-1]
			lines = append(lines, ` `+a.Name+`="`+a.Value+`"`)
		case n == nil:
			lines = append(lines, "<?xml version=\"1.0\"?>\n"+root.String())
		default:
			lines = append(lines, n.String())
		}
	}
	return strings.Join(lines, "\n")
}

func TestXPathRefuses(t *testing.T) {
	for e, want := range map[string]string{
		``: "ends", `//`: "ends", `a[`: "ends", `a]`: `unexpected "]"`, `a b`: `unexpected "b"`, `'x`: "does not end", `$x`: "variables", `nope()`: "nope() is not known",
		`bad::a`: `"bad" is no axis`, `count()`: "0 arguments", `count(1)`: "needs nodes", `1|a`: "both sides", `1/a`: "selects no nodes", `'x'[1]`: "selects no nodes",
		`a[1`: "]", `f(`: "not known", `concat(1 2)`: ", is expected", `#`: `unexpected "#"`, `@`: "the name of",
		strings.Repeat("(", 1000) + "1": "nested more than", strings.Repeat("a/", maxXPath): "at most",
	} {
		_, err := CompileXPath(e)
		if err == nil || !strings.Contains(err.Error(), want) || errs.KindOf(err) != errs.Invalid {
			t.Errorf("%.60q: error %v, want %q", e, err, want)
		}
	}
}

func selectIDs(t *testing.T, root *Node, e string) string {
	t.Helper()
	x, err := CompileXPath(e)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := x.Select(root)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, n := range nodes {
		ids = append(ids, n.name+n.ID())
	}
	return strings.Join(ids, " ")
}

func TestSelect(t *testing.T) {
	root := mustParse(t, xpathDoc)
	for e, want := range map[string]string{
		"/": "cib", "/|/cib": "cib", "//op[1]": "opa1 opb1", "/cib/configuration/nodes/node[@id='2' and @uname='n2']": "node2",
		"/cib/configuration/nodes/node[@id='2']": "node2", "/cib/configuration/nodes/node": "node1 node2 node3", "/nope": "", "id('a d')": "primitivea primitived",
	} {
		if got := selectIDs(t, root, e); got != want {
			t.Errorf("%s selects %q, want %q", e, got, want)
		}
	}
	for _, e := range []string{"//@id", "1", "//text()", "//comment()"} {
		x, err := CompileXPath(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.Select(root); errs.KindOf(err) != errs.Invalid {
			t.Errorf("%s: Select gives error %v", e, err)
		}
	}
	if x, _ := CompileXPath("//a"); x != nil {
		if nodes, err := x.Select(nil); len(nodes) != 0 || err != nil {
			t.Errorf("Select of nothing: %v %v", nodes, err)
		}
	}
}

func TestEvaluate(t *testing.T) {
	root := mustParse(t, xpathDoc)
	x, err := CompileXPath("//node/@weight")
	if err != nil {
		t.Fatal(err)
	}
	v, err := x.Evaluate(root)
	if err != nil || v.Type != NodeSet || len(v.Attrs) != 2 || v.Attrs[1].Owner.ID() != "2" || v.Attrs[1].Value != "20" || v.Number != 5 || !v.Bool || strings.Join(v.Strings, ",") != "5,20" {
		t.Errorf("attributes: %+v, %v", v, err)
	}
	// libxml2 reads exponents; the recommendation does not.
	if got := shown(t, root, "number('1e3')"); got != "NaN" {
		t.Errorf("number('1e3') is %s", got)
	}
	x, _ = CompileXPath("0 div 0")
	if v, _ := x.Evaluate(root); v.Type != Number || !math.IsNaN(v.Number) || v.Strings[0] != "NaN" || v.Bool {
		t.Errorf("NaN: %+v", v)
	}
}

func TestXPathBudget(t *testing.T) {
	root := bigCIB(t, 200_000)
	for _, e := range []string{"//*[count(//*)>0]", "//*[//*/@x = //*]/following::*", "count(//*/following::*)"} {
		x, err := CompileXPath(e)
		if err != nil {
			t.Fatal(err)
		}
		x.budget = 100_000
		_, err = x.Evaluate(root)
		var known *errs.Error
		if !errors.As(err, &known) || !strings.Contains(err.Error(), "given up after") {
			t.Errorf("%s: error %v, want an exhausted budget", e, err)
		}
	}
}

// TestSimpleAgrees compares the short way of simple paths with the long one.
func TestSimpleAgrees(t *testing.T) {
	root := mustParse(t, xpathDoc)
	for _, e := range []string{"/cib", "/cib/configuration/nodes/node", "/cib/configuration/nodes/node[@weight='5']", "/cib/configuration/resources/group/primitive[@class='ocf'][@id='a']/op", "/x"} {
		x, err := CompileXPath(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := x.simple(); !ok {
			t.Errorf("%s is not taken for simple", e)
		}
		if a, b := selectIDs(t, root, e), selectIDs(t, root, "("+e+")[true()]"); a != b {
			t.Errorf("%s: %q the short way, %q the long one", e, a, b)
		}
	}
}

func FuzzXPath(f *testing.F) {
	for _, e := range xpathCases {
		f.Add(e)
	}
	root, err := Parse([]byte(xpathDoc))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, e string) {
		x, err := CompileXPath(e)
		if err != nil {
			return
		}
		v, err := x.Evaluate(root)
		if err == nil && v.Type == NodeSet && len(v.Strings) < len(v.Nodes) {
			t.Fatalf("%q: %d nodes but %d strings", e, len(v.Nodes), len(v.Strings))
		}
	})
}

func BenchmarkXPathID(b *testing.B) {
	root := bigCIB(b, 5_000_000)
	x, err := CompileXPath("//primitive[@id='rsc7']")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if n, err := x.Select(root); err != nil || len(n) != 1 {
			b.Fatal(n, err)
		}
	}
}
