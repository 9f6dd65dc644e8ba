// Command director measures how long an address is away when its director crashes or is stopped, for Takt and for keepalived in the same
// namespaces, as a client sees it that pings every millisecond.
//
//	client ── bridge ──┬── a (priority 150)
//	                   └── b (priority 100)
//
// A crash is the end of the machine: its cable is gone in that moment, and its process is killed. Each figure is the median of the runs.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	takt := flag.String("takt", "bin/takt", "the binary to measure")
	runs := flag.Int("runs", 15, "runs of each step")
	only := flag.String("only", "", "measure only the steps whose name contains this")
	flag.Parse()
	if os.Getenv(insideVariable) == "" {
		os.Exit(again())
	}
	if err := measure(*takt, *runs, *only); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const insideVariable = "TAKT_BENCH_INSIDE"

// again runs this program in a network namespace of its own.
func again() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// step is one thing that is done to the master.
type step struct {
	name   string
	advert time.Duration
	crash  bool
}

func steps() (list []step) {
	for _, crash := range []bool{true, false} {
		for _, advert := range []time.Duration{time.Second, 100 * time.Millisecond, 20 * time.Millisecond, 10 * time.Millisecond} {
			what := map[bool]string{true: "crash", false: "stop"}[crash]
			list = append(list, step{fmt.Sprintf("%s, adverts of %v", what, advert), advert, crash})
		}
	}
	return list
}

func measure(takt string, runs int, only string) error {
	takt, err := filepath.Abs(takt)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "takt-bench-director")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	systems := []system{{"takt", []string{takt, "director", "run"}}}
	if path, err := exec.LookPath("keepalived"); err == nil {
		systems = append(systems, system{"keepalived", []string{path, "-n", "-P", "-l"}})
	}
	net, err := newNetwork()
	if err != nil {
		return err
	}
	fmt.Printf("%-28s %-12s %10s %10s %10s   %s\n", "address away", "system", "median", "max", "runs", "compared")
	for _, s := range steps() {
		if !strings.Contains(s.name, only) {
			continue
		}
		all := map[string][]time.Duration{}
		for range runs {
			for _, sys := range systems { // in turn, so that both see the same machine
				gap, err := net.once(sys, s, dir)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, sys.name, err)
				}
				all[sys.name] = append(all[sys.name], gap)
			}
		}
		for _, sys := range systems {
			show(s, sys.name, all)
		}
	}
	return nil
}

func show(s step, name string, all map[string][]time.Duration) {
	m, compared := median(all[name]), ""
	if peer := median(all["keepalived"]); name == "takt" && peer > 0 {
		compared = fmt.Sprintf("%.2f of keepalived's", float64(m)/float64(peer))
	}
	fmt.Printf("%-28s %-12s %7.1f ms %7.1f ms %10d   %s\n", s.name, name, ms(m), ms(slices.Max(all[name])), len(all[name]), compared)
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

func median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}
