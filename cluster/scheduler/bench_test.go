package scheduler

import (
	"fmt"
	"strings"
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
)

// BenchmarkSchedule places 1000 primitives on 32 nodes that know nothing yet.
func BenchmarkSchedule(b *testing.B) {
	var c world
	c.quorum = "1"
	c.options = `<nvpair id="o1" name="stonith-enabled" value="false"/>`
	for n := range 32 {
		c.nodes = append(c.nodes, fmt.Sprintf(`<node id="%d" uname="n%d"/>`, n+1, n+1))
		var s strings.Builder
		for r := range 1000 {
			fmt.Fprintf(&s, `<lrm_resource id="r%d" class="ocf" provider="p" type="D"><lrm_rsc_op id="r%d_last_0" operation="monitor" interval="0" rc-code="7" op-status="0" call-id="%d" transition-key="1:1:7:u"/></lrm_resource>`, r, r, r+1)
		}
		c.states = append(c.states, fmt.Sprintf(`<node_state id="%d" uname="n%d" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="%d"><lrm_resources>%s</lrm_resources></lrm></node_state>`, n+1, n+1, n+1, s.String()))
	}
	for r := range 1000 {
		c.resources = append(c.resources, fmt.Sprintf(`<primitive id="r%d" class="ocf" provider="p" type="D"><operations><op id="op%d" name="monitor" interval="10s"/></operations></primitive>`, r, r))
	}
	root, err := cib.Parse([]byte(c.xml()))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if Schedule(root, testTime).Empty() {
			b.Fatal("nothing to do")
		}
	}
}
