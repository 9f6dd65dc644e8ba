// Package vm runs programs under a stock kernel of Debian in a virtual machine, for what the kernel at hand cannot do. It needs QEMU and
// no rights. The kernel's package is downloaded once, and not installed. In the guest the host's root is read-only under a file system in
// memory, so every program of the host is there, with its libraries and files.
//
//	func TestMain(m *testing.M) {
//		vm.Init() // in the guest it runs the steps, and does not return
//		os.Exit(m.Run())
//	}
//
//	m := vm.Machine{Folder: cache, Modules: vm.Network, Line: func(text string) { t.Log(text) }}
//	status, err := m.Run(ctx, vm.Step{Args: []string{"/tmp/x/my.test", "-test.v"}})
//
// The first process of the guest is the calling program, so it has to be static (CGO_ENABLED=0). The machine is emulated in software: every
// instruction is dear, about ten times as dear as here; a boot takes some ten seconds.
package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Stock is Debian's package of the kernel of its release.
const Stock = "linux-image-amd64"

// Variable names the folder of kernels in the environment of tests, which skip without it: what is not there is downloaded to it.
const Variable = "TAKT_GUEST"

// Machine is a virtual machine.
type Machine struct {
	Folder   string   // where packages are unpacked, each kernel once; made if it is not there
	Kernel   string   // Debian's package of the kernel; "" is Stock
	Packages []string // others whose files are wanted beside the kernel's
	// Modules are loaded in this order, each with those that it depends on before it. A trailing "*" takes all whose names begin
	// so. One that the kernel has built in, or not at all, is passed over.
	Modules []string
	Options map[string]string // of modules, by name
	Memory  []string          // folders that are file systems in memory of their own
	// Files are the programs, files and folders of the host that the steps use. They are packed for the guest, programs with their libraries,
	// where QEMU cannot share the host's files with it, or Packed asks for it. Each step's program is one of them unasked.
	Files  []string
	Packed bool
	Line   func(text string) // is given each line of the console, in order; nil: they are dropped
}

// Step is a program that runs in the guest, as root, with its output on the console.
type Step struct {
	Args  []string      `json:"args"`          // a path on the host, and arguments
	Env   []string      `json:"env,omitempty"` // beside PATH and HOME
	Dir   string        `json:"dir,omitempty"` // "": /
	Limit time.Duration `json:"limit,omitzero"`
}

// Statuses of a step beside those that programs exit with; a signal N is 128+N.
const (
	NotRun  = -1 // the guest did not come so far
	TooLong = -2 // killed: it took longer than its Limit
	NoStart = -3 // the program could not be started
)

// Missing says in words what this machine lacks to run guests; "" if nothing.
func Missing() string {
	for _, p := range []string{qemu, "apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(p); err != nil {
			return p + " is not installed"
		}
	}
	return ""
}

// Unpack downloads and unpacks the packages below Folder if that was not done before, and returns where. Nothing
// is installed.
func (m Machine) Unpack(ctx context.Context) (root string, err error) {
	kernel := m.Kernel
	if kernel == "" {
		kernel = Stock
	}
	root, err = filepath.Abs(filepath.Join(m.Folder, kernel))
	if err != nil {
		return "", err
	}
	packages := slices.Sorted(slices.Values(m.Packages))
	mark := filepath.Join(root, strings.Join(append([]string{".unpacked"}, packages...), "+"))
	if _, err := os.Stat(mark); err == nil {
		return root, nil
	}
	if err := os.MkdirAll(m.Folder, 0o755); err != nil {
		return "", err
	}
	loaded, err := os.MkdirTemp(m.Folder, "deb-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(loaded)
	if kernel, err = behind(ctx, kernel); err != nil {
		return "", err
	}
	fetch := exec.CommandContext(ctx, "apt-get", append([]string{"download", kernel}, packages...)...)
	fetch.Dir = loaded
	if out, err := fetch.CombinedOutput(); err != nil {
		return "", fmt.Errorf("download %s: %w\n%s", strings.Join(append(packages, kernel), ", "), err, out)
	}
	debs, _ := filepath.Glob(filepath.Join(loaded, "*.deb")) // the pattern is good
	for _, d := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", d, root).CombinedOutput(); err != nil {
			return "", fmt.Errorf("unpack %s: %w\n%s", d, err, out)
		}
	}
	return root, os.WriteFile(mark, nil, 0o644)
}

// behind returns the package of the kernel that a meta-package stands for, or the package itself.
func behind(ctx context.Context, kernel string) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-cache", "depends", "--important", kernel).Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for %s: %w; \"apt-get update\" may help", kernel, err)
	}
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: linux-image-"); ok {
			return "linux-image-" + name, nil
		}
	}
	return kernel, nil
}

// Failed joins what went wrong: an error for each step that did not exit with 0.
func Failed(steps []Step, status []int) (err error) {
	words := map[int]string{NotRun: "did not run", TooLong: "took too long and was killed", NoStart: "could not be started"}
	for i, s := range status {
		if s == 0 {
			continue
		}
		how := words[s]
		if how == "" {
			how = fmt.Sprintf("exited with %d", s)
		}
		err = errors.Join(err, fmt.Errorf("%s in the guest %s", strings.Join(steps[i].Args, " "), how))
	}
	return err
}
