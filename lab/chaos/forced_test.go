package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab"
)

// TestNothingProves: two nodes and nothing that could prove the other off. Nothing
// fails over, and status says so in advance; a person who has looked can say so, or force it.
func TestNothingProves(t *testing.T) {
	c := newCluster(t, lab.Options{Nodes: 2, Links: 2, Profile: "fast"})
	c.must(c.apply(context.Background(), "n1", resources(0), true))
	c.whole()
	c.says("n1", []string{"NOTHING WILL FAIL OVER", "takt fence add", "--witness"}, "status")
	c.sub("crash and confirm", func(c *cluster) {
		c.moveAll("n2")
		c.must(c.Crash("n2"))
		c.unmoved(700*time.Millisecond, "n2")
		c.says("n1", []string{"It waits for n2", "takt fence confirm n2"}, "status")
		c.run("n1", "fence", "confirm", "n2", "--yes")
		c.runsOn("n1")
		c.must(c.Start("n2"))
	})
	c.sub("cut, and one half is forced", func(c *cluster) {
		c.must(c.Cut(lab.CutOptions{Node: "n1", From: "n2"}))
		c.await(settleLimit, "both have stopped everything", func(context.Context) string {
			for _, id := range unique {
				if on := c.activeOn(id); len(on) > 0 {
					return id + " is on " + on[0]
				}
			}
			return ""
		})
		c.run("n2", "cluster", "force", "--yes")
		c.runsOn("n2")
		c.must(c.Heal(lab.CutOptions{}))
	})
}
