package torture

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab/vm"
)

// guestKernel has ublk, and all front ends as modules.
const guestKernel = "linux-image-6.12-amd64"

var guestModules = []string{"ext4", "loop", "fuse", "ublk_drv", "nbd"}

// guestFolder is a file system in the guest's memory.
const guestFolder = "/tmp/guest"

// guestTests are the tests that run in the guest, by package.
var guestTests = []struct{ pkg, run string }{
	{"volume/front/ublk", "^TestDevice$"},
	{"volume/front/knbd", "^Test(Device|Resume)$"},
	{"volume/front/fuse", "^Test(Device|KillFrozen)$"},
	{"volume/daemon", "^TestDevice"},
	{"volume/torture", "^TestResizeMounted$"},
}

// TestGuest runs the tests of all block devices in a virtual machine with a stock kernel, which has ublk and nbd, and lets root do
// everything: among them fio's verification on each device, and the online grow of a mounted file system.
func TestGuest(t *testing.T) {
	folder := os.Getenv(vm.Variable)
	if folder == "" {
		t.Skip(vm.Variable + ` is not set: see "make test-guest"`)
	}
	if missing := vm.Missing(); missing != "" {
		t.Skip(missing)
	}
	ctx, stop := context.WithTimeout(t.Context(), 25*time.Minute)
	defer stop()
	m := vm.Machine{Folder: folder, Kernel: guestKernel, Modules: guestModules, Memory: []string{guestFolder}, Line: func(text string) { t.Log(text) }}
	if _, err := m.Unpack(ctx); err != nil {
		t.Skip(err)
	}
	work := t.TempDir()
	var steps []vm.Step
	for _, g := range guestTests {
		program := filepath.Join(work, filepath.Base(g.pkg)+".test")
		build := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, "github.com/takt-ha/takt/"+g.pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		steps = append(steps, vm.Step{Args: []string{program, "-test.v", "-test.run", g.run, "-test.timeout", "15m"}, Dir: guestFolder,
			Env: []string{"TMPDIR=" + guestFolder, "TAKT_BIN=" + takt(t)}})
	}
	status, err := m.Run(ctx, steps...)
	if err != nil {
		t.Error(err)
	}
	if err := vm.Failed(steps, status); err != nil {
		t.Error(err)
	}
}
