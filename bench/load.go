package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/takt-ha/takt/lab"
)

// loadRow is what happened while the machine was overloaded.
type loadRow struct {
	Profile   string  `json:"profile"`
	Load      string  `json:"load"`
	Runs      int     `json:"runs"`
	Failovers int     `json:"failovers"`
	Longest   float64 `json:"longest_gap_ms"` // answers are late under load; this is no outage by itself
}

// loads overload two cores until ctx ends.
var loads = []struct {
	name string
	run  func(ctx context.Context)
}{
	{"16 busy loops", func(ctx context.Context) { shells(ctx, 16, "while :; do :; done") }},
	{"8 fork loops", func(ctx context.Context) { shells(ctx, 8, "while :; do /bin/true; done") }},
	{"a process that collects a 2 GB heap", collect},
}

// shells runs n shells and ends them with ctx.
func shells(ctx context.Context, n int, script string) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() { exec.CommandContext(ctx, "sh", "-c", script).Run() })
	}
	all.Wait()
}

// collect keeps a pointer-rich heap of about 2 GB and collects it all the time.
func collect(ctx context.Context) {
	type cell struct {
		next *cell
		pad  [6]uint64
	}
	var heap [64]*cell
	const each = 2 << 30 / 64 / 64
	for i := range heap {
		for range each {
			heap[i] = &cell{next: heap[i]}
		}
		if ctx.Err() != nil {
			return
		}
	}
	for ctx.Err() == nil {
		runtime.GC()
	}
	runtime.KeepAlive(&heap)
}

func measureLoad(ctx context.Context, o options, c *cluster, profile string) ([]loadRow, error) {
	var rows []loadRow
	for _, l := range loads {
		r := loadRow{Profile: profile, Load: l.name}
		for range o.load {
			if err := c.settled(ctx); err != nil {
				return rows, err
			}
			moved, longest, err := underLoad(ctx, o, c, l.run)
			if err != nil {
				return rows, err
			}
			r.Runs++
			r.Failovers += moved
			r.Longest = max(r.Longest, longest)
		}
		fmt.Fprintf(os.Stderr, "%-8s under %s: %d failovers in %d runs, longest gap %.0f ms\n", profile, r.Load, r.Failovers, r.Runs, r.Longest)
		rows = append(rows, r)
		runtime.GC()
	}
	return rows, nil
}

// underLoad counts what was decided while the load ran: any decision is a
// failover without cause.
func underLoad(ctx context.Context, o options, c *cluster, load func(context.Context)) (int, float64, error) {
	began := time.Now()
	loading, stop := context.WithTimeout(ctx, o.loadFor)
	defer stop()
	var done sync.WaitGroup
	done.Go(func() { load(loading) })
	report, err := c.lab.Probe(loading, lab.Client, lab.ProbeOptions{Address: service + ":80", Interval: 20 * time.Millisecond, Timeout: time.Second}, nil)
	done.Wait()
	if report == nil {
		return 0, 0, err
	}
	if err := c.settled(ctx); err != nil {
		return 0, 0, err
	}
	moved := 0
	for _, e := range c.events(ctx, "n1", began) {
		if e.Kind == "decision" {
			moved++
			fmt.Fprintln(os.Stderr, "   ", e.Node, e.Text)
		}
	}
	return moved, report.Longest(), nil
}
