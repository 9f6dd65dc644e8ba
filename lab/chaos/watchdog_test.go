package chaos

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab"
)

// dogTimeout is the shortest that a watchdog may have.
const dogTimeout = time.Second

// bitten returns whom a watchdog has reset since n events of the power log.
func (c *cluster) bitten(n int) (list []string) {
	c.t.Helper()
	events, err := c.PowerLog()
	c.must(err)
	for _, e := range events[n:] {
		if e.What == "watchdog" {
			list = append(list, e.Node)
		}
	}
	return list
}

// nowhere fails the test if anything is active.
func (c *cluster) nowhere() {
	c.t.Helper()
	for _, id := range unique {
		if on := c.activeOn(id); len(on) > 0 {
			c.t.Errorf("%s is on %v", id, on)
		}
	}
}

// powerEvents is how long the power log is.
func (c *cluster) powerEvents() int {
	c.t.Helper()
	events, err := c.PowerLog()
	c.must(err)
	return len(events)
}

// awaitBite waits until a node alone was reset by its watchdog since n events.
func (c *cluster) awaitBite(n int, node string) {
	c.t.Helper()
	c.await(settleLimit, node+" is reset by its watchdog", func(context.Context) string {
		if list := c.bitten(n); !slices.Equal(list, []string{node}) {
			return fmt.Sprintf("reset were %v", list)
		}
		return ""
	})
}

// TestWatchdogPair: two nodes and nothing but their watchdogs. The half with the
// lowest node goes on, once the other must have been reset.
func TestWatchdogPair(t *testing.T) {
	c := newStory(t, lab.Options{Nodes: 2, Watchdog: dogTimeout}, stubborn)
	c.armed("n1", "n2")
	c.sub("n2 crashes", func(c *cluster) {
		c.moveAll("n2")
		began := time.Now()
		c.must(c.Crash("n2"))
		c.runsOn("n1")
		const silent = 200 * time.Millisecond // n2 was heard so lately when it crashed
		if after := c.firstStart(began); after < 2*dogTimeout-silent {
			c.t.Errorf("n1 went on after %v, want twice %v", after, dogTimeout)
		}
		c.must(c.Start("n2"))
	})
	c.sub("n1 crashes", func(c *cluster) {
		c.must(c.Crash("n1"))
		c.says("n2", []string{"all stopped", "n1"}, "status") // it may not go on, and says why
		pause(2 * dogTimeout)
		c.t.Log(c.run("n2", "status"))
		c.nowhere()
		c.must(c.Start("n1"))
	})
	c.sub("cut in two", func(c *cluster) {
		before := c.powerEvents()
		c.moveAll("n2")
		c.must(c.Cut(lab.CutOptions{Node: "n1", From: "n2"}))
		c.runsOn("n1")
		if list := c.bitten(before); slices.Contains(list, "n1") {
			c.t.Errorf("reset were %v: want n2 at most", list)
		}
		c.must(c.Heal(lab.CutOptions{}))
	})
	c.sub("daemon hangs", daemonHangs)
	c.sub("shutdown disarms", shutdownDisarms)
}

// firstStart is how long after a moment something was started first.
func (c *cluster) firstStart(since time.Time) time.Duration {
	c.t.Helper()
	first := int64(math.MaxInt64)
	for _, call := range c.calls() {
		if call.Event == "begin" && call.Action == actionStart && call.Class != classFence && call.Time > since.UnixNano() {
			first = min(first, call.Time)
		}
	}
	return time.Unix(0, first).Sub(since)
}

// armed waits until the watchdogs of these nodes count.
func (c *cluster) armed(nodes ...string) {
	c.t.Helper()
	c.t.Cleanup(func() {
		if !c.t.Failed() {
			return
		}
		c.tell(nodes...)
	})
	c.await(settleLimit, fmt.Sprintf("the watchdogs of %v are armed", nodes), func(ctx context.Context) string {
		s, err := c.ClusterStatus(ctx, "n1")
		if err != nil {
			return err.Error()
		}
		for _, n := range s.Nodes {
			if slices.Contains(nodes, n.Name) && !strings.HasPrefix(n.Watchdog, "armed") {
				return n.Name + ": " + n.Watchdog
			}
		}
		return ""
	})
}

// daemonHangs: heartbeats go on, but nobody decides there any more.
func daemonHangs(c *cluster) {
	before := c.powerEvents()
	c.must(c.Signal("n2", "takt daemon", syscall.SIGSTOP))
	c.awaitBite(before, "n2")
	c.whole()
	c.armed("n2")
}

// shutdownDisarms: who leaves in order is not reset, however long it is away.
func shutdownDisarms(c *cluster) {
	before := c.powerEvents()
	c.must(c.UnkeepDaemon("n2")) // or it is back, with its watchdog, before it can be stopped
	c.run("n2", "shutdown")
	c.runsOn("n1")
	c.must(c.StopDaemon("n2"))
	pause(2*dogTimeout + dogTimeout/2)
	if list := c.bitten(before); len(list) > 0 {
		c.t.Errorf("reset were %v", list)
	}
	c.must(c.StartDaemon("n2"))
}

// TestWatchdogWitness: a third vote decides, and each that is cut off is reset or
// has stopped everything.
func TestWatchdogWitness(t *testing.T) {
	c := newStory(t, lab.Options{Nodes: 3, Watchdog: dogTimeout, Witness: true}, stubborn)
	c.sub("n1 crashes", func(c *cluster) {
		c.must(c.Crash("n1"))
		c.runsOn("n2")
		c.must(c.Start("n1"))
	})
	c.sub("witness crashes", func(c *cluster) {
		before := c.powerEvents()
		c.must(c.Crash("n3"))
		pause(2*dogTimeout + dogTimeout/2)
		c.runsOn("n1", "n2")
		if list := c.bitten(before); len(list) > 0 {
			c.t.Errorf("reset were %v, and two votes of three are left", list)
		}
		c.must(c.Start("n3"))
	})
	c.sub("cut off and a stop that hangs", stopHangsAlone)
	c.sub("suicide", suicide)
}

// stopHangsAlone: a node without a majority must stop, and cannot. Its watchdog does
// it, and then it runs elsewhere.
func stopHangsAlone(c *cluster) {
	c.armed("n1", "n2")
	c.run("n1", "resource", "move", "stubborn", "n2")
	c.run("n1", "resource", "clear", "stubborn")
	c.activeAt("stubborn", "n2")
	c.trick("stop", "n2", "sleep 60")
	before := c.powerEvents()
	c.must(c.Cut(lab.CutOptions{Node: "n2"}))
	c.awaitBite(before, "n2")
	c.activeAt("stubborn", "n1")
	c.trick("stop", "n2", "")
	c.must(c.Heal(lab.CutOptions{}))
}

// suicide: with that policy a node that is cut off does not stop things one by one.
func suicide(c *cluster) {
	c.armed("n1", "n2")
	c.run("n1", "option", "set", "no-quorum-policy=suicide")
	before := c.powerEvents()
	c.must(c.Cut(lab.CutOptions{Node: "n2"}))
	c.awaitBite(before, "n2")
	c.runsOn("n1")
	c.must(c.Heal(lab.CutOptions{}))
	c.whole()
	c.run("n1", "option", "unset", "no-quorum-policy")
}
