package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// forceOn makes a node take the cluster over under the next generation.
func (c *cluster) forceOn(n *testNode) State {
	c.t.Helper()
	gen := n.store.Position().Generation + 1
	st, err := n.store.Force(c.t.Context(), Forced{Generation: gen, Author: "test", Reason: "test"})
	if err != nil {
		c.t.Fatalf("node %d: %v", n.id, err)
	}
	if st.Generation != gen || st.Claimer != n.id || len(st.Voters) != 1 || st.Voters[0] != n.id {
		c.t.Fatalf("node %d: forced, and yet %+v", n.id, st)
	}
	return st
}

// superseded waits until a node was told that its history gave way.
func (c *cluster) superseded(n *testNode) Superseded {
	c.t.Helper()
	c.until(fmt.Sprintf("node %d gives up its history", n.id), func() bool { return n.gave.Load() != nil })
	return *n.gave.Load()
}

// settled waits until all nodes given share one lineage and the same newest entry.
func (c *cluster) settled(nodes ...*testNode) {
	c.t.Helper()
	c.until("all are of one history", func() bool {
		c.verdicts()
		want := c.leader().store.State()
		for _, n := range nodes {
			got := n.store.State()
			if got.Index != want.Index || got.Generation != want.Generation || got.Claimer != want.Claimer || got.Waiting {
				return false
			}
		}
		return true
	})
}

func (n *testNode) read(t *testing.T, file string) string {
	t.Helper()
	b, err := n.mem.ReadFile("", file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDemote(t *testing.T) {
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		l := c.leader()
		off := c.nodes[l.id%3+1]
		if err := l.store.Demote(t.Context(), l.id); errs.KindOf(err) != errs.Conflict {
			t.Errorf("the leader: %v", err)
		}
		if err := l.store.Demote(t.Context(), 9); errs.KindOf(err) != errs.NotFound {
			t.Errorf("a stranger: %v", err)
		}
		c.crash(off, nil)
		for range 2 { // the second time there is nothing to do
			if err := l.store.Demote(t.Context(), off.id); err != nil {
				t.Fatal(err)
			}
		}
		st := l.store.State()
		if len(st.Voters) != 2 || len(st.Learners) != 1 || st.Learners[0] != off.id {
			t.Fatalf("voters %v, learners %v", st.Voters, st.Learners)
		}
		c.start(off, false)
		if err := l.store.Promote(t.Context(), off.id); err != nil {
			t.Fatal(err)
		}
		c.until("it knows of its vote", func() bool { return off.store.Position().Voter })
		if st := l.store.State(); len(st.Voters) != 3 {
			t.Errorf("voters %v", st.Voters)
		}
	})
}

// Three voters become one by proof, one after the other; the last one goes on.
func TestThreeToOne(t *testing.T) {
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		l := c.leader()
		b, d := c.nodes[l.id%3+1], c.nodes[(l.id+1)%3+1]
		c.crash(d, nil)
		if err := l.store.Demote(t.Context(), d.id); err != nil {
			t.Fatal(err)
		}
		c.crash(b, nil)
		st := c.forceOn(l)
		if len(st.Learners) != 2 {
			t.Errorf("learners %v", st.Learners)
		}
		id := c.mustPut(l)
		c.start(b, false)
		c.start(d, false)
		c.settled(b, d)
		for _, n := range []*testNode{b, d} {
			if err := l.store.Promote(t.Context(), n.id); err != nil {
				t.Fatal(err)
			}
			if !has(n.store.State(), id) {
				t.Errorf("node %d lacks what happened without it", n.id)
			}
		}
		c.mustPut(b)
	})
}

// Two nodes, one crashes; the other claims, and leads at once.
func TestTwoNodesForce(t *testing.T) {
	inCluster(t, 2, nil, func(t *testing.T, c *cluster) {
		first := c.mustPut(c.nodes[2])
		c.until("both have it", func() bool { return has(c.nodes[1].store.State(), first) })
		n1, n2 := c.nodes[1], c.nodes[2]
		c.crash(n2, nil)
		n1.store.LeaderLost()
		before := n1.store.Position()
		began := time.Now()
		c.forceOn(n1)
		if l := n1.store.Leadership(); !l.Ready || time.Since(began) > 0 {
			t.Errorf("after %v: %+v", time.Since(began), l)
		}
		if p := n1.store.Position(); p.Generation != before.Generation+1 || p.Claimer != 1 || !p.Voter || !before.Less(p) {
			t.Errorf("position %+v, before %+v", p, before)
		}
		second := c.mustPut(n1)
		c.start(n2, false)
		told := c.superseded(n2)
		c.settled(n1, n2)
		if told.Changes != 0 || told.Generation != 2 || told.Claimer != 1 || told.From != 1 {
			t.Errorf("told %+v", told)
		}
		if st := n2.store.State(); !has(st, first) || !has(st, second) || n2.store.Position().Voter {
			t.Errorf("node 2: %v", n2.store.Position())
		}
		if err := n1.store.Promote(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		c.until("it votes again", func() bool { return n2.store.Position().Voter })
		c.mustPut(n2)
	})
}

// The returning node's log is longer, by entries that nobody confirmed.
func TestReturnWithALongerLog(t *testing.T) {
	inCluster(t, 2, func(c *Config) { c.ProposeTimeout = 200 * time.Millisecond }, func(t *testing.T, c *cluster) {
		n1, n2 := c.nodes[1], c.nodes[2]
		c.lead(n2)
		c.mustPut(n2)
		c.until("both have it", func() bool { return n1.store.State().Index == n2.store.State().Index })
		c.net.Isolate(2)
		var lost []string
		for range 5 {
			id, err := c.put(n2)
			if errs.KindOf(err) != errs.Timeout {
				t.Fatalf("without a majority: %v", err)
			}
			lost = append(lost, id)
		}
		if n2.store.Position().Index <= n1.store.Position().Index+1 {
			t.Fatal("the test does not test: node 2 has no longer log")
		}
		c.crash(n2, nil)
		c.forceOn(n1)
		kept := c.mustPut(n1)
		c.net.Rejoin(2)
		c.start(n2, false)
		told := c.superseded(n2)
		c.settled(n1, n2)
		if told.Changes != 5 || !strings.Contains(told.Words, "5 changes") {
			t.Errorf("told %+v", told)
		}
		text := n2.read(t, told.File)
		for _, id := range lost {
			if !strings.Contains(text, fmt.Sprintf("uname=\"%s\"", id)) || has(n2.store.State(), id) {
				t.Errorf("%s: kept or gone wrongly in\n%s", id, text)
			}
		}
		for _, word := range []string{"author: test", "reason: test", "not confirmed", "generation 1", "generation 2 (claimed by node 1)"} {
			if !strings.Contains(text, word) {
				t.Errorf("the file lacks %q:\n%s", word, text)
			}
		}
		dir := strings.TrimSuffix(told.File, "/changes.txt")
		if !strings.Contains(n2.read(t, dir+"/cib.xml"), "<configuration>") || n2.read(t, dir+"/"+segmentName(1)) == "" {
			t.Error("no copy of the CIB and the log")
		}
		if !has(n2.store.State(), kept) {
			t.Error("node 2 did not catch up")
		}
		if err := n1.store.Promote(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		c.crash(n2, rand.New(rand.NewPCG(1, 2)))
		c.start(n2, false) // what it became is durable
		c.until("it follows", func() bool { return n2.store.Leadership().Leader != 0 })
		c.mustPut(n2)
	})
}

// Four nodes fall in two halves. The one with the newest log claims, and has
// every change that was acknowledged; the rest of its half follows.
func TestEvenSplit(t *testing.T) {
	inCluster(t, 4, func(c *Config) { c.ProposeTimeout = time.Second }, func(t *testing.T, c *cluster) {
		c.lead(c.nodes[1])
		c.net.Isolate(4) // lags
		var acked []string
		for range 5 {
			acked = append(acked, c.mustPut(c.nodes[1]))
		}
		c.until("node 3 has them", func() bool { return has(c.nodes[3].store.State(), acked[4]) })
		c.crash(c.nodes[1], nil)
		c.crash(c.nodes[2], nil)
		c.net.Rejoin(4)
		n3, n4 := c.nodes[3], c.nodes[4]
		if !n4.store.Position().Less(n3.store.Position()) {
			t.Fatalf("positions %+v, %+v", n3.store.Position(), n4.store.Position())
		}
		c.forceOn(n3)
		c.settled(n3, n4)
		if err := n3.store.Promote(t.Context(), 4); err != nil {
			t.Fatal(err)
		}
		acked = append(acked, c.mustPut(n4))
		c.start(c.nodes[1], false)
		c.start(c.nodes[2], false)
		c.settled(n3, n4, c.nodes[1], c.nodes[2])
		for _, n := range c.nodes {
			for _, id := range acked {
				if !has(n.store.State(), id) {
					t.Errorf("node %d lost %s", n.id, id)
				}
			}
		}
	})
}

func TestForceRefused(t *testing.T) {
	inCluster(t, 1, nil, func(t *testing.T, c *cluster) {
		n1 := c.nodes[1]
		learner := c.machine(2)
		c.start(learner, true)
		force := func(n *testNode, f Forced) error {
			_, err := n.store.Force(t.Context(), f)
			return err
		}
		if err := force(learner, Forced{Generation: 1}); errs.KindOf(err) != errs.NotFound {
			t.Errorf("an empty node: %v", err)
		}
		if err := n1.store.AddLearner(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		id := c.mustPut(n1)
		c.until("it has it", func() bool { return learner.store.State().Root != nil && has(learner.store.State(), id) })
		for _, gen := range []uint64{0, 1, 3} {
			if err := force(n1, Forced{Generation: gen}); errs.KindOf(err) != errs.Stale {
				t.Errorf("generation %d: %v", gen, err)
			}
		}
		if err := force(learner, Forced{Generation: 2}); errs.KindOf(err) != errs.Conflict || errs.HintOf(err) == "" {
			t.Errorf("a learner: %v", err)
		}
		if got := learner.store.Position().Generation; got != 1 {
			t.Fatalf("a refused force left generation %d", got)
		}
		c.crash(n1, nil)
		if err := force(learner, Forced{Generation: 2, Insist: true}); err != nil {
			t.Fatal(err)
		}
		c.mustPut(learner)
		if !learner.store.Position().Voter {
			t.Error("the claimer has no vote")
		}
	})
}

// A proposal that the old leader had taken is neither lost nor made twice.
func TestForceCarriesProposals(t *testing.T) {
	inCluster(t, 2, nil, func(t *testing.T, c *cluster) {
		n1, n2 := c.nodes[1], c.nodes[2]
		c.lead(n1)
		c.crash(n2, nil)
		done := make(chan error, 1)
		go func() {
			_, err := n1.store.Propose(t.Context(), putChange("n1001"))
			done <- err
		}()
		c.until("it is in the log", func() bool { return n1.store.Position().Index > n1.store.State().Index })
		epoch := n1.store.State().Root.Attr("epoch")
		c.forceOn(n1)
		if err := <-done; err != nil {
			t.Errorf("in flight: %v", err)
		}
		if st := n1.store.State(); !has(st, "n1001") || st.Root.Attr("epoch") == epoch {
			t.Error("what the log held does not count")
		}
	})
}

// What the log holds counts, whether or not anybody ever confirmed it.
func TestForceCountsAll(t *testing.T) {
	inCluster(t, 2, func(c *Config) { c.ProposeTimeout = 200 * time.Millisecond }, func(t *testing.T, c *cluster) {
		l := c.leader()
		c.crash(c.nodes[l.id%2+1], nil)
		id, err := c.put(l)
		if errs.KindOf(err) != errs.Timeout {
			t.Fatalf("without a majority: %v", err)
		}
		c.crash(l, nil)
		c.start(l, false)
		if has(l.store.State(), id) {
			t.Fatal("the test does not test: it was committed")
		}
		if st := c.forceOn(l); !has(st, id) {
			t.Error("what may have been acknowledged is lost")
		}
	})
}

// The claimer's power fails right after the claim, or in the middle of it.
func TestForceAtEveryDiskOperation(t *testing.T) {
	ops := 0
	for k := 0; k <= ops; k++ {
		for seed := range uint64(3) {
			inCluster(t, 2, nil, func(t *testing.T, c *cluster) {
				n1, n2 := c.nodes[1], c.nodes[2]
				acked := c.mustPut(n1)
				c.until("both have it", func() bool { return has(n1.store.State(), acked) && n1.store.State().Index == n2.store.State().Index })
				c.crash(n2, nil)
				before := n1.disk.Ops()
				if k > 0 {
					n1.disk.FailAt(k, errors.New("input/output error"), true)
				}
				_, err := n1.store.Force(t.Context(), Forced{Generation: 2})
				if k == 0 {
					ops = n1.disk.Ops() - before
				}
				done := err == nil
				c.crash(n1, rand.New(rand.NewPCG(seed, uint64(k))))
				c.start(n1, false)
				p := n1.store.Position()
				if done && p.Generation != 2 {
					t.Fatalf("operation %d: a confirmed claim is lost: %+v", k, p)
				}
				c.start(n2, false)
				if p.Generation == 1 {
					c.forceOn(n1)
				}
				c.settled(n1, n2)
				if !has(n2.store.State(), acked) || n1.store.State().Generation != 2 {
					t.Errorf("operation %d, seed %d: %+v", k, seed, n2.store.State())
				}
			})
		}
	}
	if ops < 8 {
		t.Errorf("only %d operations", ops)
	}
}
