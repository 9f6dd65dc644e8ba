package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
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
	{"a full disk queue", disk},
	{"all three at once", func(ctx context.Context) {
		var all sync.WaitGroup
		all.Go(func() { shells(ctx, 16, "while :; do :; done") })
		all.Go(func() { shells(ctx, 8, "while :; do /bin/true; done") })
		collect(ctx)
		all.Wait()
	}},
}

// shells runs n shells and ends them with ctx.
func shells(ctx context.Context, n int, script string) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() { exec.CommandContext(ctx, "sh", "-c", script).Run() })
	}
	all.Wait()
}

// disk writes and syncs from eight processes: the queue of the disk is never empty.
func disk(ctx context.Context) {
	dir, err := os.MkdirTemp("", "takt-bench-disk-")
	if err != nil {
		return
	}
	defer os.RemoveAll(dir)
	shells(ctx, 8, "while :; do dd if=/dev/zero of="+dir+"/$$ bs=1M count=64 conv=fsync 2>/dev/null; done")
}

// collect keeps a pointer-rich heap of about 2 GB and collects it all the time.
func collect(ctx context.Context) {
	type cell struct {
		next *cell
		_    [6]uint64 // so that a cell has 64 bytes
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

// measureLoads runs a cluster of each profile at once, and every kind of load
// over all of them: the machine is overloaded either way.
func measureLoads(ctx context.Context, o options) ([]loadRow, error) {
	clusters := map[string]*cluster{}
	for _, profile := range o.profiles {
		c, err := newCluster(ctx, o, three(profile))
		if err != nil {
			return nil, err
		}
		defer c.close()
		clusters[profile] = c
	}
	var rows []loadRow
	for _, l := range loads {
		if !strings.Contains(l.name, o.loadKind) {
			continue
		}
		byProfile := map[string]*loadRow{}
		for _, p := range o.profiles {
			byProfile[p] = &loadRow{Profile: p, Load: l.name}
		}
		for range o.load {
			if err := underLoad(ctx, o, clusters, l.run, byProfile); err != nil {
				return rows, err
			}
		}
		for _, p := range o.profiles {
			r := byProfile[p]
			fmt.Fprintf(os.Stderr, "%-8s under %s: %d failovers in %d runs, longest gap %.0f ms\n", p, r.Load, r.Failovers, r.Runs, r.Longest)
			rows = append(rows, *r)
		}
		runtime.GC()
	}
	return rows, nil
}

// underLoad runs a load once and counts what was decided meanwhile: any decision
// is a failover without cause.
func underLoad(ctx context.Context, o options, clusters map[string]*cluster, load func(context.Context), rows map[string]*loadRow) error {
	for _, c := range clusters {
		if err := c.settled(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	loading, stop := context.WithTimeout(ctx, o.loadFor)
	defer stop()
	var done sync.WaitGroup
	done.Go(func() { load(loading) })
	reports := map[string]*lab.Report{}
	var mu sync.Mutex
	for profile, c := range clusters {
		done.Go(func() {
			r, _ := c.lab.Probe(loading, lab.Client, lab.ProbeOptions{Address: service + ":80", Interval: 50 * time.Millisecond, Timeout: time.Second}, nil)
			mu.Lock()
			defer mu.Unlock()
			reports[profile] = r
		})
	}
	done.Wait()
	for profile, c := range clusters {
		if reports[profile] == nil {
			return fmt.Errorf("%s: the client gave no report", profile)
		}
		if err := c.settled(ctx); err != nil {
			return err
		}
		r := rows[profile]
		r.Runs++
		r.Longest = max(r.Longest, reports[profile].Longest())
		for _, e := range c.events(ctx, "n1", began) {
			if e.Kind == "decision" {
				r.Failovers++
				fmt.Fprintln(os.Stderr, "   ", profile, e.Node, e.Text)
			}
		}
	}
	return nil
}
