package disk_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
)

// patience bounds a wait that never ends where something is wrong: no measure of anything.
const patience = 2 * time.Minute

// A volume grows while an eviction waits for a peer, whose answer may be behind the word that told to grow. What was about to
// leave the log is in it still, also where the log has moved.
func TestGrowBesideEviction(t *testing.T) {
	for _, place := range []string{"internal", "/meta"} {
		mem, fs, o, d := small(t, place)
		path := place
		if place == "internal" {
			path = o.Path
		}
		d.End(4<<20, 4096)
		check(t, d.Grow(80<<20))
		for e := range int64(7) {
			check(t, d.Begin(e*volume.ExtentSize, 1))
			d.End(e*volume.ExtentSize, 1)
		}
		evicted := false
		d.OnEvict(func(extents []uint32) error {
			evicted = true
			done := make(chan error, 1)
			go func() { done <- d.Grow(120 << 20) }()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Errorf("metadata %s: a Grow waits for what waits for a peer", place)
			}
			hot := hotAt(t, fs, path, d)
			for _, e := range extents {
				if !slices.Contains(hot, e) {
					t.Errorf("metadata %s: extent %d left the log before it was settled: %d", place, e, hot)
				}
			}
			return nil
		})
		check(t, d.Begin(10*volume.ExtentSize, 1))
		if hot := hotAt(t, fs, path, d); !evicted || len(hot) > 7 || !slices.Contains(hot, 10) {
			t.Errorf("metadata %s: in the log: %d", place, hot)
		}
		mem.Crash(nil)
		d = must(disk.Open(fs, o))(t)
		if d.Size() != 120<<20 || !d.Bitmap(2).Any(10*volume.ExtentSize, 1) {
			t.Errorf("metadata %s: %d bytes, and the hot extent is not marked", place, d.Size())
		}
		check(t, d.Close())
	}
}

// A volume grows again and again under writers whose extents come and go: what they hold at the end is marked after a crash.
func TestGrowBesideWriters(t *testing.T) {
	const writers = 4
	mem, fs, o, d := small(t, "internal")
	d.End(4<<20, 4096)
	check(t, d.Grow(80<<20))
	d.OnEvict(func([]uint32) error { return nil })
	var held [writers]int64
	var wg sync.WaitGroup
	for g := range held {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 5))
			for i := range 200 {
				held[g] = rnd.Int64N(19) * volume.ExtentSize
				if err := d.Begin(held[g], 1); err != nil {
					t.Error(err)
				}
				if i < 199 {
					d.End(held[g], 1)
				}
			}
		})
	}
	for i := range int64(20) {
		check(t, d.Grow(80<<20+(i+1)<<20))
	}
	wg.Wait()
	mem.Crash(nil)
	d = must(disk.Open(fs, o))(t)
	for _, off := range held {
		if !d.Bitmap(2).Any(off, 1) {
			t.Errorf("extent %d was held and is not marked", off/volume.ExtentSize)
		}
	}
	if n := d.Bitmap(2).Bytes(); n > 7*volume.ExtentSize || d.Size() != 100<<20 {
		t.Errorf("%d bytes are marked of %d", n, d.Size())
	}
	check(t, d.Close())
}
