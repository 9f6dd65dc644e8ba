package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// figures are what one process, or the median of some, needed.
type figures struct {
	wall time.Duration
	peak int64 // bytes resident at most, of one process
}

// errPatience is for a process that took longer than anybody wants to wait.
var errPatience = errors.New("took too long")

// process runs a command to its end, its standard output in a file.
//
// Linux counts what was resident before exec to the process, too, and that is
// this program's memory: so nothing here reads a whole document.
func process(ctx context.Context, patience time.Duration, output string, command ...string) (figures, error) {
	out, err := os.Create(output)
	if err != nil {
		return figures{}, err
	}
	defer out.Close()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(limited, command[0], command[1:]...)
	cmd.Stdout = out
	from := time.Now()
	err = cmd.Run()
	wall := time.Since(from)
	if ctx.Err() == nil && limited.Err() != nil {
		return figures{wall: wall}, errPatience
	}
	f := figures{wall: wall}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		f.peak = usage.Maxrss << 10
	}
	if err != nil {
		return f, fmt.Errorf("%s: %w", command[0], err)
	}
	return f, nil
}

// median is taken of each figure by itself.
func median(list []figures) figures {
	walls, peaks := make([]time.Duration, len(list)), make([]int64, len(list))
	for i, f := range list {
		walls[i], peaks[i] = f.wall, f.peak
	}
	slices.Sort(walls)
	slices.Sort(peaks)
	return figures{walls[len(list)/2], peaks[len(list)/2]}
}

// program is one of the two that are compared.
type program struct {
	name    string
	ours    bool
	command func(file, output string) []string // file: the CIB; output: where a program writes that does not use standard output
}

func (o options) us() program {
	return program{"takt", true, func(file, _ string) []string {
		return []string{o.takt, "simulate", "--xml-file", file, "--output-as", "takt-json"}
	}}
}

func (o options) them() program {
	return program{"crm_simulate", false, func(file, output string) []string {
		return []string{o.peer, "-R", "-Q", "-x", file, "-G", output}
	}}
}
