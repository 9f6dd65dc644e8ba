package app

import (
	"strings"
	"testing"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// withPasswords is a cluster with a password of a fence device, of a template and of a service.
func withPasswords(t *testing.T) *cib.Node {
	return fenceCIB(t,
		`<nvpair id="b2" name="username" value="takt"/>`, `<nvpair id="b2" name="password" value="templates-own"/>`,
		`<nvpair id="i3" name="priority" value="7"/>`, `<nvpair id="i3" name="passwd" value="s3cret&amp;"/><nvpair id="i4" name="password_script" value="/etc/pw"/>`,
		`<primitive id="web" class="ocf" provider="takt" type="Dummy"/>`, `<primitive id="web" class="ocf" provider="takt" type="Dummy"><instance_attributes id="w"><nvpair id="w1" name="replication_password" value="third"/></instance_attributes></primitive>`)
}

func TestHiddenDocument(t *testing.T) {
	root := withPasswords(t)
	shown := hidden(root).Indent()
	for _, secret := range []string{"templates-own", "s3cret", "third"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%s is shown", secret)
		}
	}
	if n := strings.Count(shown, `value="******"`); n != 3 {
		t.Errorf("%d values are hidden, not 3:\n%s", n, shown)
	}
	if !strings.Contains(shown, "/etc/pw") {
		t.Error("a path is hidden")
	}
	if hidden(root.Path("configuration", "constraints")) != root.Path("configuration", "constraints") {
		t.Error("what holds no secret is copied")
	}
}

// What was shown without passwords and is applied, whole, in sections or in parts, changes none.
func TestHiddenDocumentAppliedChangesNoPassword(t *testing.T) {
	root := withPasswords(t)
	shown := hidden(root)
	sections := func(n *cib.Node) api.Apply { return api.Apply{XML: n.Indent(), Source: "f.xml"} }
	primitive := shown.Path("configuration", "resources").ChildByID("primitive", "ilo")
	for name, req := range map[string]api.Apply{
		"whole":   sections(shown),
		"section": sections(shown.Path("configuration", "resources")),
		"op":      {Source: "edit", Ops: []api.Op{{Kind: string(cib.Replace), Path: "/cib/configuration/resources/primitive[@id='ilo']", XML: primitive.String()}}},
	} {
		after, ops, err := (&App{}).plan(root, req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cib.Diff(root, after); len(d) > 0 {
			t.Errorf("%s: it changes %v", name, d)
		}
		proposed, err := cib.Apply(root, ops)
		if err != nil || len(cib.Diff(root, proposed)) > 0 {
			t.Errorf("%s: what is proposed differs: %v", name, err)
		}
	}
}

// A marker whose password is not known never becomes one.
func TestUnknownHiddenPasswordIsRefused(t *testing.T) {
	root := withPasswords(t)
	text := hidden(root).Path("configuration", "resources").Indent()
	pair := `<nvpair id="i3" name="passwd" value="******"/>`
	set := `<instance_attributes id="i">` + pair + `</instance_attributes>`
	for name, req := range map[string]api.Apply{
		"another resource":   {Source: "f.xml", XML: strings.Replace(text, `<primitive id="ilo"`, `<primitive id="drac"`, 1)},
		"another id":         {Source: "f.xml", XML: strings.Replace(text, `id="i3"`, `id="i33"`, 1)},
		"another parameter":  {Source: "f.xml", XML: strings.Replace(text, `name="passwd"`, `name="password"`, 1)},
		"nobody's parameter": {Source: "edit", Ops: []api.Op{{Kind: string(cib.Replace), Path: "/cib/configuration/resources/primitive[@id='ilo']/instance_attributes", XML: set}}},
	} {
		_, _, err := (&App{}).plan(root, req)
		if errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), "******") || errs.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, _, err := (&App{}).plan(root, api.Apply{Source: "f.xml", XML: strings.Replace(text, `id="i3"`, `id="i33"`, 1)})
	if err == nil || !strings.Contains(err.Error(), "line ") {
		t.Errorf("it does not say where: %v", err)
	}
}

// A list of differences says that a password is another one, and not which.
func TestDifferencesShowNoPassword(t *testing.T) {
	before := withPasswords(t)
	after, err := cib.ParseString(strings.Replace(before.String(), "templates-own", "brand-new", 1))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Join(differences(before, after), "\n")
	if strings.Contains(lines, "templates-own") || strings.Contains(lines, "brand-new") || !strings.Contains(lines, "another one") {
		t.Error(lines)
	}
	if lines := differences(before, before); len(lines) > 0 {
		t.Error(lines)
	}
	gone := differences(before, after.WithPath(func(*cib.Node) *cib.Node { return nil }, "configuration", "resources"))
	if strings.Contains(strings.Join(gone, "\n"), "s3cret") {
		t.Error(gone)
	}
}
