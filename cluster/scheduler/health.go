package scheduler

import (
	"maps"
	"slices"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// applyHealth turns node health attributes (#health…) into locations of every
// top-level resource (node-health-strategy).
func (w *working) applyHealth() {
	o := &w.options
	if o.healthStrategy == "none" {
		return
	}
	for _, n := range w.nodes {
		health := o.healthBase
		// Sums saturate, so it matters which comes first.
		for _, name := range slices.Sorted(maps.Keys(n.attrs)) {
			if strings.HasPrefix(name, "#health") {
				health = health.Add(o.healthScore(n.attrs[name]))
			}
		}
		if health == 0 {
			continue
		}
		for _, r := range w.resources {
			if !truth(r.metaOf("allow-unhealthy-nodes")) {
				w.locate(r, n, health, o.healthStrategy, TermHealth, "the health of "+n.name+" counts "+health.String())
			}
		}
	}
}

func (o *options) healthScore(value string) Score {
	switch strings.ToLower(value) {
	case "red":
		return o.healthRed
	case "yellow":
		return o.healthYellow
	case "green":
		return o.healthGreen
	}
	s, _ := cib.ParseScore(value)
	return Score(s)
}
