package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/mutant"
)

// Both halves were forced. When they meet, the one with more commits goes on;
// with as many, the higher claimer.
func TestBothForced(t *testing.T) {
	for _, more := range []cib.NodeID{0, 1, 2} {
		inCluster(t, 2, nil, func(t *testing.T, c *cluster) {
			n1, n2 := c.nodes[1], c.nodes[2]
			c.mustPut(n1)
			c.until("both have it", func() bool { return n1.store.State().Index == n2.store.State().Index && n2.store.Position().Voter })
			c.net.Isolate(1)
			c.forceOn(n1)
			c.forceOn(n2)
			one, two := c.mustPut(n1), c.mustPut(n2)
			for range 3 {
				if more != 0 {
					c.mustPut(c.nodes[more])
				}
			}
			win, lose, mine := n2, n1, two
			if more == 1 {
				win, lose, mine = n1, n2, one
			}
			if more == 0 && n1.store.State().Index != n2.store.State().Index {
				t.Fatal("the test does not test a draw")
			}
			c.net.Rejoin(1)
			told := c.superseded(lose)
			c.settled(win, lose)
			if win.gave.Load() != nil {
				t.Errorf("both gave way: %+v", win.gave.Load())
			}
			if told.Changes != 1 || told.Claimer != win.id {
				t.Errorf("told %+v\n%s", told, lose.read(t, told.File))
			}
			if !has(lose.store.State(), mine) {
				t.Error("the loser has not caught up")
			}
			if err := win.store.Promote(t.Context(), lose.id); err != nil {
				t.Fatal(err)
			}
			c.mustPut(lose)
		})
	}
}

// Both go on changing while they meet: exactly one gives way all the same.
func TestBothForcedAndBusy(t *testing.T) {
	inCluster(t, 4, func(c *Config) { c.ProposeTimeout = 300 * time.Millisecond }, func(t *testing.T, c *cluster) {
		n1, n3 := c.nodes[1], c.nodes[3]
		for _, a := range []uint64{1, 2} {
			for _, b := range []uint64{3, 4} {
				c.net.Cut(a, b)
			}
		}
		c.until("nobody leads", func() bool {
			return !n1.store.Leadership().Ready && !n3.store.Leadership().Ready && !c.nodes[2].store.Leadership().Ready && !c.nodes[4].store.Leadership().Ready
		})
		c.forceOn(n1)
		c.forceOn(n3)
		for _, n := range []*testNode{n1, n3} {
			with := c.nodes[n.id+1]
			c.until("its half follows", func() bool { return with.store.State().Claimer == n.id && !with.store.State().Waiting })
			if err := n.store.Promote(t.Context(), with.id); err != nil {
				t.Fatal(err)
			}
			with.gave.Store(nil)
		}
		stop := make(chan struct{})
		busy := make(chan []string, 2)
		for _, n := range []*testNode{n1, n3} {
			go func() {
				var acked []string
				for i := 0; ; i++ {
					select {
					case <-stop:
						busy <- acked
						return
					default:
					}
					id := fmt.Sprintf("n%d", 10000*int(n.id)+i)
					if st, err := n.store.Propose(t.Context(), putChange(id)); err == nil && st.Claimer == n.id {
						acked = append(acked, id)
					}
					<-time.After(10 * time.Millisecond)
				}
			}()
		}
		for _, a := range []uint64{1, 2} {
			for _, b := range []uint64{3, 4} {
				c.net.Heal(a, b)
			}
		}
		c.until("one gives way", func() bool { return n1.gave.Load() != nil || n3.gave.Load() != nil })
		<-time.After(2 * time.Second)
		close(stop)
		one, two := <-busy, <-busy
		for _, id := range []cib.NodeID{1, 2, 3, 4} {
			c.nodes[id].store.LeaderLost()
		}
		c.settled(n1, c.nodes[2], n3, c.nodes[4])
		win := c.nodes[n1.store.State().Claimer]
		if win.gave.Load() != nil {
			t.Errorf("both gave way")
		}
		t.Logf("node %d won; %d and %d changes", win.id, len(one), len(two))
		for _, acked := range [][]string{one, two} {
			if len(acked) == 0 || !strings.HasPrefix(acked[0], fmt.Sprintf("n%d", win.id)) {
				continue
			}
			for _, id := range acked {
				if !has(win.store.State(), id) {
					t.Errorf("the winner lost %s", id)
				}
			}
		}
	})
}

// A node that the winner does not know says so, and waits empty.
func TestLoserIsNoMember(t *testing.T) {
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		l := c.leader()
		stray := c.nodes[l.id%3+1]
		c.until("all know", func() bool { return len(stray.store.State().Voters) == 3 })
		c.crash(stray, nil)
		if err := l.store.Remove(t.Context(), stray.id); err != nil {
			t.Fatal(err)
		}
		c.forceOn(l)
		c.start(stray, false)
		told := c.superseded(stray)
		if !strings.Contains(told.Words, "no member") {
			t.Errorf("told %q", told.Words)
		}
		<-time.After(5 * time.Second)
		st := stray.store.State()
		if !st.Waiting || st.Root == nil || st.Index != 0 || len(st.Voters) != 0 {
			t.Errorf("it shows %+v", st)
		}
		c.crash(stray, nil)
		c.start(stray, false)
		if p := stray.store.Position(); p.Generation != 2 || p.Claimer != l.id || p.Voter || p.Index != 0 {
			t.Errorf("after a restart: %+v", p)
		}
	})
}

// Nobody takes orders from a node that has left.
func TestOutcastShowsNothing(t *testing.T) {
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		l := c.leader()
		out := c.nodes[l.id%3+1]
		c.net.Isolate(uint64(out.id))
		if err := l.store.Remove(t.Context(), out.id); err != nil {
			t.Fatal(err)
		}
		c.forceOn(out)
		c.net.Rejoin(uint64(out.id))
		<-time.After(5 * time.Second)
		for _, n := range c.nodes {
			if n != out && n.gave.Load() != nil {
				t.Errorf("node %d followed a node that has left: %+v", n.id, n.gave.Load())
			}
		}
		c.mustPut(l)
	})
}

// Whoever is told that the log has changed, and looks, sees the log as it is.
func TestToldThenLook(t *testing.T) {
	var all *cluster
	var seen atomic.Pointer[View]
	look := func(cfg *Config) {
		self, told := cfg.Self, cfg.OnSuperseded
		cfg.OnSuperseded = func(s Superseded) {
			v := all.nodes[self].store.View()
			seen.Store(&v)
			told(s)
		}
	}
	inCluster(t, 2, look, func(t *testing.T, c *cluster) {
		all = c
		c.crash(c.nodes[2], nil)
		c.forceOn(c.nodes[1])
		c.start(c.nodes[2], false)
		told := c.superseded(c.nodes[2])
		if v := seen.Load(); told.Generation != 2 || v.Position.Generation != 2 || v.Position.Voter {
			t.Errorf("told of generation %d, and sees %+v", told.Generation, v.Position)
		}
	})
}

// The loser's power fails at each disk operation of giving way.
func TestAdoptAtEveryDiskOperation(t *testing.T) {
	ops := 0
	tune := func(c *Config) {
		c.SnapshotEntries, c.KeepEntries, c.SegmentBytes, c.ProposeTimeout = 6, 2, 4096, time.Second
	}
	for k := 0; k <= ops; k++ {
		inCluster(t, 2, tune, func(t *testing.T, c *cluster) {
			n1, n2 := c.nodes[1], c.nodes[2]
			c.lead(n2)
			for range 10 {
				c.mustPut(n2)
			}
			c.until("both have it", func() bool { return n1.store.State().Index == n2.store.State().Index })
			c.net.Isolate(2)
			lost, err := c.put(n2)
			if err == nil {
				t.Fatal("confirmed without a majority")
			}
			c.crash(n2, nil)
			c.forceOn(n1)
			kept := c.mustPut(n1)
			c.net.Rejoin(2)
			c.start(n2, false)
			before := n2.disk.Ops()
			if k > 0 {
				n2.disk.FailAt(k, errors.New("no space left on device"), true)
				c.until("it fails or is done", func() bool {
					select {
					case <-n2.store.Done():
						return true
					default:
						return has(n2.store.State(), kept)
					}
				})
				c.crash(n2, rand.New(rand.NewPCG(uint64(k), 3)))
				c.start(n2, false)
			}
			c.settled(n1, n2)
			if k == 0 {
				ops = n2.disk.Ops() - before
			}
			if has(n2.store.State(), lost) || !has(n2.store.State(), kept) {
				t.Errorf("operation %d: wrong state", k)
			}
			text := ""
			es, _ := n2.mem.ReadDir("", "/store")
			for _, e := range es {
				if strings.HasPrefix(e.Name(), "superseded-") {
					text = n2.read(t, "/store/"+e.Name()+"/changes.txt")
				}
			}
			if told := n2.gave.Load(); told == nil || told.Changes != 1 || told.Words == "" {
				t.Errorf("operation %d: told %+v", k, told)
			}
			if !strings.Contains(text, lost) {
				t.Errorf("operation %d: what it had is not kept:\n%s", k, text)
			}
			if err := n1.store.Promote(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
			c.mustPut(n2)
		})
	}
	if ops < 20 {
		t.Errorf("only %d operations", ops)
	}
}

// With the rule off, a node of an older history meddles: the rule is what holds.
func TestGenerationCheckMatters(t *testing.T) {
	core := openTestCore(t, 1)
	frame := Frame{Lineage: Lineage{7, 3}, kind: raftFrame, raft: heartbeat(3, 1, 9)}
	core.step(Received{From: 3, Frame: frame})
	if got := core.Leadership().Leader; got == 3 {
		t.Error("followed a leader of another history")
	}
	defer mutant.Switch(mutant.GenerationCheck)()
	core.step(Received{From: 3, Frame: frame})
	if got := core.Leadership().Leader; got != 3 {
		t.Errorf("the rule is off, and node %d leads", got)
	}
}
