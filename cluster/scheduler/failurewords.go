package scheduler

import (
	"fmt"
	"strings"
	"time"
)

// hasFailCount reports whether any failure is recorded on the node.
func (w *working) hasFailCount(n *node) bool {
	if n.failures == unknownFailures {
		n.failures = noFailures
		for name := range n.attrs {
			if strings.HasPrefix(name, "fail-count-") {
				n.failures = someFailures
				break
			}
		}
	}
	return n.failures == someFailures
}

// failureWords: "n1 has 3 failures of web (migration-threshold 3), the last 4 min
// ago: 'connection refused'; it may return in 6 min".
func (w *working) failureWords(r *resource, n *node, count Score, last time.Time) string {
	w.changesAt(r, w.now.Add(1)) // the words tell how long ago that was
	name := r.id
	if !r.unique {
		name = r.base
	}
	text := n.name + " has " + failureCount(count, name, r.threshold)
	if !last.IsZero() {
		text += ", the last " + roughly(w.now.Sub(last)) + " ago"
	}
	text += colon(w.recordedFailureWords(r, n))
	if r.failureTimeout > 0 && !last.IsZero() {
		back := last.Add(time.Duration(r.failureTimeout) * time.Millisecond)
		if wait := back.Sub(w.now); wait > 0 {
			text += "; it may return in " + roughly(wait)
		}
	} else {
		text += "; it may return after a cleanup"
	}
	return text
}

// failureCount: one failure may count as infinitely many, most often that of a start.
func failureCount(count Score, name string, threshold int) string {
	limit := " (migration-threshold " + Score(threshold).String() + ")"
	switch {
	case count >= Infinity:
		return "a failure of " + name + " that counts INFINITY" + limit
	case count == 1:
		return "1 failure of " + name + limit
	}
	return count.String() + " failures of " + name + limit
}

// recordedFailureWords is what the history of a node tells about the last
// failure there, of the resource or of what runs in it: the agent's own words
// if it left any; "" if it tells nothing.
func (w *working) recordedFailureWords(r *resource, n *node) string {
	var found result
	for _, m := range append([]*resource{r}, r.fillers...) {
		for op := range w.historyOf(m, n).Elements {
			o, ok := readResult(op)
			if !ok || o.exit == o.expected || o.expected < 0 && o.exit == exitOK || o.status == statusPending || o.task == taskMonitor && o.exit == exitNotRunning && o.interval == 0 {
				continue
			}
			if found.xml == nil || number(op, "last-rc-change", 0) >= number(found.xml, "last-rc-change", 0) {
				found = o
			}
		}
	}
	if found.xml == nil {
		return ""
	}
	if reason := found.xml.Attr("exit-reason"); reason != "" {
		return "'" + reason + "'"
	}
	return found.words()
}

// roughly prints a duration in its largest unit.
func roughly(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}
