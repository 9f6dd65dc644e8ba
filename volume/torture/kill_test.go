package torture

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
)

// seed is that of TAKT_SEED, or a new one; it is told.
func seed(t *testing.T) (uint64, *rand.Rand) {
	n := rand.Uint64()
	if s := os.Getenv("TAKT_SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("TAKT_SEED=%d", n)
	return n, rand.New(rand.NewPCG(n, 1))
}

// rounds returns whether another round is due: TAKT_KILLS of them, or as many as go into the time.
func rounds(t *testing.T, limit time.Duration) func() bool {
	end, done := time.Now().Add(limit), 0
	want, _ := strconv.Atoi(os.Getenv("TAKT_KILLS"))
	t.Cleanup(func() { t.Logf("%d rounds", done) })
	return func() bool {
		more := time.Now().Before(end)
		if want > 0 {
			more = done < want
		}
		if more {
			done++
		}
		return more && !t.Failed()
	}
}

// kills is what the rounds of TestKill have in hand.
type kills struct {
	t     *testing.T
	rnd   *rand.Rand
	seed  uint64
	nodes []*node // the primary first
	l     *ledger
	w     *writer
}

func (k *kills) writers() {
	k.t.Helper()
	k.seed++
	k.w = write(k.t, k.nodes[0], k.l, 1+k.rnd.IntN(8), k.seed)
	k.w.progress(10)
}

// moment is some time under writes.
func (k *kills) moment() { <-time.After(time.Duration(k.rnd.IntN(150)) * time.Millisecond) }

// TestKill kills the primary, the secondary or both at random moments under writes, again and again.
func TestKill(t *testing.T) {
	t.Parallel()
	n, rnd := seed(t)
	k := &kills{t: t, rnd: rnd, seed: n, nodes: begin(t, set(t, 2, 12<<20, nil)), l: newLedger(12 << 20)}
	for more := rounds(t, 4*time.Second); more(); {
		what := []func(){k.primary, k.secondary, k.both, k.bothThenOne, k.inResync}[rnd.IntN(5)]
		k.writers()
		k.moment()
		what()
		k.calm()
	}
}

// calm ends a round: everybody is in step, nothing was lost, the replicas are the same.
func (k *kills) calm() {
	k.t.Helper()
	for _, x := range k.nodes {
		x.until("in step", inStep)
	}
	look(k.t, k.nodes[0], k.l, false)
	same(k.t, k.nodes)
}

// swap makes the other one the first.
func (k *kills) swap() { k.nodes[0], k.nodes[1] = k.nodes[1], k.nodes[0] }

// primary: its process is killed; the other one takes over, writes, and takes it back.
func (k *kills) primary() {
	k.t.Log("the primary is killed")
	k.nodes[0].kill()
	k.w.stop()
	k.swap()
	k.nodes[0].promote()
	look(k.t, k.nodes[0], k.l, false)
	k.writers()
	k.moment()
	k.nodes[1].start()
	k.moment()
	k.nodes[0].until("in step", inStep)
	k.w.stop()
}

// secondary: the primary goes on, and takes it back.
func (k *kills) secondary() {
	k.t.Log("the secondary is killed")
	k.nodes[1].kill()
	k.w.progress(10)
	k.moment()
	k.nodes[1].start()
	k.nodes[0].until("in step", inStep)
	k.w.stop()
}

// both: nothing is left but the disks; any of the two may be the next primary.
func (k *kills) both() {
	k.t.Log("both are killed")
	first := k.rnd.IntN(2)
	k.nodes[first].kill()
	if k.rnd.IntN(2) == 0 {
		k.moment()
	}
	k.nodes[1-first].kill()
	k.w.stop()
	for _, i := range k.rnd.Perm(2) {
		k.nodes[i].start()
		k.moment()
	}
	for _, x := range k.nodes {
		x.until("in step", inStep)
	}
	same(k.t, k.nodes)
	if k.rnd.IntN(2) == 0 {
		k.swap()
	}
	k.nodes[0].promote()
}

// bothThenOne: the primary and at once the secondary are killed; the secondary comes back alone and is promoted. What the primary
// had in flight is overwritten when it comes back.
func (k *kills) bothThenOne() {
	k.t.Log("both are killed, the former secondary goes on alone")
	k.nodes[0].kill()
	k.nodes[1].kill()
	k.w.stop()
	k.swap()
	k.nodes[0].start()
	k.nodes[0].promote()
	look(k.t, k.nodes[0], k.l, false)
	k.writers()
	k.moment()
	k.nodes[1].start()
	k.nodes[0].until("in step", inStep)
	k.w.stop()
}

// inResync: one of the two is killed in the middle of a resync.
func (k *kills) inResync() {
	k.t.Log("one of the two is killed in the middle of a resync")
	k.nodes[1].kill()
	k.w.progress(100)
	k.nodes[1].start()
	k.nodes[0].until("the resync runs, or has", func(s volume.Status) bool { return s.Peers[0].State >= volume.Connected })
	victim := k.rnd.IntN(2)
	k.nodes[victim].kill()
	if victim == 1 {
		k.w.progress(10)
	} else {
		k.w.stop()
	}
	k.nodes[victim].start()
	if victim == 0 { // the other one need not be a whole replica
		k.nodes[0].promote()
		k.nodes[0].until("in step", inStep)
		return
	}
	k.nodes[0].until("in step", inStep)
	k.w.stop()
}
