package sim

import (
	"slices"
	"time"
)

// Shrink looks for a shorter script that breaks the same invariant: without some
// of the faults, with fewer services, nodes and links, with shorter faults.
// progress is told each script that is found, with how many were tried; it may be
// nil. most bounds the tries; 0 means 400.
func Shrink(script *Script, rule string, most int, progress func(s *Script, tried int)) *Script {
	if most <= 0 {
		most = 400
	}
	h := &shrinker{rule: rule, left: most, most: most, best: script, progress: progress}
	for before := ""; before != h.best.String() && h.left > 0; {
		before = h.best.String()
		h.faults()
		h.cluster()
		h.times()
	}
	return h.best
}

type shrinker struct {
	rule       string
	best       *Script
	left, most int
	progress   func(*Script, int)
}

// try takes a script that breaks the same invariant.
func (h *shrinker) try(s *Script) bool {
	if h.left <= 0 || s.check() != nil {
		return false
	}
	h.left--
	out, err := Play(s, nil)
	if err != nil || out.Rule != h.rule {
		return false
	}
	h.best = s
	if h.progress != nil {
		h.progress(s, h.most-h.left)
	}
	return true
}

func (s *Script) clone() *Script {
	c := *s
	c.Faults = slices.Clone(s.Faults)
	return &c
}

// faults takes out halves, quarters and so on, and then one after the other.
func (h *shrinker) faults() {
	for size := max(1, len(h.best.Faults)/2); ; size /= 2 {
		for at := 0; at < len(h.best.Faults); {
			s := h.best.clone()
			s.Faults = slices.Delete(s.Faults, at, min(at+size, len(s.Faults)))
			if !h.try(s) {
				at += size
			}
		}
		if size <= 1 {
			return
		}
	}
}

// cluster makes it smaller.
func (h *shrinker) cluster() {
	for _, smaller := range []func(*Cluster){
		func(c *Cluster) { c.Nodes-- },
		func(c *Cluster) { c.Clones = 0 },
		func(c *Cluster) { c.Promoted = 0 },
		func(c *Cluster) { c.Witness = 0 },
		func(c *Cluster) { c.Links = 1 },
		func(c *Cluster) { c.Resources = max(1, c.Resources/2) },
		func(c *Cluster) { c.Resources = max(1, c.Resources-1) },
		func(c *Cluster) { c.Policy = "stop" },
		func(c *Cluster) { c.Profile = "default" },
	} {
		for {
			s := h.best.clone()
			smaller(&s.Cluster)
			if s.Cluster == h.best.Cluster || !h.try(s) {
				break
			}
		}
	}
}

// times makes faults shorter and simpler, and the time between them.
func (h *shrinker) times() {
	for i := range h.best.Faults {
		for _, simpler := range []func(*Fault){
			func(f *Fault) {
				if len(f.Who) > 1 {
					f.Who = f.Who[:1]
				}
			},
			func(f *Fault) {
				if len(f.With) > 1 {
					f.With = f.With[:1]
				}
			},
			func(f *Fault) { f.For = (f.For / 2).Truncate(time.Millisecond) },
		} {
			s := h.best.clone()
			f := s.Faults[i]
			simpler(&f)
			if f.String() != s.Faults[i].String() && (f.For > 0 || s.Faults[i].For == 0) {
				s.Faults[i] = f
				h.try(s)
			}
		}
		s := h.best.clone()
		back := (s.Faults[i].At - before(s.Faults, i)) / 2
		for k := i; k < len(s.Faults); k++ {
			s.Faults[k].At -= back.Truncate(time.Millisecond)
		}
		if back > 50*time.Millisecond {
			h.try(s)
		}
	}
}

func before(list []Fault, i int) time.Duration {
	if i == 0 {
		return 0
	}
	return list[i-1].At
}
