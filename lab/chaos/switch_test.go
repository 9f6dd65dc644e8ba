package chaos

import (
	"context"
	"slices"
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
	c.must(c.Power(lab.PowerOptions{Delay: 2 * time.Second}))
	c.must(c.Cut(lab.CutOptions{Node: "n2"}))
	c.must(c.Pause("n2")) // or it would shoot first
	c.unmoved(1800*time.Millisecond, "n2")
	c.runsOn("n1")
	c.must(c.Heal(lab.CutOptions{}))
	c.must(c.Power(lab.PowerOptions{Delay: lab.PowerDelay}))
}
