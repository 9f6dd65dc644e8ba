package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// measurement is what the rounds gather.
type measurement struct {
	o       options
	targets []*target
	trips   []float64              // loopback round trips, µs
	seen    map[string][][]figures // by load: a round each, in the order of targets
}

// rounds measures all loads on all targets, round by round. The order of targets turns, so
// that none is always behind the same other.
func (m *measurement) rounds(ctx context.Context) error {
	m.seen = map[string][][]figures{}
	for round := range m.o.runs {
		trip, err := roundTrip()
		if err != nil {
			return err
		}
		m.trips = append(m.trips, trip)
		for _, l := range loads {
			if !strings.Contains(l.name, m.o.only) {
				continue
			}
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, m.o.runs, l.name)
			all := make([]figures, len(m.targets))
			for i := range m.targets {
				k := (i + round) % len(m.targets)
				if all[k], err = m.one(ctx, l, m.targets[k]); err != nil {
					return err
				}
			}
			m.seen[l.name] = append(m.seen[l.name], all)
		}
	}
	return nil
}

func (m *measurement) one(ctx context.Context, l load, t *target) (figures, error) {
	before := t.cpu()
	f, err := fio(ctx, l, m.o.size, m.o.each, "--ioengine=nbd", "--uri="+t.uri)
	if err != nil {
		return f, fmt.Errorf("%s: %w\n%s", t.name, err, t.words.String())
	}
	f.Server = (t.cpu() - before) / f.Ops * 1e6
	return f, nil
}

// row is one load on one target.
type row struct {
	Load    string    `json:"load"`
	Target  string    `json:"target"`
	Against string    `json:"against,omitempty"`
	Median  figures   `json:"median"`
	Ratio   float64   `json:"ratio,omitempty"` // of the median round to Against
	Ratios  []float64 `json:"ratios,omitempty"`
	Bar     float64   `json:"bar,omitempty"`
	Memory  float64   `json:"memory_mb"`
}

// Kept says whether the row keeps its bar.
func (r row) Kept() string {
	switch {
	case r.Bar == 0:
		return ""
	case r.Ratio >= r.Bar:
		return "yes"
	}
	return "no"
}

func (m *measurement) rows() (rows []row) {
	for _, l := range loads {
		for i, t := range m.targets {
			if rounds := m.seen[l.name]; len(rounds) > 0 {
				rows = append(rows, m.row(l, i, t, rounds))
			}
		}
	}
	return rows
}

func (m *measurement) row(l load, i int, t *target, rounds [][]figures) row {
	r := row{Load: l.name, Target: t.name, Memory: t.memory(), Median: figures{
		PerSecond: medianOf(rounds, i, func(f figures) float64 { return f.PerSecond }),
		Bytes:     medianOf(rounds, i, func(f figures) float64 { return f.Bytes }),
		Latency:   medianOf(rounds, i, func(f figures) float64 { return f.Latency }),
		Server:    medianOf(rounds, i, func(f figures) float64 { return f.Server }),
	}}
	against := slices.IndexFunc(m.targets, func(o *target) bool { return o.name == reference })
	if t.name != plain || against < 0 {
		return r
	}
	r.Against, r.Bar = reference, l.alone
	for _, round := range rounds {
		r.Ratios = append(r.Ratios, round[i].PerSecond/round[against].PerSecond)
	}
	r.Ratio = median(r.Ratios)
	return r
}

func medianOf(rounds [][]figures, i int, of func(figures) float64) float64 {
	var v []float64
	for _, r := range rounds {
		v = append(v, of(r[i]))
	}
	return median(v)
}

// median returns the middle of v, which stays as it is; 0 of nothing.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if k := len(s) / 2; len(s)%2 == 1 {
		return s[k]
	} else {
		return (s[k-1] + s[k]) / 2
	}
}
