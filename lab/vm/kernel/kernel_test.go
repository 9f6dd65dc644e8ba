package kernel

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab/vm"
)

func TestMain(m *testing.M) {
	vm.Init()
	flag.Parse()
	if only := flag.Lookup("test.run"); !vm.Inside() && only.Value.String() == "" {
		_ = only.Value.Set("^TestKernel$") // one line says why the stories do not run here
	}
	os.Exit(m.Run())
}

// others are packages with tests for this kernel, beside this one's stories.
var others = []struct{ pkg, run string }{{"director/ipvs", "Kernel"}, {"director/realserver", "."}, {"director/check", "^TestKeepalivedAgrees$"}}

// TestKernel boots once, and runs everything in the guest.
func TestKernel(t *testing.T) {
	folder := os.Getenv(vm.Variable)
	switch missing := vm.Missing(); {
	case vm.Inside():
		t.Skip("this is the guest")
	case folder == "":
		t.Skip(vm.Variable + ` is not set: see "make test-kernel"`)
	case missing != "":
		t.Skip(missing)
	}
	ctx, stop := context.WithTimeout(t.Context(), 15*time.Minute)
	defer stop()
	m := vm.Machine{Folder: folder, Modules: vm.Network, Memory: []string{work}, Line: func(text string) { t.Log(text) }}
	if _, err := m.Unpack(ctx); err != nil {
		t.Skip(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	steps := []vm.Step{test(exe, os.Getenv("TAKT_STORY"))}
	for _, o := range others {
		program := filepath.Join(dir, filepath.Base(o.pkg)+".test")
		build(ctx, t, "test", "-c", "-o", program, "github.com/takt-ha/takt/"+o.pkg)
		steps = append(steps, test(program, o.run))
	}
	bin := os.Getenv("TAKT_BIN")
	if bin == "" {
		bin = filepath.Join(dir, "takt")
		build(ctx, t, "build", "-o", bin, "github.com/takt-ha/takt/cmd/takt")
	}
	examples, err := filepath.Abs("../../../../shared/examples")
	if err != nil {
		t.Fatal(err)
	}
	for i := range steps {
		steps[i].Env = append(steps[i].Env, "TAKT_BIN="+bin, examplesVariable+"="+examples)
	}
	status, err := m.Run(ctx, steps...)
	if err != nil {
		t.Error(err)
	}
	if err := vm.Failed(steps, status); err != nil {
		t.Error(err)
	}
}

// work is a folder in the guest's memory.
const work = "/tmp/work"

// test is a step that runs tests.
func test(program, run string) vm.Step {
	return vm.Step{Args: []string{program, "-test.v", "-test.run", run, "-test.timeout", "10m", "-test.parallel", "6"}, Dir: work, Env: []string{"TMPDIR=" + work}, Limit: 11 * time.Minute}
}

func build(ctx context.Context, t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
}
