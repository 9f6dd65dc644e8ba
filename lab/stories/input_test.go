package stories

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/takt-ha/takt/api"
)

// TestBadInput: what is wrong is refused with line, path and remedy, and the
// running cluster is untouched.
func TestBadInput(t *testing.T) {
	c := newConsole(t, 3)
	c.installAgent()
	c.apply(`<configuration><resources>` + scripted("run", "") + `</resources><constraints>` + prefers("run", "n2") + `</constraints></configuration>`)
	c.runsOn("run", "n2")
	version, calls := c.latest().CIBVersion, notMonitors(c.calls("run"))
	const res = "<resources>\n%s\n</resources>\n"
	const dummy = `class="ocf" provider="takt" type="Dummy"`
	for _, w := range []struct {
		name, xml string
		words     []string
	}{
		{"broken XML", "<resources>\n<primitive id=\"a\" " + dummy + ">\n</resources>", []string{"line 3", "does not close <primitive> of line 2"}},
		{"no XML", "hello", []string{"line 1"}},
		{"unknown agent", fmt.Sprintf(res, `<primitive id="a" class="ocf" provider="heartbeat" type="Nonsense"/>`), []string{"line 2", "primitive[@id='a']", "ocf:heartbeat:Nonsense", "resource.d/heartbeat/Nonsense", "takt agents list"}},
		{"missing parameter", fmt.Sprintf(res, `<primitive id="a" class="ocf" provider="takt" type="IPaddr2"/>`), []string{"line 2", "parameter ip is required", "takt agents info ocf:takt:IPaddr2"}},
		{"unknown parameter", fmt.Sprintf(res, "<primitive id=\"a\" class=\"ocf\" provider=\"takt\" type=\"IPaddr2\"><instance_attributes id=\"p\">\n<nvpair id=\"p1\" name=\"ip\" value=\"10.88.1.9\"/>\n<nvpair id=\"p2\" name=\"cdir_netmask\" value=\"24\"/></instance_attributes></primitive>"), []string{"line 4", "nvpair[@id='p2']", "Did you mean cidr_netmask?"}},
		{"impossible value", fmt.Sprintf(res, `<primitive id="a" class="ocf" provider="takt" type="IPaddr2"><instance_attributes id="p"><nvpair id="p1" name="ip" value="10.88.1.999"/></instance_attributes></primitive>`), []string{"line 2", "10.88.1.999", "want an IPv4 or IPv6 address"}},
		{"duplicate id", fmt.Sprintf(res, `<primitive id="a" `+dummy+"/>\n<primitive id=\"a\" "+dummy+"/>"), []string{"line 3", "already (line 2)", "Give one of them another id"}},
		{"reference to nothing", "<constraints>\n<rsc_order id=\"o\" first=\"run\" then=\"rnu\"/></constraints>", []string{"line 2", "rsc_order[@id='o']/@then", "refers to nothing", "Did you mean run?"}},
		{"misspelled elements", fmt.Sprintf(res, `<primitve id="a" `+dummy+"/>\n<primitive id=\"b\" "+dummy+"><meta_atributes id=\"m\"/></primitive>"), []string{"3 places", "running configuration: /cib/configuration/constraints", "line 2", "Did you mean <primitive>?", "line 3", "Did you mean <meta_attributes>?"}},
		{"unknown score", `<constraints><rsc_location id="l" rsc="run" node="n1" score="INFINIT"/></constraints>`, []string{"cannot be \"INFINIT\"", "INFINITY"}},
		{"no section", `<primitive id="a" ` + dummy + `/>`, []string{"no section", "resources"}},
		{"not a member", `<nodes><node id="9" uname="n9"/></nodes>`, []string{"n9", "takt join"}},
	} {
		c.sub(w.name, func(c *console) {
			file := c.file("bad.xml", w.xml)
			text := c.refused("n3", 2, append(w.words, "bad.xml", "Nothing was changed"), "cib", "apply", file)
			t.Log(text)
			c.refused("n3", 2, nil, "cib", "validate", file)
			c.refused("n3", 2, nil, "cib", "diff", file)
			var e api.Failed
			if err := json.Unmarshal([]byte(c.refused("n3", 2, nil, "-o", "json", "cib", "apply", file)), &e); err != nil || e.Kind != "invalid" || e.Hint == "" || !strings.Contains(e.Error, "bad.xml") {
				c.t.Errorf("as JSON: %+v, %v", e, err)
			}
		})
	}
	c.refused("n1", 3, []string{"nothing.xml"}, "cib", "apply", "nothing.xml")
	c.refused("n1", 2, []string{"it is empty"}, "cib", "apply", c.file("bad.xml", " \n"))
	if s := c.latest(); s.CIBVersion != version {
		t.Errorf("the configuration went from %s to %s", version, s.CIBVersion)
	}
	if now := notMonitors(c.calls("run")); !slices.Equal(now, calls) {
		t.Errorf("the running resource was touched: %v, before %v", now, calls)
	}
	c.sub("good input", goodInput)
}

func notMonitors(calls []string) []string {
	return slices.DeleteFunc(calls, func(s string) bool { return strings.HasSuffix(s, "monitor") })
}

// goodInput: a fragment, a whole CIB, what was exported; a second time is no change.
func goodInput(c *console) {
	file := c.file("good.xml", `<resources>`+scripted("run", "")+`<primitive id="more" class="ocf" provider="takt" type="Dummy"/></resources>`)
	before := c.latest().CIBVersion
	if out := c.takt("n2", "cib", "apply", "--dry-run", file); !strings.Contains(out, "dry run") || !strings.Contains(out, "start more on") {
		c.t.Errorf("dry run: %s", out)
	}
	if out := c.takt("n2", "cib", "diff", file); !strings.Contains(out, "+ ") || !strings.Contains(out, "more") {
		c.t.Errorf("diff: %s", out)
	}
	if now := c.latest().CIBVersion; now != before {
		c.t.Errorf("a dry run changed the configuration from %s to %s", before, now)
	}
	c.takt("n2", "cib", "apply", file)
	before = c.latest().CIBVersion
	if out := c.takt("n3", "cib", "apply", file); !strings.Contains(out, "is so already") {
		c.t.Errorf("the second time: %s", out)
	}
	exported := c.Dir() + "/export.xml"
	c.takt("n3", "cib", "export", exported)
	if data, err := os.ReadFile(exported); err != nil || strings.Contains(string(data), "<status") || !strings.Contains(string(data), `id="more"`) {
		c.t.Errorf("export: %v\n%s", err, data)
	}
	if out := c.takt("n1", "cib", "apply", exported); !strings.Contains(out, "is so already") {
		c.t.Errorf("what was exported: %s", out)
	}
	if out := c.takt("n1", "cib", "validate", exported); !strings.Contains(out, "is valid") {
		c.t.Errorf("validate: %s", out)
	}
	if now := c.latest().CIBVersion; now != before {
		c.t.Errorf("no change went from %s to %s", before, now)
	}
}
