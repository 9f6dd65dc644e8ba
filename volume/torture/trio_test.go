package torture

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/state"
)

// trio are three replicas in this process, on disks that forget what was not synced, each two with a proxy between them.
type trio struct {
	t     *testing.T
	rnd   *rand.Rand
	s     []*site
	links [3][3]*proxy
}

func newTrio(t *testing.T, rnd *rand.Rand, size int64, change func(*volume.Config)) *trio {
	t.Helper()
	k := &trio{t: t, rnd: rnd}
	_, two := pair(t, size, [2]bool{rnd.IntN(2) == 0, rnd.IntN(2) == 0}, func(c *volume.Config) {
		c.Nodes[0].Address = freeAddress(t)
		c.Nodes = append(c.Nodes, volume.Node{ID: 2, Name: "c", Address: freeAddress(t), Disk: diskPath, Protocol: volume.ProtocolC})
		// A primary may die in the moment in which it begins a generation that nobody has heard of: nothing is only there.
		c.Split = volume.SplitPolicies{Zero: "discard-least-changes", One: "discard-secondary"}
		if change != nil {
			change(c)
		}
	})
	third := &site{t: t, name: "c", cfg: two[0].cfg, mem: osfs.NewMem()}
	third.cfg.Self, third.cfg.Nodes = 2, append([]volume.Node(nil), two[0].cfg.Nodes...)
	third.format()
	k.s = append(two, third)
	real := two[0].cfg.Nodes
	for i := range 3 {
		for j := range i {
			p := newProxy(t, real[j].Address)
			k.links[i][j], k.links[j][i] = p, p
			k.s[i].cfg.Nodes[j].Address = p.ln.Addr().String()
		}
	}
	for _, s := range k.s {
		s.up()
	}
	for _, s := range k.s {
		s.until("all are connected", func(st volume.Status) bool {
			return len(st.Peers) == 2 && st.Peers[0].State >= volume.Connected && st.Peers[1].State >= volume.Connected
		})
	}
	k.s[0].must(state.Asked{Verb: "primary", Force: true})
	k.together()
	return k
}

func (k *trio) together() {
	k.t.Helper()
	for _, s := range k.s {
		s.until("in step", inStep)
	}
}

// off takes the power from a site: see powerOff.
func (k *trio) off(s *site) {
	for i := range 3 {
		if p := k.links[s.cfg.Self][i]; p != nil {
			p.cut()
		}
	}
	s.powerOff(k.links[s.cfg.Self][(s.cfg.Self+1)%3], k.rnd)
	s.r = nil
}

// on is the power's return. Those that are off stay out of reach.
func (k *trio) on(s *site) {
	s.up()
	for _, o := range k.s {
		if p := k.links[s.cfg.Self][o.cfg.Self]; p != nil && o.r != nil {
			p.reset()
			p.heal()
		}
	}
}

// equal looks whether two replicas hold the same.
func (k *trio) equal(a, b *site) {
	k.t.Helper()
	x, y := a.content(), b.content()
	for at := 0; at < len(x); at += volume.BlockSize {
		if !bytes.Equal(x[at:at+volume.BlockSize], y[at:at+volume.BlockSize]) {
			k.t.Fatalf("block %d differs between %s and %s: %s…, %s…", at/volume.BlockSize, a.name, b.name, hex.EncodeToString(x[at:at+8]), hex.EncodeToString(y[at:at+8]))
		}
	}
}

// beside is what the two say of one another.
func beside(a, b *site) func(volume.Status) bool {
	return func(st volume.Status) bool {
		for _, p := range st.Peers {
			if p.Node == b.cfg.Self {
				return st.Disk == volume.UpToDate && p.State == volume.Connected && p.Disk == volume.UpToDate && p.OutOfSync == 0 && p.Pending == 0
			}
		}
		return false
	}
}

// TestSurvivors: of three replicas the primary and one more lose power under writes, and the primary stays away. The two others,
// which may each have got what the other one lacks, are the same when they have met, and nothing that was flushed is
// lost. In other rounds the third is away before, and the second, which alone knows what it lacks, loses power.
func TestSurvivors(t *testing.T) {
	t.Parallel()
	n, rnd := seed(t)
	const size = 24 << 20
	k := newTrio(t, rnd, size, nil)
	l := newLedger(size)
	moment := func() { <-time.After(time.Duration(rnd.IntN(60)) * time.Millisecond) }
	for more := rounds(t, 4*time.Second); more(); {
		n++
		if rnd.IntN(2) == 0 {
			k.s[1], k.s[2] = k.s[2], k.s[1]
		}
		w := writeTo(t, k.s[0].open(), l, 1+rnd.IntN(8), n)
		w.progress(20)
		power := rnd.IntN(2) == 0
		old := power && rnd.IntN(2) == 0 // the second may have missed what the third got
		if power {
			k.two(w, old, moment)
		} else {
			k.memory(w, moment)
		}
		a, heir, other := k.s[0], k.s[1], k.s[2]
		if old || rnd.IntN(2) == 0 { // else they may meet only when one of them is primary
			heir.until("in step with the other survivor", beside(heir, other))
			if rnd.IntN(2) == 0 {
				heir, other = other, heir
			}
		}
		heir.promote()
		heir.until("in step with the other survivor", beside(heir, other))
		lookAt(t, heir.name, heir.open(), l, power)
		k.equal(heir, other)
		k.s = []*site{heir, other, a}
		k.on(a)
		k.together()
		lookAt(t, heir.name, heir.open(), l, false)
		k.equal(heir, other)
		k.equal(heir, a)
	}
}

// two: the primary and the second lose power; the second before the primary, or after it.
func (k *trio) two(w *writer, before bool, moment func()) {
	first, second := k.s[0], k.s[1]
	if before {
		first, second = second, first
	}
	k.t.Logf("%s and then %s lose power", first.name, second.name)
	moment()
	k.off(first)
	if k.rnd.IntN(2) == 0 {
		moment()
	}
	k.off(second)
	w.stop()
	k.on(k.s[1])
}

// memory: the third is away, the second loses power and is in step again, then the primary is lost.
func (k *trio) memory(w *writer, moment func()) {
	a, b, c := k.s[0], k.s[1], k.s[2]
	k.t.Logf("%s is away, %s loses power and returns, then %s is lost", c.name, b.name, a.name)
	k.off(c)
	w.progress(50)
	moment()
	k.off(b)
	w.progress(20)
	k.on(b)
	w.stop()
	a.until("in step with the second", beside(a, b))
	k.off(a)
	k.on(c)
}
