package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
		c.allStop()
		c.run("n2", "cluster", "force", "--yes")
		c.runsOn("n2")
		c.must(c.Heal(lab.CutOptions{}))
	})
	c.sub("cut, and both halves are forced", bothForced)
}

// allStop waits until nothing runs anywhere.
func (c *cluster) allStop() {
	c.t.Helper()
	c.await(settleLimit, "both have stopped everything", func(context.Context) string {
		for _, id := range unique {
			if on := c.activeOn(id); len(on) > 0 {
				return id + " is on " + on[0]
			}
		}
		return ""
	})
}

// bothForced: two people who do not know of each other each force their half. When the
// halves meet one history wins, and the changes of the other are kept and shown.
func bothForced(c *cluster) {
	generation := c.generation("n1")
	c.risk(func() {
		c.must(c.Cut(lab.CutOptions{Node: "n1", From: "n2"}))
		c.allStop()
		for _, node := range c.Nodes() {
			look := c.run(node, "cluster", "force", "--look")
			c.holds(look, []string{node + " would be the cluster by itself", "!"})
			c.run(node, "cluster", "force", "--yes")
		}
		for _, id := range unique {
			c.await(settleLimit, id+" runs on both", func(context.Context) string {
				if on := c.activeOn(id); len(on) != 2 {
					return fmt.Sprintf("it is on %v", on)
				}
				return ""
			})
		}
		c.run("n1", "option", "set", "migration-limit=7", "--no-wait")
		c.outweigh("n2")
		c.must(c.Heal(lab.CutOptions{}))
		c.met()
	})
	c.voters("n1", "n1", "n2")
	c.says("n2", []string{"n1 has caught up and got a vote", "is active on several nodes"}, "events", "--here", "-n", "200")
	c.says("n1", []string{"n1 gave up its own history and follows that of n2", "CHANGES", "takt cluster acknowledge"}, "status")
	if text := c.run("n2", "status"); strings.Contains(text, "gave up") {
		c.t.Errorf("n2 has won, and says\n%s", text)
	}
	for _, node := range c.Nodes() {
		c.holds(c.run(node, "option", "list"), []string{"batch-limit"})
		if text := c.run(node, "option", "list"); strings.Contains(text, "migration-limit") {
			c.t.Errorf("%s mixes two histories:\n%s", node, text)
		}
		if g := c.generation(node); g != generation+1 {
			c.t.Errorf("%s is in generation %d, want %d", node, g, generation+1)
		}
	}
	c.holds(c.givenUp("n1"), []string{"set migration-limit=7", "takt option set"})
	c.run("n1", "cluster", "acknowledge")
	if text := c.run("n1", "status"); strings.Contains(text, "gave up") {
		c.t.Errorf("acknowledged, and n1 still says\n%s", text)
	}
	c.run("n1", "option", "unset", "batch-limit")
}

// outweigh makes more changes on a node than the cluster itself can have made on the
// other side of a cut: of two histories of one generation the one with more wins.
func (c *cluster) outweigh(node string) {
	c.t.Helper()
	_, err := c.Exec(context.Background(), node, "/bin/sh", "-c",
		"for i in $(seq 1 20); do takt option set batch-limit=$i --no-wait || exit 1; done")
	c.must(err)
}

// givenUp is what a node has kept of the history that it gave up last.
func (c *cluster) givenUp(node string) string {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.Dir(), "nodes", node, "var", "store", "superseded-*", "changes.txt"))
	c.must(err)
	text := ""
	for _, f := range files {
		data, err := os.ReadFile(f)
		c.must(err)
		text += string(data)
	}
	if text == "" {
		c.t.Errorf("%s has kept nothing", node)
	}
	return text
}
