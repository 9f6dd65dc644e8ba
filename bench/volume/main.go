// Command volume measures volumes beside a plain NBD server in C (nbdkit's file
// plugin) under the same load of fio's nbd engine, backing files in memory.
//
//	go run ./bench/volume -takt bin/takt
//	go run ./bench/volume -only alone -for 1s          # some rows, shorter runs
//	go run ./bench/volume -drbd                        # a mirror beside the kernel's DRBD, in a virtual machine
//	go run ./bench/volume serve SOCKET FILE SIZE       # a plain file behind the volume's NBD server
//
// All runs of a load are interleaved, and a ratio is the median of the ratios within
// rounds: figures of one machine and hour say little, ratios within a run say more. The table goes to the
// terminal, everything to bench/out/volume.json. What is not installed is left out, with a line.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/takt-ha/takt/lab/vm"
)

type options struct {
	takt string
	out  string
	dir  string // of backing files and sockets
	only string
	runs int
	each time.Duration
	size int64
	// plain: measure the volume's NBD server over a plain file, too.
	plain bool
	// drbd: measure beside the kernel's DRBD instead; kernel is the package of its kernel.
	drbd   bool
	kernel string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench/volume:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	vm.Init()
	if len(args) > 0 && args[0] == guestWord {
		return insideGuest(args[1:])
	}
	if len(args) > 0 && args[0] == "serve" {
		return serveArgs(args[1:])
	}
	if len(args) > 0 && args[0] == "echo" {
		return echo(os.Stdout)
	}
	var o options
	fs := flag.NewFlagSet("bench/volume", flag.ContinueOnError)
	fs.StringVar(&o.takt, "takt", "bin/takt", "the binary to measure")
	fs.StringVar(&o.out, "out", "bench/out", "folder for the results in JSON")
	fs.StringVar(&o.dir, "dir", "/dev/shm", "folder for backing files: in memory, or the disk is measured")
	fs.StringVar(&o.only, "only", "", "only the rows whose name contains this")
	fs.IntVar(&o.runs, "runs", 5, "rounds; each measures everything once")
	fs.DurationVar(&o.each, "for", 2*time.Second, "length of one run of fio")
	fs.Int64Var(&o.size, "size", 512<<20, "size of the volumes in bytes")
	fs.BoolVar(&o.plain, "plain", false, "measure the volume's NBD server over a plain file, too")
	fs.BoolVar(&o.drbd, "drbd", false, "measure a mirror beside the kernel's DRBD, in a virtual machine")
	fs.StringVar(&o.kernel, "kernel", "linux-image-6.12-amd64", "Debian package of the virtual machine's kernel")
	if err := fs.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return measure(ctx, o)
}

func serveArgs(args []string) error {
	if len(args) != 3 {
		return errors.New("want: serve SOCKET FILE SIZE")
	}
	size, err := strconv.ParseInt(args[2], 0, 64)
	if err != nil {
		return err
	}
	return serve(args[0], args[1], size)
}

// results is what bench/out/volume.json holds.
type results struct {
	Command   string    `json:"command"`
	Time      time.Time `json:"time"`
	RoundTrip float64   `json:"loopback_round_trip_us"`
	Rows      []row     `json:"rows"`
	Left      []string  `json:"left_out"`
}

func measure(ctx context.Context, o options) error {
	if _, err := exec.LookPath("fio"); err != nil {
		return errors.New("fio is not installed: it makes the load")
	}
	exe, err := filepath.Abs(o.takt)
	if err != nil {
		return err
	}
	o.takt = exe
	if o.drbd {
		return againstDRBD(ctx, o)
	}
	dir, err := os.MkdirTemp(o.dir, "takt-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.dir = dir
	all := results{Command: strings.Join(os.Args, " "), Time: time.Now()}
	targets, left, stop, err := startAll(ctx, o)
	defer stop()
	if err != nil {
		return err
	}
	all.Left = left
	for _, l := range left {
		fmt.Fprintln(os.Stderr, "left out:", l)
	}
	m := &measurement{o: o, targets: targets, loads: loads}
	if err := m.rounds(ctx); err != nil {
		return err
	}
	all.RoundTrip, all.Rows = median(m.trips), m.rows()
	printTable(os.Stdout, all)
	return write(filepath.Join(o.out, "volume.json"), all)
}

func write(path string, v any) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
