package osfs_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/takt-ha/takt/internal/osfs"
)

// openDevice makes a file of 64 KiB of 'x' in the middle of 192 KiB.
func openDevice(t *testing.T, disk osfs.FS, path string) osfs.Device {
	t.Helper()
	f, err := disk.OpenFile("open", path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	d, ok := f.(osfs.Device)
	if !ok {
		t.Fatalf("%T is no device", f)
	}
	if err := errors.Join(f.Truncate(192<<10), write(f, bytes.Repeat([]byte("x"), 64<<10), 64<<10), f.Sync()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return d
}

func write(f osfs.File, p []byte, off int64) error {
	_, err := f.WriteAt(p, off)
	return err
}

// The same contract for devices on a disk, in memory, and in a Mem.
func TestDeviceContract(t *testing.T) {
	places := map[string]string{"os": t.TempDir()}
	if dir, err := os.MkdirTemp("/dev/shm", "takt-test"); err == nil {
		places["tmpfs"] = dir
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	for name, dir := range places {
		t.Run(name, func(t *testing.T) { deviceContract(t, osfs.OS{}, filepath.Join(dir, "f"), name == "tmpfs") })
	}
	mem := osfs.NewMem()
	t.Run("mem", func(t *testing.T) { deviceContract(t, mem, "/f", true) })
	t.Run("faulty", func(t *testing.T) { deviceContract(t, osfs.NewFaulty(mem), "/g", true) })
}

func deviceContract(t *testing.T, disk osfs.FS, path string, inMemory bool) {
	d := openDevice(t, disk, path)
	supported := func(err error) bool {
		t.Helper()
		if err != nil && !errors.Is(err, osfs.ErrUnsupported) {
			t.Error(err)
		}
		return err == nil
	}
	at := func(off int64) byte {
		b := make([]byte, 1)
		if _, err := d.ReadAt(b, off); err != nil {
			t.Error(err)
		}
		return b[0]
	}
	if n, err := d.Capacity(); n != 192<<10 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	cached := make([]byte, 8)
	switch got := d.ReadCached(cached, 64<<10-4); {
	case got && string(cached) != "\x00\x00\x00\x00xxxx":
		t.Errorf("from the cache: %q", cached)
	case !got && path == "/f": // of Mem; the kernel's tmpfs has no such reads, and need not
		t.Error("Mem has everything at hand")
	}
	if d.ReadCached(cached, 192<<10-4) {
		t.Error("read beyond the end")
	}
	if d.InMemory() != inMemory {
		t.Errorf("in memory: %v", d.InMemory())
	}
	if start, end, err := d.NextData(0); err != nil || start > 64<<10 || end < 128<<10 {
		t.Errorf("data from %d to %d, %v", start, end, err)
	}
	if start, _, err := d.NextData(300 << 10); err != nil || start != 192<<10 {
		t.Errorf("after the end: %d, %v", start, err)
	}
	if supported(d.Punch(64<<10, 4096)) && (at(64<<10) != 0 || at(68<<10) != 'x') {
		t.Error("not punched")
	}
	if supported(d.Zero(72<<10, 4096)) && (at(72<<10) != 0 || at(76<<10) != 'x') {
		t.Error("not zeroed")
	}
	supported(d.Punch(188<<10, 8192))
	supported(d.Zero(188<<10, 8192))
	supported(d.Allocate(0, 64<<10))
	if n, _ := d.Capacity(); n != 192<<10 {
		t.Errorf("the length became %d", n)
	}
	if n, err := d.WriteAtDurable([]byte("durable"), 80<<10); supported(err) && (n != 7 || at(80<<10) != 'd') {
		t.Error("not written")
	}
	if err := errors.Join(d.SyncData(), d.Lock()); err != nil {
		t.Error(err)
	}
	lockTwice(t, disk, path, d)
}

// lockTwice: the lock belongs to who opened the file, and goes with it.
func lockTwice(t *testing.T, disk osfs.FS, path string, d osfs.Device) {
	f, err := disk.OpenFile("open", path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.(osfs.Device).Lock(); !errors.Is(err, osfs.ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}
	if err := errors.Join(d.Lock(), d.Close(), f.(osfs.Device).Lock()); err != nil {
		t.Errorf("after the first one was closed: %v", err)
	}
}

// A durable write survives whatever is left of the writes before it, and takes nothing else along.
func TestDurableWriteInMem(t *testing.T) {
	for seed := range uint64(200) {
		mem := osfs.NewMem()
		f, err := mem.OpenFile("open", "/f", os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_ = mem.SyncDir("dir", "/")
		_ = write(f, bytes.Repeat([]byte("a"), 4096), 0)
		_ = f.Sync()
		_ = write(f, bytes.Repeat([]byte("b"), 3072), 512)
		if _, err := f.(osfs.Device).WriteAtDurable(bytes.Repeat([]byte("c"), 1024), 1024); err != nil {
			t.Fatal(err)
		}
		rnd := rand.New(rand.NewPCG(seed, 0))
		if seed == 0 {
			rnd = nil
		}
		mem.Crash(rnd)
		b, _ := mem.ReadFile("read", "/f")
		if string(b[1024:2048]) != string(bytes.Repeat([]byte("c"), 1024)) || len(b) != 4096 {
			t.Fatalf("seed %d: the durable write is lost", seed)
		}
		if rnd == nil && bytes.Contains(b, []byte("b")) {
			t.Error("another write became durable with it")
		}
	}
}
