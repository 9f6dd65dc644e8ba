package store

import (
	"errors"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// One voter, whose n-th disk operation and all behind it fail while it writes,
// rolls segments and takes snapshots; then the power goes. It opens again with
// everything that it had acknowledged.
func TestEveryDiskOperation(t *testing.T) {
	tune := func(c *Config) { c.SnapshotEntries, c.KeepEntries, c.SegmentBytes = 6, 2, 4096 }
	work := func(c *cluster, n *testNode) (acked []string) {
		for range 20 {
			if id, err := c.put(n); err == nil {
				acked = append(acked, id)
			} else {
				break
			}
		}
		return acked
	}
	ops := 0
	inCluster(t, 1, tune, func(_ *testing.T, c *cluster) {
		before := c.nodes[1].disk.Ops()
		work(c, c.nodes[1])
		ops = c.nodes[1].disk.Ops() - before
	})
	for k := 1; k <= ops; k++ {
		inCluster(t, 1, tune, func(t *testing.T, c *cluster) {
			n := c.nodes[1]
			n.disk.FailAt(k, errors.New("input/output error"), true)
			acked := work(c, n)
			c.crash(n, rand.New(rand.NewPCG(uint64(k), 7)))
			c.start(n, false)
			c.leader()
			for _, id := range acked {
				if !has(n.store.State(), id) {
					t.Errorf("operation %d: acknowledged %s is lost", k, id)
				}
			}
		})
	}
	if ops < 40 {
		t.Errorf("only %d operations: the test does not reach segments and snapshots", ops)
	}
}
