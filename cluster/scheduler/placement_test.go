package scheduler

import (
	"maps"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// TestSituation: instances share a name, what runs nowhere is there, what is not
// configured is while it runs, and a start under way is named if that is asked for.
func TestSituation(t *testing.T) {
	root, err := cib.Parse([]byte(`<cib have-quorum="1" validate-with="pacemaker-3.9"><configuration><crm_config><cluster_property_set id="o">
<nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1"/><node id="2" uname="n2"><instance_attributes id="s"><nvpair id="s1" name="standby" value="on"/></instance_attributes></node><node id="3" uname="n3"/></nodes>
<resources><clone id="c"><primitive id="ping" class="ocf" provider="takt" type="Dummy"/></clone>
<primitive id="idle" class="ocf" provider="takt" type="Dummy"/><primitive id="web" class="ocf" provider="takt" type="Dummy"/></resources><constraints/></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="1"><lrm_resources>
<lrm_resource id="ping" class="ocf" provider="takt" type="Dummy"><lrm_rsc_op id="ping_last_0" operation="start" interval="0" rc-code="0" op-status="0" call-id="1" transition-key="1:1:0:u" transition-magic="0:0;1:1:0:u"/></lrm_resource>
<lrm_resource id="gone" class="ocf" provider="takt" type="Dummy"><lrm_rsc_op id="gone_last_0" operation="start" interval="0" rc-code="0" op-status="0" call-id="2" transition-key="1:1:0:u" transition-magic="0:0;1:1:0:u"/></lrm_resource>
<lrm_resource id="web" class="ocf" provider="takt" type="Dummy"><lrm_rsc_op id="web_last_0" operation="start" interval="0" rc-code="-1" op-status="-1" call-id="-1" transition-key="1:1:0:u" transition-magic="-1:193;1:1:0:u"/></lrm_resource>
</lrm_resources></lrm></node_state>
<node_state id="2" uname="n2" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="2"><lrm_resources>
<lrm_resource id="ping" class="ocf" provider="takt" type="Dummy"><lrm_rsc_op id="ping_last_0" operation="start" interval="0" rc-code="0" op-status="0" call-id="1" transition-key="1:1:0:u" transition-magic="0:0;1:1:0:u"/></lrm_resource>
<lrm_resource id="forgotten" class="ocf" provider="takt" type="Dummy"><lrm_rsc_op id="forgotten_last_0" operation="stop" interval="0" rc-code="0" op-status="0" call-id="2" transition-key="1:1:0:u" transition-magic="0:0;1:1:0:u"/></lrm_resource>
</lrm_resources></lrm></node_state></status></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_790_000_000, 0)
	placement, states := Situation(root, now, true)
	want := Placement{"ping": {"n1": Started, "n2": Started}, "gone": {"n1": Started}, "idle": {}, "web": {"n1": "Starting"}}
	if !maps.EqualFunc(placement, want, maps.Equal) {
		t.Errorf("resources are at %v, want %v", placement, want)
	}
	if at := Placements(root, now)["web"]["n1"]; at != Started {
		t.Errorf("without what is pending web is %q", at)
	}
	if want := map[string]string{"n1": "online", "n2": "online standby", "n3": "offline"}; !maps.Equal(states, want) || !maps.Equal(NodeStates(root, now), want) {
		t.Errorf("nodes are %v, want %v", states, want)
	}
}

func TestJoinRoles(t *testing.T) {
	for _, c := range [][3]Role{{"", Started, Started}, {Started, Started, Started}, {Unpromoted, Promoted, "Promoted+Unpromoted"},
		{"Promoted+Unpromoted", Promoted, "Promoted+Unpromoted"}, {Promoted, Unpromoted, "Promoted+Unpromoted"}} {
		if got := joinRoles(c[0], c[1]); got != c[2] {
			t.Errorf("%q and %q are %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
