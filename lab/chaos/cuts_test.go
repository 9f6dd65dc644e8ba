package chaos

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab"
)

// TestCutsOfThree cuts what three nodes hear of one another in every way. What is
// left goes on with everything, nobody is switched off who is in contact with a
// majority on both sides of a cut, and once healed all is well again.
func TestCutsOfThree(t *testing.T) {
	c := newStory(t, lab.Options{Nodes: 3, Fence: true}, "")
	c.sub("all cables of one", func(c *cluster) { c.outcast("n3", lab.CutOptions{Node: "n3"}) })
	c.sub("all cables of the coordinator", func(c *cluster) {
		chief := c.coordinator()
		c.outcast(chief, lab.CutOptions{Node: chief})
	})
	c.sub("one link of all", oneLink)
	c.sub("a pair", func(c *cluster) { c.pair(lab.CutOptions{Node: "n1", From: "n2"}) })
	c.sub("a pair, one way", func(c *cluster) { c.pair(lab.CutOptions{Node: "n2", From: "n3", OneWay: true}) })
	c.sub("one is not heard", func(c *cluster) {
		c.outcast("n2", lab.CutOptions{Node: "n2", From: "n1", OneWay: true}, lab.CutOptions{Node: "n2", From: "n3", OneWay: true})
	})
	c.sub("one does not hear", func(c *cluster) {
		c.outcast("n2", lab.CutOptions{Node: "n1", From: "n2", OneWay: true}, lab.CutOptions{Node: "n3", From: "n2", OneWay: true})
	})
}

// TestEvenSplit cuts four nodes into two halves. Exactly one half goes on.
func TestEvenSplit(t *testing.T) {
	c := newStory(t, lab.Options{Nodes: 4, Fence: true}, "")
	for _, half := range [][]string{{"n1", "n2"}, {"n1", "n4"}} {
		c.sub(fmt.Sprint(half), func(c *cluster) { c.split(half) })
	}
}

// TestCutsOfFive: two of five are cut off together, and then five are all that is
// left of some pairs.
func TestCutsOfFive(t *testing.T) {
	c := newStory(t, lab.Options{Nodes: 5, Fence: true}, "")
	c.sub("two cut off", func(c *cluster) {
		before := c.divide([]string{"n4", "n5"})
		c.await(settleLimit, "both are switched off", func(context.Context) string {
			if lost := c.lost(before); !slices.Equal(lost, []string{"n4", "n5"}) {
				return fmt.Sprintf("switched off were %v", lost)
			}
			return ""
		})
		c.runsOn("n1", "n2", "n3")
		c.must(c.Heal(lab.CutOptions{}))
	})
	c.sub("some pairs", func(c *cluster) {
		c.pair(lab.CutOptions{Node: "n1", From: "n2"}, lab.CutOptions{Node: "n2", From: "n3"}, lab.CutOptions{Node: "n4", From: "n5", OneWay: true})
	})
}

// outcast makes cuts that leave one node without a majority: it alone is switched
// off, and everything runs on the others.
func (c *cluster) outcast(node string, cuts ...lab.CutOptions) {
	c.t.Helper()
	before, _ := c.cut(c.whole, cuts...)
	c.await(settleLimit, node+" is switched off", func(context.Context) string {
		if lost := c.lost(before); !slices.Contains(lost, node) {
			return fmt.Sprintf("switched off were %v", lost)
		}
		return ""
	})
	c.runsOn(slices.DeleteFunc(c.Nodes(), func(n string) bool { return n == node })...)
	c.must(c.Heal(lab.CutOptions{}))
	c.whole()
	if lost := c.lost(before); len(lost) != 1 {
		c.t.Errorf("switched off were %v, want %s alone", lost, node)
	}
}

// oneLink: a second link is what redundancy is for.
func oneLink(c *cluster) {
	var cuts []lab.CutOptions
	for _, node := range c.Nodes() {
		cuts = append(cuts, lab.CutOptions{Node: node, Link: 2})
	}
	before := len(c.crashes())
	c.must(c.Cut(cuts...))
	pause(700 * time.Millisecond) // some dead times
	c.whole()
	if lost := c.lost(before); len(lost) > 0 {
		c.t.Errorf("switched off were %v, and the other link was whole", lost)
	}
	c.must(c.Heal(lab.CutOptions{}))
}

// pair cuts pairs of nodes that are all in contact with a majority. One of each
// pair may have to give way; all services run, and then go on.
func (c *cluster) pair(cuts ...lab.CutOptions) {
	c.t.Helper()
	before := len(c.crashes())
	c.must(c.Cut(cuts...))
	pause(700 * time.Millisecond) // some dead times
	c.runsOn(c.Nodes()...)
	pause(time.Second)
	c.runsOn(c.Nodes()...)
	lost := c.lost(before)
	c.t.Logf("switched off: %v", lost)
	if len(lost) > len(cuts) {
		c.t.Errorf("switched off were %v for %d broken pairs", lost, len(cuts))
	}
	c.must(c.Heal(lab.CutOptions{}))
}

// divide cuts every pair between some nodes and the rest; it returns how many crashes there were before.
func (c *cluster) divide(some []string) (before int) {
	c.t.Helper()
	var cuts []lab.CutOptions
	for _, a := range some {
		for _, b := range c.Nodes() {
			if !slices.Contains(some, b) {
				cuts = append(cuts, lab.CutOptions{Node: a, From: b})
			}
		}
	}
	before, _ = c.cut(c.whole, cuts...)
	return before
}

// cut makes cuts at one moment, and returns that and how many crashes there were before. On a
// busy machine they may come one after the other, and then it is rightly more that is switched
// off: it takes them back, makes ready as before, and cuts again.
func (c *cluster) cut(ready func(), cuts ...lab.CutOptions) (before int, at time.Time) {
	c.t.Helper()
	const atOnce = 50 * time.Millisecond // a quarter of the fast profile's dead time
	for range 10 {
		ready()
		before, at = len(c.crashes()), time.Now()
		c.must(c.Cut(cuts...))
		took := time.Since(at)
		if took < atOnce {
			return before, at
		}
		c.t.Logf("%d cuts took %d ms: again", len(cuts), took.Milliseconds())
		c.mend()
	}
	c.t.Skip("this machine is too busy to cut several cables at once")
	return 0, at
}

func (c *cluster) split(half []string) {
	rest := slices.DeleteFunc(c.Nodes(), func(n string) bool { return slices.Contains(half, n) })
	before := c.divide(half)
	var left []string
	c.await(settleLimit, "one half is switched off", func(context.Context) string {
		switch lost := c.lost(before); {
		case slices.Equal(lost, half):
			left = rest
		case slices.Equal(lost, rest):
			left = half
		default:
			return fmt.Sprintf("switched off were %v", lost)
		}
		return ""
	})
	c.runsOn(left...)
	c.t.Logf("%v goes on", left)
	c.must(c.Heal(lab.CutOptions{}))
	c.whole()
	if lost := c.lost(before); len(lost) != 2 {
		c.t.Errorf("switched off were %v, want one half", lost)
	}
}
