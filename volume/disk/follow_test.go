package disk_test

import (
	"testing"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/meta"
)

// marked is what the bitmaps for nodes 0 and 2 say, in extents.
func marked(d *disk.Disk) [2]int64 {
	return [2]int64{d.Bitmap(0).Bytes() / volume.ExtentSize, d.Bitmap(2).Bytes() / volume.ExtentSize}
}

// TestFollow: what another replica has written here counts as different on the third one after a crash; on all where several have
// written; and nowhere after an orderly end.
func TestFollow(t *testing.T) {
	const e = volume.ExtentSize
	begin := func(t *testing.T, d *disk.Disk, w volume.NodeID, extents ...int64) {
		t.Helper()
		for _, x := range extents {
			check(t, d.BeginFor(w, x*e, e))
			d.End(x*e, e)
			if !d.TryBeginFor(w, x*e, e) {
				t.Error("a hot extent has to be waited for")
			}
			d.End(x*e, e)
		}
	}
	for name, c := range map[string]struct {
		do   func(t *testing.T, d *disk.Disk)
		want [2]int64
	}{
		"one writer":          {func(t *testing.T, d *disk.Disk) { begin(t, d, 0, 1, 2) }, [2]int64{0, 2}},
		"the other":           {func(t *testing.T, d *disk.Disk) { begin(t, d, 2, 1, 2, 3) }, [2]int64{3, 0}},
		"one after the other": {func(t *testing.T, d *disk.Disk) { begin(t, d, 0, 1, 2); begin(t, d, 2, 3) }, [2]int64{1, 0}},
		"both": {func(t *testing.T, d *disk.Disk) {
			check(t, d.BeginFor(0, 0, e))
			begin(t, d, 2, 1)
			begin(t, d, 0, 2)
		}, [2]int64{3, 3}},
		"orderly end": {func(t *testing.T, d *disk.Disk) {
			begin(t, d, 0, 1, 2)
			check(t, d.Drain(t.Context()))
			check(t, d.Finish())
		}, [2]int64{}},
		"a primary's orderly end is none": {func(t *testing.T, d *disk.Disk) {
			begin(t, d, 0, 1)
			s := d.Super()
			s.Crashed = true
			check(t, d.WriteSuper(s))
			check(t, d.Drain(t.Context()))
			check(t, d.Finish())
		}, [2]int64{1, 1}},
		"primary": {func(t *testing.T, d *disk.Disk) {
			begin(t, d, 0, 1)
			s := d.Super()
			s.Crashed, s.Writer = true, 0 // the machine does not know of it
			check(t, d.WriteSuper(s))
			check(t, d.Begin(3*e, e))
		}, [2]int64{2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			mem := osfs.NewMem()
			o := options("/data")
			check(t, disk.Create(mem, o, super()))
			check(t, mem.SyncDir("test", "/"))
			c.do(t, must(disk.Open(mem, o))(t))
			mem.Crash(nil)
			d := must(disk.Open(mem, o))(t)
			if got := marked(d); got != c.want {
				t.Errorf("extents marked for nodes 0 and 2: %d, want %d", got, c.want)
			}
			if d.Super().Writer > meta.Nodes {
				t.Errorf("several writers, says the superblock of an empty log")
			}
		})
	}
}

// TestMarksOutliveANewLog: what a crash has marked is there still after a second one, also where the activity log was given another
// size in between.
func TestMarksOutliveANewLog(t *testing.T) {
	mem := osfs.NewMem()
	o := options("/data")
	check(t, disk.Create(mem, o, super()))
	check(t, mem.SyncDir("test", "/"))
	d := must(disk.Open(mem, o))(t)
	check(t, d.BeginFor(0, volume.ExtentSize, 1))
	mem.Crash(nil)
	o.Extents = 14
	must(disk.Open(mem, o))(t)
	mem.Crash(nil)
	if got, want := marked(must(disk.Open(mem, o))(t)), [2]int64{0, 1}; got != want {
		t.Errorf("extents marked for nodes 0 and 2: %d, want %d", got, want)
	}
}
