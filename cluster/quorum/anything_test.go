package quorum

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/internal/mutant"
)

// draw returns a number from lo to hi.
type draw func(label string, lo, hi int) int

// TestAnything lets anything happen to two to six nodes: cuts, crashes, boots,
// restarts of daemons, pauses, fencing that fails, entries that reach some.
// The world watches that no generation is forced twice, no acknowledged entry is
// lost and no vote is taken without proof.
func TestAnything(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := anything(func(label string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(r, label) })
		if len(w.broken) > 0 {
			r.Fatalf("%s\n%s%s", w.broken, w.story.String(), w.logs())
		}
	})
}

// TestMutants switches rules off, one at a time, and has to see each missed.
func TestMutants(t *testing.T) {
	for _, rule := range []mutant.Rule{mutant.ClaimAfterBoot, mutant.NewestLog, mutant.VoteByProof} {
		t.Run(rule.String(), func(t *testing.T) {
			defer mutant.Switch(rule)()
			for seed := range uint64(5000) {
				r := rand.New(rand.NewPCG(seed, 0))
				if w := anything(func(_ string, lo, hi int) int { return lo + r.IntN(hi-lo+1) }); len(w.broken) > 0 {
					t.Logf("seed %d: %s", seed, w.broken[0])
					return
				}
			}
			t.Error("nobody noticed")
		})
	}
}

func anything(d draw) *world {
	w := newWorld(d("nodes", 2, 6), true, "stop")
	if d("watchdogs", 0, 3) == 0 {
		w.dog = 3 * time.Second
	}
	luck := uint64(d("luck", 1, 1<<30))
	w.coin = func() bool { // xorshift: most coins say yes
		luck ^= luck << 13
		luck ^= luck >> 7
		luck ^= luck << 17
		return luck%8 != 0
	}
	w.wishAll()
	w.run(3 * time.Second)
	for range d("steps", 5, 40) {
		w.misfortune(d)
		w.run(time.Duration(d("pause", 0, 25)) * step)
		if len(w.broken) > 0 {
			break
		}
	}
	return w
}

func (w *world) misfortune(d draw) {
	b := w.nodes[d("node", 0, len(w.nodes)-1)]
	what := d("what", 0, 10)
	switch {
	case what <= 1:
		w.tell("cut")
		for _, b := range w.nodes {
			b.group = d("group", 0, 1)
		}
	case what == 2:
		w.tell("heal")
		for _, b := range w.nodes {
			b.group = 0
		}
	case what == 3:
		w.tell("n%d crashes", b.id)
		w.crash(b)
	case what <= 5:
		w.tell("all boot")
		for _, b := range w.nodes {
			w.boot(b)
		}
	case what == 7:
		w.failing[b.id] = !w.failing[b.id]
	case !b.up:
		if o := w.nodes[d("told", 0, len(w.nodes)-1)]; o.up && what == 10 {
			w.tell("somebody tells n%d that n%d is off", o.id, b.id)
			w.prove(o, b.id, fmt.Sprintf("alice says that n%d is off", b.id))
		}
	case what == 6:
		w.tell("the daemon of n%d starts anew", b.id)
		w.restart(b)
	case what == 8:
		w.feed(b, Paused{time.Second})
	case b.leader == b.id && w.majority(b) && b.settled():
		b.add(w, entry{})
		w.copyTo(b)
	}
}
