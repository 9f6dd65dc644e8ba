package disk_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume/disk"
)

// reseal makes the checksum of a superblock right again: see docs/formats/volume.md.
func reseal(b []byte) {
	binary.LittleEndian.PutUint32(b[508:], crc32.Checksum(b[:508], crc32.MakeTable(crc32.Castagnoli)))
}

// Bit rot in each part of the metadata of a crashed primary: what was marked or hot is marked after Open,
// or Open says what is wrong. Never is something clean that was not.
func TestBitRot(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	stride, least := int64(64), 60
	if testing.Short() {
		stride, least = 512, 5
	}
	for _, place := range []string{"internal", "/meta"} {
		mem, _, o, d := small(t, place)
		layout := d.Super().Layout
		check(t, d.Begin(1<<20, 4096))
		mem.Crash(nil)
		path := map[bool]string{true: o.Path, false: o.Meta}[place == "internal"]
		image := must(mem.ReadFile("test", path))(t)
		data := must(mem.ReadFile("test", o.Path))(t)
		start, end := min(layout.Super, layout.Bitmaps), layout.End()
		noted, refused := 0, 0
		for at := start; at < end; at += 512 * (1 + rnd.Int64N(stride)) {
			for _, harm := range []func([]byte){
				func(b []byte) { b[rnd.IntN(512)] ^= 1 << rnd.IntN(8) },
				func(b []byte) { clear(b[:512]) },
				func(b []byte) { copy(b[:512], bytes.Repeat([]byte{0xff}, 512)) },
			} {
				broken := bytes.Clone(image)
				harm(broken[at:])
				fs := osfs.NewMem()
				put(t, fs, o.Path, 0, data, 0)
				put(t, fs, path, 0, broken, 0)
				d, err := disk.Open(fs, o)
				if err != nil {
					refused++
					t.Errorf("%s: damage at %d: %v", place, at-start, err)
					continue
				}
				if !d.Bitmap(0).Any(0, 1) || !d.Bitmap(2).Any(4<<20, 1) || !d.Bitmap(2).Any(1<<20, 1) || !d.Super().Crashed {
					t.Errorf("%s: damage at %d: something is clean that was not", place, at-start)
				}
				if len(d.Notes()) > 0 {
					noted++
				}
				check(t, d.Close())
				if d := must(disk.Open(fs, o))(t); len(d.Notes()) > 0 {
					t.Errorf("%s: damage at %d is still there: %s", place, at-start, d.Notes())
				}
			}
		}
		if noted < least {
			t.Errorf("only %d times damage was noted", noted)
		}
	}
}

// The backing file is sparse and its file system full.
func TestNoSpace(t *testing.T) {
	_, fs, _, d := small(t, "internal")
	full := func(op, _ string) bool {
		return op == "volume.data.open/write" || op == "volume.data.open/allocate"
	}
	fs.FailIf(full, syscall.ENOSPC)
	if _, err := d.WriteAt(make([]byte, 4096), 0); err == nil {
		t.Fatal("no error")
	}
	d.Bitmap(2).Set(3<<20, 4096)
	if err := d.SaveBitmaps(); err == nil {
		t.Fatal("no error")
	}
	fs.Heal()
	// Space again: nothing was forgotten.
	check(t, d.SaveBitmaps())
	d2 := reopen(t, d, fs)
	if !d2.Bitmap(2).Any(3<<20, 1) {
		t.Error("a mark is lost")
	}
	o := options("/other")
	fs.FailIf(full, syscall.ENOSPC)
	if err := disk.Create(fs, o, super()); err == nil {
		t.Error("created without space for the metadata")
	}
	if _, err := fs.Stat("test", "/other"); err == nil {
		t.Error("a file was left behind")
	}
}

// reopen cuts the power between.
func reopen(t *testing.T, d *disk.Disk, fs osfs.FS) *disk.Disk {
	t.Helper()
	o := options(d.Path())
	o.Size = d.Size()
	_ = d.Close()
	return must(disk.Open(fs, o))(t)
}

// A page that could not be made durable is written again, although nothing was marked since.
func TestFailedSyncForgetsNoMark(t *testing.T) {
	for _, call := range []string{"sync", "write"} {
		mem, fs, o, d := small(t, "internal")
		d.Bitmap(0).Set(3<<20, 4096) // its bitmap is on disk
		d.Bitmap(2).Set(3<<20, 4096) // this one's is not
		fs.FailIf(func(op, _ string) bool { return op == "volume.data.open/"+call }, syscall.EIO)
		if d.SaveBitmaps() == nil {
			t.Fatal("no error")
		}
		fs.Heal()
		check(t, d.SaveBitmaps())
		mem.Crash(nil)
		d = must(disk.Open(fs, o))(t)
		if !d.Bitmap(0).Any(3<<20, 1) || !d.Bitmap(2).Any(3<<20, 1) {
			t.Errorf("%s: a mark is lost", call)
		}
	}
}

// A log that could not be written: hot extents go on, new ones are refused for good.
func TestBrokenLog(t *testing.T) {
	mem, fs, o, d := small(t, "internal")
	fs.FailIf(func(op, _ string) bool { return op == "volume.data.open/write" }, syscall.EIO)
	if d.Begin(0, 4096) == nil {
		t.Fatal("begun")
	}
	fs.Heal()
	if d.Begin(0, 4096) == nil || d.Reset() == nil || d.Grow(after) == nil {
		t.Error("the log is used although nobody knows what is on disk")
	}
	check(t, d.Begin(4<<20, 4096))
	mem.Crash(rand.New(rand.NewPCG(3, 3)))
	if d := must(disk.Open(fs, o))(t); !d.Bitmap(2).Any(4<<20, 1) {
		t.Error("the hot extent is not marked")
	}
}
