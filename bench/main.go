// Command bench measures what a client sees of failures, in real clusters in
// namespaces on this machine, beside other systems where they are installed.
//
//	go run ./bench -takt bin/takt            # everything but the long load runs
//	go run ./bench -takt bin/takt -load 20   # with 20 runs of each kind of load
//
// It prints a table and writes bench/out/takt.json. Figures are medians; times of
// one machine say little, so compare rows of one run.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/takt-ha/takt/lab"
)

type options struct {
	takt     string
	out      string
	runs     int
	load     int
	loadFor  time.Duration
	loadKind string
	idleFor  time.Duration
	profiles []string
	only     string
	peers    bool
}

func main() {
	var o options
	flag.StringVar(&o.takt, "takt", "bin/takt", "the binary to measure")
	flag.StringVar(&o.out, "out", "bench/out", "folder for the JSON results")
	flag.IntVar(&o.runs, "runs", 7, "runs of each step")
	flag.IntVar(&o.load, "load", 1, "runs of each kind of load; 0: none")
	flag.StringVar(&o.loadKind, "load-kind", "", "only the kinds of load whose name contains this")
	flag.DurationVar(&o.loadFor, "load-for", 30*time.Second, "length of one run under load")
	flag.DurationVar(&o.idleFor, "idle-for", time.Minute, "length of the idle measurement")
	flag.StringVar(&o.only, "only", "", "measure only the steps whose name contains this")
	flag.BoolVar(&o.peers, "peers", true, "measure other systems, too, where they are installed")
	profile := flag.String("profile", "", "default or fast; empty: both")
	flag.Parse()
	o.profiles = []string{"default", "fast"}
	if *profile != "" {
		o.profiles = []string{*profile}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// results is what bench/out/takt.json holds.
type results struct {
	Command string    `json:"command"`
	Time    time.Time `json:"time"`
	Rows    []row     `json:"rows"`
	Idle    []idle    `json:"idle"`
	Load    []loadRow `json:"load"`
}

func run(ctx context.Context, o options) error {
	if err := lab.Supported(); err != nil {
		return err
	}
	exe, err := filepath.Abs(o.takt)
	if err != nil {
		return err
	}
	o.takt = exe
	all := results{Command: "make bench", Time: time.Now()}
	for _, profile := range o.profiles {
		if o.only == "load" {
			break
		}
		if err := measureProfile(ctx, o, profile, &all); err != nil {
			return fmt.Errorf("profile %s: %w", profile, err)
		}
		if err := measureFencing(ctx, o, profile, &all); err != nil {
			return fmt.Errorf("profile %s: %w", profile, err)
		}
	}
	if o.load > 0 && strings.Contains("load", o.only) {
		rows, err := measureLoads(ctx, o)
		all.Load = rows
		if err != nil {
			return err
		}
	}
	if o.peers {
		all.Rows = append(all.Rows, measurePeers(ctx, o)...)
	}
	printTable(os.Stdout, all)
	return write(o.out, all)
}

func write(dir string, all results) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "takt.json"), append(data, '\n'), 0o644)
}
