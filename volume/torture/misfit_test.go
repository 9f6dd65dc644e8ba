package torture

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/control"
	"github.com/takt-ha/takt/volume/daemon"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/meta"
)

// says waits until a node says why it is not connected, with the words in it.
func (x *node) says(words ...string) {
	x.t.Helper()
	why := ""
	x.until("it says why", func(s volume.Status) bool { // it may say in between that the connection was lost
		why = s.Peers[0].Why
		for _, w := range words {
			if !strings.Contains(why, w) {
				return false
			}
		}
		return true
	})
	x.t.Logf("%s: %s", x.name, why)
}

// TestStrangers: a peer with another key, or of another volume that has the same name, is refused with words, and nothing changes.
func TestStrangers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(i int, c *volume.Config)
		words  []string
	}{
		{"key", func(i int, c *volume.Config) {
			if i == 1 {
				c.Net.Secret = "another"
			}
		}, []string{"secret"}},
		{"plain", func(i int, c *volume.Config) { c.Net.Plain = i == 1 }, []string{"tls"}},
		{"volume", func(i int, c *volume.Config) {
			if i == 1 {
				c.ID = "ffffffffffffffff0123456789abcdef"
			}
		}, []string{"another id"}},
		{"volume-plain", func(i int, c *volume.Config) {
			c.Net.Plain = true
			if i == 1 {
				c.ID = "ffffffffffffffff0123456789abcdef"
			}
		}, []string{"identity", "different volumes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := set(t, 2, 4<<20, c.change)
			x[0].start()
			x[0].must(control.Ask{Verb: "primary", Force: true})
			l := newLedger(4 << 20)
			w := write(t, x[0], l, 2, 1)
			w.progress(20)
			before := x[1].content()
			x[1].start()
			x[1].says(c.words...)
			w.progress(20)
			w.stop()
			if s := x[0].status(); s.Peers[0].State >= volume.Connected {
				t.Errorf("a stranger is %v", s.Peers[0].State)
			}
			look(t, x[0], l, false)
			if !bytes.Equal(before, x[1].content()) {
				t.Error("the stranger's disk was written to")
			}
		})
	}
}

// TestSizes: a larger peer is as large as the volume; a smaller one is refused, with words about both.
func TestSizes(t *testing.T) {
	t.Parallel()
	sized := func(a, b int64) func(i int, c *volume.Config) {
		return func(i int, c *volume.Config) { c.Size = []int64{a, b}[i] }
	}
	t.Run("larger", func(t *testing.T) {
		t.Parallel()
		const size = 5<<20 + 12<<10 // no whole extent, no whole word of a bitmap
		x := set(t, 2, 0, sized(size, 140<<20))
		x[0].start()
		x[0].must(control.Ask{Verb: "primary", Force: true})
		l := newLedger(size)
		w := write(t, x[0], l, 2, 1)
		w.progress(20)
		x[1].start()
		x[0].until("in step", inStep)
		w.stop()
		if got := x[1].status().Size; got != size {
			t.Errorf("the larger one has %d bytes", got)
		}
		x[0].demote()
		x[1].promote()
		look(t, x[1], l, false)
		w = write(t, x[1], l, 2, 2)
		w.progress(20)
		x[1].kill() // what counts as different after it must not reach behind the end
		w.stop()
		x[1].start()
		for _, y := range x {
			y.until("in step", inStep)
		}
		x[1].promote()
		look(t, x[1], l, false)
		x[1].until("in step", inStep)
		if a, b := x[0].content(), x[1].content()[:size]; !bytes.Equal(a, b) {
			t.Error("the replicas differ")
		}
	})
	t.Run("smaller", func(t *testing.T) {
		t.Parallel()
		x := set(t, 2, 0, sized(8<<20, 4<<20))
		x[0].start()
		x[0].must(control.Ask{Verb: "primary", Force: true})
		l := newLedger(8 << 20)
		w := write(t, x[0], l, 2, 1)
		w.progress(20)
		before := x[1].content()
		x[1].start()
		for _, y := range x {
			y.says("8.0 MiB", "4.0 MiB")
		}
		w.progress(20)
		w.stop()
		look(t, x[0], l, false)
		if !bytes.Equal(before, x[1].content()) {
			t.Error("the smaller disk was written to")
		}
	})
	t.Run("both fresh", func(t *testing.T) {
		t.Parallel()
		x := begin(t, set(t, 2, 0, sized(8<<20, 4<<20)))
		for _, y := range x {
			if got := y.status().Size; got != 4<<20 {
				t.Errorf("%s: the volume has %d bytes", y.name, got)
			}
		}
	})
}

// lame is a pair of which the second is down, so that its disk may be treated badly.
func lame(t *testing.T) ([]*node, *ledger) {
	t.Helper()
	x := begin(t, set(t, 2, 8<<20, nil))
	l := newLedger(8 << 20)
	w := write(t, x[0], l, 2, 1)
	w.progress(50)
	w.stop()
	look(t, x[0], l, false)
	x[1].kill()
	return x, l
}

// patch changes bytes of a node's disk.
func (x *node) patch(off int64, change func(b []byte), n int) {
	x.t.Helper()
	f, err := os.OpenFile(x.disk(), os.O_RDWR, 0)
	if err != nil {
		x.t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := f.ReadAt(b, off); err != nil && err != io.EOF {
		x.t.Fatal(err)
	}
	change(b)
	if _, err := f.WriteAt(b, off); err != nil {
		x.t.Fatal(err)
	}
}

// super is where a node's superblock is.
func (x *node) super() meta.Layout {
	x.t.Helper()
	s, _, err := disk.Inspect(osfs.OS{}, daemon.DiskOptions(x.cfg))
	if err != nil {
		x.t.Fatal(err)
	}
	return s.Layout
}

// TestBadDisks: what is wrong with a disk is said when it is attached; the disk is left as it is, and the other side goes on.
func TestBadDisks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		evil  func(x, other *node)
		words []string
	}{
		{"newer version", func(x, _ *node) {
			at := x.super().Super
			for _, off := range []int64{at, at + meta.Block} {
				x.patch(off, func(b []byte) {
					binary.LittleEndian.PutUint32(b[8:], 99) // docs/formats/volume.md
					binary.LittleEndian.PutUint32(b[508:], crc32.Checksum(b[:508], crc32.MakeTable(crc32.Castagnoli)))
				}, meta.Block)
			}
		}, []string{"version 99", "Nothing was changed"}},
		{"truncated", func(x, _ *node) {
			if err := os.Truncate(x.disk(), 5<<20); err != nil {
				x.t.Fatal(err)
			}
		}, []string{"disk"}},
		{"gone", func(x, _ *node) {
			if err := os.Remove(x.disk()); err != nil {
				x.t.Fatal(err)
			}
		}, []string{"disk"}},
		{"rot in the superblock", func(x, _ *node) {
			at := x.super().Super
			for _, off := range []int64{at, at + meta.Block} {
				x.patch(off+64, func(b []byte) { b[3] ^= 0x40 }, 16)
			}
		}, []string{"damaged"}},
		{"another node's disk", func(x, other *node) {
			if err := os.WriteFile(x.disk(), other.file(), 0o600); err != nil {
				x.t.Fatal(err)
			}
		}, []string{"node"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x, l := lame(t)
			c.evil(x[1], x[0])
			before := x[1].file()
			x[1].start()
			x[1].until("diskless", func(s volume.Status) bool { return s.Disk == volume.Diskless || s.Disk == volume.Failed })
			log, _ := os.ReadFile(x[1].paths.Log)
			out, err := x[1].try("attach", "r0")
			if err == nil {
				t.Errorf("the disk was attached: %s", out)
			}
			t.Log(out)
			for _, w := range c.words {
				if !strings.Contains(out+string(log), w) {
					t.Errorf("want %q in %s and the log", w, out)
				}
			}
			w := write(t, x[0], l, 2, 2)
			w.progress(20)
			w.stop()
			if !bytes.Equal(before, x[1].file()) {
				t.Error("the disk was written to")
			}
			// The way back: a new replica, resynced from the good one.
			x[1].kill()
			os.Remove(x[1].disk())
			x[1].cli("create", "r0")
			x[1].start()
			x[0].until("in step", inStep)
			look(t, x[0], l, false)
			same(t, x)
		})
	}
}

// TestRot: what rots in the data is found by verify, and mended from the side that is good; in one copy of
// the superblock it is not even noticed; in the bitmap and the activity log it costs a resync and nothing else.
func TestRot(t *testing.T) {
	t.Parallel()
	x, l := lame(t)
	at := x[1].super()
	x[1].patch(2<<20, func(b []byte) { b[7] ^= 1 }, 16)
	x[1].patch(at.Super+64, func(b []byte) { b[3] ^= 0x40 }, 16)
	x[1].patch(at.Actlog+20, func(b []byte) { b[3] ^= 0x40 }, 4096)
	x[1].patch(at.Bitmaps+20, func(b []byte) { b[3] ^= 0x40 }, 64)
	x[1].start()
	for _, y := range x {
		y.until("in step", inStep)
	}
	x[0].must(control.Ask{Verb: "verify"})
	x[0].until("the verify is done", func(s volume.Status) bool { return s.Peers[0].State == volume.Connected && s.Peers[0].Sync == nil })
	mended := x[1].content()[2<<20+7]
	if found := x[0].status().Peers[0].Found; found == 0 && mended != x[0].content()[2<<20+7] {
		t.Error("verify found nothing")
	}
	// Without rot in the metadata there is no resync that could mend it unseen.
	x[1].kill()
	x[1].patch(3<<20, func(b []byte) { b[7] ^= 1 }, 16)
	x[1].start()
	for _, y := range x {
		y.until("in step", inStep)
	}
	x[0].must(control.Ask{Verb: "verify"})
	x[0].until("the verify is done", func(s volume.Status) bool { return s.Peers[0].State == volume.Connected && s.Peers[0].Sync == nil })
	if found := x[0].status().Peers[0].Found; found == 0 {
		t.Error("verify found nothing")
	}
	x[0].must(control.Ask{Verb: "disconnect"})
	x[0].must(control.Ask{Verb: "connect"})
	for _, y := range x {
		y.until("in step", inStep)
	}
	look(t, x[0], l, false)
	same(t, x)
}

// TestFull: a backing file whose file system is full. The side that has no room lets go of its disk, nothing is lost, and
// with room it comes back.
func TestFull(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, for a small tmpfs")
	}
	for full := range 2 {
		small := t.TempDir()
		if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=3m"); err != nil {
			t.Skipf("no tmpfs can be mounted: %v", err)
		}
		t.Cleanup(func() { unix.Unmount(small, unix.MNT_DETACH) })
		x := begin(t, set(t, 2, 8<<20, func(i int, c *volume.Config) {
			if i == full {
				for k := range c.Nodes {
					c.Nodes[k].Disk = filepath.Join(small, "disk")
				}
			}
		}))
		l := newLedger(8 << 20)
		w := write(t, x[0], l, 4, 1)
		x[full].until("it lets go of its disk", func(s volume.Status) bool { return s.Disk == volume.Diskless || s.Disk == volume.Failed })
		w.progress(100) // nobody hears of an error
		if err := unix.Mount("tmpfs", small, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
			t.Fatal(err)
		}
		x[full].must(control.Ask{Verb: "attach"})
		for _, y := range x {
			y.until("in step", inStep)
		}
		w.stop()
		for _, y := range x {
			y.until("in step", inStep)
		}
		look(t, x[0], l, false)
		same(t, x)
		for _, y := range x {
			y.kill()
		}
	}
}
