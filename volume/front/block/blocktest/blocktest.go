// Package blocktest holds the tests that every front end with a real block device has to pass.
// They need root and are skipped, with the reason, where the machine cannot do it.
package blocktest

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/front/block"
	"github.com/takt-ha/takt/volume/front/fronttest"
)

// patience bounds each wait for something that comes soon on a machine that has time. A program that makes a namespace of mounts while a
// test has something mounted (ip netns exec, unshare) holds the device as long as it lives.
const patience = 3 * time.Minute

// Volume returns a volume of its own for a test, or skips it where f cannot be used.
func Volume(t *testing.T, f block.Front) block.Volume {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make block devices")
	}
	if err := f.Usable(); err != nil {
		t.Skip(err)
	}
	v := block.Volume{Name: "test", Run: t.TempDir(), Log: slog.New(slog.DiscardHandler), Generation: func() string { return "1" }}
	v.Socket = filepath.Join(v.Run, "test.nbd")
	return v
}

// Attach attaches dev and sees to it that nothing is left of it after the test.
func Attach(t *testing.T, f block.Front, v block.Volume, dev front.Device) block.Attached {
	t.Helper()
	if err := f.Clean(v); err != nil {
		t.Fatal(err)
	}
	a, err := f.Attach(v, dev)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Somebody may look at all devices of the machine just now, as udev does.
		if users, err := block.AwaitFree(a.Path(), patience); err != nil || len(users) > 0 {
			t.Error("users at the end:", users, err)
		}
		if err := a.Detach(); err != nil {
			t.Error(err)
		}
		if list, err := exec.Command("losetup", "-a").Output(); err == nil && strings.Contains(string(list), v.Tag()) {
			t.Errorf("%s is still there:\n%s", a.Path(), list)
		}
	})
	return a
}

// Run runs all tests.
func Run(t *testing.T, f block.Front) {
	t.Run("filesystem", func(t *testing.T) { filesystem(t, f) })
	t.Run("verify", func(t *testing.T) { verify(t, f) })
	t.Run("flush", func(t *testing.T) { flush(t, f) })
	t.Run("holes", func(t *testing.T) { holes(t, f) })
	t.Run("busy", func(t *testing.T) { busy(t, f) })
	t.Run("frozen", func(t *testing.T) { frozen(t, f) })
}

// File returns a device over a file in memory, if /dev/shm is there.
func File(t *testing.T, size int64) *fronttest.File {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "block")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	dev, err := fronttest.Open(filepath.Join(dir, "disk"), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// run runs a program, or skips the test where it is not installed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// mount mounts the device until the end of the test, or until the returned function is called.
func mount(t *testing.T, device string) (string, func()) {
	t.Helper()
	at := t.TempDir()
	if err := unix.Mount(device, at, "ext4", 0, ""); err != nil {
		t.Fatal(err)
	}
	mounted := true
	off := func() {
		if mounted {
			mounted = false
			if err := unix.Unmount(at, 0); err != nil {
				t.Error(err)
				_ = unix.Unmount(at, unix.MNT_DETACH)
			}
		}
	}
	t.Cleanup(off)
	return at, off
}

// A filesystem on the device keeps what is written, is whole, and grows.
func filesystem(t *testing.T, f block.Front) {
	v, dev := Volume(t, f), File(t, 64<<20)
	grown := &resized{File: dev}
	grown.size.Store(48 << 20)
	a := Attach(t, f, v, grown)
	run(t, "mkfs.ext4", "-q", a.Path())
	at, off := mount(t, a.Path())
	want := bytes.Repeat([]byte("every acknowledged write is there\n"), 100_000)
	if err := os.WriteFile(filepath.Join(at, "file"), want, 0o600); err != nil {
		t.Fatal(err)
	}
	grown.size.Store(64 << 20)
	switch err := a.Follow(); {
	case errors.Is(err, block.ErrStays):
		t.Log(err)
	case err != nil:
		t.Fatal(err)
	default:
		at, off = resize(t, a.Path(), at, off)
		var fs unix.Statfs_t
		if err := unix.Statfs(at, &fs); err != nil || int64(fs.Blocks)*fs.Bsize < 50<<20 {
			t.Errorf("the filesystem has not grown: %d blocks of %d bytes, %v", fs.Blocks, fs.Bsize, err)
		}
	}
	off()
	run(t, "fsck.ext4", "-fn", a.Path())
	at, _ = mount(t, a.Path())
	if got, err := os.ReadFile(filepath.Join(at, "file")); err != nil || !bytes.Equal(got, want) {
		t.Error("the file is not what was written", err)
	}
}

// resize grows the filesystem as it is mounted, or unmounted where a container may not do that.
func resize(t *testing.T, device, at string, off func()) (string, func()) {
	t.Helper()
	out, err := exec.Command("resize2fs", device).CombinedOutput()
	switch {
	case err == nil:
		return at, off
	case !strings.Contains(string(out), "Permission denied"):
		t.Fatalf("resize2fs: %v\n%s", err, out)
	}
	off()
	run(t, "fsck.ext4", "-fp", device)
	run(t, "resize2fs", device)
	return mount(t, device)
}

type resized struct {
	*fronttest.File
	size atomic.Int64
}

func (r *resized) Size() int64 { return r.size.Load() }

// Many writes at once, all sizes, verified by fio.
func verify(t *testing.T, f block.Front) {
	v := Volume(t, f)
	a := Attach(t, f, v, File(t, 64<<20))
	run(t, "fio", "--name=verify", "--filename="+a.Path(), "--direct=1", "--ioengine=libaio", "--iodepth=32", "--rw=randrw", "--bsrange=4k-512k",
		"--size=64M", "--numjobs=1", "--verify=crc32c", "--do_verify=1", "--verify_fatal=1")
	run(t, "fio", "--name=jobs", "--filename="+a.Path(), "--direct=1", "--ioengine=psync", "--rw=randwrite", "--bs=4k",
		"--size=16M", "--numjobs=4", "--offset_increment=16M", "--verify=crc32c", "--do_verify=1", "--verify_fatal=1")
}

// counted counts flushes.
type counted struct {
	front.Device
	flushes chan struct{}
}

func (c *counted) Submit(batch []*front.Request) {
	for _, r := range batch {
		if r.Op == front.Flush || r.FUA {
			select {
			case c.flushes <- struct{}{}:
			default:
			}
		}
	}
	c.Device.Submit(batch)
}

// fsync(2) on a file of a filesystem reaches the device.
func flush(t *testing.T, f block.Front) {
	v := Volume(t, f)
	c := &counted{Device: File(t, 64<<20), flushes: make(chan struct{}, 1)}
	a := Attach(t, f, v, c)
	run(t, "mkfs.ext4", "-q", a.Path())
	at, _ := mount(t, a.Path())
	file, err := os.Create(filepath.Join(at, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unix.Sync()
	for len(c.flushes) > 0 {
		<-c.flushes
	}
	if _, err := file.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	if len(c.flushes) == 0 {
		t.Error("fsync returned, but the device was not told to flush")
	}
}

// Discards free space, and what was discarded reads as zeroes.
func holes(t *testing.T, f block.Front) {
	v, dev := Volume(t, f), File(t, 16<<20)
	a := Attach(t, f, v, dev)
	run(t, "dd", "if=/dev/urandom", "of="+a.Path(), "bs=1M", "count=16", "oflag=direct")
	run(t, "blkdiscard", "-o", "4M", "-l", "4M", a.Path())
	run(t, "blkdiscard", "-z", "-o", "9M", "-l", "1M", a.Path())
	all, err := dev.Content()
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range [][]byte{all[4<<20 : 8<<20], all[9<<20 : 10<<20]} {
		if len(bytes.Trim(piece, "\x00")) > 0 {
			t.Error("what was discarded does not read as zeroes")
		}
	}
	if extents, err := dev.Extents(4<<20, 4<<20, 1); err != nil || !extents[0].Hole {
		t.Error("the discard did not free anything", extents, err)
	}
}

// Users names mounts and processes.
func busy(t *testing.T, f block.Front) {
	v := Volume(t, f)
	a := Attach(t, f, v, File(t, 64<<20))
	if users, err := block.AwaitFree(a.Path(), patience); err != nil || len(users) > 0 {
		t.Fatal("a fresh device is in use:", users, err)
	}
	run(t, "mkfs.ext4", "-q", a.Path())
	at, off := mount(t, a.Path())
	if users, err := block.Users(a.Path()); err != nil || len(users) != 1 || users[0] != "it is mounted on "+at {
		t.Error("users of a mounted device:", users, err)
	}
	off()
	cat := exec.Command("sleep", "60")
	in, err := os.Open(a.Path())
	if err != nil {
		t.Fatal(err)
	}
	cat.Stdin = in
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	users, err := block.Users(a.Path())
	if err != nil || len(users) != 1 || !strings.Contains(users[0], "(sleep) has it open") {
		t.Error("users of an open device:", users, err)
	}
	_ = cat.Process.Kill()
	_ = cat.Wait()
	if users, err := block.AwaitFree(a.Path(), patience); err != nil || len(users) > 0 {
		t.Error("users after all:", users, err)
	}
}

// While requests are kept, WriteBack gives up in time and others go on; then all is done.
func frozen(t *testing.T, f block.Front) {
	v := Volume(t, f)
	held := fronttest.Hold(File(t, 16<<20))
	var stop func()
	t.Cleanup(func() { stop() }) // when the device has gone: what waits after WriteBack has given up is answered, too
	stop = letThrough(held)      // the kernel looks for partitions of a new device
	a := Attach(t, f, v, held)
	out, err := os.OpenFile(a.Path(), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stop()
	stop = func() {}
	if _, err := out.WriteAt(make([]byte, 4096), 0); err != nil { // into the page cache
		t.Fatal(err)
	}
	if err := block.WriteBack(a.Path(), 100*time.Millisecond); err == nil {
		t.Error("a frozen volume was written back")
	}
	over := make(chan error, 1)
	go func() { over <- out.Sync() }()
	stop = letThrough(held)
	select {
	case err := <-over:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("a sync did not end after the volume had thawed")
	}
}

// letThrough answers all requests until the returned function is called.
func letThrough(held *fronttest.Held) (freeze func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-held.Some():
				held.Release(0, nil)
			}
		}
	}()
	return func() { close(stop); <-done }
}
