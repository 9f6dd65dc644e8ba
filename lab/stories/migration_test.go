package stories

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab"
	"github.com/takt-ha/takt/volume"
)

// TestLiveMigration: a virtual machine on a volume with two primaries moves without a stop and a start, and
// no visit is lost; when both nodes write the same block, one of them goes on and the other does not.
func TestLiveMigration(t *testing.T) {
	c := newConsole(t, 3)
	c.volume("r0", "[net]\nallow-two-primaries = true\n", "n1", "n2")
	c.file("ocf/resource.d/stories/VM", machineAgent)
	c.apply(migrating)
	v := &visits{c: c, address: machineAddress, nodes: []string{"n1", "n2"}}
	v.begin()
	v.goOn("")
	c.sub("to and fro", func(c *console) {
		v.of(c)
		for i := range often(c.t, 3) {
			v.round = i + 1
			v.migrate()
		}
	})
	c.sub("the node of the machine crashes", func(c *console) { v.of(c); v.crash() })
	c.sub("both write", func(c *console) { v.of(c); v.bothWrite() })
}

const machineAddress = "10.88.1.101"

// machineAgent is a virtual machine that can migrate: a process that keeps the volume open, behind an address of its own. When it
// has left, nothing of it is there.
const machineAgent = `#!/bin/sh
node=$(cat /proc/sys/kernel/hostname)
pid=/run/stories-vm.pid
if [ "$1" = meta-data ]; then
	cat <<'END'
<?xml version="1.0"?>
<resource-agent name="VM" version="1.0"><version>1.1</version>
<longdesc lang="en">A machine.</longdesc><shortdesc lang="en">A machine</shortdesc><parameters/>
<actions><action name="start" timeout="60s"/><action name="stop" timeout="60s"/><action name="monitor" timeout="60s" interval="10s"/>
<action name="migrate_to" timeout="60s"/><action name="migrate_from" timeout="60s"/><action name="meta-data" timeout="5s"/></actions>
</resource-agent>
END
	exit 0
fi
mkdir -p $OCF_ROOT/calls
[ "$1" = monitor ] || echo "$node $1" >> $OCF_ROOT/calls/vm
address() { TAKT_AGENT=IPaddr2 OCF_RESOURCE_INSTANCE=vm-address OCF_RESKEY_ip=` + machineAddress + ` OCF_RESKEY_cidr_netmask=24 OCF_RESKEY_nic=eth1 /run/lab/bin/takt $1; }
runs() { [ -e $pid ] && kill -0 $(cat $pid) 2>/dev/null; }
begin() {
	runs && return
	address start || exit 1
	setsid /run/lab/bin/takt lab serve --listen ` + machineAddress + `:80 --volume /run/takt/volumes/r0.nbd </dev/null >/dev/null 2>&1 &
	echo $! > $pid
}
leave() {
	while runs; do kill -9 $(cat $pid); sleep 0.01; done
	rm -f $pid
	address stop || exit 1
}
case $1 in
start|migrate_from) begin; exit 0;;
stop|migrate_to) leave; exit 0;;
monitor) runs && exit 0; exit 7;;
esac
exit 3
`

// migrating is the volume, primary on two nodes, and a machine on one of them, as users of DRBD have it.
const migrating = `<configuration><resources>
  <clone id="r0-clone"><meta_attributes id="r0-meta"><nvpair id="r0-promotable" name="promotable" value="true"/><nvpair id="r0-max" name="master-max" value="2"/>
      <nvpair id="r0-clone-max" name="clone-max" value="2"/><nvpair id="r0-notify" name="notify" value="true"/><nvpair id="r0-interleave" name="interleave" value="true"/></meta_attributes>
    <primitive id="r0" class="ocf" provider="takt" type="volume"><instance_attributes id="r0-params"><nvpair id="r0-volume" name="volume" value="r0"/></instance_attributes>
      <operations><op id="r0-m1" name="monitor" interval="3s" role="Promoted"/><op id="r0-m2" name="monitor" interval="4s" role="Unpromoted"/></operations></primitive></clone>
  <primitive id="vm" class="ocf" provider="stories" type="VM"><meta_attributes id="vm-meta"><nvpair id="vm-migrate" name="allow-migrate" value="true"/></meta_attributes>
    <operations><op id="vm-m" name="monitor" interval="5s"/></operations></primitive></resources>
  <constraints><rsc_location id="not-there" rsc="r0-clone" node="n3" score="-INFINITY"/><rsc_colocation id="with" rsc="vm" with-rsc="r0-clone" with-rsc-role="Promoted" score="INFINITY"/>
    <rsc_order id="after" first="r0-clone" first-action="promote" then="vm" then-action="start"/></constraints></configuration>`

// status is the volume as a node sees it.
func (v *visits) status(node string) (st volume.Status) {
	out, _, _ := v.c.run(node, "takt", "volume", "status", "r0", "--node", node, "-o", "json")
	_ = json.Unmarshal([]byte(out), &st) // not up: the zero value
	return st
}

// primaries waits until the volume is primary on two nodes, which are in step.
func (v *visits) primaries() (nodes []string) {
	v.c.t.Helper()
	v.whole()
	v.c.eventually("two nodes are primary", func() string {
		nodes = nodes[:0]
		for _, n := range v.nodes {
			if v.status(n).Role == volume.Primary {
				nodes = append(nodes, n)
			}
		}
		if len(nodes) != 2 {
			return fmt.Sprint(nodes)
		}
		return ""
	})
	return nodes
}

// migrate moves the machine to the other primary.
func (v *visits) migrate() {
	c := v.c
	c.t.Helper()
	both, from := v.primaries(), v.goOn("")
	to := both[0]
	if to == from {
		to = both[1]
	}
	before := len(c.calls("vm"))
	c.takt(from, "resource", "move", "vm", to)
	v.goOn(from)
	c.eventually("the migration has ended", func() string {
		calls := c.calls("vm")[before:]
		if want := []string{from + " migrate_to", to + " migrate_from", from + " stop"}; !slices.Equal(calls, want) {
			return fmt.Sprintf("it was %q, want %q", calls, want)
		}
		return ""
	})
	c.takt(to, "resource", "clear", "vm")
	if now := v.primaries(); !slices.Equal(now, both) {
		c.t.Errorf("primary were %v, and are %v after the migration", both, now)
	}
}

// bothWrite: two programs write the same block, each on its node.
func (v *visits) bothWrite() {
	c := v.c
	both := v.primaries()
	c.takt(both[0], "resource", "stop", "vm")
	c.eventually("the machine has stopped", func() string { return c.where(both[0], "vm") })
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for _, n := range both {
		go func() {
			_, _ = c.Run(ctx, lab.Command{Node: n, Argv: []string{"/run/lab/bin/takt", "lab", "serve", "--listen", "127.0.0.1:81", "--volume", "/run/takt/volumes/r0.nbd"}})
		}()
		go func() {
			_, _ = c.Probe(ctx, n, lab.ProbeOptions{Address: "127.0.0.1:81", Path: lab.CountPath, Interval: time.Millisecond}, nil)
		}()
	}
	const words = "both primaries wrote the same block at the same time"
	winner, loser := "", ""
	c.eventually("one goes on and the other does not", func() string {
		for i, n := range both {
			st, other := v.status(n), v.status(both[1-i])
			if st.Role == volume.Primary && st.Set != nil && st.Set.Member && !slices.Contains(st.Set.Members, both[1-i]) && len(st.Frozen) == 0 && (other.Role != volume.Primary || other.Failing) {
				winner, loser = n, both[1-i]
				return ""
			}
		}
		return fmt.Sprintf("%+v\n%+v", v.status(both[0]), v.status(both[1]))
	})
	stop()
	if out := c.takt(winner, "volume", "status", "r0", "--node", winner); !strings.Contains(out, words) {
		c.t.Errorf("%s does not say why it has parted from %s:\n%s", winner, loser, out)
	}
	for _, n := range both {
		c.run(n, "takt", "volume", "connect", "r0", "--node", n)
	}
	c.takt(winner, "resource", "start", "vm")
	v.whole()
	v.primaries()
	v.goOn("")
	c.refused(winner, 8, []string{"both nodes are primary"}, "volume", "verify", "r0", "--node", winner)
	c.takt(winner, "resource", "stop", "vm")
	c.eventually("the machine has stopped", func() string { return c.where(winner, "vm") })
	v.same()
	c.takt(winner, "resource", "start", "vm")
	v.goOn("")
}

// same compares the replicas while nobody writes.
func (v *visits) same() {
	v.c.t.Helper()
	const size = 16 << 20 // as volume makes it; the metadata comes behind
	var first []byte
	for _, n := range v.nodes {
		data, err := os.ReadFile(filepath.Join(v.c.state(n), "r0.img"))
		switch {
		case err != nil || len(data) < size:
			v.c.t.Fatalf("the replica of %s has %d bytes: %v", n, len(data), err)
		case first == nil:
			first = data[:size]
		case !bytes.Equal(first, data[:size]):
			v.c.t.Errorf("the replica of %s differs from that of %s", n, v.nodes[0])
		}
	}
}
