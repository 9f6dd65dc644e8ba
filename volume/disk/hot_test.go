package disk_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/actlog"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/meta"
)

// hotOnDisk is what a crash at this moment would find in the activity log.
func hotOnDisk(t *testing.T, fs osfs.FS, d *disk.Disk) []uint32 { return hotAt(t, fs, "/meta", d) }

// hotAt is hotOnDisk with the metadata at that path.
func hotAt(t *testing.T, fs osfs.FS, path string, d *disk.Disk) []uint32 {
	ring := make([]byte, meta.ActlogBytes)
	get(t, fs, path, ring, d.Super().Layout.Actlog)
	r := actlog.Replay(ring, id, 1<<20)
	if r.All {
		t.Error(r.Why)
	}
	return r.Hot
}

// Many writers, and a log that is far too small: whoever holds an extent finds it in the log on disk, nobody
// waits for ever, and each extent that leaves was announced while nobody held it.
func TestManyWriters(t *testing.T) {
	mem := osfs.NewMem()
	o := options("/data")
	o.Size, o.Meta = 40*volume.ExtentSize, "/meta"
	check(t, disk.Create(mem, o, super()))
	d := must(disk.Open(mem, o))(t)
	var held [41]atomic.Int32
	var evicted atomic.Int32
	d.OnEvict(func(extents []uint32) error {
		evicted.Add(int32(len(extents)))
		if evicted.Load()%5 == 0 {
			return errors.New("a peer did not flush")
		}
		return nil
	})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 9))
			for i := range 150 {
				off := rnd.Int64N(39 * volume.ExtentSize)
				n := 1 + rnd.Int64N(volume.ExtentSize)
				if d.Begin(off, n) != nil {
					continue // the eviction failed
				}
				first, last := off/volume.ExtentSize, (off+n-1)/volume.ExtentSize
				for e := first; e <= last; e++ {
					held[e].Add(1)
				}
				if i%10 == 0 {
					hot := hotOnDisk(t, mem, d)
					for e := first; e <= last; e++ {
						if !slices.Contains(hot, uint32(e)) {
							t.Errorf("extent %d is held and not in the log on disk: %d", e, hot)
						}
					}
				}
				for e := first; e <= last; e++ {
					held[e].Add(-1)
				}
				d.End(off, n)
			}
		})
	}
	wg.Wait()
	if evicted.Load() == 0 {
		t.Error("nothing was evicted")
	}
	al, _ := d.Writes()
	if al == 0 || al > 1200 {
		t.Errorf("%d transactions", al)
	}
}

// The order of rule 2: nothing leaves before the local disk, the peers and the marks are durable.
func TestEvictionInOrder(t *testing.T) {
	mem := osfs.NewMem()
	fs := osfs.NewFaulty(mem)
	o := options("/data")
	o.Size, o.Meta = 20*volume.ExtentSize, "/meta"
	check(t, disk.Create(fs, o, super()))
	d := must(disk.Open(fs, o))(t)
	from := 0
	d.OnEvict(func(extents []uint32) error {
		if got := fs.Names()[from:]; !slices.Equal(got, []string{"volume.data.open/sync"}) {
			t.Errorf("before the peers: %q", got)
		}
		from = fs.Ops()
		return nil
	})
	for e := range int64(7) {
		check(t, d.Begin(e*volume.ExtentSize, 1))
		d.End(e*volume.ExtentSize, 1)
	}
	check(t, d.SaveBitmaps())
	d.Bitmap(0).Set(0, 4096) // its bitmap gets its place on disk, too
	from = fs.Ops()
	check(t, d.Begin(8*volume.ExtentSize, 1))
	got := fs.Names()[from:]
	want := []string{"volume.meta.open/write", "volume.meta.open/sync", "volume.meta.open/write", "volume.meta.open/write", "volume.meta.open/write"}
	if !slices.Equal(got, want) { // page, sync, two superblocks, transaction
		t.Errorf("after the peers: %q", got)
	}
}

// An eviction that fails keeps what it picked, and the next one may do it.
func TestEvictionFails(t *testing.T) {
	_, _, _, d := small(t, "internal")
	d.End(4<<20, 4096)
	check(t, d.Grow(80<<20))
	for e := range int64(7) {
		check(t, d.Begin(e*volume.ExtentSize, 1))
		d.End(e*volume.ExtentSize, 1)
	}
	no := errors.New("no")
	d.OnEvict(func([]uint32) error { return no })
	if err := d.Begin(10*volume.ExtentSize, 1); !errors.Is(err, no) {
		t.Error(err)
	}
	for e := range int64(7) {
		if !d.TryBegin(e*volume.ExtentSize, 1) {
			t.Errorf("extent %d left", e)
		}
		d.End(e*volume.ExtentSize, 1)
	}
	d.OnEvict(nil)
	check(t, d.Begin(10*volume.ExtentSize, 1))
}

// Who waits for room is served when somebody lets go, and told when the disk is closed.
func TestWaiting(t *testing.T) {
	_, _, _, d := small(t, "internal")
	d.End(4<<20, 4096)
	check(t, d.Grow(80<<20))
	for e := range int64(7) {
		check(t, d.Begin(e*volume.ExtentSize, 1))
	}
	if d.TryBegin(9*volume.ExtentSize, 1) {
		t.Error("room where there is none")
	}
	done := make(chan error)
	go func() { done <- d.Begin(9*volume.ExtentSize, 1) }()
	d.End(3*volume.ExtentSize, 1)
	check(t, <-done)
	if err := d.Reset(); errs.KindOf(err) != errs.Conflict {
		t.Errorf("emptied while in use: %v", err)
	}
	go func() { done <- d.Begin(3*volume.ExtentSize, 1) }()
	_ = d.Close()
	if err := <-done; !errors.Is(err, disk.ErrClosed) {
		t.Error(err)
	}
}

// Extents of other ranges in one transaction: what many cold writes at once cost.
func TestColdWritesShareTransactions(t *testing.T) {
	mem := osfs.NewMem()
	o := options("/data")
	o.Size, o.Extents = 80*volume.ExtentSize, 0
	check(t, disk.Create(mem, o, super()))
	d := must(disk.Open(mem, o))(t)
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for e := range int64(80) {
		wg.Go(func() {
			<-begin
			if err := d.Begin(e*volume.ExtentSize, 4096); err != nil {
				t.Error(err)
			}
		})
	}
	close(begin)
	wg.Wait()
	if al, _ := d.Writes(); al > 81 {
		t.Errorf("%d transactions for 80 extents", al)
	}
	if d.MaxBegin() < 100<<20 {
		t.Error(d.MaxBegin())
	}
}
