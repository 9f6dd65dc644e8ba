package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/mesh"
	"github.com/takt-ha/takt/internal/osfs"
)

const emptyCIB = `<cib crm_feature_set="3.19.0" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>`

func testRoot(t testing.TB) *cib.Node {
	t.Helper()
	root, err := cib.Parse([]byte(emptyCIB))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// testNode is one machine: its disk outlives its store.
type testNode struct {
	id    cib.NodeID
	mem   *osfs.Mem
	disk  *osfs.Faulty
	net   *mesh.MemNode
	store *Store
	alarm atomic.Value // what OnMismatch said
	gave  atomic.Pointer[Superseded]
}

// cluster is a whole cluster in memory, inside a synctest bubble.
type cluster struct {
	t     *testing.T
	net   *mesh.MemNetwork
	nodes map[cib.NodeID]*testNode
	tune  func(*Config)
	next  int // of put
}

// inCluster runs f with n voters of which node 1 was bootstrapped.
func inCluster(t *testing.T, n int, tune func(*Config), f func(*testing.T, *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, net: mesh.NewMemNetwork(), nodes: map[cib.NodeID]*testNode{}, tune: tune}
		defer c.stopAll()
		first := c.machine(1)
		if err := Bootstrap(c.config(first), testRoot(t)); err != nil {
			t.Fatal(err)
		}
		c.start(first, false)
		c.leader()
		for id := cib.NodeID(2); int(id) <= n; id++ {
			c.join(id)
		}
		f(t, c)
	})
}

func (c *cluster) machine(id cib.NodeID) *testNode {
	mem := osfs.NewMem()
	n := &testNode{id: id, mem: mem, disk: osfs.NewFaulty(mem)}
	c.nodes[id] = n
	return n
}

func (c *cluster) config(n *testNode) Config {
	cfg := DefaultConfig()
	cfg.Dir, cfg.FS, cfg.Self, cfg.Net = "/store", n.disk, n.id, n.net
	cfg.PeerAlive = func(p cib.NodeID) bool { return c.net.Connected(uint64(n.id), uint64(p)) }
	cfg.OnMismatch = func(detail string) { n.alarm.Store(detail) }
	cfg.OnSuperseded = func(s Superseded) { n.gave.Store(&s) }
	cfg.ElectionTimeout = 2 * time.Second
	if testing.Verbose() && os.Getenv("STORE_LOG") != "" {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", n.id)
	}
	if c.tune != nil {
		c.tune(&cfg)
	}
	return cfg
}

func (c *cluster) start(n *testNode, join bool) {
	c.t.Helper()
	if err := c.tryStart(n, join); err != nil {
		c.t.Fatalf("node %d: %v", n.id, err)
	}
}

func (c *cluster) tryStart(n *testNode, join bool) error {
	n.net = c.net.Node(uint64(n.id))
	cfg := c.config(n)
	cfg.Join = join
	s, err := Open(cfg)
	if err != nil {
		n.net.Close()
		return err
	}
	n.store = s
	return s.Start()
}

// stop ends a daemon in an orderly way; the disk stays.
func (c *cluster) stop(n *testNode) {
	c.t.Helper()
	if n.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	if err := n.store.Stop(context.WithoutCancel(ctx)); err != nil {
		c.t.Errorf("node %d: %v", n.id, err)
	}
	n.net.Close()
	n.store = nil
}

// crash cuts a node's power: nothing unsynced survives, with torn writes.
func (c *cluster) crash(n *testNode, rnd *rand.Rand) {
	n.mem.Crash(rnd)
	n.net.Close()
	c.stop(n)
	n.disk.Heal()
}

func (c *cluster) stopAll() {
	for _, n := range c.nodes {
		c.stop(n)
	}
}

// join makes a new node a voter.
func (c *cluster) join(id cib.NodeID) *testNode {
	c.t.Helper()
	n := c.machine(id)
	c.start(n, true)
	s := c.leader().store
	if err := s.AddLearner(c.t.Context(), id); err != nil {
		c.t.Fatalf("add learner %d: %v", id, err)
	}
	if err := s.Promote(c.t.Context(), id); err != nil {
		c.t.Fatalf("promote %d: %v", id, err)
	}
	// Its log holds everything; that it has applied it nobody has said.
	c.until("the new voter has applied what the leader has", func() bool { return n.store.State().Index >= s.State().Index })
	return n
}

// lead makes a node the leader, and waits until it is ready.
func (c *cluster) lead(n *testNode) {
	c.t.Helper()
	if l := c.leader(); l != n {
		if err := l.store.Transfer(c.t.Context(), n.id); err != nil {
			c.t.Fatalf("hand over to %d: %v", n.id, err)
		}
	}
	c.until(fmt.Sprintf("node %d leads", n.id), func() bool { return n.store.Leadership().Ready })
}

// until waits for a condition in the bubble's time.
func (c *cluster) until(what string, ok func() bool) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			for id, n := range c.nodes {
				if n.store != nil {
					c.t.Logf("node %d: %+v %+v, voters %v, ended with %v", id, n.store.Position(), n.store.Leadership(), n.store.State().Voters, n.store.Err())
				}
			}
			c.t.Fatalf("never: %s", what)
		}
		synctest.Wait()
		<-time.After(time.Millisecond)
	}
}

// leader waits for a leader that is ready.
func (c *cluster) leader() *testNode {
	c.t.Helper()
	var l *testNode
	c.until("a ready leader", func() bool {
		l = nil
		for _, n := range c.nodes {
			if n.store != nil && n.store.Leadership().Ready && (l == nil || n.store.Leadership().Term > l.store.Leadership().Term) {
				l = n
			}
		}
		return l != nil
	})
	return l
}

// put proposes a change of the configuration that leaves a trace.
func (c *cluster) put(n *testNode) (string, error) {
	c.next++
	id := fmt.Sprintf("n%d", 1000+c.next)
	_, err := n.store.Propose(c.t.Context(), putChange(id))
	return id, err
}

func putChange(id string) Change {
	return Change{Author: "test", Reason: "test", Ops: []cib.Op{{
		Kind: cib.Create, Path: "/cib/configuration/nodes",
		XML: fmt.Sprintf(`<node id="%s" uname="%s"/>`, id[1:], id),
	}}}
}

func has(s State, id string) bool {
	return s.Root.Path("configuration", "nodes").ChildByID("node", id[1:]) != nil
}

func (c *cluster) mustPut(n *testNode) string {
	c.t.Helper()
	id, err := c.put(n)
	if err != nil {
		c.t.Fatalf("propose on node %d: %v", n.id, err)
	}
	return id
}

func TestOneNode(t *testing.T) {
	inCluster(t, 1, nil, func(t *testing.T, c *cluster) {
		n := c.nodes[1]
		id := c.mustPut(n)
		if got := n.store.State().Root.Attr("epoch"); got != "2" {
			t.Errorf("epoch %s, want 2", got)
		}
		c.crash(n, nil)
		c.start(n, false)
		c.leader()
		if !has(n.store.State(), id) {
			t.Error("an acknowledged change was lost")
		}
	})
}

func TestThreeNodesForward(t *testing.T) {
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		for id := cib.NodeID(1); id <= 3; id++ {
			put := c.mustPut(c.nodes[id])
			if !has(c.nodes[id].store.State(), put) {
				t.Errorf("node %d does not see its own change", id)
			}
		}
		if got := len(c.nodes[2].store.State().Voters); got != 3 {
			t.Errorf("%d voters, want 3", got)
		}
	})
}

func TestRefusedChange(t *testing.T) {
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		f := c.nodes[2].store
		before := f.State()
		_, err := f.Propose(t.Context(), Change{Ops: []cib.Op{{Kind: cib.Modify, Path: "/cib/configuration/resources/primitive", XML: `<primitive/>`}}})
		if k := errs.KindOf(err); k != errs.NotFound && k != errs.Invalid {
			t.Errorf("error %v of kind %v", err, k)
		}
		if _, err := f.Propose(t.Context(), Change{Ops: []cib.Op{{Kind: cib.Create, Path: "/cib/configuration/resources", XML: `<primitive id="x"/>`}}}); errs.KindOf(err) != errs.Invalid {
			t.Errorf("invalid configuration: %v", err)
		}
		if f.State().Root != before.Root {
			t.Error("a refused change left a trace")
		}
	})
}

func TestLeaderCut(t *testing.T) {
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		old := c.leader()
		c.mustPut(old)
		c.net.Isolate(uint64(old.id))
		began := time.Now()
		for _, n := range c.nodes {
			if n != old {
				n.store.LeaderLost()
			}
		}
		var now *testNode
		c.until("a new leader", func() bool { now = c.leader(); return now != old })
		// At once; or after a head start, where a last word of the old leader was
		// still on its way. A time-out would take seconds.
		if took := time.Since(began); took > 2*DefaultConfig().Stagger {
			t.Errorf("election took %v", took)
		}
		id := c.mustPut(now)
		c.net.Rejoin(uint64(old.id))
		c.until("the old leader follows", func() bool { return has(old.store.State(), id) })
		if l := old.store.Leadership(); l.Leader != now.id {
			t.Errorf("old leader follows %d", l.Leader)
		}
	})
}

// A leader that restarts faster than anybody misses it leads no more, and nobody
// may wait for it.
func TestLeaderRestartsUnnoticed(t *testing.T) {
	tune := func(cfg *Config) { cfg.PeerAlive = func(cib.NodeID) bool { return true } }
	inCluster(t, 3, tune, func(t *testing.T, c *cluster) {
		old := c.leader()
		c.mustPut(old)
		c.crash(old, rand.New(rand.NewPCG(1, 1)))
		c.start(old, false)
		began := time.Now()
		c.mustPut(c.leader())
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("without a leader for %v", took)
		}
	})
}

// The survivor whose detector is slower holds the vote until it agrees.
func TestLateVerdict(t *testing.T) {
	var alive atomic.Bool
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		c.stopAll()
		alive.Store(true)
		for id := cib.NodeID(1); id <= 3; id++ {
			n := c.nodes[id]
			n.net = c.net.Node(uint64(id))
			cfg := c.config(n)
			inner := cfg.PeerAlive
			if id == 3 {
				cfg.PeerAlive = func(p cib.NodeID) bool { return p == 1 && alive.Load() || inner(p) }
			}
			s, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			n.store = s
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
		}
		c.lead(c.nodes[1])
		c.until("3 follows 1", func() bool { return c.nodes[3].store.Leadership().Leader == 1 })
		c.net.Isolate(1)
		c.nodes[2].store.LeaderLost()
		<-time.After(300 * time.Millisecond)
		if l := c.nodes[2].store.Leadership(); l.Ready {
			t.Fatal("elected against a voter that hears the leader")
		}
		began := time.Now()
		alive.Store(false)
		c.nodes[3].store.LeaderLost()
		c.until("2 or 3 leads", func() bool { return c.leader().id != 1 })
		if took := time.Since(began); took > 5*time.Millisecond {
			t.Errorf("took %v after the second verdict", took)
		}
	})
}

// What a coordinator decided must not be recorded under its successor, by
// whatever way it comes.
func TestChangeOfAnEarlierTerm(t *testing.T) {
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		old := c.leader()
		change := Change{Ops: []cib.Op{{Kind: cib.Modify, Path: "/cib", XML: `<cib dc-uuid="1"/>`}}, Term: old.store.Leadership().Term}
		if _, err := old.store.Propose(t.Context(), change); err != nil {
			t.Fatalf("in its own term: %v", err)
		}
		c.net.Isolate(uint64(old.id))
		for _, n := range c.nodes {
			if n != old {
				n.store.LeaderLost()
			}
		}
		c.until("a new leader", func() bool { return c.leader() != old })
		c.net.Rejoin(uint64(old.id))
		c.until("the old leader follows", func() bool { return old.store.Leadership().Leader == c.leader().id })
		before := old.store.State().Root
		change.Ops[0].XML = `<cib dc-uuid="2"/>`
		if _, err := old.store.Propose(t.Context(), change); errs.KindOf(err) != errs.Stale {
			t.Errorf("in the next term: got %v, want an error of kind stale", err)
		}
		if old.store.State().Root != before {
			t.Error("a change of an earlier term was made")
		}
	})
}

func TestMinorityCannotChange(t *testing.T) {
	inCluster(t, 3, func(c *Config) { c.ProposeTimeout = 5 * time.Second }, func(t *testing.T, c *cluster) {
		l := c.leader()
		c.net.Isolate(uint64(l.id))
		id, err := c.put(l)
		if k := errs.KindOf(err); k != errs.Timeout && k != errs.Unavailable {
			t.Fatalf("error %v", err)
		}
		if has(l.store.State(), id) {
			t.Error("applied without a majority")
		}
		if l.store.Leadership().Ready {
			t.Error("still leads without a majority after the election time-out")
		}
	})
}

func TestTransferAndRemove(t *testing.T) {
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		l := c.leader()
		if err := l.store.Remove(t.Context(), l.id); errs.KindOf(err) != errs.Conflict {
			t.Errorf("removing the leader: %v", err)
		}
		to := c.nodes[l.id%3+1]
		if err := l.store.Transfer(t.Context(), to.id); err != nil {
			t.Fatal(err)
		}
		if err := l.store.Remove(t.Context(), l.id); err != nil { // forwarded
			t.Fatal(err)
		}
		c.stop(l)
		c.until("it is gone", func() bool { return len(to.store.Members()) == 2 })
		if err := to.store.AddLearner(t.Context(), l.id); errs.KindOf(err) != errs.Conflict {
			t.Errorf("an id was used twice: %v", err)
		}
	})
}

func TestLearnerBySnapshotAndRestart(t *testing.T) {
	tune := func(c *Config) { c.SnapshotEntries, c.KeepEntries, c.SegmentBytes = 20, 5, 4096 }
	inCluster(t, 1, tune, func(t *testing.T, c *cluster) {
		var ids []string
		for range 100 {
			ids = append(ids, c.mustPut(c.nodes[1]))
		}
		n := c.join(2)
		if !has(n.store.State(), ids[99]) {
			t.Fatal("the new voter lacks a change")
		}
		for range 50 {
			ids = append(ids, c.mustPut(n))
		}
		c.stop(n)
		c.stop(c.nodes[1])
		c.start(c.nodes[1], false)
		c.start(n, false)
		c.leader()
		for _, id := range ids {
			if !has(n.store.State(), id) {
				t.Errorf("change %s is lost", id)
			}
		}
		c.until("what the snapshots cover is removed", func() bool {
			ents, err := n.mem.ReadDir("", "/store")
			return err == nil && len(ents) <= 12
		})
	})
}

func TestLostDiskRejoins(t *testing.T) {
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		c.until("everybody knows", func() bool { return len(c.nodes[3].store.State().Voters) == 3 })
		lost := c.nodes[3]
		if l := c.leader(); l == lost {
			if err := l.store.Transfer(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		c.stop(lost)
		lost.mem, lost.disk = nil, nil
		delete(c.nodes, 3)
		l := c.leader()
		if err := l.store.Remove(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		n := c.join(4)
		id := c.mustPut(n)
		if !has(n.store.State(), id) || len(n.store.State().Voters) != 3 {
			t.Errorf("voters %v", n.store.State().Voters)
		}
	})
}

func TestDiskErrorStops(t *testing.T) {
	for _, bad := range []string{"wal.open/sync", "wal.open/write"} {
		inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
			l := c.leader()
			full := errors.New("no space left on device")
			l.disk.FailIf(func(op, _ string) bool { return op == bad }, full)
			_, err := c.put(l)
			if k := errs.KindOf(err); k != errs.Timeout && k != errs.Unavailable {
				t.Errorf("%s: %v", bad, err)
			}
			<-l.store.Done()
			if err := l.store.Err(); !errors.Is(err, full) || errs.HintOf(err) == "" {
				t.Errorf("%s: reason %v", bad, err)
			}
			for id, n := range c.nodes {
				if n != l && has(n.store.State(), fmt.Sprintf("n%d", 1000+c.next)) {
					t.Errorf("%s: node %d got what the leader could not write", bad, id)
				}
			}
			c.crash(l, nil)
			c.start(l, false)
			id := c.mustPut(c.leader())
			c.until("it catches up", func() bool { return has(l.store.State(), id) })
		})
	}
}

func TestCorruptStateIsRefused(t *testing.T) {
	inCluster(t, 3, nil, func(t *testing.T, c *cluster) {
		n := c.nodes[2]
		for range 5 {
			c.mustPut(n)
		}
		c.stop(n)
		f, err := n.mem.OpenFile("", "/store/"+segmentName(1), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{0xff, 0xff}, segmentHead+60); err != nil {
			t.Fatal(err)
		}
		if err := c.tryStart(n, false); errs.KindOf(err) != errs.Corrupt {
			t.Errorf("damaged log: %v", err)
		}
		c.mustPut(c.leader()) // the others go on
	})
}

func TestDigestMismatch(t *testing.T) {
	inCluster(t, 3, func(c *Config) { c.DigestEntries = 3 }, func(t *testing.T, c *cluster) {
		l := c.leader()
		odd := c.nodes[l.id%3+1]
		c.mustPut(l)
		c.until("it has all", func() bool { return odd.store.State().Index == l.store.State().Index })
		forged := odd.store.State().Root.WithAttr("forged", "yes")
		if err := odd.store.look(t.Context(), func(c *Core) { c.machine.root = forged }); err != nil {
			t.Fatal(err)
		}
		for range 8 {
			c.mustPut(l)
		}
		<-odd.store.Done()
		if errs.KindOf(odd.store.Err()) != errs.Corrupt || odd.alarm.Load() == nil {
			t.Errorf("stopped with %v, alarm %v", odd.store.Err(), odd.alarm.Load())
		}
		c.mustPut(c.leader())
	})
}
