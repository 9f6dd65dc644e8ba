package scheduler

import "fmt"

// createProbes asks each node about resources of which it has not said
// anything yet. Nothing is started before that is known.
func (w *working) createProbes() {
	if !w.options.probes {
		return
	}
	for _, r := range w.flat {
		if r.orphan {
			continue
		}
		for _, m := range w.nodes {
			if m.status.online && !m.status.unclean && !m.status.pending && !r.known[m.index] {
				w.createProbe(r, m)
			}
		}
	}
}

func (w *working) createProbe(r *resource, m *member) {
	a := w.newAction(r, "monitor", 0, m)
	a.def = r.findOp("monitor", 0)
	a.optional, a.target = false, rcNotRunning
	a.reason = fmt.Sprintf("whether %s runs on %s is not known", r.id, m.name)
	for _, start := range r.all("start") {
		w.order(a, start, onlyOrder)
	}
}

// orderProbes: what comes after a stop of a resource comes after its probes,
// too; and what is restarted by a start that waits for a probe stops after it.
func (w *working) orderProbes() {
	for _, c := range w.constraints {
		if c.firstTask != "stop" && c.firstTask != "stopped" || c.first == c.then || c.shared {
			continue
		}
		for p := range c.first.primitives {
			for _, probe := range p.actions {
				if probe.task != "monitor" || probe.interval != 0 {
					continue
				}
				for _, then := range c.then.all(c.thenTask) {
					if c.effect&apart == 0 || then.node == probe.node {
						w.order(probe, then, onlyOrder)
					}
				}
			}
		}
	}
	for _, r := range w.flat {
		for _, probe := range r.actions {
			if probe.task == "monitor" && probe.interval == 0 && probe.kind == Resource {
				w.orderRestarts(probe, probe, map[*action]bool{})
			}
		}
	}
}

// orderRestarts follows a probe's successors to starts of other resources:
// should the probe lead to a restart, those must not have stopped before.
func (w *working) orderRestarts(probe, a *action, seen map[*action]bool) {
	for _, then := range a.after {
		if seen[then] || a != probe && !forces(a, then) {
			continue
		}
		seen[then] = true
		if then.rsc != probe.rsc && then.rsc.variant == primitive && then.task == "start" {
			for _, stop := range then.rsc.all("stop") {
				w.order(probe, stop, onlyOrder)
			}
		}
		w.orderRestarts(probe, then, seen)
	}
}

func forces(first, then *action) bool {
	for _, e := range then.before {
		if e.first == first && e.effect&firstForcesThen != 0 {
			return true
		}
	}
	return first.rsc.variant == group && then.rsc.parent == first.rsc
}
