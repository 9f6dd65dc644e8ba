package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// result is a row of the table.
type result struct {
	name                 string
	bars                 bars
	ours, theirs         figures
	ourCount, theirCount int
	asked                bool // the peer was
	ended                bool // and it ended in time
}

// bars are what a row has to keep; 0 is no bar.
type bars struct {
	faster float64       // at least so many times as fast as the peer
	memory float64       // at most this part of the peer's memory
	within time.Duration // whatever the peer takes
}

// String names the bars.
func (b bars) String() string {
	var parts []string
	if b.faster > 0 {
		parts = append(parts, fmt.Sprintf("≥ %.0f×", b.faster))
	}
	if b.memory > 0 {
		parts = append(parts, fmt.Sprintf("≤ 1/%.0f", 1/b.memory))
	}
	if b.within > 0 {
		parts = append(parts, fmt.Sprintf("≤ %.0f s", b.within.Seconds()))
	}
	return strings.Join(parts, ", ")
}

// kept says whether a row keeps its bars, as far as that can be said.
func (r result) kept() string {
	compared := r.asked && r.ended
	switch {
	case r.bars.within > 0 && r.ours.wall > r.bars.within,
		compared && r.faster() < r.bars.faster,
		compared && r.bars.memory > 0 && r.memory() > r.bars.memory:
		return "no"
	case !compared && r.bars.within == 0:
		return "?"
	}
	return "yes"
}

func (r result) faster() float64 { return r.theirs.wall.Seconds() / r.ours.wall.Seconds() }
func (r result) memory() float64 { return float64(r.ours.peak) / float64(r.theirs.peak) }

const rowFormat = "%-38s %9s %9s %8s  %9s %9s %8s  %8s %8s  %-12s %s\n"

func printHead(w io.Writer) {
	fmt.Fprintf(w, rowFormat, "whole process", "takt", "peer", "faster", "takt", "peer", "memory", "actions", "peer's", "bar", "kept")
}

func printRow(w io.Writer, r result) {
	time, peak, count, faster, memory := "-", "-", "-", "-", "-"
	switch {
	case r.asked && r.ended:
		time, peak, count = seconds(r.theirs.wall), megabytes(r.theirs.peak), number(r.theirCount)
		faster, memory = fmt.Sprintf("%.1f×", r.faster()), fmt.Sprintf("%.2f", r.memory())
	case r.asked:
		time = "> " + seconds(r.theirs.wall)
		faster = fmt.Sprintf("> %.0f×", r.faster())
	}
	fmt.Fprintf(w, rowFormat, r.name, seconds(r.ours.wall), time, faster,
		megabytes(r.ours.peak), peak, memory, number(r.ourCount), count, r.bars, r.kept())
}

func seconds(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
