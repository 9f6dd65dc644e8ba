package disk_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume/disk"
)

// benchDisk opens a replica on a real file, in memory where there is a tmpfs.
func benchDisk(b *testing.B, extents ...int) *disk.Disk {
	dir := b.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "takt-bench"); err == nil {
		dir = shm
		b.Cleanup(func() { _ = os.RemoveAll(shm) })
	}
	o := options(filepath.Join(dir, "r0"))
	o.Size, o.Extents = 256<<20, 0
	if len(extents) > 0 {
		o.Extents = extents[0]
	}
	if err := disk.Create(osfs.OS{}, o, super()); err != nil {
		b.Fatal(err)
	}
	d, err := disk.Open(osfs.OS{}, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	return d
}

// Bar: 60 ns.
func BenchmarkBeginEndHot(b *testing.B) {
	d := benchDisk(b)
	for range b.N {
		if d.Begin(8192, 4096) != nil {
			b.Fatal("not begun")
		}
		d.End(8192, 4096)
	}
}

func BenchmarkBeginEndHotParallel(b *testing.B) {
	d := benchDisk(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = d.Begin(8192, 4096)
			d.End(8192, 4096)
		}
	})
}

func BenchmarkWriteAt(b *testing.B) {
	d := benchDisk(b)
	p := make([]byte, 4096)
	b.SetBytes(4096)
	for i := range b.N {
		if _, err := d.WriteAt(p, int64(i)*4096*61%(256<<20)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadAt(b *testing.B) {
	d := benchDisk(b)
	p := make([]byte, 4096)
	b.SetBytes(4096)
	for i := range b.N {
		if _, err := d.ReadAt(p, int64(i)*4096*61%(256<<20)); err != nil {
			b.Fatal(err)
		}
	}
}

// What the two above are measured against: the same calls on the file itself.
func BenchmarkWriteAtFile(b *testing.B) {
	d := benchDisk(b)
	f, err := os.CreateTemp(filepath.Dir(d.Path()), "plain")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, 4096)
	b.SetBytes(4096)
	b.ResetTimer()
	for i := range b.N {
		if _, err := f.WriteAt(p, int64(i)*4096*61%(256<<20)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteDurable(b *testing.B) {
	d := benchDisk(b)
	p := make([]byte, 4096)
	b.SetBytes(4096)
	for i := range b.N {
		if err := d.WriteDurable(p, int64(i)*4096*61%(256<<20)); err != nil {
			b.Fatal(err)
		}
	}
}

// Each Begin needs a transaction, and each eighth of the log an eviction.
func BenchmarkBeginCold(b *testing.B) {
	d := benchDisk(b, 16)
	for i := range b.N {
		off := int64(i%64) * (4 << 20)
		if err := d.Begin(off, 4096); err != nil {
			b.Fatal(err)
		}
		d.End(off, 4096)
	}
}
