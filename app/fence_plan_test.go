package app

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/fencer"
)

// fenceCIB is a cluster of three with devices of every kind.
func fenceCIB(t *testing.T, change ...string) *cib.Node {
	t.Helper()
	text := strings.NewReplacer(change...).Replace(`<cib><configuration>
<crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-timeout" value="90s"/><nvpair id="o2" name="fencing-enabled" value="true"/></cluster_property_set></crm_config>
<nodes>
 <node id="1" uname="n1"><instance_attributes id="a1"><nvpair id="a11" name="fence-tested-ilo" value="2026-05-01T10:00:00Z"/><nvpair id="a12" name="fence-took-ilo" value="820"/><nvpair id="a13" name="rack" value="r1"/></instance_attributes></node>
 <node id="2" uname="n2"/><node id="3" uname="n3"/>
</nodes>
<resources>
 <template id="base" class="stonith" type="fence_fake"><instance_attributes id="b"><nvpair id="b1" name="ip" value="192.0.2.1"/><nvpair id="b2" name="username" value="takt"/></instance_attributes></template>
 <primitive id="ilo" template="base"><instance_attributes id="i"><nvpair id="i1" name="ip" value="192.0.2.9"/><nvpair id="i2" name="pcmk_host_list" value="n2"/><nvpair id="i3" name="priority" value="7"/></instance_attributes></primitive>
 <clone id="c"><meta_attributes id="m"><nvpair id="m1" name="target-role" value="Stopped"/></meta_attributes><primitive id="pdu" class="stonith" type="fence_fake"><instance_attributes id="p"><nvpair id="p1" name="ip" value="192.0.2.3"/><nvpair id="p2" name="stonith-timeout" value="5"/><nvpair id="p3" name="pcmk_off_timeout" value="7"/></instance_attributes></primitive></clone>
 <primitive id="web" class="ocf" provider="takt" type="Dummy"/>
</resources>
<constraints><rsc_location id="l" rsc="ilo" node="n2" score="-INFINITY"/><rsc_location id="l2" rsc="ilo" node="n3" score="-100"/></constraints>
<fencing-topology><fencing-level id="f1" target="n2" index="2" devices="ilo,pdu"/><fencing-level id="f2" target-pattern="^n" index="1" devices="ilo"/><fencing-level id="f3" target-attribute="rack" target-value="r1" index="1" devices="pdu"/></fencing-topology>
</configuration><status>
 <node_state id="1" uname="n1"><lrm id="1"><lrm_resources><lrm_resource id="ilo" class="stonith" type="fence_fake">
  <lrm_rsc_op id="s" operation="start" call-id="5" rc-code="0"/><lrm_rsc_op id="mo" operation="monitor" call-id="MONITOR" rc-code="CODE"/>
 </lrm_resource></lrm_resources></lrm></node_state>
</status></cib>`)
	root, err := cib.Parse([]byte(strings.NewReplacer("MONITOR", "6", "CODE", "0").Replace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestFencePlan(t *testing.T) {
	p := readFencePlan(fenceCIB(t), time.Now())
	if !p.Enabled || !p.Serial || !slices.Equal(p.Nodes, []string{"n1", "n2", "n3"}) {
		t.Errorf("enabled %v, serial %v, nodes %v", p.Enabled, p.Serial, p.Nodes)
	}
	if len(p.Primitives) != 2 || p.Primitives[0].ID != "ilo" || p.Primitives[1].ID != "pdu" {
		t.Fatalf("devices %v", p.Primitives)
	}
	ilo := p.Primitives[0].Params
	if ilo["ip"] != "192.0.2.9" || ilo["username"] != "takt" || ilo["pcmk_off_timeout"] != "90s" {
		t.Errorf("a device does not have its template's parameters and the cluster's time-out: %v", ilo)
	}
	if pdu := p.Primitives[1].Params; pdu["pcmk_off_timeout"] != "7" || pdu["pcmk_on_timeout"] != "5" {
		t.Errorf("the device's own time-outs do not win: %v", pdu)
	}
	if p.Devices["pdu"].Disabled == "" || p.Devices["ilo"].Disabled != "" {
		t.Error("what is stopped by the clone around it is not seen")
	}
	want := []fencer.Reach{{Node: "n1", Working: true, Tested: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)}, {Node: "n3"}}
	if !slices.Equal(p.Devices["ilo"].Members, want) || p.Devices["ilo"].Priority != 7 || p.Devices["ilo"].Took["n1"] != 820*time.Millisecond {
		t.Errorf("%+v", p.Devices["ilo"])
	}
	if len(p.Levels) != 3 || p.Levels[0].Index != 2 || len(p.Levels[0].Devices) != 2 || p.Levels[1].Target.Pattern != "^n" || p.Levels[2].Target.Value != "r1" {
		t.Errorf("%+v", p.Levels)
	}
}

// TestDeviceThatFailsDoesNotWork: what counts is the newest word about it.
func TestDeviceThatFailsDoesNotWork(t *testing.T) {
	for _, c := range []struct {
		call, code string
		want       bool
	}{{"6", "0", true}, {"6", "1", false}, {"4", "1", true}} {
		root := fenceCIB(t, "MONITOR", c.call, "CODE", c.code)
		if got := works(root, "ilo", "n1"); got != c.want {
			t.Errorf("monitor %s gave %s: works %v", c.call, c.code, got)
		}
	}
	if works(fenceCIB(t), "ilo", "n2") {
		t.Error("it works where it was never started")
	}
}

// TestWatchdogOf: what cannot work is no watchdog, and no reason to stop the heartbeats.
func TestWatchdogOf(t *testing.T) {
	dog := func(params, option string) int {
		root := fenceCIB(t, `<primitive id="web" class="ocf" provider="takt" type="Dummy"/>`,
			`<primitive id="dog" class="stonith" type="fence_takt_watchdog"><instance_attributes id="d">`+params+`</instance_attributes></primitive>`,
			`</cluster_property_set>`, option+`</cluster_property_set>`)
		if w := watchdogOf(root, time.Now()); w != nil {
			return w.Timeout
		}
		return 0
	}
	for _, c := range []struct {
		params, option string
		want           int
	}{
		{"", "", 5000},
		{`<nvpair id="d1" name="timeout" value="3s"/>`, "", 3000},
		{`<nvpair id="d1" name="timeout" value="3s"/>`, `<nvpair id="o9" name="deadtime" value="4s"/>`, 0},
		{`<nvpair id="d1" name="timeout" value="rubbish"/>`, "", 0},
	} {
		if got := dog(c.params, c.option); got != c.want {
			t.Errorf("%s %s: %d ms, want %d", c.params, c.option, got, c.want)
		}
	}
	if watchdogOf(fenceCIB(t), time.Now()) != nil {
		t.Error("a watchdog without a device")
	}
}
