package store

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/errs"
)

// Random crashes, torn writes, cuts, full disks and leader changes: what was
// acknowledged is on every node in the end, and all nodes agree.
// STORE_SEED=N repeats one run.
func TestChaos(t *testing.T) {
	first, runs := uint64(time.Now().UnixNano()), uint64(6)
	if s, err := strconv.ParseUint(os.Getenv("STORE_SEED"), 10, 64); err == nil {
		first, runs = s, 1
	}
	for i := range runs {
		seed := first + i
		tune := func(c *Config) {
			c.SnapshotEntries, c.KeepEntries, c.SegmentBytes, c.DigestEntries = 15, 4, 4096, 5
			c.ProposeTimeout = 300 * time.Millisecond
		}
		inCluster(t, 3+2*int(seed%2), tune, func(t *testing.T, c *cluster) { chaos(t, c, seed) })
	}
}

func chaos(t *testing.T, c *cluster, seed uint64) {
	t.Logf("STORE_SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var acked, refused []string
	for range 60 {
		n := c.nodes[cib.NodeID(1+rnd.IntN(len(c.nodes)))]
		switch rnd.IntN(8) {
		case 0:
			c.crash(n, rnd)
		case 1:
			c.net.Cut(uint64(n.id), uint64(1+rnd.IntN(len(c.nodes))))
		case 2:
			c.net.Isolate(uint64(n.id))
		case 3:
			n.disk.FailAt(1+rnd.IntN(10), errors.New("no space left on device"), true)
		default:
			c.repair(rnd)
		}
		c.verdicts()
		if n.store == nil {
			continue
		}
		switch id, err := c.put(n); errs.KindOf(err) {
		case errs.Timeout:
		case errs.Unavailable:
			refused = append(refused, id)
		default:
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			acked = append(acked, id)
		}
	}
	c.settleAll()
	compare(t, c, seed, acked, refused)
}

// verdicts plays the detector.
func (c *cluster) verdicts() {
	for _, n := range c.nodes {
		if n.store == nil {
			continue
		}
		if lead := n.store.Leadership().Leader; lead != 0 && lead != n.id && !c.net.Connected(uint64(n.id), uint64(lead)) {
			n.store.LeaderLost()
		}
	}
}

// repair brings one dead or cut node back.
func (c *cluster) repair(rnd *rand.Rand) {
	n := c.nodes[cib.NodeID(1+rnd.IntN(len(c.nodes)))]
	c.net.Rejoin(uint64(n.id))
	c.revive(n, rnd)
}

func (c *cluster) revive(n *testNode, rnd *rand.Rand) {
	c.t.Helper()
	if n.store != nil {
		select {
		case <-n.store.Done():
			c.crash(n, rnd)
		default:
			return
		}
	}
	n.disk.Heal()
	c.start(n, true)
}

func (c *cluster) settleAll() {
	c.t.Helper()
	for _, n := range c.nodes {
		c.net.Rejoin(uint64(n.id))
		n.disk.Heal()
		c.revive(n, nil)
	}
	c.until("all are equal", func() bool {
		for _, n := range c.nodes {
			c.revive(n, nil) // a fault may have been under way when the disk was mended
		}
		c.verdicts()
		l := c.leader()
		for _, n := range c.nodes {
			if n.store.State().Index != l.store.State().Index {
				return false
			}
		}
		return true
	})
}

func compare(t *testing.T, c *cluster, seed uint64, acked, refused []string) {
	t.Helper()
	want := cib.Digest(c.nodes[1].store.State().Root)
	for _, n := range c.nodes {
		st := n.store.State()
		if cib.Digest(st.Root) != want {
			t.Errorf("seed %d: node %d disagrees", seed, n.id)
		}
		for _, id := range acked {
			if !has(st, id) {
				t.Errorf("seed %d: node %d lost acknowledged %s", seed, n.id, id)
			}
		}
		if i := slices.IndexFunc(refused, func(id string) bool { return has(st, id) }); i >= 0 {
			t.Errorf("seed %d: node %d has %s, which was said not to have happened", seed, n.id, refused[i])
		}
	}
	if len(acked) == 0 {
		t.Errorf("seed %d: nothing was ever acknowledged", seed)
	}
}

// A proposal that arrives twice is applied once, and refused when it is too old
// to know.
func TestProposalOnce(t *testing.T) {
	m := newMachine(snapshotMeta{Index: 1, Term: 1, Voters: []uint64{1}}, testRoot(t))
	ch := putChange("n1001")
	c := command{ID: newRequestID(), Base: 1, Change: &ch}
	m.pass(2, 1)
	one := m.applyChange(c)
	m.pass(3, 1)
	if two := m.applyChange(c); two != one || one.Refused != nil || m.root.Attr("epoch") != "2" {
		t.Errorf("first %+v, second %+v", one, two)
	}
	m.pass(1+maxAge+1, 1)
	c.ID = newRequestID()
	if o := m.applyChange(c); o.Refused == nil || o.Refused.Kind != errs.Timeout.String() {
		t.Errorf("an old proposal: %+v", o)
	}
}

func TestVersions(t *testing.T) {
	root := testRoot(t)
	status := Change{Ops: []cib.Op{{Kind: cib.Create, Path: "/cib/status", XML: `<node_state id="1" uname="n1"/>`}}}
	next, err := changed(root, status)
	if err != nil || next.Attr("epoch") != "1" || next.Attr("num_updates") != "1" {
		t.Errorf("status: %v epoch %s num_updates %s", err, next.Attr("epoch"), next.Attr("num_updates"))
	}
	next, err = changed(next, putChange("n1001"))
	if err != nil || next.Attr("epoch") != "2" || next.Attr("num_updates") != "0" {
		t.Errorf("configuration: %v epoch %s num_updates %s", err, next.Attr("epoch"), next.Attr("num_updates"))
	}
}
