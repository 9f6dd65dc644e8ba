package chaos

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab"
)

// TestThreeNodes: what a vote is worth. A node that crashed is fenced, has no vote
// until it is back, and then has one; of three that die one after the other the
// last goes on, since each vote was taken by proof.
func TestThreeNodes(t *testing.T) {
	c := newStory(t, lab.Options{Nodes: 3, Fence: true}, stubborn)
	c.sub("crash and return", crashAndReturn)
	c.sub("three become one", threeBecomeOne)
	c.sub("coordinator crashes", coordinatorCrashes)
	c.sub("coordinator pauses while somebody waits", waitsOn)
	c.sub("failed stop", failedStop)
	c.sub("swapped plugs", swappedPlugs)
}

func crashAndReturn(c *cluster) {
	c.run("n1", "option", "set", "stonith-action=off") // it stays off until a person looks
	c.must(c.Crash("n3"))
	c.runsOn("n1", "n2")
	c.voters("n1", "n1", "n2")
	c.says("n1", []string{"n3"}, "fence", "history")
	c.must(c.Start("n3"))
	c.voters("n1", "n1", "n2", "n3")
}

func threeBecomeOne(c *cluster) {
	c.must(c.Crash("n2"))
	c.voters("n1", "n1", "n3")
	c.voters("n3", "n1", "n3") // before both know, neither may go on alone
	c.runsOn("n1", "n3")
	c.run("n1", "resource", "move", "single", "n3") // which n3 has to acknowledge
	c.run("n1", "resource", "clear", "single")
	c.must(c.Crash("n3"))
	c.voters("n1", "n1")
	c.runsOn("n1")
	c.must(c.Start("n3"))
	c.must(c.Start("n2"))
	c.voters("n1", "n1", "n2", "n3")
	c.run("n1", "option", "set", "stonith-action=reboot")
}

// coordinatorCrashes: who decides dies, is fenced by another and comes back by itself.
func coordinatorCrashes(c *cluster) {
	chief := c.coordinator()
	before := len(c.crashes())
	c.must(c.Crash(chief))
	c.whole() // it is back by itself
	if lost := c.lost(before, chief); len(lost) > 0 {
		c.t.Errorf("switched off were %v, too", lost)
	}
}

// waitsOn: a command waits for the cluster to settle, and its coordinator is none any more. It
// goes on waiting for the next one, and no longer.
func waitsOn(c *cluster) {
	chief := c.coordinator()
	others := slices.DeleteFunc(c.Nodes(), func(n string) bool { return n == chief })
	c.run("n1", "resource", "move", "stubborn", others[0])
	held := c.file("held", "")
	c.trick("start", others[1], "while [ -e "+held+" ]; do sleep 0.05; done")
	before, began := len(c.crashes()), time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if out, code := c.try(chief, "resource", "move", "stubborn", others[1]); code != 0 {
			c.t.Errorf("the move, asked at %s: exit status %d\n%s", chief, code, out)
		}
	}()
	c.await(settleLimit, "the start is under way", func(context.Context) string {
		if list := c.begun(began); !slices.Contains(list, "start stubborn on "+others[1]) {
			return fmt.Sprint(list)
		}
		return ""
	})
	c.must(c.Power(lab.PowerOptions{Node: chief, Delay: -1, Fault: lab.PowerFails}))
	c.must(c.Pause(chief))
	c.await(settleLimit, "another one coordinates", func(ctx context.Context) string {
		s, err := c.ClusterStatus(ctx, others[0])
		if err != nil {
			return err.Error()
		}
		if s.Coordinator == "" || s.Coordinator == chief {
			return fmt.Sprintf("it is %q", s.Coordinator)
		}
		return ""
	})
	c.must(c.Resume(chief))
	c.must(os.Remove(held))
	c.whole()
	c.must(c.Power(lab.PowerOptions{Delay: -1}))
	<-done
	c.trick("start", others[1], "")
	c.run("n1", "resource", "clear", "stubborn")
	if lost := c.lost(before); len(lost) > 0 {
		c.t.Errorf("switched off were %v", lost)
	}
}

// failedStop: a node on which a stop fails is fenced, and what did not stop starts
// elsewhere only then.
func failedStop(c *cluster) {
	for _, way := range []string{"exit 1", "sleep 60"} {
		c.run("n1", "resource", "move", "stubborn", "n2")
		before := len(c.crashes())
		c.trick("stop", "n2", way)
		c.run("n1", "resource", "move", "stubborn", "n3", "--no-wait")
		c.activeAt("stubborn", "n3")
		if lost := c.lost(before); !slices.Equal(lost, []string{"n2"}) {
			c.t.Errorf("stop: %s: switched off were %v, want n2", way, lost)
		}
		c.trick("stop", "n2", "")
		c.whole()
	}
}

// swappedPlugs: n1 and n2 hang on the plugs that the configuration calls the other's.
// The switch does what it is told, and n2, which is heard, is not taken for off. n1 coordinates: another
// one would go on, and with such a map shoot n2 for n1.
func swappedPlugs(c *cluster) {
	for chief := c.coordinator(); chief != "n1"; chief = c.coordinator() {
		c.must(c.Crash(chief))
		c.whole()
	}
	const end = "</instance_attributes>"
	swapped := strings.Replace(lab.PowerDevice, end, `<nvpair id="power-map" name="pcmk_host_map" value="n1:n2;n2:n1;n3:n3"/>`+end, 1)
	c.must(c.apply(context.Background(), "n3", resourcesWith(swapped+stubborn, 0), true))
	before := len(c.crashes())
	out, code := c.try("n3", "fence", "off", "n2", "--yes")
	c.t.Logf("exit status %d; n1 dies of it\n%s", code, out)
	if code == 0 {
		c.t.Errorf("takt fence off n2 has succeeded, and n2 lives:\n%s", out)
	}
	c.holds(out, []string{"n1", "before it answered", "may have been done"}) // who was to answer died over it
	c.await(settleLimit, "n1, whose plug is called n2's, is switched off", func(context.Context) string {
		if lost := c.lost(before); !slices.Contains(lost, "n1") { // a machine takes a moment to die
			return fmt.Sprintf("switched off were %v", lost)
		}
		return ""
	})
	c.judge()
	c.await(settleLimit, "the map is mended", func(ctx context.Context) string {
		for _, node := range c.Nodes() {
			_ = c.Start(node) // whoever was switched off stays off
		}
		if err := c.apply(ctx, "n3", resourcesWith(lab.PowerDevice+stubborn, 0), true); err != nil {
			return err.Error()
		}
		return ""
	})
}
