package main

import (
	"fmt"
	"slices"
	"strings"
)

// row is one load on one target.
type row struct {
	Load    string    `json:"load"`
	Target  string    `json:"target"`
	Median  figures   `json:"median"`
	Against string    `json:"against,omitempty"`
	What    string    `json:"what,omitempty"`  // is compared
	Value   float64   `json:"value,omitempty"` // the median of Values
	Values  []float64 `json:"values,omitempty"`
	Bar     float64   `json:"bar,omitempty"`
	AtMost  bool      `json:"at_most,omitempty"` // the bar is not to be exceeded; else it is to be reached
}

// kept says whether the row keeps its bar.
func (r row) kept() string {
	switch {
	case r.Bar == 0 || len(r.Values) == 0:
		return ""
	case r.AtMost == (r.Value <= r.Bar):
		return "yes"
	}
	return "no"
}

// compare sets what a row is measured by.
func (r *row) compare(against, what string, values []float64, bar float64, atMost bool) {
	r.Against, r.What, r.Values, r.Value, r.Bar, r.AtMost = against, what, values, median(values), bar, atMost
}

func (m *measurement) rows() (rows []row) {
	for _, l := range m.loads {
		for i, t := range m.targets {
			if rounds := m.seen[l.name]; len(rounds) > 0 {
				rows = append(rows, m.row(l, i, t, rounds))
			}
		}
	}
	for _, t := range m.targets {
		rows = append(rows, m.resyncRows(t)...)
	}
	for _, t := range m.targets {
		if len(t.processes) == 0 {
			continue // of the kernel
		}
		r := row{Load: "resident memory, at most", Target: t.name}
		bar := 0.0
		if len(t.controls) > 0 {
			bar = memoryBar + memoryPerTiBPeer*float64(m.o.size)/(1<<40)*float64(len(t.controls)-1)
		}
		r.compare("", "MB", []float64{t.memory()}, bar, true)
		rows = append(rows, r)
	}
	return rows
}

// deviceBar is what part of the socket's IOPS a block device keeps at least.
const deviceBar = 0.8

// The bars of memory, in MB.
const (
	memoryBar        = 64
	memoryPerTiBPeer = 33.55
)

func (m *measurement) row(l load, i int, t *target, rounds [][]figures) row {
	r := row{Load: l.name, Target: t.name, Median: figures{
		PerSecond: medianOf(rounds, i, func(f figures) float64 { return f.PerSecond }),
		Bytes:     medianOf(rounds, i, func(f figures) float64 { return f.Bytes }),
		Latency:   medianOf(rounds, i, func(f figures) float64 { return f.Latency }),
		Server:    medianOf(rounds, i, func(f figures) float64 { return f.Server }),
	}}
	ratios := func(name string) (v []float64) {
		if k := m.index(name); k >= 0 {
			for _, round := range rounds {
				v = append(v, round[i].PerSecond/round[k].PerSecond)
			}
		}
		return v
	}
	mirrorBar := map[string]float64{mirror: l.mirror, mirrorTLS: l.mirrorTLS}[t.name]
	switch {
	case t.name == plain:
		r.compare(reference, "ratio", ratios(reference), 0, false)
	case t.name == alone:
		r.compare(reference, "ratio", ratios(reference), l.alone, false)
	case l.drbd > 0 && t.name == mirror:
		r.compare(kernelDRBD, "ratio", ratios(kernelDRBD), l.drbd, false)
	case t.name == device:
		bar := 0.0
		if l.block == "4k" {
			bar = deviceBar
		}
		r.compare(alone, "ratio", ratios(alone), bar, false)
	case mirrorBar > 0 && l.latency:
		r.compare(alone, "round trips added", m.added(i, rounds), mirrorBar, true)
	case mirrorBar > 0:
		r.compare(alone, "ratio", ratios(alone), mirrorBar, false)
	}
	return r
}

func (m *measurement) index(name string) int {
	return slices.IndexFunc(m.targets, func(t *target) bool { return t.name == name })
}

// added is how many round trips a request takes longer than on the unreplicated volume.
func (m *measurement) added(i int, rounds [][]figures) (v []float64) {
	k := m.index(alone)
	for n, round := range rounds {
		if k >= 0 {
			v = append(v, (round[i].Latency-round[k].Latency)/m.trips[n])
		}
	}
	return v
}

// resyncRows compare a full resync with writing as much, and a load beside it with the same load alone.
func (m *measurement) resyncRows(t *target) (rows []row) {
	rates := m.resyncs[t.name]
	if len(rates) == 0 {
		return nil
	}
	idle := row{Load: resyncName + ", idle", Target: t.name, Median: figures{Bytes: median(rates)}}
	sequential, i := m.loads[slices.IndexFunc(m.loads, func(l load) bool { return l.rw == "write" })], m.index(t.name)
	var ratios []float64
	for n, round := range m.seen[sequential.name] {
		ratios = append(ratios, rates[n]/round[i].Bytes)
	}
	idle.compare("writing", "ratio", ratios, 0.8, false)
	beside := row{Load: fmt.Sprintf("%s %s, depth %d, during one", besideLoad.block, strings.Replace(besideLoad.rw, "rand", "random ", 1), besideLoad.depth), Target: t.name}
	beside.compare("no resync", "ratio", m.beside[t.name], 0.9, false)
	return append(rows, idle, beside)
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
	k := len(s) / 2
	if len(s)%2 == 1 {
		return s[k]
	}
	return (s[k-1] + s[k]) / 2
}
