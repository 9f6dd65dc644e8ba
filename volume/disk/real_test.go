package disk_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume/disk"
)

// onReal runs a test on a file on a disk, in a tmpfs, in a Mem and on a block device, as far as there are.
func onReal(t *testing.T, size int64, run func(*testing.T, osfs.FS, disk.Options)) {
	o := options("")
	o.Size = size
	t.Run("file", func(t *testing.T) { o := o; o.Path = filepath.Join(t.TempDir(), "r0"); run(t, osfs.OS{}, o) })
	t.Run("mem", func(t *testing.T) { o := o; o.Path = "/r0"; run(t, osfs.NewMem(), o) })
	t.Run("tmpfs", func(t *testing.T) {
		dir, err := os.MkdirTemp("/dev/shm", "takt-test")
		if err != nil {
			t.Skip("no tmpfs at /dev/shm")
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		o := o
		o.Path = filepath.Join(dir, "r0")
		run(t, osfs.OS{}, o)
	})
	t.Run("block", func(t *testing.T) {
		o := o
		o.Path = loop(t, size+4<<20)
		run(t, osfs.OS{}, o)
	})
}

// loop makes a block device of a file.
func loop(t *testing.T, size int64) string {
	file := filepath.Join(t.TempDir(), "loop")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, os.Truncate(file, size))
	out, err := exec.Command("losetup", "--find", "--show", file).CombinedOutput()
	if err != nil {
		t.Skipf("no loop devices for this user here: %v %s", err, bytes.TrimSpace(out))
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() { _ = exec.Command("losetup", "--detach", dev).Run() })
	return dev
}

// Reads, writes, zeroes and trims at random, aligned or not, give what a slice of bytes gives.
func TestDataTwin(t *testing.T) {
	const size = 2 << 20
	onReal(t, size, func(t *testing.T, fs osfs.FS, o disk.Options) {
		check(t, disk.Create(fs, o, super()))
		d := must(disk.Open(fs, o))(t)
		twin := make([]byte, size)
		rnd := rand.New(rand.NewPCG(5, 5))
		for i := range 300 {
			off := rnd.Int64N(size)
			n := 1 + rnd.Int64N(min(size-off, 100_000))
			if rnd.IntN(2) == 0 {
				off, n = off&^4095, min((n+4095)&^4095, size-off&^4095)
			}
			p := bytes.Repeat([]byte{byte(i)}, int(n))
			switch rnd.IntN(5) {
			case 0:
				check(t, d.Zero(off, n, true))
				clear(twin[off:][:n])
			case 1:
				check(t, d.Zero(off, n, false))
				clear(twin[off:][:n])
			case 2:
				check(t, d.Trim(off, n))
				clear(twin[off:][:n])
			case 3:
				check(t, d.WriteDurable(p, off))
				copy(twin[off:], p)
			case 4:
				must(d.WriteAt(p, off))(t)
				copy(twin[off:], p)
			}
			from := rnd.Int64N(size)
			got := make([]byte, min(size-from, 200_000))
			must(d.ReadAt(got, from))(t)
			if !bytes.Equal(got, twin[from:][:len(got)]) {
				t.Fatalf("step %d: other bytes than written", i)
			}
			holesAreZero(t, d, twin)
		}
		check(t, d.Sync())
		check(t, d.Close())
		d = must(disk.Open(fs, o))(t)
		got := make([]byte, size)
		must(d.ReadAt(got, 0))(t)
		if !bytes.Equal(got, twin) || len(d.Notes()) > 0 {
			t.Error("other bytes after a restart", d.Notes())
		}
		check(t, d.Close())
	})
}

func holesAreZero(t *testing.T, d *disk.Disk, twin []byte) {
	t.Helper()
	all := must(d.Extents(0, int64(len(twin)), 1000))(t)
	at := int64(0)
	for _, e := range all {
		if e.Hole && len(bytes.Trim(twin[at:][:e.Length], "\x00")) > 0 || e.Length <= 0 {
			t.Fatalf("a hole of %d bytes at %d is none", e.Length, at)
		}
		at += e.Length
	}
	if at != int64(len(twin)) {
		t.Fatalf("extents cover %d of %d bytes", at, len(twin))
	}
}

// A trim gives space back, and an allocated zero keeps it.
func TestHoles(t *testing.T) {
	fs, dir := osfs.OS{}, t.TempDir()
	o := options(filepath.Join(dir, "r0"))
	o.Size = 8 << 20
	check(t, disk.Create(fs, o, super()))
	d := must(disk.Open(fs, o))(t)
	defer d.Close()
	must(d.WriteAt(bytes.Repeat([]byte("x"), 4<<20), 0))(t)
	check(t, d.Trim(1<<20, 1<<20))
	check(t, d.Zero(6<<20, 1<<20, true))
	check(t, d.Sync())
	if all := must(d.Extents(0, 8<<20, 10))(t); len(all) < 3 || all[0].Hole || !all[1].Hole || all[1].Length != 1<<20 {
		t.Logf("%+v", all)
		t.Skip("this file system keeps no holes")
	}
	if one := must(d.Extents(1<<20, 4096, 1))(t); len(one) != 1 || !one[0].Hole || one[0].Length != 4096 {
		t.Errorf("%+v", one)
	}
}

// A block device: its size is its own, it is taken exclusively, and a device that is too small is refused.
func TestBlockDevice(t *testing.T) {
	o := options(loop(t, 16<<20))
	o.Size = 64 << 20
	if err := disk.Create(osfs.OS{}, o, super()); errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), "the device has 16 MiB") {
		t.Error(err)
	}
	o.Size = 0
	check(t, disk.Create(osfs.OS{}, o, super()))
	d := must(disk.Open(osfs.OS{}, o))(t)
	if d.Size() != 16<<20-8192-1<<20-7*4096 {
		t.Errorf("%d bytes of data", d.Size())
	}
	if f, err := os.OpenFile(o.Path, os.O_RDWR|os.O_EXCL, 0); err == nil {
		_ = f.Close()
		t.Error("the device can be mounted while it is in use")
	}
	if _, err := disk.Open(osfs.OS{}, o); errs.KindOf(err) != errs.Conflict {
		t.Error(err)
	}
	check(t, d.Begin(0, 4096))
	d.Bitmap(2).Set(0, 8192)
	d.End(0, 4096)
	check(t, d.Reset())
	check(t, d.Close())
	d = must(disk.Open(osfs.OS{}, o))(t)
	if d.Bitmap(2).Bytes() != 8192 {
		t.Errorf("%d bytes are marked", d.Bitmap(2).Bytes())
	}
	check(t, d.Close())
}
