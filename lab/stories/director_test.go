package stories

import (
	"fmt"
	"strings"
	"testing"
)

// directing is a director as a resource, and a place for it where its checks are passed.
const directing = `<configuration><resources><primitive id="lb" class="ocf" provider="takt" type="director"><instance_attributes id="lb-params"><nvpair id="lb-config" name="config" value="/etc/takt/director.conf"/></instance_attributes>
  <operations><op id="lb-m" name="monitor" interval="1s"/></operations></primitive></resources>
  <constraints><rsc_location id="healthy" rsc="lb"><rule id="healthy-r" score="-INFINITY"><expression id="healthy-e" attribute="director-default" operation="lt" value="50" type="number"/></rule></rsc_location>
  ` + `<rsc_location id="first" rsc="lb" node="n1" score="10"/></constraints></configuration>`

// TestDirectorInTheCluster: a director runs where the cluster puts it, and leaves a node from which it reaches no server.
func TestDirectorInTheCluster(t *testing.T) {
	c := newConsole(t, 2)
	for _, n := range c.Nodes() {
		conf := "virtual_server 10.88.1.100 80 {\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server 127.0.0.1 81 {\n  MISC_CHECK {\n   misc_path \"/usr/bin/test ! -e /run/no-servers\"\n   warmup 0\n  }\n }\n}\n"
		out, stderr, code := c.run(n, "sh", "-c", "mkdir -p /etc/takt && cat > /etc/takt/director.conf <<'END'\n"+conf+"END\ntakt director check /etc/takt/director.conf")
		if code != 0 {
			t.Fatalf("the configuration on %s: %s%s", n, out, stderr)
		}
	}
	c.apply(directing)
	c.runsOn("lb", "n1")
	c.eventually("the check on n1 is passed", func() string {
		out := c.takt("n1", "director", "status")
		if !strings.Contains(out, "up     weight 1") && !strings.Contains(out, "up  ") {
			return out
		}
		return ""
	})
	if _, stderr, code := c.run("n1", "touch", "/run/no-servers"); code != 0 {
		t.Fatal(stderr)
	}
	c.runsOn("lb", "n2")
	c.takt("n2", "status", "--wait", patience.String())
	c.runsOn("lb", "n2")
	if out, stderr, code := c.run("n1", "takt", "director", "status"); code == 0 {
		t.Errorf("it still runs on n1: %s%s", out, stderr)
	}
	if log := fmt.Sprint(c.events("lb")); !strings.Contains(log, "n2") {
		t.Errorf("the story does not tell of it:\n%s", log)
	}
}
