package scheduler

import (
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// failures is what is counted of a resource's failures on a node.
type failures struct {
	count Score
	last  time.Time
}

// countFailures sums the failure counts of all operations.
func (w *working) countFailures(r *resource, m *member) failures {
	var f failures
	for name, value := range m.attrs {
		rest, isCount := strings.CutPrefix(name, "fail-count-")
		if !isCount {
			if rest, isCount = strings.CutPrefix(name, "last-failure-"); !isCount {
				continue
			}
			if id, _, _ := strings.Cut(rest, "#"); id == r.id {
				if t := time.Unix(int64(atoi(value)), 0); t.After(f.last) {
					f.last = t
				}
			}
			continue
		}
		if id, _, _ := strings.Cut(rest, "#"); id == r.id {
			n, _ := cib.ParseScore(value)
			f.count = f.count.Add(Score(n))
		}
	}
	return f
}

// effective is the count without what has expired.
func (w *working) effective(r *resource, m *member) failures {
	f := w.countFailures(r, m)
	if f.count > 0 && r.failTimeout > 0 && !f.last.IsZero() && !r.blocked {
		if end := f.last.Add(r.failTimeout); !w.now.Before(end) {
			f.count = 0
		} else {
			w.recheckAt(end)
		}
	}
	return f
}

// expired reports whether a failed result is too old to count.
func (w *working) expired(r *resource, m *member, o *opResult) bool {
	if r.failTimeout <= 0 || o.changed.IsZero() || w.blocks(r) || w.onFail(r, o.task, o.interval) == "block" {
		return false
	}
	last := o.changed
	if f := w.countFailures(r, m); f.last.After(last) {
		last = f.last
	}
	end := last.Add(r.failTimeout)
	if w.now.Before(end) {
		w.recheckAt(end)
		return false
	}
	return true
}

// blocks reports whether a failure of the resource blocks it: such failures do
// not expire, somebody has to look at them.
func (w *working) blocks(r *resource) bool {
	for _, d := range r.ops {
		if d.meta["on-fail"] == "block" {
			for _, m := range w.nodes {
				if m.attrs[cib.FailCountName(r.id, d.name, d.interval)] != "" {
					return true
				}
			}
		}
	}
	return false
}

// applyFailures bans resources from where they failed too often.
func (w *working) applyFailures() {
	for _, r := range w.flat {
		if r.orphan {
			continue
		}
		for _, m := range w.nodes {
			f := w.effective(r, m)
			if f.count == 0 && w.countFailures(r, m).count > 0 {
				w.clearFailures(r, m, "its failures on "+m.name+" are older than the failure-timeout")
				continue
			}
			if f.count <= 0 || r.ignoreFailure || r.threshold <= 0 || int(f.count) < r.threshold {
				continue
			}
			r.prefer(m, -Infinity, fmt.Sprintf("%s failed %s times on %s (migration-threshold %s)", r.id, f.count, m.name, Score(r.threshold)))
		}
	}
}

func (w *working) clearFailures(r *resource, m *member, why string) {
	for _, a := range r.actions {
		if a.task == "clear_failcount" && a.node == m {
			return
		}
	}
	a := w.newAction(r, "clear_failcount", 0, m)
	a.kind, a.optional, a.reason = Cluster, false, why
}
