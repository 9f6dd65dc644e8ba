package disk_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/meta"
)

const (
	before = 6 << 20
	after  = 16 << 20
)

// small makes a crashed primary of 6 MiB with something in it.
func small(t *testing.T, place string) (*osfs.Mem, *osfs.Faulty, disk.Options, *disk.Disk) {
	mem := osfs.NewMem()
	fs := osfs.NewFaulty(mem)
	o := options("/data")
	o.Size, o.Meta = before, place
	check(t, disk.Create(fs, o, super()))
	d := must(disk.Open(fs, o))(t)
	s := d.Super()
	s.Crashed = true
	check(t, d.WriteSuper(s))
	check(t, d.Begin(4<<20, 4096))
	check(t, d.WriteDurable([]byte("kept"), before-4))
	d.Bitmap(0).Set(0, 4096)
	check(t, d.SaveBitmaps())
	return mem, fs, o, d
}

// grown checks what is left after a power loss within or after a Grow to that size.
func grown(t *testing.T, where string, fs osfs.FS, o disk.Options, after int64, done bool) {
	t.Helper()
	d, err := disk.Open(fs, o)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	defer d.Close()
	b := make([]byte, 4)
	must(d.ReadAt(b, before-4))(t)
	switch size := d.Size(); {
	case size != before && size != after || done && size != after:
		t.Errorf("%s: %d bytes", where, size)
	case string(b) != "kept":
		t.Errorf("%s: the data is %q", where, b)
	case !d.Bitmap(0).Any(0, 1) || d.Bitmap(2).Any(0, 1):
		t.Errorf("%s: marks are lost, or came from nowhere", where)
	case !d.Bitmap(2).Any(4<<20, 1) || !d.Bitmap(0).Any(5<<20, 1):
		t.Errorf("%s: the hot extent is not marked", where)
	case size == after && (!d.Bitmap(0).Any(before, 1) || !d.Bitmap(0).Any(after-4096, 1)):
		t.Errorf("%s: what is new is not marked", where)
	case len(d.Notes()) > 1:
		t.Errorf("%s: %s", where, d.Notes())
	}
}

// Each operation of a Grow fails, once or for good, and the power goes: the volume has the old
// size or the new one, and nothing is lost. The configuration says either by then.
func TestGrowInterrupted(t *testing.T) {
	for _, place := range []string{"internal", "/meta"} {
		for _, to := range []int64{before + 8192, after} {
			interrupted(t, place, to)
		}
	}
}

func interrupted(t *testing.T, place string, after int64) {
	t.Helper()
	for n := 1; n < 200; n++ {
		mem, fs, o, d := small(t, place)
		fs.FailAt(n, syscall.EIO, n%2 == 0)
		err := d.Grow(after)
		if n%3 == 0 && err != nil { // no power loss: it goes on as before
			fs.Heal()
			must(d.WriteAt([]byte("on"), before-8))(t)
			_ = d.SaveBitmaps() // fails if nobody knows which size is on disk
		}
		mem.Crash(rand.New(rand.NewPCG(uint64(n), 1)))
		fs.Heal()
		if n%4 < 2 {
			o.Size = after
		}
		grown(t, place, fs, o, after, err == nil)
		if err == nil {
			break
		}
		if n == 199 {
			t.Error("no end")
		}
	}
}

// A failed Grow changes nothing for who goes on; the next one does it.
func TestGrowAgain(t *testing.T) {
	for _, place := range []string{"internal", "/meta"} {
		mem, fs, o, d := small(t, place)
		fs.FailAt(8, syscall.ENOSPC, true)
		if d.Grow(after) == nil || d.Size() != before {
			t.Fatal("it did not fail")
		}
		fs.Heal()
		if d.Bitmap(0).Bytes() != 4096 {
			t.Errorf("%d bytes are marked after a failed Grow", d.Bitmap(0).Bytes())
		}
		check(t, d.Grow(after))
		mem.Crash(nil)
		grown(t, place, fs, o, after, true)
	}
}

func TestGrowRefused(t *testing.T) {
	_, _, _, d := small(t, "internal")
	for size, want := range map[int64]string{
		before - 4096:    "only grows",
		before + 100:     "only grows",
		meta.MaxSize * 2: "only grows",
	} {
		err := d.Grow(size)
		if err == nil || !strings.Contains(hint(err), want) {
			t.Errorf("%d: %v %q", size, err, hint(err))
		}
	}
	check(t, d.Grow(before))
	check(t, d.Grow(0)) // as large as the store, which has not grown
	if d.Size() != before {
		t.Error(d.Size())
	}
}

// A file takes internal metadata along for any growth, however small, and what was metadata reads as zeroes.
func TestGrowLittle(t *testing.T) {
	mem, fs, o, d := small(t, "internal")
	for i := range int64(5) {
		check(t, d.Grow(before+(i+1)*4096))
		b := make([]byte, 4096)
		must(d.ReadAt(b, before+i*4096))(t)
		for _, x := range b {
			if x != 0 {
				t.Fatalf("block %d of what is new holds what was metadata: %x", i, b[:16])
			}
		}
	}
	had := must(fs.Stat("test", o.Path))(t).Size()
	has, could, err := d.Room()
	if err != nil || has < before+5*4096 || could != meta.MaxSize {
		t.Error(has, could, err)
	}
	check(t, d.Grow(0)) // what fits
	check(t, d.Grow(0)) // and no more
	if d.Size() != has || must(fs.Stat("test", o.Path))(t).Size() != had {
		t.Errorf("%d of %d bytes, in a store of %d that was %d", d.Size(), has, must(fs.Stat("test", o.Path))(t).Size(), had)
	}
	mem.Crash(nil)
	grown(t, "little", fs, o, has, true)
}

// device makes a file look like a block device, which has the length that it has.
type device struct{ osfs.FS }

type deviceFile struct{ osfs.Device }

type deviceInfo struct{ fs.FileInfo }

func (deviceInfo) Mode() fs.FileMode { return fs.ModeDevice | 0o600 }

func (d device) Stat(op, name string) (fs.FileInfo, error) {
	fi, err := d.FS.Stat(op, name)
	return deviceInfo{fi}, err
}

func (d device) OpenFile(op, name string, flag int, perm os.FileMode) (osfs.File, error) {
	f, err := d.FS.OpenFile(op, name, flag&^os.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	return deviceFile{f.(osfs.Device)}, nil
}

func (f deviceFile) Stat() (fs.FileInfo, error) {
	fi, err := f.Device.Stat()
	return deviceInfo{fi}, err
}

func (deviceFile) Truncate(int64) error { return syscall.EINVAL }

// A block device has room for what its metadata can be moved for, or grow in its place for, and says so before anything is tried.
func TestGrowDevice(t *testing.T) {
	lengthen := func(fs osfs.FS, o disk.Options, size int64) {
		f := must(fs.OpenFile("test", o.Path, os.O_RDWR, 0))(t)
		check(t, f.Truncate(size))
		check(t, f.Close())
	}
	_, fs, o, d := small(t, "internal")
	check(t, d.Close())
	was := int64(before) + meta.Overhead(before)
	for _, c := range []struct{ longer, has int64 }{
		{0, before},
		{4096, before},
		{meta.Overhead(before) - 4096, before},
		{meta.Overhead(before), before + meta.Overhead(before)},
	} {
		lengthen(fs, o, was+c.longer)
		d = must(disk.Open(device{fs}, o))(t)
		has, could, err := d.Room()
		if err != nil || has != c.has || could != c.has {
			t.Errorf("longer by %d: room for %d, perhaps %d, want %d: %v", c.longer, has, could, c.has, err)
		}
		if err := d.Grow(c.has + 4096); err == nil || d.Size() != before {
			t.Errorf("longer by %d: it grew beyond its room, to %d: %v", c.longer, d.Size(), err)
		} else if c.has == before && !strings.Contains(hint(err), bytesMissing(was, c.longer, c.has+4096)) {
			t.Errorf("longer by %d: %v %q", c.longer, err, hint(err))
		}
		check(t, d.Close())
	}
	d = must(disk.Open(device{fs}, o))(t)
	check(t, d.Grow(0))
	if d.Size() != before+meta.Overhead(before) {
		t.Error(d.Size())
	}
	check(t, d.Close())
	check(t, must(disk.Open(device{fs}, o))(t).Close())
}

func bytesMissing(was, longer, size int64) string {
	return fmt.Sprintf("(%d bytes) more", meta.Overhead(size)-longer)
}

// A store that grew while nobody looked: the metadata is found where the end was.
func TestStoreGrewOffline(t *testing.T) {
	for _, size := range []int64{0, before} {
		_, fs, o, d := small(t, "internal")
		check(t, d.Close())
		f := must(fs.OpenFile("test", o.Path, 2, 0))(t)
		check(t, f.Truncate(24<<20))
		check(t, f.Close())
		o.Size = size
		d = must(disk.Open(fs, o))(t)
		check(t, d.Grow(0))
		if d.Size() != meta.Largest(24<<20) || d.Size()%volume.BlockSize != 0 {
			t.Error(d.Size())
		}
		check(t, d.Close())
		check(t, must(disk.Open(fs, o))(t).Close())
	}
}
