package chaos

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/lab"
)

// installed skips a story without a fence agent of the package fence-agents.
func (c *cluster) installed(agent string) {
	c.t.Helper()
	if _, err := os.Stat("/usr/sbin/" + agent); err != nil {
		c.t.Skip(agent + " is not installed (package fence-agents)")
	}
}

// withDevices adds fence devices to the configuration, and has n2 fenced by these.
func (c *cluster) withDevices(xml string, levels ...string) {
	c.t.Helper()
	c.levels("power")
	c.must(c.apply(context.Background(), "n1", resourcesWith(lab.PowerDevice+xml+stubborn, 0), true))
	c.levels(levels...)
}

// wire is the cable between fence_dummy, which keeps on and off in a file, and n2:
// while it is plugged in, off in the file takes the power from n2, and on gives it back.
// The result pulls it out.
func (c *cluster) wire(file string) (pull func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var cable sync.WaitGroup
	cable.Go(func() {
		for on := true; ; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
			data, err := os.ReadFile(file)
			if want := strings.TrimSpace(string(data)); err == nil && (want == "on" && !on || want == "off" && on) {
				do := map[string]func(string) error{"on": c.Start, "off": c.Crash}[want]
				if err := do("n2"); err != nil {
					c.t.Error(err)
				}
				on = !on
			}
		}
	})
	return func() { cancel(); cable.Wait() }
}

// realDummy: fence_dummy as n2's switch. What it says is not believed while n2 is
// heard; with a machine behind it it is a fence device like any other.
func realDummy(c *cluster) {
	c.installed("fence_dummy")
	file := c.file("dummy-n2", "on")
	// power_wait: it says off only when the wire has done it.
	c.withDevices(device("dummy", "fence_dummy", "status_file", file, "pcmk_host_list", "n2", "power_wait", "1"), "dummy")
	c.moveAll("n2")
	c.says("n1", []string{"dummy", "fence_dummy", "fences n2", "NEVER TESTED"}, "fence", "list")
	c.holds(c.run("n1", "fence", "status", "n2"), []string{"dummy, asked by n1: n2 is on"})
	c.holds(c.run("n1", "fence", "test", "n2"), []string{"dummy, asked by n1: n2 is on", "nothing was switched"})

	c.refuse("n1", []string{"n2 is said to be off and is still heard", "dummy"}, "fence", "off", "n2", "--yes")
	c.refuse("n1", []string{"dummy", "n2 is off, and yet its heartbeats are heard"}, "fence", "test", "n2")
	c.run("n1", "node", "standby", "n2")
	c.file("dummy-n2", "on")
	c.refuse("n1", []string{"n2 is said to be off and is still heard"}, "fence", "test", "n2", "--force", "--yes")
	c.run("n1", "node", "online", "n2")
	c.file("dummy-n2", "on")
	liesWhenAStopFails(c, file)

	pull := c.wire(file)
	defer pull()
	c.run("n1", "node", "standby", "n2")
	c.holds(c.run("n1", "fence", "test", "n2", "--force", "--yes"), []string{"has switched n2 off: its heartbeats stopped", "switched it on again"})
	c.says("n1", []string{"tested 20"}, "fence", "list")
	c.run("n1", "node", "online", "n2")
	c.whole()
	c.fencedBy("dummy")
	if data, err := os.ReadFile(file); err != nil || strings.TrimSpace(string(data)) != "on" {
		c.t.Errorf("fence_dummy says %q at the end, %v", data, err)
	}
}

// liesWhenAStopFails: the cluster itself wants n2 fenced, the device says that it is off, and
// n2 goes on. What could not be stopped starts nowhere else, until a device does it.
func liesWhenAStopFails(c *cluster, file string) {
	c.run("n1", "resource", "move", "stubborn", "n2")
	c.activeAt("stubborn", "n2")
	c.trick("stop", "n2", "exit 1")
	before := len(c.crashes())
	c.run("n1", "resource", "move", "stubborn", "n1", "--no-wait")
	c.says("n1", []string{"n2 is said to be off and is still heard"}, "events", "--here", "-n", "200")
	if on := c.activeOn("stubborn"); !slices.Equal(on, []string{"n2"}) {
		c.t.Errorf("stubborn is on %v, and n2, where it cannot be stopped, lives", on)
	}
	if lost := c.lost(before); len(lost) > 0 {
		c.t.Errorf("switched off were %v", lost)
	}
	c.levels("power")
	c.activeAt("stubborn", "n1")
	c.trick("stop", "n2", "")
	c.run("n1", "resource", "clear", "stubborn")
	c.whole()
	c.must(os.WriteFile(file, []byte("on"), 0o644))
	c.levels("dummy")
}

// realVirt: agents of the package fence-virt without a server: one is refused, the other
// hears nobody. Both say so, in time, and the power switch does it.
func realVirt(c *cluster) {
	c.installed("fence_virt")
	c.installed("fence_xvm")
	limits := []string{"pcmk_host_list", "n2", "pcmk_off_retries", "1", "pcmk_status_retries", "1", "pcmk_off_timeout", "2s", "pcmk_status_timeout", "2s"}
	key := c.file("xvm.key", strings.Repeat("k", 4096))
	xvm := device("xvm", "fence_xvm", append([]string{"key_file", key, "timeout", "60"}, limits...)...)
	xvm = strings.Replace(xvm, "</primitive>", `<operations><op id="xvm-start" name="start" interval="0" timeout="1s"/></operations></primitive>`, 1)
	c.withDevices(device("virt", "fence_virt", append([]string{"ipaddr", "127.0.0.1", "ipport", "1"}, limits...)...)+xvm, "virt", "xvm", "power")
	const refused, silent = "exit status 1: Unable to connect to fence_virtd host 127.0.0.1:1", "timed out: did not end in time and was ended after"
	c.refuse("n1", []string{"virt, asked by n1: the status of n2 cannot be had: " + refused,
		"xvm, asked by n1: the status of n2 cannot be had: " + silent, "power, asked by n1: n2 is on"}, "fence", "test", "n2")
	c.fencedBy("power", "virt off by n1: failed off: "+refused, "xvm off by n1: failed off: "+silent)
	c.withDevices("", "power")
}
