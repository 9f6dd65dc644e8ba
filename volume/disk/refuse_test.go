package disk_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/meta"
)

func hint(err error) string { return errs.HintOf(err) }

// put writes into a file, made if needed, and makes it at least so long.
func put(t *testing.T, disk osfs.FS, path string, length int64, p []byte, off int64) {
	t.Helper()
	f := must(disk.OpenFile("test", path, 0x42, 0o600))(t) // O_RDWR|O_CREAT
	fi := must(f.Stat())(t)
	if fi.Size() < length {
		check(t, f.Truncate(length))
	}
	must(f.WriteAt(p, off))(t)
	check(t, f.Sync())
	check(t, f.Close())
	check(t, disk.SyncDir("test", filepath.Dir(path)))
}

func get(t *testing.T, disk osfs.FS, path string, p []byte, off int64) {
	t.Helper()
	f := must(disk.OpenFile("test", path, 0, 0))(t)
	if n, err := f.ReadAt(p, off); n != len(p) {
		t.Fatal(err)
	}
	check(t, f.Close())
}

// Create without Force changes nothing where something known is; with it, it goes ahead.
func TestForeignContent(t *testing.T) {
	ours := disk.Options{Volume: "r1", ID: [16]byte{7}, Self: 3, Size: 4 << 20}
	another := super()
	another.Volume = ours.ID
	for name, c := range map[string]struct {
		content string
		at      int64
		want    string
	}{
		"ext4":       {"\x53\xef", 0x438, "ext2, ext3 or ext4"},
		"xfs":        {"XFSB", 0, "XFS"},
		"btrfs":      {"_BHRfS_M", 0x10040, "btrfs"},
		"lvm":        {"LABELONE\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00LVM2 001", 512, "LVM"},
		"luks":       {"LUKS\xba\xbe", 0, "LUKS"},
		"partitions": {"\x55\xaa", 510, "partition table"},
		"drbd":       {"\x83\x74\x02\x6d", 16<<20 - 4096 + 60, "DRBD"},
		"damaged":    {meta.Magic, 16<<20 - 4096, "volume of takt"},
	} {
		for _, path := range []string{"internal", "/meta"} {
			mem := osfs.NewMem()
			o := options("/data")
			o.Size, o.Meta = 8<<20, path
			store := map[bool]string{true: o.Path, false: "/meta"}[path == "internal"]
			put(t, mem, store, 16<<20, []byte(c.content), c.at)
			was := must(mem.ReadFile("test", store))(t)
			err := disk.Create(mem, o, super())
			if errs.KindOf(err) != errs.Exists || !strings.Contains(err.Error(), c.want) || !strings.Contains(hint(err), "--force") {
				t.Errorf("%s, %s: %v; %s", name, path, err, hint(err))
			}
			if !bytes.Equal(was, must(mem.ReadFile("test", store))(t)) {
				t.Errorf("%s, %s: something was changed", name, path)
			}
			o.Force = true
			check(t, disk.Create(mem, o, super()))
			o.Force = false
			check(t, must(disk.Open(mem, o))(t).Close())
			// And what is there now is foreign to another volume.
			o.ID, o.Volume = ours.ID, "r1"
			if err := disk.Create(mem, o, another); errs.KindOf(err) != errs.Exists || !strings.Contains(err.Error(), "01020300") {
				t.Errorf("another volume's metadata: %v", err)
			}
			if _, err := disk.Open(mem, o); errs.KindOf(err) != errs.Conflict || !strings.Contains(err.Error(), "another volume") {
				t.Errorf("another volume's metadata: %v", err)
			}
		}
	}
}

// A file system under external metadata stays: that is how one is brought into a volume.
func TestExternalMetadataKeepsData(t *testing.T) {
	mem := osfs.NewMem()
	o := options("/data")
	o.Meta, o.Size = "/meta", 0
	put(t, mem, "/data", 8<<20, []byte("\x53\xef"), 0x438)
	check(t, disk.Create(mem, o, super()))
	d := must(disk.Open(mem, o))(t)
	b := make([]byte, 2)
	must(d.ReadAt(b, 0x438))(t)
	if string(b) != "\x53\xef" || d.Size() != 8<<20 {
		t.Errorf("%q, %d bytes", b, d.Size())
	}
}

// What Open refuses, with what words, and that it changes nothing.
func TestOpenRefuses(t *testing.T) {
	const size = 8 << 20
	end := int64(size) + meta.Overhead(size)
	newer := func(t *testing.T, mem osfs.FS) {
		b := make([]byte, meta.Block)
		get(t, mem, "/data", b, end-meta.Block)
		b[8]++
		reseal(b)
		put(t, mem, "/data", 0, b, end-meta.Block)
	}
	truncate := func(n int64) func(*testing.T, osfs.FS) {
		return func(t *testing.T, mem osfs.FS) {
			f := must(mem.OpenFile("test", "/data", 2, 0))(t)
			check(t, f.Truncate(n))
			check(t, f.Close())
		}
	}
	junk := bytes.Repeat([]byte{0xaa}, meta.SuperBytes)
	for name, c := range map[string]struct {
		harm        func(*testing.T, osfs.FS)
		options     func(*disk.Options)
		kind        errs.Kind
		words, hint string
	}{
		"newer version": {newer, nil, errs.Invalid, "newer version", "Install"},
		"cut in half":   {truncate(end / 2), nil, errs.NotFound, "no metadata of a volume at its end", "cut off"},
		"cut a little":  {truncate(end - 1), nil, errs.Corrupt, "not where it was written", "cut off"},
		"empty":         {truncate(0), nil, errs.NotFound, "no metadata", "cut off"},
		"overwritten":   {func(t *testing.T, mem osfs.FS) { put(t, mem, "/data", 0, junk, end-meta.SuperBytes) }, nil, errs.NotFound, "no metadata", "restore"},
		"both rotten": {func(t *testing.T, mem osfs.FS) {
			put(t, mem, "/data", 0, []byte("x"), end-4000)
			put(t, mem, "/data", 0, []byte("x"), end-8000)
		}, nil, errs.Corrupt, "superblock is damaged", "full resync"},
		"missing":        {func(t *testing.T, mem osfs.FS) { check(t, mem.Remove("test", "/data")) }, nil, errs.NotFound, "/data", "create"},
		"another node":   {nil, func(o *disk.Options) { o.Self = 2 }, errs.Conflict, "belongs to node 1, this is node 2", "number"},
		"another volume": {nil, func(o *disk.Options) { o.ID[0]++ }, errs.Conflict, "another volume", "Check the path"},
		"external":       {nil, func(o *disk.Options) { o.Meta = "/data" }, errs.Conflict, "in use", "Another process"},
		"al-extents":     {nil, func(o *disk.Options) { o.Extents = 3 }, errs.Invalid, "al-extents 3", ""},
	} {
		mem := osfs.NewMem()
		o := options("/data")
		o.Size = size
		check(t, disk.Create(mem, o, super()))
		if c.harm != nil {
			c.harm(t, mem)
		}
		if c.options != nil {
			c.options(&o)
		}
		was, _ := mem.ReadFile("test", "/data")
		d, err := disk.Open(mem, o)
		if err == nil {
			t.Errorf("%s: opened: %s", name, d.Notes())
			continue
		}
		if errs.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.words) || !strings.Contains(hint(err), c.hint) {
			t.Errorf("%s: %v (%v); %s", name, err, errs.KindOf(err), hint(err))
		}
		if now, _ := mem.ReadFile("test", "/data"); !bytes.Equal(was, now) {
			t.Errorf("%s: something was changed", name)
		}
	}
}

// External metadata and a backing file that is shorter than it says.
func TestTruncatedUnderExternalMetadata(t *testing.T) {
	mem := osfs.NewMem()
	o := options("/data")
	o.Meta, o.Size = "/meta", 8<<20
	check(t, disk.Create(mem, o, super()))
	f := must(mem.OpenFile("test", "/data", 2, 0))(t)
	check(t, f.Truncate(5<<20))
	_, err := disk.Open(mem, o)
	if errs.KindOf(err) != errs.Corrupt || !strings.Contains(err.Error(), "it has 5 MiB (5242880 bytes), the metadata speaks of 8 MiB") {
		t.Error(err)
	}
	check(t, f.Truncate(8<<20))
	d := must(disk.Open(mem, o))(t)
	check(t, f.Truncate(5<<20))
	_, err = d.ReadAt(make([]byte, 4096), 6<<20)
	if !errors.Is(err, syscall.EIO) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off under us: %v", err)
	}
}

func TestOutOfRange(t *testing.T) {
	_, _, _, d := small(t, "internal")
	b := make([]byte, 8192)
	_, read := d.ReadAt(b, before-4096)
	_, write := d.WriteAt(b, before-4096) // would reach the metadata
	_, extents := d.Extents(before-4096, 8192, 5)
	for name, err := range map[string]error{
		"read": read, "write": write, "durable": d.WriteDurable(b, -1), "zero": d.Zero(before, 1, true), "trim": d.Trim(0, 1<<62),
		"extents": extents, "begin": d.Begin(before-4096, 8192),
	} {
		if !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.Begin(0, before+1); err == nil || d.TryBegin(-1, 4) {
		t.Error("begun outside")
	}
}

// A second process, or the same one twice.
func TestLocked(t *testing.T) {
	for name, disk1 := range map[string]osfs.FS{"mem": osfs.NewMem(), "os": osfs.OS{}} {
		dir := "/"
		if name == "os" {
			dir = t.TempDir()
		}
		o := options(filepath.Join(dir, "data"))
		o.Size, o.Meta = 1<<20, filepath.Join(dir, "meta")
		check(t, disk.Create(disk1, o, super()))
		d := must(disk.Open(disk1, o))(t)
		_, err := disk.Open(disk1, o)
		if errs.KindOf(err) != errs.Conflict || !errors.Is(err, osfs.ErrLocked) {
			t.Errorf("%s: %v", name, err)
		}
		o.Force = true
		if err := disk.Create(disk1, o, super()); !errors.Is(err, osfs.ErrLocked) {
			t.Errorf("%s: create: %v", name, err)
		}
		if _, whole, err := disk.Inspect(disk1, o); err != nil || !whole {
			t.Errorf("%s: inspect: %v", name, err)
		}
		check(t, d.Close())
		check(t, d.Close())
		check(t, must(disk.Open(disk1, o))(t).Close())
	}
}

func TestCreateRefusesNonsense(t *testing.T) {
	mem := osfs.NewMem()
	check(t, mem.MkdirAll("test", "/dir", 0o755))
	for name, change := range map[string]func(*disk.Options){
		"size":      func(o *disk.Options) { o.Size = 1000 },
		"no size":   func(o *disk.Options) { o.Size = 0 },
		"negative":  func(o *disk.Options) { o.Size = -4096 },
		"extents":   func(o *disk.Options) { o.Extents = 70000 },
		"a folder":  func(o *disk.Options) { o.Path = "/dir" },
		"no folder": func(o *disk.Options) { o.Path = "/none/data" },
		"self":      func(o *disk.Options) { o.Self = 8 },
	} {
		o := options("/new")
		change(&o)
		if err := disk.Create(mem, o, super()); err == nil {
			t.Errorf("%s: created", name)
		}
		if _, err := mem.Stat("test", "/new"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a file was left behind", name)
		}
	}
}
