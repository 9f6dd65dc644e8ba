package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/internal/guest"
)

// guestVariable names the folder of kernels for a virtual machine; what is not there is downloaded to it.
const guestVariable = "TAKT_GUEST"

// guestKernel has ublk, and all front ends as modules.
const guestKernel = "linux-image-6.12-amd64"

var guestModules = []string{"virtio_pci", "9pnet_virtio", "9p", "overlay", "crc32c_generic", "ext4", "loop", "fuse", "ublk_drv", "nbd"}

// step is a test program that runs in the guest.
type step struct {
	Package string
	Program string
	Run     string // the tests
	ran     bool
	passed  bool
}

// TestGuest runs the tests of all block devices in a virtual machine with a stock kernel, which has ublk and nbd, and lets root do
// everything: among them fio's verification on each device, and the online grow of a mounted file system.
func TestGuest(t *testing.T) {
	folder := os.Getenv(guestVariable)
	if folder == "" {
		t.Skip(guestVariable + " is not set: see \"make test-guest\"")
	}
	if missing := guest.Missing(); missing != "" {
		t.Skip(missing)
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 25*time.Minute)
	defer stop()
	work := t.TempDir()
	steps := []*step{
		{Package: "./volume/front/ublk", Run: "^TestDevice$"},
		{Package: "./volume/front/knbd", Run: "^Test(Device|Resume)$"},
		{Package: "./volume/front/fuse", Run: "^Test(Device|KillFrozen)$"},
		{Package: "./volume/daemon", Run: "^TestDevice"},
		{Package: "./volume/torture", Run: "^TestResizeMounted$"},
	}
	for _, s := range steps {
		s.Program = filepath.Join(work, filepath.Base(s.Package)+".test")
		build := exec.CommandContext(ctx, "go", "test", "-c", "-o", s.Program, "github.com/takt-ha/takt/"+s.Package[2:])
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	b, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, "steps"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	m := guest.Machine{Folder: folder, Kernel: guestKernel, Modules: guestModules, Program: steps[len(steps)-1].Program, Args: []string{work, takt(t)}}
	m.Line = func(text string) { hear(t, steps, text) }
	root, err := m.Unpack(ctx)
	if err != nil {
		t.Skip(err)
	}
	if err := m.Run(ctx, root); err != nil {
		t.Error(err)
	}
	for _, s := range steps {
		if !s.ran || !s.passed {
			t.Errorf("%s: ran: %v, passed: %v", s.Package, s.ran, s.passed)
		}
	}
}

// stepMark begins the line that tells how a step went.
const stepMark = "STEP "

// hear takes a line of the guest's console.
func hear(t *testing.T, steps []*step, text string) {
	t.Log(text)
	for _, s := range steps {
		if strings.Contains(text, stepMark+s.Package+" ") {
			s.ran, s.passed = true, strings.HasSuffix(text, " passed")
		}
	}
}

// insideGuest runs the steps and turns the machine off.
func insideGuest(args []string) error {
	if err := runSteps(args); err != nil {
		fmt.Println("in the guest:", err)
	}
	return guest.Off()
}

func runSteps(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want: WORK TAKT; have %q", args)
	}
	const temporary = "/tmp/guest"
	if err := guest.Prepare(nil, temporary); err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(args[0], "steps"))
	if err != nil {
		return err
	}
	var steps []*step
	if err := json.Unmarshal(b, &steps); err != nil {
		return err
	}
	for _, s := range steps {
		cmd := exec.Command(s.Program, "-test.v", "-test.run", s.Run, "-test.timeout", "15m")
		cmd.Dir = temporary
		cmd.Env = append(os.Environ(), "TMPDIR="+temporary, "TAKT_BIN="+args[1])
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
		how := "passed"
		if err := cmd.Run(); err != nil {
			how = "failed: " + err.Error()
		}
		fmt.Println(stepMark + s.Package + " " + how)
	}
	return nil
}
