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

// fencedPair is two nodes that can switch each other off, with everything running.
func fencedPair(t *testing.T) *cluster {
	t.Helper()
	profile := os.Getenv("TAKT_PROFILE")
	if profile == "" {
		profile = "fast"
	}
	c := newCluster(t, lab.Options{Nodes: 2, Links: 2, Profile: profile, Fence: true})
	c.patient()
	if err := c.apply(context.Background(), "n1", resourcesWith(lab.PowerDevice, 0), true); err != nil {
		t.Fatal(err)
	}
	c.whole()
	return c
}

// patient gives the half of a tie that shoots first the time that it needs on a busy machine, where
// the laboratory's own claim-delay is one for figures: both would be shot.
func (c *cluster) patient() {
	c.t.Helper()
	c.run("n1", "option", "set", "claim-delay=1s")
}

// whole waits until every node is a member and everything runs.
func (c *cluster) whole() {
	c.t.Helper()
	c.await(settleLimit, "be whole", func(ctx context.Context) string {
		for _, node := range c.Nodes() {
			if why := c.settled(ctx, node, unique); why != "" {
				return why
			}
		}
		return ""
	})
}

// switched returns who was switched off by the cluster since n events.
func (c *cluster) switched(n int) []string {
	c.t.Helper()
	var list []string
	for _, crash := range c.crashes()[n:] {
		list = append(list, crash.Node)
	}
	return list
}

// activeOn returns on which nodes a resource may be active now, by the calls alone.
func (c *cluster) activeOn(resource string) []string {
	c.t.Helper()
	var on []string
	for _, i := range Intervals(promotions(c.calls(), ranked), c.crashes())[resource] {
		if i.Ended == "" {
			on = append(on, i.Node)
		}
	}
	return on
}

// TestCutInTwo cuts two nodes from one another: each sees the other die, and each
// can switch the other off. Exactly one survives, and everything runs there.
// TAKT_CUTS says how often (3 without it).
func TestCutInTwo(t *testing.T) {
	c := fencedPair(t)
	for i := 1; i <= setting(t, "TAKT_CUTS", 3); i++ {
		before := len(c.crashes())
		if err := c.Cut(lab.CutOptions{Node: "n1", From: "n2"}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.await(settleLimit, "one node survives with everything", func(ctx context.Context) string {
			off := c.switched(before)
			if len(off) == 0 {
				return "nobody was switched off yet"
			}
			for _, id := range unique {
				if on := c.activeOn(id); len(on) != 1 || on[0] == off[0] {
					return fmt.Sprintf("%s is on %v; switched off: %v", id, on, off)
				}
			}
			return ""
		})
		off := c.switched(before)
		t.Logf("cut %d: %v was switched off, everything runs on the other after %d ms", i, off, time.Since(began).Milliseconds())
		if err := c.Heal(lab.CutOptions{}); err != nil {
			t.Fatal(err)
		}
		c.whole()
		if all := c.switched(before); len(all) != 1 {
			t.Fatalf("cut %d: switched off were %v: want exactly one", i, all)
		}
		c.judge()
	}
}

// TestBootAlone takes the power from both nodes. The one that comes back first
// must not start anything: the other may have gone on without it.
func TestBootAlone(t *testing.T) {
	c := fencedPair(t)
	if err := c.Power(lab.PowerOptions{Delay: -1, Fault: lab.PowerFails}); err != nil { // nobody gets its power back by the cluster
		t.Fatal(err)
	}
	for _, node := range c.Nodes() {
		if err := c.Crash(node); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Power(lab.PowerOptions{Delay: -1}); err != nil {
		t.Fatal(err)
	}
	if err := c.Start("n1"); err != nil {
		t.Fatal(err)
	}
	// It says so, and goes on saying so: for several dead times nothing starts.
	var said int
	c.await(settleLimit, "n1 says for whom it waits", func(ctx context.Context) string {
		s, err := c.ClusterStatus(ctx, "n1")
		if err != nil {
			return err.Error()
		}
		words := strings.Join(append(append([]string{s.Quorum.Reason}, s.Quorum.Words...), s.Quorum.Waits...), "; ")
		if s.Quorum.Quorate || !strings.Contains(words, "n2") || !strings.Contains(words, "since it started") {
			said = 0
			return fmt.Sprintf("quorate %v: %s", s.Quorum.Quorate, words)
		}
		if said++; said < 20 { // two seconds of it
			return "not yet for long: " + words
		}
		t.Log(words)
		return ""
	})
	for _, id := range unique {
		if on := c.activeOn(id); len(on) > 0 {
			t.Errorf("%s was started on %v by a node alone after its boot", id, on)
		}
	}
	if slices.Contains(c.switched(2), "n2") {
		t.Error("n1 has switched n2 off, which it may not after its boot")
	}
	if err := c.Start("n2"); err != nil {
		t.Fatal(err)
	}
	c.whole()
	c.judge()
}

// TestPausedNode stops a node for three dead times and lets it go on, while the
// other cannot switch it off. Nothing runs twice, and who wakes fences nobody.
// TAKT_PAUSES says how often (3 without it).
func TestPausedNode(t *testing.T) {
	c := fencedPair(t)
	dead := 200 * time.Millisecond
	if c.State().Profile == "default" {
		dead = time.Second
	}
	for i := 1; i <= setting(t, "TAKT_PAUSES", 3); i++ {
		before := len(c.crashes())
		node := c.Nodes()[i%2]
		if err := c.Power(lab.PowerOptions{Node: node, Delay: -1, Fault: lab.PowerFails}); err != nil {
			t.Fatal(err)
		}
		if err := c.Pause(node); err != nil {
			t.Fatal(err)
		}
		pause(3 * dead)
		if err := c.Resume(node); err != nil {
			t.Fatal(err)
		}
		c.whole()
		if off := c.switched(before); len(off) > 0 {
			t.Fatalf("pause %d of %s: %v was switched off", i, node, off)
		}
		if err := c.Power(lab.PowerOptions{Delay: -1}); err != nil {
			t.Fatal(err)
		}
		c.judge()
	}
}

// TestLyingSwitchMovesNothing has a switch that says ok and does nothing. Nothing
// starts elsewhere on its word.
func TestLyingSwitchMovesNothing(t *testing.T) {
	c := fencedPair(t)
	if err := c.Power(lab.PowerOptions{Delay: -1, Fault: lab.PowerLies}); err != nil {
		t.Fatal(err)
	}
	active := c.activeOn("single")
	if len(active) != 1 {
		t.Fatalf("single is on %v", active)
	}
	other := map[string]string{"n1": "n2", "n2": "n1"}[active[0]]
	if err := c.Cut(lab.CutOptions{Node: "n1", From: "n2"}); err != nil {
		t.Fatal(err)
	}
	c.await(settleLimit, other+" says that its fencing does not work", func(ctx context.Context) string {
		out, err := c.Exec(ctx, other, "takt", "events", "--here")
		if err != nil {
			return err.Error()
		}
		if !strings.Contains(string(out), "still on") && !strings.Contains(string(out), "says on") {
			return "nothing yet about a device that lies"
		}
		return ""
	})
	if on := c.activeOn("single"); !slices.Equal(on, active) {
		t.Errorf("single is on %v, want %v: nothing may start without proof", on, active)
	}
	if err := c.Power(lab.PowerOptions{Delay: -1}); err != nil {
		t.Fatal(err)
	}
	if err := c.Heal(lab.CutOptions{}); err != nil {
		t.Fatal(err)
	}
	c.whole()
	c.judge()
}
