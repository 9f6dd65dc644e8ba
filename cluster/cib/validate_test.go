package cib

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/takt-ha/takt/internal/errs"
)

func TestSamplesValidate(t *testing.T) {
	for _, f := range samples(t) {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := Validate(mustParse(t, string(data))); err != nil {
			t.Errorf("%s:\n%v", filepath.Base(f), err)
		}
	}
}

const dummy = `class="ocf" provider="takt" type="Dummy"`

// validateCases are sections of a configuration and what is found in them:
// "path: message. remedy", each only in parts.
var validateCases = []struct {
	in   string
	want []string
}{
	{`<resources><primitive id="a" ` + dummy + `/></resources>`, nil},
	{`<resources><primitive id="a" clas="ocf" type="Dummy"/></resources>`, []string{"primitive[@id='a']/@clas: attribute clas is not known in <primitive>. Did you mean class?"}},
	{`<resources><primitve id="a" ` + dummy + `/></resources>`, []string{"/resources/primitve[@id='a']: <primitve> is not known in <resources>. Did you mean <primitive>?"}},
	{`<resources><primitive id="a"/></resources>`, []string{"<primitive> a has no class and type, or template"}},
	{`<resources><primitive ` + dummy + `/></resources>`, []string{`<primitive> has no id. Add id="…".`}},
	{`<resources><primitive id="a b" ` + dummy + `/></resources>`, []string{`id of <primitive> cannot be "a b"`}},
	{`<resources><primitive id="a" class="ofc" provider="takt" type="Dummy"/></resources>`, []string{`class of <primitive> cannot be "ofc". Write ocf.`}},
	{`<resources><primitive id="a" ` + dummy + `/><primitive id="a" ` + dummy + `/></resources>`, []string{`id "a" is that of a <primitive> already (line 1). Give one of them another id.`}},
	{`<resources><primitive id="a" ` + dummy + `/></resources><nodes><node id="a" uname="a" type="remote"/></nodes>`, nil},
	{`<nodes><node id="1"/><node id="1"/></nodes>`, []string{`id "1" is that of a <node> already`}},
	{`<resources><group id="g"/></resources>`, []string{"<group> g has no <primitive>. A group has at least one member"}},
	{`<resources><clone id="c"/></resources>`, []string{"has no <primitive>, or <group>"}},
	{`<resources><clone id="c"><primitive id="a" ` + dummy + `/><group id="g"><primitive id="b" ` + dummy + `/></group></clone></resources>`, []string{"has a primitive and a group"}},
	{`<resources><bundle id="b"><podman replicas="x" image="i"/></bundle></resources>`, []string{`replicas of <podman> cannot be "x"`}},
	{`<resources><rsc_order id="o" first="a" then="b"/></resources>`, []string{"<rsc_order> does not belong into <resources>. Move it: it stands in <constraints>."}},
	{`<resources/><resources/>`, []string{"<configuration> has more than one <resources>"}},
	{`<resources><template id="t" ` + dummy + `/><primitive id="a" template="t"/></resources>`, nil},
	{`<resources><template id="tmpl" ` + dummy + `/><primitive id="a" template="tmlp"/></resources>`, []string{`template="tmlp" refers to nothing: there is no template with this id. Did you mean tmpl?`}},
	{`<resources><template id="t" template="t" ` + dummy + `/></resources>`, []string{"template of <template> cannot be"}},
	{`<resources><primitive id="a" ` + dummy + `><operations><op id="o" name="monitor" interval="10 parsecs" timeout="20s" role="Master" on-fail="fnece"/></operations></primitive></resources>`,
		[]string{`interval of <op> cannot be "10 parsecs". Write a time such as 10s`, `on-fail of <op> cannot be "fnece". Write fence.`}},
	{`<resources><primitive id="a" ` + dummy + `><operations><op id="o" name="monitor"/></operations></primitive></resources>`, []string{"has no interval"}},
	{`<resources><primitive id="a" ` + dummy + `><meta_attributes id="m"><nvpair id="n1" name="target-role" value="Sarted"/><nvpair id="n2" name="is-managed" value="perhaps"/><nvpair id="n3" name="other" value="?"/></meta_attributes></primitive></resources>`,
		[]string{`/nvpair[@id='n1']/@value: target-role cannot be "Sarted". Write Started.`, `is-managed cannot be "perhaps". Write true or false.`}},
	{`<resources><primitive id="a" ` + dummy + `><meta_attributes id-ref="nope"/></primitive></resources>`, []string{`id-ref="nope" refers to nothing: there is no <meta_attributes>`}},
	{`<crm_config><cluster_property_set id="p"><nvpair id="n" name="no-quorum-policy" value="ingore"/></cluster_property_set></crm_config>`, []string{`no-quorum-policy cannot be "ingore". Write ignore.`}},
	{`<constraints><rsc_location id="l" rsc="a" node="n1" score="lots"/></constraints><resources><primitive id="a" ` + dummy + `/></resources>`, []string{`score of <rsc_location> cannot be "lots". Write a whole number, INFINITY or -INFINITY.`}},
	{`<constraints><rsc_location id="l" rsc="nope" node="nowhere" score="-INFINITY"/></constraints>`, []string{`/@rsc: rsc="nope" refers to nothing`}},
	{`<constraints><rsc_location id="l" rsc-pattern="("/></constraints>`, []string{"rsc-pattern of <rsc_location> cannot be", "has no node and score, or <rule>"}},
	{`<constraints><rsc_order id="o" first="web" then="databse" kind="mandatory"/></constraints><resources><primitive id="web" ` + dummy + `/><primitive id="database" ` + dummy + `/></resources>`,
		[]string{`then="databse" refers to nothing: there is no resource, template or tag with this id. Did you mean database?`, `kind of <rsc_order> cannot be "mandatory". Write Mandatory.`}},
	{`<constraints><rsc_colocation id="c" rsc="a"/></constraints><resources><primitive id="a" ` + dummy + `/></resources>`, []string{"has no rsc and with-rsc, or <resource_set>"}},
	{`<constraints><rsc_order id="o"><resource_set id="s"><resource_ref id="x"/></resource_set></rsc_order></constraints>`, []string{`id="x" refers to nothing`}},
	{`<constraints><rsc_location id="l" rsc="t"><rule id="r" score="5"/></rsc_location></constraints><tags><tag id="t"><obj_ref id="r"/></tag></tags>`, []string{"A rule has at least one expression"}},
	{`<acls><acl_target id="u"><role id="r"/></acl_target><acl_role id="r"><acl_permission id="p" kind="red" xpath="//["/></acl_role></acls>`, []string{"xpath of <acl_permission> cannot be", `kind of <acl_permission> cannot be "red". Write read.`}},
	{`<acls><acl_target id="u"><role id="q"/></acl_target></acls>`, []string{"there is no <acl_role>"}},
	{`<fencing-topology><fencing-level id="f" index="x" devices="d"/></fencing-topology>`, []string{"has no target", "index of <fencing-level>"}},
	{`<alerts><alert id="a"/></alerts>`, []string{"<alert> has no path"}},
	{`<resources><vendor-thing id="v" any="1"><primitive/></vendor-thing><primitive id="a" my-own="1" ` + dummy + `/></resources>`, []string{`<primitive> has no id`, `<primitive> has no class`}},
}

func TestValidate(t *testing.T) {
	for _, c := range validateCases {
		root := mustParse(t, "<cib><configuration>"+c.in+"</configuration><status><nonsense/><node_state/></status></cib>")
		err := Validate(root)
		var found *ValidationError
		if errors.As(err, &found) != (len(c.want) > 0) {
			t.Errorf("%s: error %v, want %q", c.in, err, c.want)
			continue
		}
		if found == nil {
			continue
		}
		if errs.KindOf(err) != errs.Invalid || errs.HintOf(err) == "" {
			t.Errorf("%s: kind %v, hint %q", c.in, errs.KindOf(err), errs.HintOf(err))
		}
		if len(found.Findings) != len(c.want) {
			t.Errorf("%s:\n%v\nwant only %q", c.in, err, c.want)
		}
		for _, want := range c.want {
			if !slices.ContainsFunc(found.Findings, func(f Finding) bool { return f.Line > 0 && strings.Contains(f.String(), want) }) {
				t.Errorf("%s:\n%v\nlacks %q", c.in, err, want)
			}
		}
	}
}

func TestValidateRoot(t *testing.T) {
	for in, want := range map[string]string{"<resources/>": "the root element is <resources>", "<cib/>": "has no <configuration>", "<cib epoch='x'><configuration/></cib>": "epoch of <cib>"} {
		if err := Validate(mustParse(t, in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
	if err := Validate(nil); err == nil {
		t.Error("no document is valid")
	}
	lax := `<cib validate-with="none"><configuration><nodes><node id="1" type="odd"/><node id="1"/></nodes></configuration></cib>`
	if found := Check(mustParse(t, lax), nil); len(found) != 1 || !strings.Contains(found[0].Message, `id "1"`) {
		t.Errorf("validate-with=none: %v", found)
	}
}

func TestWarnings(t *testing.T) {
	root := mustParse(t, `<cib><configuration><resources><primitive id="a" `+dummy+`><operations><op id="o" name="monitor" interval="1s" timeout="long"/></operations></primitive></resources></configuration></cib>`)
	if found := Check(root, nil); len(found) != 1 || !found[0].Warning {
		t.Errorf("findings %v, want one warning", found)
	}
	if err := Validate(root); err != nil {
		t.Errorf("a warning refuses the document: %v", err)
	}
}

func TestAgentCheck(t *testing.T) {
	root := mustParse(t, `<cib><configuration><resources><template id="t" class="ocf" provider="takt" type="T"><instance_attributes id="ti"><nvpair id="t1" name="x" value="1"/><nvpair id="t2" name="y" value="1"/></instance_attributes></template>
<primitive id="a" template="t"><instance_attributes id="ai"><nvpair id="a1" name="x" value="2"/></instance_attributes><instance_attributes id="aj"><rule id="r"><expression id="e" attribute="z" operation="defined"/></rule><nvpair id="a2" name="z" value="2"/></instance_attributes></primitive>
<primitive id="b" class="lsb" type="sshd"><instance_attributes id-ref="ai"/></primitive></resources></configuration></cib>`)
	var seen []string
	err := ValidateWith(root, func(class, provider, typ string, params map[string]string) []AgentProblem {
		seen = append(seen, strings.Join([]string{class, provider, typ, params["x"], params["y"], params["z"]}, " "))
		if class == "lsb" {
			return []AgentProblem{{Message: "there is no such agent."}}
		}
		return nil
	})
	if want := []string{"ocf takt T 1 1 ", "ocf takt T 2 1 ", "lsb  sshd 2  "}; !slices.Equal(seen, want) {
		t.Errorf("the hook saw %q, want %q", seen, want)
	}
	if err == nil || !strings.Contains(err.Error(), "primitive[@id='b']: there is no such agent. See takt agents info lsb:sshd.") {
		t.Errorf("error %v", err)
	}
	err = ValidateWith(root, func(_, _, typ string, _ map[string]string) []AgentProblem {
		if typ == "sshd" {
			return nil
		}
		return []AgentProblem{{Param: "x", Message: "no", Remedy: "Yes."}}
	})
	if err == nil || !strings.Contains(err.Error(), "line 2: /cib/configuration/resources/primitive[@id='a']/instance_attributes[@id='ai']/nvpair[@id='a1']: no. Yes.") {
		t.Errorf("not at the parameter: %v", err)
	}
}

// TestSchemaIsWhole checks the table against itself.
func TestSchemaIsWhole(t *testing.T) {
	for name, e := range schema {
		for _, c := range e.children {
			if _, ok := schema[c]; !ok && !strings.HasPrefix(c, "select_") && c != "status" {
				t.Errorf("<%s> in <%s> is not described", c, name)
			}
		}
		for _, c := range e.once {
			if !slices.Contains(e.children, c) {
				t.Errorf("<%s> may stand once in <%s>, where it is no child", c, name)
			}
		}
		if name != "cib" && strings.HasPrefix(placesOf(name), "<") {
			t.Errorf("<%s> stands nowhere", name)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	root := bigCIB(b, 5_000_000)
	for b.Loop() {
		if err := Validate(root); err != nil {
			b.Fatal(err)
		}
	}
}
