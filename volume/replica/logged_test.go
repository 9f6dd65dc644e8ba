package replica

import (
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
)

// closed waits until the disk that was detached is closed.
func (s *site) closed() {
	s.t.Helper()
	s.until("the disk is closed", func(volume.Status) bool {
		s.r.dropped.Lock()
		defer s.r.dropped.Unlock()
		select {
		case <-s.r.dropped.closed:
			return true
		default:
			return false
		}
	})
}

// TestWriterLostBesideDetach: the primary is lost while a secondary's disk is being made durable to be closed. What the third
// replica may lack is marked when the log is empty.
func TestWriterLostBesideDetach(t *testing.T) {
	s := begun(t, 3, 8<<20, nil)
	a, b := s[0], s[1]
	a.r.rounds.Lock() // nobody hears that all have it
	defer a.r.rounds.Unlock()
	a.write(4<<20, fill(8192, 7))
	d := b.r.disk.Load()
	b.r.putAway(d, func() error {
		b.r.markDoubts(0)
		b.r.endDoubts(0)
		return d.Finish()
	})
	b.closed()
	again, err := disk.Open(b.fs, b.options())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if bits := again.Bitmap(2); !bits.Any(4<<20, 4096) || !bits.Any(4<<20+4096, 4096) {
		t.Errorf("%d bytes are marked for c, want at least the two blocks that it may lack", bits.Bytes())
	}
	if w := again.Super().Writer; w != 0 {
		t.Errorf("the disk is not closed cleanly: writer %d", w)
	}
}

// TestSecondaryEvictsAlone: a secondary's log makes room although a peer that it has sent blocks to does not come to flush them: what
// comes before may wait there for a write that waits for this log.
func TestSecondaryEvictsAlone(t *testing.T) {
	s := begun(t, 3, 8<<20, nil)
	s[0].write(4<<20, fill(8192, 7))
	to, b := s[2].r.peers[1], s[1].r
	stuck := make(chan struct{})
	defer close(stuck)
	to.mu.Lock()
	in := &inbox{p: to, l: to.link}
	to.mu.Unlock()
	in.queue(0, 1<<62, func() { <-stuck })
	p := b.peers[2]
	p.mu.Lock()
	p.recent.add(0, volume.BlockSize, true)
	p.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- b.disk.Load().Reset() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("the log of a secondary waits for a peer")
	}
}
