package replica

import (
	"testing"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/state"
)

// TestMarkedAgain: what a peer got before a block was marked again does not take the mark away: not what it has, not
// what is under way, not what is being read for it.
func TestMarkedAgain(t *testing.T) {
	s := begun(t, 2, 1<<20, nil)
	p := s[0].r.peers[1]
	bits := s[0].r.disk.Load().Bitmap(1)
	const block = volume.BlockSize
	run := &run{p: p, l: p.link, sends: true, began: s[0].r.began}

	bits.Set(0, 12*block)
	reading := run.beginCopy(8*block, 4*block)
	p.mu.Lock()
	p.recent.add(0, 4*block, true)
	under := p.ring.push(awaited{what: aBlock, off: 4 * block, span: 4 * block, copied: true})
	p.markLocked(block+100, 10)
	p.markLocked(5*block, 1)
	p.markLocked(9*block, 1)
	a, _ := p.ring.take(under)
	p.noteLocked(a)
	run.endCopyLocked(reading)
	p.noteLocked(awaited{what: aBlock, off: reading.off, span: reading.n, copied: !reading.old})
	if p.recent.copied != 3*block || p.ring.copies != 0 {
		t.Errorf("%d bytes and %d requests will take marks away", p.recent.copied, p.ring.copies)
	}
	p.mu.Unlock()

	s[0].until("flushed", func(volume.Status) bool { return !bits.Any(0, block) })
	if got := bits.Bytes(); got != 9*block || !bits.Any(block, block) || bits.Any(2*block, 2*block) {
		t.Errorf("%d bytes are marked", got)
	}
}

// TestWrittenMeanwhile: a resync leaves out what an application writes while it runs. (It is held to 4 KiB a second.)
func TestWrittenMeanwhile(t *testing.T) {
	s := begun(t, 2, 8<<20, func(c *volume.Config) { c.Disk.NoThin = true })
	s[0].slow(4 << 10)
	s[1].must(state.Asked{Verb: "invalidate"})
	s[0].until("it runs", func(st volume.Status) bool { return st.Peers[0].State == volume.SyncSource })
	s[0].write(0, fill(8<<20-100, 1))
	s[0].write(8<<20-volume.BlockSize, fill(volume.BlockSize, 2))
	if err := s[0].do(t, s[0].r, front.Request{Op: front.Flush}); err != nil {
		t.Error(err)
	}
	for _, x := range s {
		x.until("in step", inStep)
	}
	same(t, s)
}

// TestCounts: a resync shows in the counters of both sides; one by checksums sends what differs.
func TestCounts(t *testing.T) {
	for _, checksum := range []bool{false, true} {
		s := begun(t, 2, 4<<20, func(c *volume.Config) { c.Sync.Checksum = checksum })
		s[0].write(0, fill(4<<20, 1))
		settled(t, s)
		sent, received := s[0].r.Status().Peers[0].Sent, s[1].r.Status().Peers[0].Received
		s[1].must(state.Asked{Verb: "invalidate"})
		s[1].until("it is old", func(st volume.Status) bool { return st.Disk < volume.UpToDate })
		settled(t, s)
		sent, received = s[0].r.Status().Peers[0].Sent-sent, s[1].r.Status().Peers[0].Received-received
		if most := uint64(64 << 10); checksum && (sent > most || received > most) {
			t.Errorf("by checksums %d bytes were sent and %d received, although nothing differed", sent, received)
		}
		if all := uint64(4 << 20); !checksum && (sent != all || received != all) {
			t.Errorf("%d bytes were sent and %d received, want %d", sent, received, all)
		}
	}
}

// TestProgress: what status says of a resync under way.
func TestProgress(t *testing.T) {
	s := begun(t, 2, 8<<20, func(c *volume.Config) { c.Disk.NoThin = true })
	s[0].slow(512 << 10)
	s[1].must(state.Asked{Verb: "invalidate"})
	for _, x := range s {
		x.until("it goes on", func(st volume.Status) bool {
			p := st.Peers[0].Sync
			if p == nil || p.Done == 0 || p.Rate == 0 {
				return false
			}
			if p.Total != 8<<20 || p.Done > p.Total || p.Percent != 100*float64(p.Done)/float64(p.Total) || p.Left != (p.Total-p.Done)*1000/p.Rate {
				t.Errorf("%s: %+v", st.Node, p)
			}
			return true
		})
	}
	s[0].slow(0)
	for _, x := range s {
		x.until("in step", inStep)
	}
}

// slow holds resyncs from the site to a rate.
func (s *site) slow(rate int64) {
	c := s.cfg
	c.Sync.MaxRate = rate
	s.r.Configure(c)
}
