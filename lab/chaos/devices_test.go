package chaos

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takt-ha/takt/lab"
)

// oddAgent is a fence program that does what D/fence/way says: nothing of it is the
// power switch of the laboratory; rubbish, nothing and slow are ways to fail.
const oddAgent = `#!/bin/sh
way=$(cat ${0%/*}/way)
while IFS== read -r name value; do
  case $name in action) action=$value;; plug) plug=$value;; esac
done
case $way/$action in
*/metadata) cat <<END
<resource-agent name="fence_odd" shortdesc="Does what a test wants"><parameters>
<parameter name="action"><content type="string" default="reboot"/></parameter>
<parameter name="plug" required="1"><content type="string"/></parameter>
</parameters><actions><action name="on"/><action name="off"/><action name="reboot"/><action name="status"/><action name="list"/><action name="monitor"/><action name="metadata"/></actions></resource-agent>
END
  exit 0;;
rubbish/*) head -c 3000 /dev/urandom; printf '\nthis is \033[31mno answer\n' >&2; exit 77;;
nothing/off|nothing/on|nothing/reboot) exit 0;;
slow/off|slow/on|slow/reboot|slow/status) sleep 600; exit 0;;
esac
printf 'action=%s\nplug=%s\n' "$action" "$plug" | /run/lab/bin/takt fence-agent fence_takt_lab
`

// way has the odd agent behave in one way from now on; "" is as it should.
func (c *cluster) way(w string) {
	c.t.Helper()
	c.file("fence/fence_odd", oddAgent)
	c.file("fence/way", w+"\n")
}

// levels has n2 fenced by these devices, one a level.
func (c *cluster) levels(devices ...string) {
	c.t.Helper()
	xml := "<fencing-topology>"
	for i, d := range devices {
		xml += fmt.Sprintf(`<fencing-level id="level-%d" target="n2" index="%d" devices="%s"/>`, i+1, i+1, d)
	}
	c.must(c.apply(context.Background(), "n1", xml+"</fencing-topology>", true))
}

// device is a fence device in a CIB, of which each pair is a parameter and its value.
func device(id, agent string, pairs ...string) string {
	xml := fmt.Sprintf(`<primitive id="%s" class="stonith" type="%s"><instance_attributes id="%s-params">`, id, agent, id)
	for i := 0; i < len(pairs); i += 2 {
		xml += fmt.Sprintf(`<nvpair id="%s-%s" name="%s" value="%s"/>`, id, pairs[i], pairs[i], pairs[i+1])
	}
	return xml + `</instance_attributes></primitive>`
}

// TestDevices: fence devices that fail in every way, and the agents of the package
// fence-agents, in a running cluster. What fails is named, the next level is used, and
// no success is believed that cannot be.
func TestDevices(t *testing.T) {
	odd := device("odd", "fence_odd", "pcmk_host_list", "n1 n2", "pcmk_off_timeout", "2s", "pcmk_on_timeout", "2s", "pcmk_status_timeout", "2s", "pcmk_status_retries", "1")
	c := newStory(t, lab.Options{Nodes: 2, Fence: true}, stubborn)
	c.way("")
	c.must(c.apply(context.Background(), "n1", resourcesWith(lab.PowerDevice+odd+stubborn, 0), true))
	c.levels("odd", "power")
	c.sub("configured wrongly", wrongDevices)
	c.sub("a watchdog that is held", heldWatchdog)
	c.sub("works", func(c *cluster) {
		c.fencedBy("odd", "says off")
		c.holds(c.run("n1", "fence", "test", "n2"), []string{"odd, asked by n1: n2 is on", "power, asked by n1: n2 is on"})
	})
	c.sub("rubbish", func(c *cluster) {
		c.way("rubbish")
		words := []string{"odd, asked by n1: the status of n2 cannot be had", "exit status 77", "no answer"}
		out := c.refuse("n1", words, "fence", "test", "n2")
		if strings.ContainsAny(strings.ReplaceAll(out, "\n", ""), "\x1b\x00\x07\ufffd") {
			c.t.Errorf("what the agent has written is passed on as it is: %q", out)
		}
		c.fencedBy("power", "exit status 77")
	})
	c.sub("does nothing", func(c *cluster) {
		c.way("nothing")
		c.run("n1", "node", "standby", "n2")
		c.refuse("n1", []string{"odd", "claims that the machine is off, but its status is on"}, "fence", "test", "n2", "--force", "--yes")
		c.run("n1", "node", "online", "n2")
		c.fencedBy("power", "claims that the machine is off, but its status is on")
	})
	c.sub("needs ten minutes", func(c *cluster) {
		c.way("slow")
		c.refuse("n1", []string{"odd", "did not end in time"}, "fence", "test", "n2")
		c.fencedBy("power", "did not end in time")
	})
	c.way("")
	c.sub("fence_dummy", realDummy)
	c.sub("fence_virt", realVirt)
}

// fencedBy has n2 fall silent, which only a device that works ends, and looks which
// one has fenced it, and what the history says.
func (c *cluster) fencedBy(device string, words ...string) {
	c.t.Helper()
	c.moveAll("n2")
	c.must(c.Pause("n2"))
	c.runsOn("n1")
	c.whole() // the same device has switched it on again
	out := c.run("n1", "fence", "history", "n2", "--steps")
	last := out[strings.LastIndex(out, "reboot n2 by "):]
	c.holds(last, append(words, "n2 is off: "+device+", run by n1, says off"))
}

// wrongDevices: what can be known of a device by its configuration is said when it is
// configured, and goes on to be said.
func wrongDevices(c *cluster) {
	c.file("fence/fence_rubbish", "#!/bin/sh\nhead -c 500 /dev/urandom\n")
	for _, d := range []struct{ name, agent, param, words, verify string }{
		{"ghost", "fence_odd", "pcmk_host_list=n9", "pcmk_host_list: there is no node n9", `pcmk_host_list of ghost names "n9", and there is no such node`},
		{"rubbish", "fence_rubbish", "pcmk_host_list=n2", "read metadata of fence_rubbish", ""},
		{"seven", "fence_odd", "pcmk_host_map=n1:7", "", ""},
		{"clash", "fence_odd", "pcmk_host_map=n2:7", "the node n2 is on the same plug (7) as the node n1 is by the device seven", "clash has the node n2 on the plug (7) on which seven has n1"},
	} {
		out := c.run("n1", "fence", "add", d.name, d.agent, d.param, "--wait", "0s")
		if d.words == "" {
			continue
		}
		c.holds(out, []string{"! " + d.name + ": " + d.words})
		for _, command := range []string{"fence list", "status"} {
			c.says("n2", []string{d.words}, strings.Fields(command)...)
		}
		if out, _ := c.try("n1", "cib", "verify"); !strings.Contains(out, d.verify) {
			c.t.Errorf("takt cib verify does not say %q:\n%s", d.verify, out)
		}
		c.run("n1", "fence", "remove", d.name)
	}
	c.run("n1", "fence", "remove", "seven")
	c.refuse("n1", []string{"the nodes n1 and n2 are both on plug 3"}, "fence", "add", "same", "fence_odd", "pcmk_host_map=n1:3;n2:3")
	c.refuse("n1", []string{"fence_od", "fence_odd"}, "fence", "add", "nobody", "fence_od", "--node", "n2")
}

// heldWatchdog: a watchdog that somebody else has taken is named, and counts for nothing.
func heldWatchdog(c *cluster) {
	path := filepath.Join(c.Dir(), "held.sock")
	l, err := net.Listen("unix", path)
	c.must(err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "it is held by watchdogd (process 77)\n")
			conn.Close()
		}
	}()
	c.run("n1", "fence", "add", "dog", "fence_takt_watchdog", "device="+path, "--wait", "0s")
	for _, node := range c.Nodes() {
		c.says(node, []string{"! device: " + path + " could not be armed", "held by watchdogd (process 77)"}, "fence", "list")
		c.says(node, []string{"not usable: ", "held by watchdogd (process 77)"}, "status")
	}
	c.run("n1", "fence", "remove", "dog")
}
