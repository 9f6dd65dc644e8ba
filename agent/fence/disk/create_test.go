package disk_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent/fence/disk"
	"github.com/takt-ha/takt/internal/osfs"
)

// file makes a file of that size with something at an offset.
func file(t *testing.T, size int64, offset int64, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	if err == nil {
		_, err = f.WriteAt([]byte(text), offset)
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCreateRefuses(t *testing.T) {
	const large = 2 << 20
	for _, c := range []struct{ name, path, want string }{
		{"ext4", file(t, large, 1080, "\x53\xef"), "ext4"}, {"XFS", file(t, large, 0, "XFSB"), "XFS"}, {"Btrfs", file(t, large, 0x10040, "_BHRfS_M"), "Btrfs"},
		{"LUKS", file(t, large, 0, "LUKS\xba\xbe"), "LUKS"}, {"LVM", file(t, large, 512, "LABELONE"), "LVM"}, {"swap", file(t, large, 4086, "SWAPSPACE2"), "swap"},
		{"GPT", file(t, large, 512, "EFI PART"), "GPT"}, {"SBD", file(t, large, 0, "SBD_SBD_"), "an SBD device"}, {"unknown", file(t, large, 70000, "x"), "unknown kind (at byte 70000"},
		{"too small", file(t, 4096, 0, ""), "too small"}, {"folder", t.TempDir(), "is a folder"},
	} {
		before, _ := os.ReadFile(c.path)
		good := file(t, large, 0, "")
		_, err := disk.NewSet(disk.Options{}, good, c.path).Create(t.Context(), disk.CreateOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if after, _ := os.ReadFile(c.path); string(after) != string(before) {
			t.Errorf("%s: it was written to", c.name)
		}
		// Nor was the one before it, that is good.
		if data, err := os.ReadFile(good); err != nil || strings.Trim(string(data), "\x00") != "" {
			t.Errorf("%s: the other disk was written to: %v", c.name, err)
		}
	}
}

func TestCreate(t *testing.T) {
	path := file(t, 2<<20, 0, "XFSB")
	set := disk.NewSet(disk.Options{}, path)
	opts := disk.CreateOptions{Slots: 8, Cluster: [16]byte{7}, Times: disk.DefaultTimes(3 * time.Second), Force: true}
	if _, err := set.Create(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	disks, h, err := set.Headers(t.Context())
	if err != nil || h.Slots != 8 || h.Times != opts.Times || h.Cluster != opts.Cluster || disks[0].Err != nil {
		t.Fatalf("%+v, %v", h, err)
	}
	opts.Force = false
	if _, err := set.Create(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "the fence disk 1 of 1 of the cluster 07") {
		t.Errorf("made twice: %v", err)
	}
	if _, _, err := disk.NewSet(disk.Options{Cluster: [16]byte{8}}, path).Headers(t.Context()); err == nil || !strings.Contains(err.Error(), "not a fence disk of this cluster") {
		t.Errorf("another cluster's disk was taken: %v", err)
	}
	// A path that does not exist becomes a file of the right size.
	fresh := filepath.Join(t.TempDir(), "new")
	if h, err = disk.NewSet(disk.Options{}, fresh).Create(t.Context(), disk.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(fresh); err != nil || info.Size() != h.Size() {
		t.Errorf("%v, %v", info, err)
	}
	for _, bad := range []disk.CreateOptions{{Slots: 5000}, {Times: disk.Times{Watchdog: 5 * time.Second, Loop: time.Second, Wait: 9 * time.Second}},
		{Times: disk.Times{Watchdog: 5 * time.Second, Loop: 4 * time.Second, Wait: 10 * time.Second}}, {Times: disk.DefaultTimes(time.Millisecond)}} {
		if _, err := disk.NewSet(disk.Options{}, filepath.Join(t.TempDir(), "x")).Create(t.Context(), bad); err == nil {
			t.Errorf("%+v was made", bad)
		}
	}
}

// Disks of two sets, too few, too many and one twice are not taken for a set.
func TestMixedDisks(t *testing.T) {
	mem := osfs.NewMem()
	create := func(paths ...string) {
		if _, err := disk.NewSet(disk.Options{FS: mem}, paths...).Create(t.Context(), disk.CreateOptions{Slots: 2}); err != nil {
			t.Fatal(err)
		}
	}
	create("/a1", "/a2", "/a3")
	create("/b1", "/b2", "/b3")
	for paths, want := range map[string]string{
		"/a1 /a2 /b3": "", "/a1 /a2 /a3": "", "/a3 /a1 /a2": "", "/a1 /b2 /nothing": "another set", "/a1": "set of 3 disks, and 1 are configured", "/a1 /a2": "set of 3 disks",
		"/a1 /a1 /a1": "same disk as", "/a1 /nothing /nowhere": "is not there",
	} {
		_, _, err := disk.NewSet(disk.Options{FS: mem}, strings.Fields(paths)...).Headers(t.Context())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", paths, err)
		}
	}
}

// Whichever operation fails while a set is made, there is no set, or a whole one.
func TestCreateInterrupted(t *testing.T) {
	for n := 1; ; n++ {
		mem := osfs.NewMem()
		faulty := osfs.NewFaulty(mem)
		faulty.FailAt(n, syscall.EIO, true)
		_, err := disk.NewSet(disk.Options{FS: faulty}, "/d").Create(t.Context(), disk.CreateOptions{Slots: 2})
		if err == nil {
			if n < 8 {
				t.Fatalf("only %d operations", n)
			}
			return
		}
		set := disk.NewSet(disk.Options{FS: mem}, "/d")
		if _, _, err := set.Headers(t.Context()); err != nil {
			continue
		}
		if _, slots, err := set.Slots(t.Context()); err != nil || len(slots) != 0 {
			t.Errorf("operation %d: %+v, %v", n, slots, err)
		}
	}
}

func TestInspect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	set := disk.NewSet(disk.Options{}, path)
	find := func(watchdog time.Duration, want string, fatal bool) {
		t.Helper()
		for _, f := range set.Inspect(t.Context(), int64(watchdog)) {
			if strings.Contains(f.Text, want) && f.Fatal == fatal {
				return
			}
		}
		t.Errorf("nothing with %q among %v", want, set.Inspect(t.Context(), int64(watchdog)))
	}
	find(-1, "is not there", true)
	if _, err := set.Create(t.Context(), disk.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	find(0, "no watchdog", true)
	find(6*time.Second, "longer than the 5s", true)
	find(-1, "other machines do not see it", false)
	if err := os.Truncate(path, 8192); err != nil {
		t.Fatal(err)
	}
	find(-1, "too small", true)
}
