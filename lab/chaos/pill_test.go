package chaos

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab"
)

// pillDog is the watchdog's time-out where nodes are fenced by disks: a busy machine
// must be able to look at them in less than a third of it. Nodes boot for longer than
// twice that time, after which they count as off.
const pillDog = 3 * time.Second

// TestPoisonPill: two nodes, their watchdogs, and files that both see as fence disks. A node
// that is ordered to go down goes down, and one disk of three may be lost.
func TestPoisonPill(t *testing.T) {
	c := newStory(t, lab.Options{Nodes: 2, Watchdog: pillDog, Boot: 2*pillDog + time.Second}, "")
	c.armed("n1", "n2")
	c.sub("disks that cannot be", badDisks)
	c.sub("one disk", func(c *cluster) {
		one := c.disks("one")
		c.addPill(one...)
		c.says("n1", []string{"pill", "fence_takt_disk", "fences n1, n2", "other machines do not see it"}, "fence", "list")
		c.poison()
		c.run("n1", "fence", "remove", "pill")
	})
	c.sub("three disks", func(c *cluster) {
		three := c.disks("a", "b", "c")
		c.addPill(three...)
		before := c.powerEvents()
		c.must(os.Rename(three[1], three[1]+".lost"))
		out := c.run("n1", "fence", "test", "n2")
		c.holds(out, []string{"pill, asked by n1: n2 is on", "pill: devices: on n1: " + three[1] + " is not there", "pill: devices: on n2: " + three[1] + " is not there"})
		if list := c.bitten(before); len(list) > 0 {
			c.t.Errorf("one disk of three is lost, and reset were %v", list)
		}
		c.poison()
		lostDisks(c, three)
	})
}

// disks makes a set of fence disks.
func (c *cluster) disks(names ...string) (paths []string) {
	c.t.Helper()
	for _, name := range names {
		paths = append(paths, filepath.Join(c.Dir(), "pill-"+name))
	}
	c.run("n1", append([]string{"fence", "disk", "create", "--slots", "4", "--watchdog", pillDog.String()}, paths...)...)
	return paths
}

// addPill has nodes fenced by these disks, and waits until both watch them.
func (c *cluster) addPill(paths ...string) {
	c.t.Helper()
	c.run("n1", "fence", "add", "pill", "fence_takt_disk", "devices="+strings.Join(paths, ","))
	for _, node := range c.Nodes() {
		args := append([]string{"takt", "fence", "disk", "message", node, "test"}, paths...)
		c.await(settleLimit, node+" reads its slot", func(ctx context.Context) string {
			if _, err := c.Exec(ctx, "n1", args...); err != nil {
				return err.Error()
			}
			return ""
		})
	}
	c.says("n1", []string{"pill, asked by n1: n2 is on"}, "fence", "test", "n2") // once it has looked who has a slot
}

// poison has n2 go down by the disks while it is well, and looks who did it.
func (c *cluster) poison() {
	c.t.Helper()
	c.moveAll("n2")
	before := c.powerEvents()
	c.holds(c.run("n1", "fence", "reboot", "n2", "--yes"), []string{"n2 is off: pill, run by n1"})
	c.awaitBite(before, "n2")
	c.runsOn("n1")
	c.whole()
	c.armed("n1", "n2")
}

// badDisks: what can be known of disks is said when they are made or configured.
func badDisks(c *cluster) {
	path := func(name string) string { return filepath.Join(c.Dir(), name) }
	c.file("tiny", strings.Repeat("\x00", 4096))
	c.refuse("n1", []string{"tiny is too small"}, "fence", "disk", "create", path("tiny"))
	c.file("foreign", "somebody's own"+strings.Repeat(" data", 1<<20))
	c.refuse("n1", []string{"foreign holds", "nothing was written"}, "fence", "disk", "create", path("foreign"))
	for _, d := range []struct{ disk, words string }{{"absent", "absent is not there"}, {"tiny", "tiny"}, {"foreign", "foreign"}} {
		out := c.run("n1", "fence", "add", "bad", "fence_takt_disk", "devices="+path(d.disk), "--wait", "0s")
		c.holds(out, []string{"! bad: devices: on ", d.words})
		c.says(c.coordinator(), []string{"! bad: devices: ", d.words, "whether it can fence n2 is not known"}, "status")
		c.refuse("n1", []string{"bad: whether it can fence n2 is not known", d.words}, "fence", "test", "n2")
		c.run("n1", "fence", "remove", "bad")
	}
}

// lostDisks: two disks of three are gone. Nobody can be told to go down any more, so
// nobody acts; when they are back, all goes on. Whether a node has time to stop everything before
// its watchdog resets it is up to the machine.
func lostDisks(c *cluster, disks []string) {
	c.must(os.Rename(disks[2], disks[2]+".lost"))
	c.await(settleLimit, "both nodes go down or stop everything", func(context.Context) string {
		for _, id := range unique {
			if on := c.activeOn(id); len(on) > 0 {
				return id + " is on " + strings.Join(on, ", ")
			}
		}
		return ""
	})
	c.says("n1", []string{"NO QUORUM", "1 of 3 fence disks can be used", disks[2] + " is not there"}, "status")
	for _, d := range disks[1:] {
		c.must(os.Rename(d+".lost", d))
	}
	c.whole()
}
