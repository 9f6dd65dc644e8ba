package store

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/osfs"
)

// testCore is one core on a disk of its own.
type testCore struct {
	*Core
	now time.Time
}

var testEpoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func openTestCore(t *testing.T, self cib.NodeID) *testCore {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Dir, cfg.FS, cfg.Self, cfg.Salt = "/store", osfs.NewMem(), self, func() uint64 { return 1 }
	if err := Bootstrap(cfg, testRoot(t)); err != nil {
		t.Fatal(err)
	}
	core, err := OpenCore(cfg, testEpoch)
	if err != nil {
		t.Fatal(err)
	}
	return &testCore{Core: core, now: testEpoch}
}

func (c *testCore) step(events ...Event) []Effect {
	c.now = c.now.Add(time.Millisecond)
	return c.Step(c.now, events...)
}

func heartbeat(from, to, term uint64) *pb.Message {
	return &pb.Message{Type: pb.MsgHeartbeat.Enum(), From: new(from), To: new(to), Term: new(term)}
}

func worldRun(t *testing.T, seed uint64, n, steps int, forced bool) *world {
	w := newWorld(t, seed, n)
	w.loss = w.rnd.IntN(50)
	for range steps {
		w.trouble(forced)
		w.run(time.Duration(w.rnd.IntN(400)) * time.Millisecond)
		w.ledgerHolds()
	}
	w.calm()
	if !t.Failed() {
		w.judge()
	}
	return w
}

// ledgerHolds: at no time do two cores lead one lineage in one term, ready.
func (w *world) ledgerHolds() {
	leaders := map[string]cib.NodeID{}
	for _, x := range w.nodes {
		if x.core == nil || !x.core.Leadership().Ready {
			continue
		}
		p := x.core.Position()
		key := fmt.Sprintf("%d/%d term %d", p.Generation, p.Claimer, x.core.Leadership().Term)
		if y, two := leaders[key]; two {
			w.t.Errorf("n%d and n%d both lead %s", x.id, y, key)
		}
		leaders[key] = x.id
	}
}

// Random faults on virtual time, with one history. STORE_SEED=N repeats one run
// and prints its story.
func TestCoreChaos(t *testing.T) { coreChaos(t, false) }

// The same with forced generations: what a history acknowledged is in it for as
// long as it is the one that goes on.
func TestCoreChaosForced(t *testing.T) { coreChaos(t, true) }

func coreChaos(t *testing.T, forced bool) {
	first, runs := uint64(time.Now().UnixNano()), uint64(40)
	if s, err := strconv.ParseUint(os.Getenv("STORE_SEED"), 10, 64); err == nil {
		first, runs = s, 1
	}
	if s, err := strconv.ParseUint(os.Getenv("STORE_RUNS"), 10, 64); err == nil {
		runs = s
	}
	acked := 0
	for i := range runs {
		w := worldRun(t, first+i, 2+int((first+i)%4), 60, forced)
		acked += len(w.acked)
		if runs == 1 {
			t.Log(w.story.String())
		}
		if t.Failed() {
			t.Fatalf("STORE_SEED=%d", first+i)
		}
	}
	if acked < int(runs) {
		t.Errorf("only %d changes were acknowledged in %d runs: nothing is tested", acked, runs)
	}
}

// The same inputs give the same outputs, to the byte.
func TestCoreIsDeterministic(t *testing.T) {
	for seed := range uint64(8) {
		one := worldRun(t, seed, 2+int(seed%4), 40, true).story.String()
		two := worldRun(t, seed, 2+int(seed%4), 40, true).story.String()
		if one == two {
			continue
		}
		a, b := strings.Split(one, "\n"), strings.Split(two, "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("seed %d, line %d:\n%s\n%s", seed, i, a[i], b[i])
			}
		}
		t.Fatalf("seed %d: %d and %d lines", seed, len(a), len(b))
	}
}

// Who waits is answered in the order of arrival, not in a map's.
func TestWaitersInOrder(t *testing.T) {
	c := openTestCore(t, 1)
	c.step()
	var want []RequestID
	for i := range byte(20) {
		id := RequestID{19 - i}
		want = append(want, id)
		c.wait(id, 2)
	}
	c.effects = nil
	c.failWaiters()
	c.flushReplies()
	for i, e := range c.effects {
		if got := e.(Send).Frame.answer.ID; got != want[i] {
			t.Fatalf("answer %d is of %x, want %x", i, got, want[i])
		}
	}
	if len(c.effects) != len(want) {
		t.Errorf("%d answers", len(c.effects))
	}
}
