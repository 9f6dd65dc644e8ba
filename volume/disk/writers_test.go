package disk

import (
	"sync"
	"testing"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/meta"
)

// TestWritersMeet: two replicas begin to write here in the same moment. Whoever holds extents finds the superblock speak of him, or
// of several.
func TestWritersMeet(t *testing.T) {
	mem := osfs.NewMem()
	o := Options{Volume: "r0", ID: [16]byte{1}, Self: 1, Path: "/data", Size: 48 << 20, Extents: 7, Peers: []volume.NodeID{0, 2}}
	err := Create(mem, o, meta.Super{Volume: o.ID, Gen: meta.Generations{Current: volume.JustCreated}, Disk: volume.Inconsistent, Created: 1})
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(mem, o)
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		var both sync.WaitGroup
		for _, w := range []volume.NodeID{0, 2} {
			both.Go(func() {
				off := int64(w) * volume.ExtentSize
				if err := d.BeginFor(w, off, 1); err != nil {
					t.Error(err)
					return
				}
				if now := d.Super().Writer; now != meta.WriterOf(w) && now != meta.Several {
					t.Errorf("node %d holds an extent, and the superblock speaks of writer %d", w, now)
				}
				d.End(off, 1)
			})
		}
		both.Wait()
		if err := d.Finish(); err != nil {
			t.Fatal(err)
		}
	}
}
