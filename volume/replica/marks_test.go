package replica

import (
	"bytes"
	"os"
	"testing"

	"pgregory.net/rapid"

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

	s[0].until("flushed", func(volume.Status) bool {
		p.mu.Lock() // all that the flush takes away goes together
		defer p.mu.Unlock()
		return !bits.Any(0, block)
	})
	if got := bits.Bytes(); got != 9*block || !bits.Any(block, block) || bits.Any(2*block, 2*block) {
		t.Errorf("%d bytes are marked", got)
	}
}

// TestWrittenMeanwhile: a resync leaves out what an application writes while it runs. (It is held to 4 KiB a second.)
func TestWrittenMeanwhile(t *testing.T) {
	s := begun(t, 2, 8<<20, func(c *volume.Config) { c.Disk.NoThin = true })
	s[0].slow(4 << 10)
	s[1].must(state.Asked{Verb: "invalidate"})
	p := s[0].r.peers[1]
	s[0].until("it runs", func(st volume.Status) bool { return st.Peers[0].State == volume.SyncSource && p.theirs.Load() })
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
		s[1].rot(1 << 20)
		sent, received := s[0].r.Status().Peers[0].Sent, s[1].r.Status().Peers[0].Received
		s[0].slow(4 << 10) // or it may be over before anybody looks
		s[1].must(state.Asked{Verb: "invalidate"})
		s[1].until("it is old", func(st volume.Status) bool { return st.Disk < volume.UpToDate })
		s[0].until("the other one knows", func(st volume.Status) bool { return st.Peers[0].Disk < volume.UpToDate })
		s[0].slow(0)
		settled(t, s)
		sent, received = s[0].r.Status().Peers[0].Sent-sent, s[1].r.Status().Peers[0].Received-received
		wantSent, want := uint64(4<<20), uint64(4<<20)
		if checksum { // hashes, and the block that differs
			wantSent, want = 4<<20/volume.BlockSize*32+volume.BlockSize, volume.BlockSize
		}
		if sent != wantSent || received != want {
			t.Errorf("checksum=%v: %d bytes were sent and %d received, want %d and %d", checksum, sent, received, wantSent, want)
		}
	}
}

// TestProgress: what status says of a resync under way.
func TestProgress(t *testing.T) {
	s := begun(t, 2, 8<<20, func(c *volume.Config) { c.Disk.NoThin = true })
	s[0].slow(128 << 10) // for a minute, if nobody looks
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

// TestTotal: how much a resync has to do is known when both sides' marks are, also if nobody has asked before the first blocks came.
func TestTotal(t *testing.T) {
	s := begun(t, 2, 8<<20, nil)
	p, d := s[1].r.peers[0], s[1].r.disk.Load()
	p.syncEffect(state.Sync{Peer: 0, Do: "target"})
	d.Bitmap(0).Set(0, 1<<20)
	p.mu.Lock()
	run := p.sync
	p.mu.Unlock()
	run.haveTheirs()
	d.Bitmap(0).Clear(0, 1<<19)
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := run.progressLocked(d); got.Total != 1<<20 || got.Done != 1<<19 {
		t.Errorf("%d of %d bytes are done", got.Done, got.Total)
	}
}

// rot changes a block on the site's disk behind its back.
func (s *site) rot(at int64) {
	s.t.Helper()
	f, err := os.OpenFile(s.options().Path, os.O_RDWR, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("rot"), at); err != nil {
		s.t.Fatal(err)
	}
}

// TestDifference: runs of blocks are what a list of blocks says, and cover the range once.
func TestDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := make([]byte, rapid.IntRange(1, 20*volume.BlockSize).Draw(t, "length"))
		b := append([]byte(nil), a...)
		for range rapid.IntRange(0, 5).Draw(t, "changes") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")]++
		}
		d, any := compareHashes(hashes(a), hashes(b))
		if any == bytes.Equal(a, b) {
			t.Fatal("it does not say whether anything differs")
		}
		at := int64(100)
		d.each(at, int64(len(a)), func(off, n int64, differs bool) {
			if off != at || n <= 0 {
				t.Fatalf("a run at %d follows one up to %d", off, at)
			}
			for i := off - 100; i < off-100+n; i += volume.BlockSize {
				end := min(i+volume.BlockSize, int64(len(a)))
				if differs == bytes.Equal(a[i:end], b[i:end]) {
					t.Fatalf("the block at %d is taken for what it is not", i)
				}
			}
			at += n
		})
		if at != 100+int64(len(a)) {
			t.Fatalf("the runs end at %d", at)
		}
	})
}

// slow holds resyncs from the site to a rate.
func (s *site) slow(rate int64) {
	c := s.cfg
	c.Sync.MaxRate = rate
	s.r.Configure(c)
}
