package disk_test

import (
	"bytes"
	"testing"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/meta"
)

var id = [16]byte{1, 2, 3}

func options(path string) disk.Options {
	return disk.Options{Volume: "r0", ID: id, Self: 1, Path: path, Size: 48 << 20, Extents: 7, Peers: []volume.NodeID{0, 2}}
}

func super() meta.Super {
	return meta.Super{Volume: id, Gen: meta.Generations{Current: volume.JustCreated}, Disk: volume.Inconsistent, Created: 1}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLife(t *testing.T) {
	for _, place := range []string{"internal", "/meta"} {
		fs := osfs.NewMem()
		o := options("/data")
		o.Meta = place
		check(t, disk.Create(fs, o, super()))
		d := must(disk.Open(fs, o))(t)
		s := d.Super()
		s.Crashed = true
		s.Gen.Begin(0x1000)
		check(t, d.WriteSuper(s))
		want := bytes.Repeat([]byte("takt"), 2048)
		for i := range int64(12) {
			off := i * volume.ExtentSize
			check(t, d.Begin(off, 8192))
			must(d.WriteAt(want, off))(t)
			d.Bitmap(0).Set(off, 8192)
			d.End(off, 8192)
		}
		check(t, d.WriteDurable(want, 8192))
		fs.Crash(nil)
		d = must(disk.Open(fs, o))(t)
		got := make([]byte, 8192)
		must(d.ReadAt(got, 8192))(t)
		if !bytes.Equal(got, want) {
			t.Error("a durable write is lost")
		}
		if n := d.Bitmap(2).Bytes(); n < 5*volume.ExtentSize || n > 7*volume.ExtentSize {
			t.Errorf("%d bytes marked for node 2", n)
		}
		for i := range int64(12) {
			if !d.Bitmap(0).Any(i*volume.ExtentSize, 8192) {
				t.Errorf("extent %d is not marked for node 0", i)
			}
		}
		if !d.Super().Crashed || d.Super().Gen.Current != 0x1000 || len(d.Notes()) != 0 {
			t.Error(d.Super(), d.Notes())
		}
		check(t, d.Reset())
		check(t, d.Grow(80<<20))
		if !d.Bitmap(2).Any(79<<20, 1) || d.Size() != 80<<20 {
			t.Error("not grown")
		}
		check(t, d.Close())
		d = must(disk.Open(fs, o))(t)
		if d.Size() != 80<<20 || len(d.Notes()) != 0 || !d.Bitmap(2).Any(79<<20, 1) {
			t.Error(d.Size(), d.Notes())
		}
		check(t, d.Close())
	}
}
