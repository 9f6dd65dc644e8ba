// Command director measures what is promised of a director, in network namespaces on this machine, beside the real keepalived where that is
// installed. It needs root, prints one table, and writes director.json.
//
//	bench-director -takt bin/takt                 # everything: about 23 minutes
//	bench-director -only outage,sharing           # some rows
//	bench-director -quick                         # few and short runs: to see that it works
//
// Times of one machine say little about another: compare rows of one run.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// options say what is measured, and how often.
type options struct {
	takt, out string
	only      string        // words: a row whose name contains one of them is measured
	quick     bool          // few and short runs
	runs      int           // of each crash and stop
	rounds    int           // under load
	loadFor   time.Duration // a round under load
	idleFor   time.Duration // in which the processor's time is counted
	forward   int           // rounds of forwarding
	share     int           // losses of a node that shares
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("bench-director", flag.ContinueOnError)
	f.StringVar(&o.takt, "takt", "bin/takt", "the binary to measure")
	f.StringVar(&o.out, "out", "bench/out", "folder for director.json")
	f.StringVar(&o.only, "only", "", "measure only rows whose name contains one of these words, parted by commas")
	f.BoolVar(&o.quick, "quick", false, "few and short runs: the figures mean little")
	f.IntVar(&o.runs, "runs", 15, "runs of each crash and stop")
	f.IntVar(&o.rounds, "rounds", 10, "rounds under load")
	f.DurationVar(&o.loadFor, "for", time.Minute, "length of a round under load")
	f.DurationVar(&o.idleFor, "idle-for", time.Minute, "how long the processor's time of 5000 checks is counted")
	f.IntVar(&o.forward, "forward", 11, "rounds of forwarding, two seconds for each pair of figures")
	f.IntVar(&o.share, "share", 5, "losses of a node that shares an address")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		o.runs, o.rounds, o.loadFor, o.idleFor, o.forward, o.share = 3, 1, 10*time.Second, 10*time.Second, 3, 1
	}
	for _, path := range []*string{&o.takt, &o.out} {
		if *path, err = filepath.Abs(*path); err != nil {
			return o, err
		}
	}
	return o, nil
}

func main() {
	if len(os.Args) > 1 && helpers[os.Args[1]] != nil {
		finish(helpers[os.Args[1]](os.Args[2:]))
	}
	o, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(2)
	}
	if dir := os.Getenv(insideVariable); dir != "" {
		finish(measure(o, dir))
	}
	finish(again())
}

// helpers are what this program is inside of machines: its first argument says which.
var helpers = map[string]func([]string) error{"answer": answer, "flows": flows, "busy": busy, "echo": echo}

func finish(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

const insideVariable = "TAKT_BENCH_INSIDE"

// again runs this program in a network namespace of its own, with a folder that goes when it ends, however it does.
func again() error {
	runtime.LockOSThread() // who started a process that is to end with it has to stay
	dir, err := os.MkdirTemp("", "takt-bench-director-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) {
		return errors.New("network namespaces are not permitted: be root")
	} else if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-interrupted:
		_ = cmd.Process.Kill() // all that it started ends with it
		<-ended
		err = errors.New("interrupted")
	}
	return err
}

// bench is one run of this program.
type bench struct {
	o    options
	dir  string
	rows []row
	left []string // what was not measured, and why
}

// part is a group of rows that are measured together.
type part struct {
	name string // what -only is compared with
	run  func(*bench) error
}

func parts() (list []part) {
	for _, s := range steps() {
		list = append(list, part{"outage, " + s.name, func(b *bench) error { return b.outage(s) }})
	}
	return append(list,
		part{"load", (*bench).underLoad},
		part{"checks", (*bench).manyChecks},
		part{"forwarding", (*bench).forwarding},
		part{"sharing", (*bench).sharing})
}

func measure(o options, dir string) error {
	b := &bench{o: o, dir: dir}
	if _, err := os.Stat(o.takt); err != nil {
		return fmt.Errorf("the binary to measure: %w; make build", err)
	}
	if _, err := exec.LookPath("keepalived"); err != nil {
		b.leave("keepalived is not installed: nothing to compare with")
	}
	began := time.Now()
	var failed error
	for _, p := range parts() {
		if !chosen(o.only, p.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%6s  %s\n", time.Since(began).Round(time.Second), p.name)
		if err := p.run(b); err != nil { // the others are worth measuring
			failed = errors.Join(failed, fmt.Errorf("%s: %w", p.name, err))
			b.leave(p.name + ": " + err.Error())
		}
	}
	printTable(os.Stdout, b.rows, b.left)
	return errors.Join(failed, b.write(began))
}

func chosen(only, name string) bool {
	for word := range strings.SplitSeq(only, ",") {
		if strings.Contains(name, strings.TrimSpace(word)) {
			return true
		}
	}
	return false
}

func (b *bench) leave(why string) {
	b.left = append(b.left, why)
	fmt.Fprintln(os.Stderr, "left out:", why)
}

// results is what director.json holds.
type results struct {
	Command string    `json:"command"`
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"`
	Quick   bool      `json:"quick,omitempty"`
	Rows    []row     `json:"rows"`
	Left    []string  `json:"left_out"`
}

func (b *bench) write(began time.Time) error {
	if err := os.MkdirAll(b.o.out, 0o755); err != nil {
		return err
	}
	all := results{Command: strings.Join(os.Args, " "), Time: began, Seconds: time.Since(began).Seconds(), Quick: b.o.quick, Rows: b.rows, Left: b.left}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.o.out, "director.json"), append(text, '\n'), 0o644)
}
