package replica

import (
	"testing"

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
