package chaos

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab"
)

// TestPowerSwitch: two nodes, and a power switch that does not do what it should.
// Nothing starts without proof, a person can read why, and when the switch works
// again all goes on by itself.
func TestPowerSwitch(t *testing.T) {
	c := newStory(t, lab.Options{Nodes: 2, Fence: true}, "")
	c.sub("verbs", fenceVerbs)
	c.sub("dead switch", deadSwitch) // one that lies has a story of its own
	c.sub("slow switch", slowSwitch)
	c.sub("hanging switch", hangingSwitch)
	c.sub("hanging switch, and another one behind", secondSwitch)
}

// fenceVerbs are what a person can do by hand, also to the coordinator.
func fenceVerbs(c *cluster) {
	chief := c.coordinator()
	c.moveAll("n2")
	c.refuse("n1", []string{"it runs", "takt node standby n2"}, "fence", "test", "n2", "--force", "--yes")
	c.run("n1", "node", "standby", "n2")
	c.run("n1", "fence", "test", "n2", "--force", "--yes")
	c.run("n1", "node", "online", "n2")
	c.says("n1", []string{"power"}, "fence", "list")
	c.whole()
	before := len(c.crashes())
	c.run("n2", "fence", "off", chief, "--yes") // by another one: nobody fences itself
	if lost := c.lost(before); !slices.Equal(lost, []string{chief}) {
		c.t.Errorf("takt fence off %s: switched off were %v", chief, lost)
	}
	other := map[string]string{"n1": "n2", "n2": "n1"}[chief]
	c.runsOn(other)
	c.says(other, []string{chief, "off"}, "fence", "status", chief)
	c.run(other, "fence", "on", chief)
	c.whole()
	before = len(c.crashes())
	_, _ = c.Exec(context.Background(), "n1", "takt", "fence", "reboot", "n1", "--yes") // the command goes down with it
	c.await(settleLimit, "n1 is switched off", func(context.Context) string {
		if len(c.lost(before)) == 0 {
			return "it is not"
		}
		return ""
	})
	c.whole()
	if lost := c.lost(before); !slices.Equal(lost, []string{"n1"}) {
		c.t.Errorf("takt fence reboot n1: switched off were %v", lost)
	}
	c.refuse("n1", []string{"n2"}, "fence", "confirm", "n2", "--yes") // it is heard
	c.refuse("n1", []string{"n9"}, "fence", "off", "n9", "--yes")
}

// deadSwitch crashes a node while the switch does not answer for it.
func deadSwitch(c *cluster) {
	c.moveAll("n2")
	c.must(c.Power(lab.PowerOptions{Node: "n2", Delay: -1, Fault: lab.PowerFails}))
	c.must(c.Crash("n2"))
	c.says("n1", []string{"does not answer"}, "events", "--here", "-n", "200")
	c.unmoved(300*time.Millisecond, "n2")
	c.must(c.Power(lab.PowerOptions{Delay: -1}))
	c.runsOn("n1") // and n2 is switched on again
}

// slowSwitch: what is slow is waited for.
func slowSwitch(c *cluster) {
	c.moveAll("n2")
	const slow = 2 * time.Second
	c.must(c.Power(lab.PowerOptions{Delay: slow}))
	before, began := len(c.crashes()), time.Now()
	c.must(c.Pause("n2")) // first, or it would shoot
	c.must(c.Cut(lab.CutOptions{Node: "n2"}))
	c.runsOn("n1") // not before n2 is off, says the judge
	if off := c.crashes()[before:]; len(off) != 1 || off[0].Node != "n2" || time.Unix(0, off[0].Time).Sub(began) < slow {
		c.t.Errorf("after %v switched off were %+v, want n2 once, %v later", began, off, slow)
	}
	c.must(c.Heal(lab.CutOptions{}))
	c.must(c.Power(lab.PowerOptions{Delay: lab.PowerDelay}))
}

// hangingSwitch: fencing ends by its time-out and is tried again, and everybody can read
// that. Nothing starts before the switch is mended.
func hangingSwitch(c *cluster) {
	c.run("n1", "option", "set", "stonith-timeout=500ms")
	c.moveAll("n2")
	began := time.Now()
	c.must(c.Power(lab.PowerOptions{Node: "n2", Delay: -1, Fault: lab.PowerHangs}))
	c.must(c.Crash("n2"))
	c.says("n1", []string{"The reboot of n2: waits for n1, which runs the"}, "status")
	c.says("n1", []string{"off of n2 with power by n1: failed"}, "events", "--here", "-n", "200")
	c.says("n1", []string{"n2", "failed"}, "fence", "history")
	c.unmoved(time.Second, "n2")
	if list := c.begun(began); len(list) > 0 {
		c.t.Errorf("begun while n2 was not proven off: %v", list)
	}
	c.must(c.Power(lab.PowerOptions{Delay: -1}))
	c.runsOn("n1") // and n2 is switched on again
}

// secondSwitch: the device of the second level does what the first one cannot.
func secondSwitch(c *cluster) {
	c.t.Cleanup(c.serveSwitch("second.sock"))
	c.run("n1", "fence", "add", "second", "fence_takt_lab", "socket="+filepath.Join(c.Dir(), "second.sock"))
	c.must(c.apply(context.Background(), "n1", `<fencing-topology><fencing-level id="l1" target="n2" index="1" devices="power"/>
<fencing-level id="l2" target="n2" index="2" devices="second"/></fencing-topology>`, true))
	c.moveAll("n2")
	c.must(c.Power(lab.PowerOptions{Node: "n2", Delay: -1, Fault: lab.PowerHangs}))
	c.must(c.Crash("n2"))
	c.runsOn("n1")
	c.says("n1", []string{"power", "second"}, "fence", "history")
	c.must(c.Power(lab.PowerOptions{Delay: -1}))
}

// serveSwitch serves a power switch of the test's own in the laboratory's folder, which
// nodes see under the same path. The function that it returns ends it.
func (c *cluster) serveSwitch(name string) func() {
	c.t.Helper()
	l, err := net.Listen("unix", filepath.Join(c.Dir(), name))
	c.must(err)
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer conn.Close()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					fmt.Fprintln(conn, c.switchPower(strings.Fields(lines.Text())))
				}
			})
		}
	})
	return func() { l.Close(); work.Wait() }
}

// switchPower answers one request to that switch.
func (c *cluster) switchPower(words []string) string {
	if len(words) == 1 && words[0] == "list" {
		return strings.Join(c.Nodes(), " ")
	}
	if len(words) != 2 {
		return "error say off NODE, on NODE, status NODE or list"
	}
	on, err := c.isOn(words[1])
	switch {
	case err != nil:
	case words[0] == "status" && on:
		return "on"
	case words[0] == "status":
		return "off"
	case words[0] == "off" && on:
		err = c.Crash(words[1])
	case words[0] == "on" && !on:
		err = c.Start(words[1])
	}
	if err != nil {
		return "error " + strings.ReplaceAll(err.Error(), "\n", " ")
	}
	return "ok"
}

// isOn reports whether a node has power.
func (c *cluster) isOn(node string) (bool, error) {
	s, err := c.Status()
	if err != nil {
		return false, err
	}
	for _, n := range s.Nodes {
		if n.Name == node {
			return n.State != "off", nil
		}
	}
	return false, fmt.Errorf("no node %q hangs on this switch", node)
}
