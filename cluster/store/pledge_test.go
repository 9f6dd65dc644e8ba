package store

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// TestPledge binds the log of one of four. It is no part of a majority then, also
// after a power loss, until it is freed; or until the generation has come that it
// waits for.
func TestPledge(t *testing.T) {
	inCluster(t, 4, nil, func(t *testing.T, c *cluster) {
		two := c.nodes[2]
		if err := two.store.Pledge(t.Context(), 1, 1); errs.KindOf(err) != errs.Stale {
			t.Errorf("a pledge for the present generation: %v", err)
		}
		if err := two.store.Pledge(t.Context(), 2, 1); err != nil {
			t.Fatal(err)
		}
		if l := two.store.Leadership(); l.Leader != 0 {
			t.Errorf("the bound node follows %d", l.Leader)
		}
		c.stop(c.nodes[1])
		c.nobodyLeads(t)
		c.crash(two, rand.New(rand.NewPCG(1, 1)))
		c.start(two, false)
		if g, by := two.store.Pledged(); g != 2 || by != 1 {
			t.Fatalf("after a power loss the log is bound to %d by %d", g, by)
		}
		c.nobodyLeads(t)
		if err := two.store.Pledge(t.Context(), 0, 0); err != nil {
			t.Fatal(err)
		}
		_, err := c.put(c.leader())
		if err != nil {
			t.Fatal(err)
		}
		if err := two.store.Pledge(t.Context(), 2, 1); err != nil {
			t.Fatal(err)
		}
		c.stop(c.nodes[3])
		c.stop(c.nodes[4])
		one := c.nodes[1]
		c.start(one, false)
		if _, err := one.store.Force(t.Context(), Forced{Generation: 2, Reason: "n3 and n4 are off"}); err != nil {
			t.Fatal(err)
		}
		c.until("the bound node takes the new generation over", func() bool {
			g, _ := two.store.Pledged()
			return g == 0 && two.store.State().Generation == 2
		})
	})
}

// nobodyLeads waits for long and sees no leader.
func (c *cluster) nobodyLeads(t *testing.T) {
	t.Helper()
	<-time.After(10 * time.Second) // of the bubble
	for id, n := range c.nodes {
		if n.store != nil && n.store.Leadership().Ready {
			t.Fatalf("node %d leads", id)
		}
	}
}

// TestPending: a change of the voters that is in the log and not committed is seen,
// and is gone once it is.
func TestPending(t *testing.T) {
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		lead := c.leader()
		for id, n := range c.nodes {
			if n != lead {
				c.stop(c.nodes[id])
			}
		}
		var gone cib.NodeID = 3
		if lead.id == 3 {
			gone = 2
		}
		done := make(chan error)
		go func() { done <- lead.store.Demote(t.Context(), gone) }()
		c.until("the change is pending", func() bool { return len(lead.store.Pending()) == 2 })
		for _, n := range c.nodes {
			if n != lead {
				c.start(n, false)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if p := lead.store.Pending(); p != nil {
			t.Errorf("pending after the commit: %v", p)
		}
	})
}
