package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// measurement is what the rounds gather.
type measurement struct {
	o       options
	targets []*target
	loads   []load
	trips   []float64              // loopback round trips, µs
	seen    map[string][][]figures // by load: a round each, in the order of targets
	// Of mirrors, by name: bytes a second of a full resync alone, and what part of
	// its IOPS a load keeps beside one.
	resyncs map[string][]float64
	beside  map[string][]float64
}

// rounds measures all loads on all targets, round by round. The order of targets turns, so
// that none is always behind the same other.
func (m *measurement) rounds(ctx context.Context) error {
	m.seen, m.resyncs, m.beside = map[string][][]figures{}, map[string][]float64{}, map[string][]float64{}
	for round := range m.o.runs {
		trip, err := roundTrip()
		if err != nil {
			return err
		}
		m.trips = append(m.trips, trip)
		for _, l := range m.loads {
			if err := m.round(ctx, round, l); err != nil {
				return err
			}
		}
		for _, t := range m.targets {
			if len(t.controls) > 1 && t.device == "" && strings.Contains(resyncName, m.o.only) {
				fmt.Fprintf(os.Stderr, "round %d of %d: %s, %s\n", round+1, m.o.runs, resyncName, t.name)
				if err := m.resync(ctx, t); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (m *measurement) round(ctx context.Context, round int, l load) error {
	if !strings.Contains(l.name, m.o.only) {
		return nil
	}
	fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, m.o.runs, l.name)
	all := make([]figures, len(m.targets))
	for i := range m.targets {
		k := (i + round) % len(m.targets)
		f, err := m.one(ctx, l, m.targets[k])
		if err != nil {
			return err
		}
		all[k] = f
	}
	m.seen[l.name] = append(m.seen[l.name], all)
	return nil
}

// resyncName is the row of resyncs; beside is the load that a throttled one must not disturb.
const resyncName = "full resync"

var besideLoad = load{rw: "randwrite", block: "4k", depth: 16}

func (m *measurement) resync(ctx context.Context, t *target) error {
	rate, err := t.resync(ctx, m.o.size, nil)
	if err != nil {
		return err
	}
	m.resyncs[t.name] = append(m.resyncs[t.name], rate)
	free, err := m.one(ctx, besideLoad, t)
	if err != nil {
		return err
	}
	_, err = t.resync(ctx, m.o.size, func() error {
		busy, err := m.one(ctx, besideLoad, t)
		m.beside[t.name] = append(m.beside[t.name], busy.PerSecond/free.PerSecond)
		return err
	})
	return err
}

func (m *measurement) one(ctx context.Context, l load, t *target) (figures, error) {
	before := t.cpu()
	f, err := fio(ctx, l, m.o.size, m.o.each, t.where()...)
	if err != nil {
		return f, fmt.Errorf("%s: %w\n%s", t.name, err, t.words.String())
	}
	f.Server = (t.cpu() - before) / f.Ops * 1e6
	return f, nil
}
