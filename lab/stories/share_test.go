package stories

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab"
)

// sharing is an address that two nodes share, in the dialect of Heartbeat 2 as guides of its time have it.
const sharing = `<cib><configuration><crm_config><cluster_property_set id="o"><attributes><nvpair id="o1" name="stonith_enabled" value="false"/><nvpair id="o2" name="no_quorum_policy" value="ignore"/></attributes></cluster_property_set></crm_config><nodes/>
<resources>
  <clone id="shared"><instance_attributes id="shared-options"><attributes><nvpair id="s1" name="clone_max" value="2"/><nvpair id="s2" name="clone_node_max" value="2"/><nvpair id="s3" name="resource_stickiness" value="0"/></attributes></instance_attributes>
    <primitive id="ip" class="ocf" provider="takt" type="IPaddr2"><instance_attributes id="ip-params"><attributes>
      <nvpair id="i1" name="ip" value="10.88.1.100"/><nvpair id="i2" name="mac" value="01:02:03:04:05:06"/><nvpair id="i3" name="clusterip_hash" value="sourceip-sourceport"/>
      <nvpair id="i4" name="nic" value="eth1"/><nvpair id="i5" name="cidr_netmask" value="24"/></attributes></instance_attributes></primitive></clone>
  <clone id="web"><primitive id="server" class="ocf" provider="takt" type="anything"><instance_attributes id="server-params"><attributes>
      <nvpair id="w1" name="binfile" value="/run/lab/bin/takt"/><nvpair id="w2" name="cmdline_options" value="lab serve --listen 0.0.0.0:80"/><nvpair id="w3" name="ready" value="tcp:127.0.0.1:80"/></attributes></instance_attributes></primitive></clone>
</resources><constraints/></configuration><status/></cib>`

// TestSharedAddress: both nodes answer for one address, the survivor for all of it, and then both again.
func TestSharedAddress(t *testing.T) {
	c := newConsole(t, 2)
	said := c.apply(sharing)
	if !strings.Contains(said, "globally-unique") {
		t.Errorf("the translation is not told:\n%s", said)
	}
	c.answered("n1", "n2")
	if err := c.Crash("n2"); err != nil {
		t.Fatal(err)
	}
	c.answered("n1")
	if err := c.Start("n2"); err != nil {
		t.Fatal(err)
	}
	c.answered("n1", "n2")
}

// answered waits until all connections of some time are answered, by these nodes and by each of them.
func (c *console) answered(by ...string) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("all is answered by %v", by), func() string {
		ctx, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		seen := map[string]int{} // "" are those that failed, which are known long after the answers
		o := lab.ProbeOptions{Address: "10.88.1.100:80", For: 300 * time.Millisecond, Interval: 10 * time.Millisecond, Timeout: time.Second}
		if _, err := c.Probe(ctx, lab.Client, o, func(a lab.Attempt) { seen[a.Node]++ }); err != nil {
			c.t.Fatal(err)
		}
		for _, node := range by {
			if seen[node] == 0 || len(seen) != len(by) {
				return fmt.Sprintf("answers by node: %v", seen)
			}
		}
		return ""
	})
}
