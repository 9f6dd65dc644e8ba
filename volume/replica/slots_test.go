package replica

import (
	"testing"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/state"
)

// coming is how many requests of a peer have come in and have not been done.
func (s *site) coming(from volume.NodeID) int {
	p := s.r.peers[from]
	p.mu.Lock()
	l := p.link
	p.mu.Unlock()
	if l == nil {
		return 0
	}
	l.jobs.mu.Lock()
	defer l.jobs.mu.Unlock()
	return len(l.jobs.jobs)
}

// TestHeldBlocksTakeNoSlot: a primary is the target of a resync and zeroes a range that waits for the activity log. More blocks of that
// range than a disk gets at once come in meanwhile and have to wait for it: it is done all the same.
func TestHeldBlocksTakeNoSlot(t *testing.T) {
	const at, n = 1 << 20, 1 << 20
	sites := pairOf(t, 2, 16<<20, nil)
	slow := newStall()
	sites[0].fs = slow
	s := begin(t, sites)
	t.Cleanup(slow.release) // before the replicas end
	s[0].must(state.Asked{Verb: "detach"})
	s[0].until("without a disk", func(st volume.Status) bool { return st.Disk == volume.Diskless })
	for off := int64(0); off < n; off += 2 * volume.BlockSize { // every second block, so that each comes by itself
		s[0].write(at+off, fill(volume.BlockSize, byte(off/volume.BlockSize)))
	}
	s[1].must(state.Asked{Verb: "pause-sync", Peer: 0})
	s[0].must(state.Asked{Verb: "attach"})
	s[0].until("it is known what is old here", func(volume.Status) bool { return s[0].r.syncFrom.Load() == 1 && s[0].r.peers[1].theirs.Load() })

	slow.durably.Store(true)
	zero := front.Request{Op: front.Zero, Offset: at, Length: n}
	done := s[0].begin(s[0].r, &zero)
	comes(t, "the activity log", slow.reached)
	s[1].must(state.Asked{Verb: "resume-sync", Peer: 0})
	s[0].until("the blocks wait", func(volume.Status) bool { return s[0].coming(1) > cap(s[0].r.slots) })
	slow.release()
	comes(t, "the end of the zeroes", done)
	if zero.Err != nil {
		t.Error(zero.Err)
	}
	settled(t, s)
}

// TestSlowDiskHoldsBack: the disk of a peer is slower than the one here, and nobody waits for it (protocols A and B). What waits for it
// in the peer's memory is bounded: whoever writes is held back.
func TestSlowDiskHoldsBack(t *testing.T) {
	for _, p := range []volume.Protocol{volume.ProtocolA, volume.ProtocolB} {
		const n, size = 256 << 10, 64 << 20
		sites := pairOf(t, 2, size, func(c *volume.Config) {
			for i := range c.Nodes {
				c.Nodes[i].Protocol = p
			}
		})
		slow := newStall()
		sites[1].fs = slow
		s := begin(t, sites)
		t.Cleanup(slow.release) // before the replicas end
		slow.writes.Store(true)
		written := make(chan struct{})
		go func() {
			defer close(written)
			for off := int64(0); off < 3*mostKept; off += n {
				if err := s[0].do(t, s[0].r, front.Request{Op: front.Write, Offset: off % size, Data: fill(n, byte(off/n))}); err != nil {
					t.Error(err)
				}
			}
		}()
		q := &s[1].r.peers[0].link.jobs
		s[1].until("the writer is held back", func(volume.Status) bool {
			q.mu.Lock()
			defer q.mu.Unlock()
			if q.bytes > mostKept+2*n {
				t.Fatalf("protocol %s: %d bytes wait for the disk", p, q.bytes)
			}
			return q.resting
		})
		slow.release()
		comes(t, "the last write's end", written)
		settled(t, s)
	}
}
