// Command scheduler measures how long the scheduler takes and how much memory, as
// whole processes, beside the real crm_simulate where that is installed.
//
//	go run ./bench/scheduler -takt bin/takt
//	go run ./bench/scheduler -takt bin/takt -slow -only 100
//
// Both read the same file and write all actions with their order to a file. Each
// figure is the median of some runs that take turns; times of one machine say
// little, so compare the columns of one run.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

type options struct {
	takt     string
	peer     string // path of crm_simulate, "" if it is not installed
	cases    string
	only     string
	runs     int
	slow     bool
	patience time.Duration
	dir      string // for files of this run
}

// peerPackage is where the peer comes from.
const peerPackage = "pacemaker-cli-utils"

func main() {
	var o options
	flag.StringVar(&o.takt, "takt", "bin/takt", "the binary to measure")
	flag.StringVar(&o.cases, "cases", "../shared/scheduler", "folder of recorded cases (NAME.xml, cases.json)")
	flag.StringVar(&o.only, "only", "", "measure only what has this in its name")
	flag.IntVar(&o.runs, "runs", 3, "runs of each")
	flag.BoolVar(&o.slow, "slow", false, "measure the peer, too, where it needs many minutes (once)")
	flag.DurationVar(&o.patience, "patience", 10*time.Minute, "when to give up on a run of the peer")
	peers := flag.Bool("peers", true, "measure crm_simulate, too, where it is installed")
	flag.Parse()
	if *peers {
		o.peer = findPeer()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/scheduler:", err)
		os.Exit(1)
	}
}

// findPeer returns where crm_simulate is, and says so if it is not there.
func findPeer() string {
	for _, name := range []string{"crm_simulate", "/usr/sbin/crm_simulate"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	fmt.Printf("crm_simulate is not installed (package %s): only Takt is measured\n\n", peerPackage)
	return ""
}

func run(ctx context.Context, o options) error {
	exe, err := filepath.Abs(o.takt)
	if err != nil {
		return err
	}
	o.takt = exe
	o.dir, err = os.MkdirTemp("", "takt-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	printHead(os.Stdout)
	for _, s := range sizes {
		if !o.wants(s.Large.String()) {
			continue
		}
		r, err := measureSize(ctx, o, s)
		if err != nil {
			return err
		}
		printRow(os.Stdout, r)
	}
	for _, part := range []struct {
		name    string
		measure func(context.Context, options) error
	}{{"cases", measureCases}, {"growth", measureGrowth}, {"second call", measureSecondCall}} {
		if !o.wants(part.name) {
			continue
		}
		if err := part.measure(ctx, o); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

func (o options) wants(name string) bool { return strings.Contains(name, o.only) }
