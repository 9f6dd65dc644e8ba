package daemon_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/control"
	"github.com/takt-ha/takt/volume/daemon"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/front/block"
	"github.com/takt-ha/takt/volume/front/fuse"
	"github.com/takt-ha/takt/volume/meta"
)

// folderVariable makes this program the process of the test's volume.
const folderVariable = "TAKT_TEST_VOLUME"

func TestMain(m *testing.M) {
	dir := os.Getenv(folderVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	o := daemon.Options{Config: lone(dir), Paths: daemon.In(dir, "r0"), Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if err := daemon.Run(context.Background(), o, func(error) { fmt.Println("ready") }); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// lone is a volume of one replica.
func lone(dir string) volume.Config {
	return volume.Config{
		Name: "r0", ID: strings.Repeat("ab", 16), Size: 64 << 20,
		Nodes: []volume.Node{{ID: 0, Name: "alpha", Disk: filepath.Join(dir, "disk"), Meta: "internal"}},
	}.WithDefaults()
}

// process is the process of the test's volume.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	c   *control.Client
}

func up(t *testing.T, dir string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), folderVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, c: control.NewClient("r0", daemon.In(dir, "r0").Control)}
	t.Cleanup(p.kill)
	said := make([]byte, 100)
	if n, _ := out.Read(said); string(said[:n]) != "ready\n" {
		t.Fatalf("the volume does not come up: %s", said[:n])
	}
	return p
}

func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

func (p *process) ask(a control.Ask) error {
	ctx, stop := context.WithTimeout(p.t.Context(), time.Minute)
	defer stop()
	_, err := p.c.Ask(ctx, a)
	return err
}

func (p *process) must(verb string) {
	p.t.Helper()
	if err := p.ask(control.Ask{Verb: verb, Force: verb == "primary"}); err != nil {
		p.t.Fatal(err)
	}
}

// program runs a program to its end.
func program(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func needDevice(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make block devices")
	}
	if err := (fuse.Front{}).Usable(); err != nil {
		t.Skip(err)
	}
}

// formatted is a folder with a formatted volume that is not up.
func formatted(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	c := lone(dir)
	s := meta.Super{Size: c.Size, Disk: volume.Inconsistent, Gen: meta.Generations{Current: volume.JustCreated}, ActlogSize: c.Disk.Extents}
	o := daemon.DiskOptions(c)
	s.Volume = o.ID
	if err := disk.Create(osfs.OS{}, o, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // of a process that is killed because the test has failed
		_ = fuse.Front{}.Clean(block.Volume{Name: "r0", Run: daemon.In(dir, "r0").Run, Log: slog.New(slog.DiscardHandler)})
	})
	return dir
}

// A volume comes up, gets its device and gives it back while the process of another one, whose device is there, is frozen; that
// one has lost nothing when it goes on.
func TestDeviceBesideFrozen(t *testing.T) {
	needDevice(t)
	dirs := []string{formatted(t), formatted(t)}
	link := func(i int) string { return filepath.Join(dirs[i], "by-name", "r0") }
	first := up(t, dirs[0])
	first.must("primary")
	if err := first.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		second := up(t, dirs[1])
		second.must("primary")
		write(t, link(1), "the second")
		device, err := os.Readlink(link(1))
		if err != nil {
			t.Fatal(err)
		}
		second.kill()
		second = up(t, dirs[1]) // has what the killed one left to take away
		goes(t, dirs[1], device)
		second.must("down")
		if err := second.cmd.Wait(); err != nil {
			t.Error("the process of the volume:", err)
		}
	}
	if err := first.cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	write(t, link(0), "the first")
	first.must("down")
}

// The block device comes with the role and goes with it, not under a mounted filesystem; after a kill the
// leftovers go and the filesystem has what was synced.
func TestDevice(t *testing.T) {
	needDevice(t)
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("mkfs.ext4 is not installed")
	}
	dir := formatted(t)
	link, at := filepath.Join(dir, "by-name", "r0"), filepath.Join(dir, "mnt")
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })

	p := up(t, dir)
	if _, err := os.Lstat(link); err == nil {
		t.Error("a secondary has a block device")
	}
	p.must("primary")
	program(t, "mkfs.ext4", "-q", link)
	device, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(link, at, "ext4", 0, ""); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(at, "file"), "synced")
	for _, verb := range []string{"secondary", "down"} {
		if err := p.ask(control.Ask{Verb: verb}); err == nil || !strings.Contains(err.Error(), device+" is in use: it is mounted on "+at) {
			t.Errorf("%s under a mounted filesystem: %v", verb, err)
		}
	}
	write(t, filepath.Join(at, "more"), "synced, too") // it still works

	p.kill()
	if err := unix.Unmount(at, 0); err != nil {
		t.Fatal(err)
	}
	p = up(t, dir)
	goes(t, dir, device)
	if _, err := os.Lstat(link); err == nil {
		t.Error("the link of the killed process is still there")
	}
	p.must("primary")
	program(t, "fsck.ext4", "-p", link)
	program(t, "fsck.ext4", "-fn", link)
	if err := unix.Mount(link, at, "ext4", 0, ""); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"file": "synced", "more": "synced, too"} {
		if got, err := os.ReadFile(filepath.Join(at, name)); string(got) != want {
			t.Errorf("%s holds %q, want %q: %v", name, got, want, err)
		}
	}
	taken(t, p, dir, link, at)
	p.must("primary")
	p.must("secondary")
	if _, err := os.Lstat(link); err == nil {
		t.Error("a secondary has a block device")
	}
	p.must("down")
	if err := p.cmd.Wait(); err != nil {
		t.Error("the process of the volume:", err)
	}
}

// taken takes the device away by force: the mounted filesystem gets errors, also when the node is primary again.
func taken(t *testing.T, p *process, dir, link, at string) {
	t.Helper()
	old, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.ask(control.Ask{Verb: "secondary", Force: true}); err != nil {
		t.Fatal(err)
	}
	p.must("primary")
	if now, err := os.Readlink(link); err != nil || now == old {
		t.Errorf("the device is %s, as before: %v", now, err)
	}
	f, err := os.Create(filepath.Join(at, "late"))
	if err == nil {
		if _, err = f.WriteString("late"); err == nil {
			err = f.Sync()
		}
		f.Close()
	}
	if err == nil {
		t.Error("a device that was taken away still takes writes")
	}
	_ = unix.Unmount(at, 0) // it may complain about the errors
	goes(t, dir, old)
}

// goes waits until the kernel has let go of a loop device of the volume below dir: it does when the last user has closed it. One may be
// a program that has made a namespace of mounts while something was mounted.
func goes(t *testing.T, dir, device string) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(3 * time.Minute); held(dir, device); <-look.C {
		if time.Now().After(end) {
			t.Errorf("%s is still there", device)
			return
		}
	}
}

// held says whether a loop device is on the file of the volume below dir. It does not open it: that would keep it.
func held(dir, device string) bool {
	file, err := os.ReadFile("/sys/block/" + filepath.Base(device) + "/loop/backing_file")
	tag := block.Volume{Name: "r0", Run: daemon.In(dir, "r0").Run}.Tag()
	return err == nil && strings.Contains(string(file), tag)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}
