package stories

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab"
)

// TestVolumeInTheCluster: a web service counts visits on a volume, and whatever happens to the node that
// runs it, no number that somebody was given is lost or given twice.
func TestVolumeInTheCluster(t *testing.T) {
	c := newConsole(t, 3)
	c.volume("r0", "", c.Nodes()...)
	c.apply(counting)
	v := &visits{c: c, nodes: c.Nodes()}
	v.begin()
	v.goOn("")
	for _, s := range []struct {
		name  string
		daily int
		story func()
	}{
		{"the active node crashes", 3, v.crash},
		{"the process of the volume dies", 1, v.processDies},
		{"the active node is cut off", 1, v.isCut},
		{"one way", 1, v.oneWay},
		{"outside of the set", 1, v.outside},
	} {
		c.sub(s.name, func(c *console) {
			v.of(c)
			for i := range often(c.t, s.daily) {
				v.round = i + 1
				s.story()
			}
		})
	}
}

// counting is a volume, and where it is promoted an address and a service that counts on it.
const counting = `<configuration><resources>
  <clone id="r0-clone"><meta_attributes id="r0-meta"><nvpair id="r0-promotable" name="promotable" value="true"/><nvpair id="r0-notify" name="notify" value="true"/></meta_attributes>
    <primitive id="r0" class="ocf" provider="takt" type="volume"><instance_attributes id="r0-params"><nvpair id="r0-volume" name="volume" value="r0"/></instance_attributes>
      <operations><op id="r0-m1" name="monitor" interval="3s" role="Promoted"/><op id="r0-m2" name="monitor" interval="4s" role="Unpromoted"/></operations></primitive></clone>
  <group id="web">
    <primitive id="vip" class="ocf" provider="takt" type="IPaddr2"><instance_attributes id="vip-params"><nvpair id="vip-ip" name="ip" value="10.88.1.100"/><nvpair id="vip-mask" name="cidr_netmask" value="24"/><nvpair id="vip-nic" name="nic" value="eth1"/></instance_attributes></primitive>
    <primitive id="server" class="ocf" provider="takt" type="anything"><instance_attributes id="server-params"><nvpair id="server-bin" name="binfile" value="/run/lab/bin/takt"/>
      <nvpair id="server-options" name="cmdline_options" value="lab serve --listen 10.88.1.100:80 --volume /run/takt/volumes/r0.nbd"/><nvpair id="server-ready" name="ready" value="tcp:10.88.1.100:80"/></instance_attributes></primitive>
  </group></resources>
  <constraints><rsc_colocation id="with" rsc="web" with-rsc="r0-clone" with-rsc-role="Promoted" score="INFINITY"/>
    <rsc_order id="after" first="r0-clone" first-action="promote" then="web" then-action="start"/></constraints></configuration>`

// volume makes a volume on nodes, with neither id nor secret in its file, and more sections if given.
func (c *console) volume(name, more string, on ...string) {
	c.t.Helper()
	var nodes strings.Builder
	for i, n := range on {
		fmt.Fprintf(&nodes, "[[node]]\nid = %d\nname = %q\naddress = \"%s:7789\"\ndisk = \"/var/lib/takt/%s.img\"\n", i, n, lab.Address(n, 2), name)
	}
	file := fmt.Sprintf("name = %q\nsize = \"16M\"\nfront = \"nbd\"\n[sync]\nskip-initial-sync = true\nc-min-rate = \"100M\"\n%s%s", name, more, nodes.String())
	for _, n := range on {
		out, stderr, code := c.run(n, "sh", "-c", "mkdir -p /etc/takt/volumes && cat > /etc/takt/volumes/"+name+".toml <<'END'\n"+file+"END\ntakt volume create "+name+" --node "+n)
		if code != 0 {
			c.t.Fatalf("create the volume on %s: %s%s", n, out, stderr)
		}
	}
}

// visits are what a client is given that asks all the time.
type visits struct {
	c       *console
	address string   // of the service; "": 10.88.1.100
	nodes   []string // with a replica
	round   int      // of the sub-test, from 1
	seen    lab.Visits
}

// begin asks until the test is over, and then says what was broken.
func (v *visits) begin() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	o := lab.ProbeOptions{Address: cmp.Or(v.address, "10.88.1.100") + ":80", Path: lab.CountPath, Interval: 10 * time.Millisecond, Timeout: 2 * time.Second}
	go func() {
		_, err := v.c.Probe(ctx, lab.Client, o, v.seen.Add)
		done <- err
	}()
	v.c.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			v.c.t.Error(err)
		}
		for _, words := range v.seen.Broken() {
			v.c.t.Error(words)
		}
		last, count := v.seen.Last()
		v.c.t.Logf("%d visits were given, the last one was number %d", count, last.Visit)
	})
}

// of goes on in a sub-test, whose failure shows the volume as each node sees it.
func (v *visits) of(c *console) {
	v.c = c
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.t.Logf("it was in round %d", v.round)
		}
		for _, n := range v.nodes {
			if !c.t.Failed() {
				return
			}
			out, _, _ := c.run(n, "sh", "-c", "takt volume status r0 --node "+n+"; tail -n 60 /var/log/takt/volume-r0.log")
			c.t.Logf("the volume on %s:\n%s", n, out)
		}
	})
}

// goOn waits until another node than the given one has counted some visits, and returns it.
func (v *visits) goOn(but string) (node string) {
	v.c.t.Helper()
	_, before := v.seen.Last()
	v.c.eventually("visits are counted", func() string {
		last, count := v.seen.Last()
		if node = last.Node; count < before+5 || node == but {
			return fmt.Sprintf("%d visits since, the last by %q", count-before, node)
		}
		return ""
	})
	return node
}

// whole waits until all replicas are recorded as up to date.
func (v *visits) whole() {
	v.c.t.Helper()
	v.c.eventually("all replicas are up to date again", func() string {
		for _, n := range v.nodes {
			out, _, _ := v.c.run(n, "takt", "cib", "query", "--xpath", "//nvpair[@name='takt-volume-r0']")
			if got := members(out); !slices.Equal(got, v.nodes) {
				return n + " sees " + out
			}
			if out, _, _ := v.c.run(n, "takt", "volume", "status", "r0", "-o", "json"); !strings.Contains(out, `"disk_state": "UpToDate"`) && !strings.Contains(out, `"disk_state":"UpToDate"`) {
				return "status of " + n + ": " + out
			}
		}
		return ""
	})
}

// members are the nodes of a record VERSION:MEMBER,MEMBER:BY in the answer of takt cib query.
func members(out string) []string {
	_, value, _ := strings.Cut(out, ` value="`)
	parts := strings.Split(value, ":")
	if len(parts) < 2 {
		return nil
	}
	names := strings.Split(parts[1], ",")
	slices.Sort(names)
	return names
}

func (v *visits) crash() {
	v.c.t.Helper()
	v.whole()
	active := v.goOn("")
	if err := v.c.Crash(active); err != nil {
		v.c.t.Fatal(err)
	}
	v.goOn(active)
	if err := v.c.Start(active); err != nil {
		v.c.t.Fatal(err)
	}
	v.whole()
}

func (v *visits) processDies() {
	c := v.c
	active := v.goOn("")
	if _, stderr, code := c.run(active, "pkill", "-9", "-f", "takt volume run r0"); code != 0 {
		c.t.Fatalf("kill the volume's process: %s", stderr)
	}
	began := time.Now()
	v.goOn("")
	c.t.Logf("counting goes on %s after the volume's process died", time.Since(began).Round(time.Millisecond))
	v.whole()
}

func (v *visits) isCut() {
	c := v.c
	active := v.goOn("")
	if err := c.Cut(lab.CutOptions{Node: active}); err != nil {
		c.t.Fatal(err)
	}
	v.goOn(active)
	if err := c.Heal(lab.CutOptions{}); err != nil {
		c.t.Fatal(err)
	}
	v.whole()
	v.goOn("")
}

func (v *visits) oneWay() {
	c := v.c
	active := v.goOn("")
	for _, other := range c.Nodes() {
		if other != active {
			if err := c.Cut(lab.CutOptions{Node: active, From: other, OneWay: true}); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	v.goOn(active)
	if err := c.Heal(lab.CutOptions{}); err != nil {
		c.t.Fatal(err)
	}
	v.whole()
	v.goOn("")
}

// outside: a node that missed visits is not promoted when all that have them are gone, and says why.
func (v *visits) outside() {
	c := v.c
	v.whole()
	active := v.goOn("")
	others := slices.DeleteFunc(c.Nodes(), func(n string) bool { return n == active })
	behind := others[0]
	if _, stderr, code := c.run(behind, "takt", "volume", "disconnect", "r0", "--node", behind); code != 0 {
		c.t.Fatalf("disconnect: %s", stderr)
	}
	v.goOn("")
	c.eventually(behind+" is recorded as behind", func() string {
		out, _, _ := c.run(active, "takt", "cib", "query", "--xpath", "//nvpair[@name='takt-volume-r0']")
		if got := members(out); len(got) == 0 || slices.Contains(got, behind) {
			return out
		}
		return ""
	})
	c.eventually(behind+" refuses to be primary, with the reason", func() string { // a busy machine can lack quorum for a moment, which is a reason, too
		_, stderr, code := c.run(behind, "takt", "volume", "primary", "r0", "--node", behind)
		switch {
		case code == 0:
			c.t.Fatalf("%s was promoted with old data", behind)
		case code != 8 || !strings.Contains(stderr, "the cluster has recorded that") || !strings.Contains(stderr, "is up to date, and this node is not"):
			return stderr
		}
		return ""
	})
	if _, stderr, code := c.run(behind, "takt", "volume", "connect", "r0", "--node", behind); code != 0 {
		c.t.Fatalf("connect: %s", stderr)
	}
	v.whole()
}
