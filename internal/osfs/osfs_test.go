package osfs_test

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/takt-ha/takt/internal/osfs"
)

// The same contract on the real disk and on its twin.
func TestContract(t *testing.T) {
	mem := osfs.NewMem()
	for name, disk := range map[string]osfs.FS{"os": osfs.OS{}, "mem": mem, "faulty": osfs.NewFaulty(mem)} {
		t.Run(name, func(t *testing.T) { contract(t, disk, filepath.Join(t.TempDir(), "a", "b")) })
	}
}

func contract(t *testing.T, disk osfs.FS, dir string) {
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "file")
	if _, err := disk.ReadDir("list", dir); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "list: ") {
		t.Errorf("missing folder: %v", err)
	}
	check(disk.MkdirAll("mkdir", dir, 0o755))
	_, err := disk.OpenFile("open", path, os.O_RDWR, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	f, err := disk.OpenFile("open", path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	check(err)
	_, err = f.Write([]byte("hello world"))
	check(err)
	_, err = f.WriteAt([]byte("J"), 0)
	check(err)
	off, err := f.Seek(-5, io.SeekEnd)
	check(err)
	rest, err := io.ReadAll(f)
	check(err)
	if off != 6 || string(rest) != "world" {
		t.Errorf("at %d %q", off, rest)
	}
	check(f.Truncate(5))
	if _, err := f.ReadAt(make([]byte, 9), 0); err != io.EOF {
		t.Errorf("short read: %v", err)
	}
	check(f.Sync())
	fi, err := f.Stat()
	check(err)
	if fi.Size() != 5 {
		t.Errorf("size %d", fi.Size())
	}
	check(f.Close())
	if _, err := f.Write(nil); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if _, err := disk.OpenFile("open", path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("exclusive: %v", err)
	}
	check(disk.Rename("mv", path, path+"2"))
	check(osfs.WriteFile(disk, "save", path, []byte("one"), 0o600))
	check(osfs.WriteFile(disk, "save", path, []byte("two"), 0o600))
	b, err := disk.ReadFile("read", path)
	check(err)
	es, err := disk.ReadDir("list", dir)
	check(err)
	if string(b) != "two" || len(es) != 2 || es[0].Name() != "file" || es[1].Name() != "file2" {
		t.Errorf("%q, %v", b, es)
	}
	check(disk.Remove("rm", path))
	if err := disk.Remove("rm", path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("second removal: %v", err)
	}
	if _, err := disk.Stat("stat", path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat: %v", err)
	}
	check(disk.SyncDir("sync", dir))
}

// WriteFile leaves the old or the new content, whichever operation fails and
// whatever of it reached the disk.
func TestWriteFileIsAtomic(t *testing.T) {
	full := syscall.ENOSPC
	for n := 1; ; n++ {
		for seed := range uint64(5) {
			mem := osfs.NewMem()
			disk := osfs.NewFaulty(mem)
			if err := osfs.WriteFile(disk, "save", "/f", []byte(strings.Repeat("old", 500)), 0o600); err != nil {
				t.Fatal(err)
			}
			before := disk.Ops()
			disk.FailAt(n, full, seed%2 == 0)
			err := osfs.WriteFile(disk, "save", "/f", []byte(strings.Repeat("new", 500)), 0o600)
			if err != nil && !errors.Is(err, full) {
				t.Fatal(err)
			}
			mem.Crash(rand.New(rand.NewPCG(seed, uint64(n))))
			b, rerr := mem.ReadFile("read", "/f")
			if rerr != nil || strings.Trim(string(b), "old") != "" && strings.Trim(string(b), "new") != "" || len(b) != 1500 {
				t.Fatalf("operation %d: %v, %d bytes", n, rerr, len(b))
			}
			if err == nil && b[0] != 'n' {
				t.Fatalf("operation %d: the new content was confirmed and lost", n)
			}
			if err == nil && n > disk.Ops()-before {
				return // past the last operation
			}
		}
	}
}

func TestCrashForgets(t *testing.T) {
	mem := osfs.NewMem()
	f, err := mem.OpenFile("open", "/f", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write([]byte("synced"))
	_ = f.Sync()
	_ = mem.SyncDir("dir", "/")
	_, _ = f.Write([]byte(" and not"))
	_, _ = mem.OpenFile("open", "/unsynced-name", os.O_RDWR|os.O_CREATE, 0o600)
	mem.Crash(nil)
	if b, _ := mem.ReadFile("read", "/f"); string(b) != "synced" {
		t.Errorf("%q", b)
	}
	if _, err := mem.Stat("stat", "/unsynced-name"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a name survived that was not synced: %v", err)
	}
	if _, err := f.Write(nil); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a file stayed open over a power loss: %v", err)
	}
}
