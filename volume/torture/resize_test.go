package torture

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/control"
	"github.com/takt-ha/takt/volume/front/block"
	"github.com/takt-ha/takt/volume/front/fuse"
	"github.com/takt-ha/takt/volume/front/knbd"
	"github.com/takt-ha/takt/volume/front/ublk"
)

// TestResize grows a volume under writes, by little and by much, with internal metadata, which moves, and external: nobody loses
// his disk, what was written is there, and what is new can be written and is on both.
func TestResize(t *testing.T) {
	t.Parallel()
	n, rnd := seed(t)
	x := set(t, 2, 6<<20, func(i int, c *volume.Config) {
		if rnd.IntN(2) == 0 {
			c.Nodes[i].Meta = c.Nodes[i].Disk + ".meta"
		}
	})
	begin(t, x)
	l := newLedger(6 << 20)
	w := write(t, x[0], l, 4, n)
	w.progress(50)
	for _, size := range []int64{6<<20 + 4096, 6<<20 + 8192, 9 << 20, 150 << 20} {
		x[0].must(control.Ask{Verb: "resize", Size: size})
		w.progress(20)
		for _, y := range x {
			y.until("it is larger, and in step", func(s volume.Status) bool { return s.Size == size && inStep(s) })
		}
	}
	w.stop()
	look(t, x[0], l, false)
	const size = 150 << 20
	for _, y := range x {
		y.until("in step", inStep)
		y.cfg.Size = size
	}
	same(t, x)
	x[0].kill()
	x[1].promote()
	c, err := dial(x[1].paths.NBD)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if c.size != size {
		t.Errorf("the volume has %d bytes", c.size)
	}
	data := readAll(t, x[1].name, c, size)
	if err := l.check(data[:l.size()], false, true); err != nil {
		t.Error(err)
	}
	if len(bytes.Trim(data[l.size():], "\x00")) > 0 {
		t.Error("what is new does not read as zeroes")
	}
}

// TestResizeMounted grows a volume and then the file system that is mounted on its block device, while it is written to.
func TestResizeMounted(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount")
	}
	for _, p := range []string{"mkfs.ext4", "resize2fs"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip(p + " is not installed")
		}
	}
	for _, f := range []block.Front{fuse.Front{}, knbd.Front{}, ublk.Front{}} {
		t.Run(f.Name(), func(t *testing.T) {
			if err := f.Usable(); err != nil {
				t.Skip(err)
			}
			resizeMounted(t, f.Name())
		})
	}
}

func resizeMounted(t *testing.T, front string) {
	const before, after = 32 << 20, 96 << 20
	x := begin(t, set(t, 2, before, func(_ int, c *volume.Config) { c.Front = front }))
	device := x[0].device()
	t.Log(device)
	command(t, "mkfs.ext4", "-q", "-F", device)
	m := x[0].mount()
	m.work()
	for begun := m.logged.Load(); m.logged.Load() < begun+10 && !t.Failed(); {
		pause()
	}
	t.Log(strings.TrimSpace(x[0].cli("resize", "r0", "--size", "96M")))
	stays := sizeOf(t, device) != after
	if stays && front == "ublk" {
		t.Log("this kernel grows no ublk device in use: it has the new size when the volume becomes primary again")
	} else if stays {
		t.Errorf("%s has %d bytes, want %d", device, sizeOf(t, device), int64(after))
	} else if out, err := exec.Command("resize2fs", device).CombinedOutput(); err != nil && strings.Contains(string(out), "Permission denied") {
		t.Log("this container may not grow a mounted file system")
	} else if err != nil {
		t.Errorf("resize2fs: %v: %s", err, out)
	} else if size := x[0].room(m); size < after*8/10 {
		t.Errorf("the file system has %d bytes after it was grown", size)
	}
	for begun := m.logged.Load(); m.logged.Load() < begun+10 && !t.Failed(); {
		pause()
	}
	m.dead.Store(true)
	m.all.Wait()
	m.check(m.logged.Load(), m.rows.Load())
	if err := unix.Unmount(m.at, 0); err != nil {
		t.Fatal(err)
	}
	command(t, "fsck.ext4", "-fn", device)
	x[0].demote() // who has made a namespace of mounts meanwhile has this one, too, as long as it lives
	x[1].promote()
	if size := sizeOf(t, x[1].device()); size != after {
		t.Errorf("%s on the other node has %d bytes, want %d", x[1].device(), size, int64(after))
	}
	command(t, "fsck.ext4", "-fn", x[1].device())
	x[1].demote()
}

// room is how large a mounted file system is.
func (x *node) room(m *mounted) int64 {
	x.t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(m.at, &fs); err != nil {
		x.t.Fatal(err)
	}
	return int64(fs.Blocks) * fs.Bsize
}

// sizeOf is how large a block device is.
func sizeOf(t *testing.T, device string) int64 {
	t.Helper()
	path, err := filepath.EvalSymlinks(device)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("/sys/class/block/" + filepath.Base(path) + "/size")
	if err != nil {
		t.Fatal(err)
	}
	sectors, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return sectors * 512
}
