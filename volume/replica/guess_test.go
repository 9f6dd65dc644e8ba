package replica

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/proto"
	"github.com/takt-ha/takt/volume/state"
)

// TestGuesses: what leaves a secondary's log before all are known to have it is marked for the third replica, does not count as
// out of sync, and is marked no longer when the primary says that all have it.
func TestGuesses(t *testing.T) {
	s := begun(t, 3, 8<<20, nil)
	a, b := s[0], s[1].r
	bits := b.disk.Load().Bitmap(2)
	a.r.rounds.Lock()
	a.write(4<<20, fill(8192, 7))
	if err := b.disk.Load().Reset(); err != nil {
		t.Error(err)
	}
	if got := bits.Bytes(); got < 8192 {
		t.Errorf("%d bytes are marked for c, want those that were written", got)
	}
	if got := b.Status().Peers[1]; got.OutOfSync != 0 {
		t.Errorf("%d bytes of c are out of sync, which gets everything", got.OutOfSync)
	}
	a.r.rounds.Unlock()
	a.r.flushRound()
	s[1].until("nothing is marked", func(volume.Status) bool { return bits.Bytes() == 0 })
}

// TestSmallLog: three replicas under random writes, with a log that has room for few of them. Then nothing is out of sync, and when
// the primary steps down there is nothing to copy.
func TestSmallLog(t *testing.T) {
	s := begun(t, 3, 64<<20, func(c *volume.Config) { c.Disk.Extents = 7 })
	stop := writer(t, s[0], 4)
	s[0].until("much is written", func(st volume.Status) bool { return st.Written > 4<<20 })
	stop()
	settled(t, s)
	s[0].must(state.Asked{Verb: "secondary"})
	for _, x := range s[1:] {
		x.until("a is secondary", func(st volume.Status) bool { return st.Peers[0].Role == volume.Secondary })
		other := x.r.peers[3-x.cfg.Self]
		if n := x.r.disk.Load().Bitmap(other.node.ID).Bytes(); n > 0 {
			t.Errorf("%d bytes are marked on %s for %s", n, x.r.self().Name, other.node.Name)
		}
	}
}

// TestGuessesOrMarks: a mark is there as long as a doubt that has left the log needs it, or something else; and no longer than
// there is a doubt.
func TestGuessesOrMarks(t *testing.T) {
	s := begun(t, 3, 8<<20, nil)
	s[0].r.rounds.Lock()
	defer s[0].r.rounds.Unlock()
	b := s[1].r
	d, from, p := b.disk.Load(), b.peers[0], b.peers[2]
	type write struct {
		first, end int64 // blocks
		flush      uint64
		left       bool
	}
	rapid.Check(t, func(t *rapid.T) {
		const low, high = 1018, 1030 // on both sides of the first extent's end
		p.mu.Lock()
		p.doubts, p.guessed = [volume.MaxPeers + 1]doubt{}, nil
		d.Bitmap(2).ClearAll()
		p.mu.Unlock()
		var writes []write
		marked := map[int64]bool{}
		seq := uint64(1)
		block := rapid.Int64Range(low, high)
		look := func(*rapid.T) {
			must, may := map[int64]bool{}, map[int64]bool{}
			for _, w := range writes {
				for x := w.first; x < w.end; x++ {
					must[x], may[x] = must[x] || w.left, true
				}
			}
			for x := int64(low); x < high+4; x++ {
				has := d.Bitmap(2).Any(x*volume.BlockSize, 1)
				if want := must[x] || marked[x]; want && !has {
					t.Fatalf("block %d is not marked", x)
				}
				if has && !may[x] && !marked[x] {
					t.Fatalf("block %d is marked for nothing", x)
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": look,
			"write": func(t *rapid.T) {
				w := write{first: block.Draw(t, "block"), flush: seq}
				w.end = w.first + rapid.Int64Range(1, 3).Draw(t, "blocks")
				p.mayLack(d, 0, proto.Header{Offset: w.first * volume.BlockSize}, (w.end-w.first)*volume.BlockSize, nil)
				writes = append(writes, w)
			},
			"leave": func(t *rapid.T) {
				e := rapid.Uint32Range(0, 1).Draw(t, "extent")
				b.leaving(d, []uint32{e})
				for i := range writes {
					w := &writes[i]
					w.left = w.left || w.first*volume.BlockSize/volume.ExtentSize == int64(e) || (w.end-1)*volume.BlockSize/volume.ExtentSize == int64(e)
				}
			},
			"flush": func(*rapid.T) {
				from.flushedHere(seq)
				seq++
			},
			"done": func(t *rapid.T) {
				upTo := rapid.Uint64Range(0, seq-1).Draw(t, "flush")
				from.doneEverywhere(upTo)
				var rest []write
				for _, w := range writes {
					if w.flush > upTo {
						rest = append(rest, w)
					}
				}
				writes = rest
			},
			"mark": func(t *rapid.T) {
				x := block.Draw(t, "block")
				p.mark(x*volume.BlockSize+1, 1)
				marked[x] = true
			},
		})
	})
}
