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
	text := fmt.Sprintf("%s has %s of %s (migration-threshold %s)", n.name, failureCount(count), r.id, Score(r.threshold))
	if !last.IsZero() {
		text += ", the last " + roughly(w.now.Sub(last)) + " ago"
	}
	if r.failure != "" {
		text += ": " + r.failure
	}
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

func failureCount(count Score) string {
	switch {
	case count >= Infinity:
		return "a failure that rules it out"
	case count == 1:
		return "1 failure"
	}
	return count.String() + " failures"
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
