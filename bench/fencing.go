package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/lab"
)

// watchdogTime is the time-out of the measured watchdogs.
const watchdogTime = 5 * time.Second

// fencings are clusters that wait for proof, each with its steps.
var fencings = []struct {
	lab   lab.Options
	steps []step
}{
	{lab.Options{Nodes: 2, Links: 2, Fence: true}, []step{
		crashOf("n2", "2 nodes, fenced in 50 ms: crash of n2, active", bars(1300, 350), 3*time.Second),
		crashOf("n1", "2 nodes, fenced in 50 ms: crash of n1, active", bars(1300, 350), 3*time.Second),
	}},
	{lab.Options{Nodes: 2, Links: 2, Watchdog: watchdogTime}, []step{
		crashOf("n2", "2 nodes, watchdog of 5 s: crash of n2, active", bars(11000, 11000), 13*time.Second),
	}},
	{lab.Options{Nodes: 3, Links: 2, Watchdog: watchdogTime, Witness: true}, []step{
		crashOf("n1", "2 and a witness, watchdog of 5 s: crash of n1", bars(11000, 11000), 13*time.Second),
	}},
}

// crashOf takes the power of a node that runs the service. Where the cluster does
// not switch it on again, the bench does.
func crashOf(node, name string, bar map[string]float64, watch time.Duration) step {
	return step{name: name, bar: bar, watch: watch,
		prepare: func(ctx context.Context, c *cluster) (string, error) { return c.placeOn(ctx, node) },
		do:      crash,
		after: func(_ context.Context, c *cluster, at string) error {
			if err := c.lab.Start(at); err != nil && !strings.Contains(err.Error(), "runs already") {
				return err
			}
			return nil
		}}
}

func measureFencing(ctx context.Context, o options, profile string, all *results) error {
	for _, f := range fencings {
		wanted := false
		for _, s := range f.steps {
			wanted = wanted || strings.Contains(s.name, o.only)
		}
		if !wanted {
			continue
		}
		f.lab.Profile = profile
		if f.lab.Watchdog > 0 {
			o.runs = min(o.runs, 3) // each takes a quarter of a minute
		}
		if err := measureFenced(ctx, o, f.lab, f.steps, all); err != nil {
			return fmt.Errorf("%d nodes: %w", f.lab.Nodes, err)
		}
	}
	return nil
}

func measureFenced(ctx context.Context, o options, l lab.Options, steps []step, all *results) error {
	c, err := newCluster(ctx, o, l)
	if err != nil {
		return err
	}
	defer c.close()
	return c.measure(ctx, o, l.Profile, steps, all)
}
