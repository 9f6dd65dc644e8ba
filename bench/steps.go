package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/takt-ha/takt/lab"
)

// row is one measured step.
type row struct {
	System   string           `json:"system"`
	Step     string           `json:"step"`
	Profile  string           `json:"profile"`
	Outages  []float64        `json:"outages_ms"`
	Median   float64          `json:"median_ms"`
	Max      float64          `json:"max_ms"`
	Bar      float64          `json:"bar_ms"`
	Switches int              `json:"switches"`
	Split    map[string]int64 `json:"split_us,omitempty"` // medians of what the time went into
}

// step measures one thing: do causes it on the node that prepare chose; after
// brings the cluster back.
type step struct {
	name  string
	bar   map[string]float64 // ms, by profile
	watch time.Duration
	// prepare brings the cluster into the state that do needs.
	prepare func(ctx context.Context, c *cluster) (at string, err error)
	do      func(ctx context.Context, c *cluster, at string) error
	after   func(ctx context.Context, c *cluster, at string) error
	// still: the service must not have moved, and no request may have failed.
	still bool
}

func bars(def, fast float64) map[string]float64 {
	return map[string]float64{"default": def, "fast": fast}
}

var startAgain = func(_ context.Context, c *cluster, at string) error { return c.lab.Start(at) }

func onCoordinator(yes bool) func(context.Context, *cluster) (string, error) {
	return func(ctx context.Context, c *cluster) (string, error) { return c.place(ctx, yes) }
}

func anywhere(ctx context.Context, c *cluster) (string, error) {
	at, _, err := c.active(ctx)
	return at, err
}

var steps = []step{
	{name: "crash of the active node", bar: bars(1200, 260), watch: 2500 * time.Millisecond, prepare: onCoordinator(false), do: crash, after: startAgain},
	{name: "crash of the coordinator, active too", bar: bars(1300, 350), watch: 2500 * time.Millisecond, prepare: onCoordinator(true), do: crash, after: startAgain},
	{name: "killed service process", bar: bars(60, 60), watch: time.Second, prepare: anywhere, do: killService},
	{name: "planned move", bar: bars(60, 60), watch: time.Second, prepare: anywhere, do: move},
	{name: "one of two links cut", bar: bars(0, 0), watch: 2 * time.Second, still: true, prepare: anywhere,
		do: func(_ context.Context, c *cluster, at string) error {
			return c.lab.Cut(lab.CutOptions{Node: at, Link: 2})
		},
		after: func(_ context.Context, c *cluster, _ string) error { return c.lab.Heal(lab.CutOptions{}) }},
	{name: "daemon killed (SIGKILL) and restarted", bar: bars(0, 0), watch: 2 * time.Second, still: true, prepare: anywhere,
		do: func(_ context.Context, c *cluster, at string) error { return c.lab.KillDaemon(at) }},
}

func crash(_ context.Context, c *cluster, at string) error { return c.lab.Crash(at) }

func killService(ctx context.Context, c *cluster, at string) error {
	_, err := c.lab.Exec(ctx, at, "sh", "-c", `for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline 2>/dev/null | grep -q 'lab serve --liste[n]' && kill -9 ${p#/proc/}; done; true`)
	return err
}

func move(ctx context.Context, c *cluster, at string) error {
	_, err := c.lab.Exec(ctx, at, "takt", "resource", "move", "web")
	return err
}

func measureProfile(ctx context.Context, o options, profile string, all *results) error {
	c, err := newCluster(ctx, o, three(profile))
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.measure(ctx, o, profile, steps, all); err != nil {
		return err
	}
	if strings.Contains("idle", o.only) {
		i, err := measureIdle(ctx, o, c, profile)
		if err != nil {
			return err
		}
		all.Idle = append(all.Idle, i)
	}
	return nil
}

// measure runs steps on one cluster.
func (c *cluster) measure(ctx context.Context, o options, profile string, steps []step, all *results) error {
	for _, s := range steps {
		if !strings.Contains(s.name, o.only) {
			continue
		}
		r := row{System: "takt", Step: s.name, Profile: profile, Bar: s.bar[profile]}
		var splits []map[string]int64
		for i := range o.runs {
			out, split, err := s.once(ctx, c)
			if err != nil {
				return fmt.Errorf("%s, run %d: %w", s.name, i+1, err)
			}
			r.Outages = append(r.Outages, out.longest)
			r.Switches += out.switches
			splits = append(splits, split)
		}
		r.finish(splits)
		fmt.Fprintf(os.Stderr, "%-8s %-40s median %.0f ms, max %.0f ms (%.0f)\n", profile, s.name, r.Median, r.Max, r.Outages)
		all.Rows = append(all.Rows, r)
	}
	return nil
}

type outcome struct {
	longest  float64
	switches int
}

// once runs a step once, under a client that asks every 2 ms.
func (s *step) once(ctx context.Context, c *cluster) (outcome, map[string]int64, error) {
	if err := c.settled(ctx); err != nil {
		return outcome{}, nil, err
	}
	at, err := s.prepare(ctx, c)
	if err != nil {
		return outcome{}, nil, err
	}
	probing, stop := context.WithCancel(ctx)
	defer stop()
	type answer struct {
		report *lab.Report
		err    error
	}
	first := make(chan struct{}, 1)
	done := make(chan answer, 1)
	go func() {
		r, err := c.lab.Probe(probing, lab.Client, lab.ProbeOptions{Address: service + ":80", Interval: 2 * time.Millisecond}, func(a lab.Attempt) {
			select {
			case first <- struct{}{}:
			default:
			}
		})
		done <- answer{r, err}
	}()
	<-first
	time.Sleep(300 * time.Millisecond)
	began := time.Now()
	if err := s.do(ctx, c, at); err != nil {
		return outcome{}, nil, err
	}
	time.Sleep(s.watch)
	stop()
	a := <-done
	if a.report == nil {
		return outcome{}, nil, fmt.Errorf("the client: %w", a.err)
	}
	if s.after != nil {
		if err := s.after(ctx, c, at); err != nil {
			return outcome{}, nil, err
		}
	}
	if err := c.settled(ctx); err != nil {
		return outcome{}, nil, err
	}
	out := outcome{switches: len(a.report.Switches)}
	for _, g := range a.report.Gaps {
		if g.Start+int64(g.Length*1e6) >= began.UnixNano() && (!s.still || g.Failed > 0) {
			out.longest = max(out.longest, g.Length)
		}
	}
	if s.still {
		return out, nil, nil
	}
	return out, c.split(ctx, began, a.report), nil
}

func (r *row) finish(splits []map[string]int64) {
	r.Median, r.Max = median(r.Outages), 0
	for _, v := range r.Outages {
		r.Max = max(r.Max, v)
	}
	r.Split = map[string]int64{}
	for _, name := range phases {
		var values []float64
		for _, s := range splits {
			if v, ok := s[name]; ok {
				values = append(values, float64(v))
			}
		}
		if len(values) > 0 {
			r.Split[name] = int64(median(values))
		}
	}
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := append([]float64(nil), values...)
	sort.Float64s(s)
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
