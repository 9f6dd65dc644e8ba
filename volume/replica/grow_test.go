package replica

import (
	"testing"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/state"
)

// TestGrowBesideSlowSync: a disk, here or on the peer, takes its time to make durable what was written before it grows. Meanwhile
// it is answered as ever.
func TestGrowBesideSlowSync(t *testing.T) {
	const large = 24 << 20
	for _, slowOne := range []int{0, 1} {
		sites := pairOf(t, 2, 16<<20, nil)
		slow := newStall()
		sites[slowOne].fs = slow
		s := begin(t, sites)
		t.Cleanup(slow.release) // before the replicas end
		s[0].write(0, fill(1<<20, 1))
		if err := s[0].do(t, s[0].r, front.Request{Op: front.Flush}); err != nil {
			t.Fatal(err)
		}
		slow.wanted.Store(true)
		asked, seen := make(chan error, 1), make(chan struct{})
		go func() { asked <- s[0].ask(state.Asked{Verb: "resize", Size: large}) }()
		comes(t, "a sync", slow.reached)
		go func() {
			s[slowOne].r.Status()
			close(seen)
		}()
		comes(t, "the status", seen)
		s[0].write(0, fill(8192, 2))
		slow.release()
		if err := <-asked; err != nil {
			t.Fatal(err)
		}
		s[1].until("grown", func(st volume.Status) bool { return st.Size == large })
		s[0].write(large-8192, fill(8192, 3))
		settled(t, s)
	}
}
