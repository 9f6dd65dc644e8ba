package vm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab/vm"
)

func TestMain(m *testing.M) {
	vm.Init()
	if vm.Inside() {
		inside(os.Args[1])
	}
	os.Exit(m.Run())
}

// inside is what the steps of the test do.
func inside(what string) {
	switch what {
	case "read":
		b, err := os.ReadFile(os.Args[2])
		fmt.Printf("read %s %v\n", b, err)
		fmt.Println("modules", strings.Contains(string(must(os.ReadFile("/proc/modules"))), "ip_vs_wrr "), must(os.Getwd()), os.Getenv("SAID"))
		fmt.Println("written", os.WriteFile(os.Args[2], []byte("guest"), 0o600))
	case "program":
		out, err := exec.Command("ip", "-V").Output()
		fmt.Printf("program %s %v\n", out, err)
		os.Exit(3)
	case "hang":
		<-time.After(time.Hour)
	case "signal":
		p, _ := os.FindProcess(os.Getpid())
		fmt.Println(p.Kill())
		<-time.After(time.Hour)
	}
	os.Exit(0)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// needGuest returns the folder of kernels, or skips.
func needGuest(t *testing.T) string {
	folder := os.Getenv(vm.Variable)
	if folder == "" {
		t.Skip(vm.Variable + ` is not set: see "make test-kernel"`)
	}
	if missing := vm.Missing(); missing != "" {
		t.Skip(missing)
	}
	return folder
}

// TestRun boots twice: with the host's files, and with packed ones.
func TestRun(t *testing.T) {
	folder := needGuest(t)
	for _, packed := range []bool{false, true} {
		t.Run(fmt.Sprintf("packed=%v", packed), func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
			defer stop()
			dir := t.TempDir()
			file := filepath.Join(dir, "a file")
			if err := os.WriteFile(file, []byte("host"), 0o600); err != nil {
				t.Fatal(err)
			}
			exe, ip := must(os.Executable()), must(exec.LookPath("ip"))
			var steps []vm.Step
			for _, what := range [][]string{{"read", file}, {"program"}, {"hang"}, {"signal"}} {
				steps = append(steps, vm.Step{Args: append([]string{exe}, what...), Env: []string{"SAID=twice"}, Dir: dir, Limit: 20 * time.Second})
			}
			steps[2].Limit = time.Second
			steps = append(steps, vm.Step{Args: []string{ip, "link", "show", "lo"}})
			var said []string
			m := vm.Machine{Folder: folder, Modules: vm.Network, Packed: packed, Files: []string{dir, ip}, Line: func(text string) { said = append(said, text); t.Log(text) }}
			status, err := m.Run(ctx, steps...)
			if want := []int{0, 3, vm.TooLong, 128 + 9, 0}; err != nil || !slices.Equal(status, want) {
				t.Errorf("%v, %v; want %v", status, err, want)
			}
			all := strings.Join(said, "\n")
			for _, want := range []string{"read host <nil>", "modules true " + dir + " twice", "written <nil>", "program ip utility", "LOOPBACK,UP"} {
				if !strings.Contains(all, want) {
					t.Errorf("nobody said %q", want)
				}
			}
			if b := must(os.ReadFile(file)); string(b) != "host" {
				t.Errorf("the guest changed a file of the host: %q", b)
			}
			if failed := fmt.Sprint(vm.Failed(steps, status)); !strings.Contains(failed, "exited with 3") || !strings.Contains(failed, "too long") {
				t.Error(failed)
			}
		})
	}
}

// TestLimit: a guest that does not end is ended with its caller's patience.
func TestLimit(t *testing.T) {
	folder := needGuest(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	m := vm.Machine{Folder: folder, Line: func(text string) {
		if strings.Contains(text, "here") {
			stop()
		}
	}}
	status, err := m.Run(ctx, vm.Step{Args: []string{"/bin/sh", "-c", "echo here; sleep 10000"}})
	if !errors.Is(err, context.Canceled) || !slices.Equal(status, []int{vm.NotRun}) {
		t.Error(status, err)
	}
}
