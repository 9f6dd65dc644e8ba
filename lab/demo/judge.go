package demo

import (
	"fmt"
	"strings"

	"github.com/takt-ha/takt/lab"
)

// Limits are what a step must keep. Times are the client's, in ms.
type Limits struct {
	Outage   float64 // longest gap
	Failed   int     // failed requests allowed; -1: any number, within the gap
	Switches int     // changes of the answering node: exactly so many
	// Unproven: the node that had the address is alive but cannot be reached, so
	// that without a fence device nothing can prove that it has let go. An address
	// on two nodes is then shown, and not judged; two answers always are.
	Unproven bool
}

// Result is a step as it went.
type Result struct {
	Step     string   `json:"step"`
	Outage   float64  `json:"outage_ms"`
	Failed   int      `json:"failed"`
	Total    int      `json:"total"`
	From     string   `json:"from"`
	To       string   `json:"to"`
	Both     float64  `json:"address_twice_ms"` // how long two nodes had the address
	Busy     float64  `json:"machine_busy_ms"`  // the longest time for which the client got no answer from itself; each limit is so much longer
	Visits   uint64   `json:"visits"`           // number of the last visit that was counted on the volume
	Limits   Limits   `json:"limits"`
	Promise  string   `json:"promise"`
	Broken   []string `json:"broken"` // promises that were, in words; empty: kept
	Finished bool     `json:"finished"`
}

// judge holds what the client and the observer saw against the limits.
func judge(r Result, seen *lab.Report, err error) Result {
	r.Outage, r.Failed, r.Total, r.Finished, r.Broken = seen.Longest(), seen.Failed, seen.Total, err == nil, []string{}
	r.Limits.Outage += r.Busy
	breaks := func(format string, args ...any) { r.Broken = append(r.Broken, fmt.Sprintf(format, args...)) }
	if err != nil {
		breaks("not finished: %v", err)
	}
	if len(seen.Twice) > 0 {
		t := seen.Twice[0]
		breaks("never twice: %s and %s answered in turns", t.Before, t.After)
	}
	if r.Both > 0 && !r.Limits.Unproven {
		breaks("never twice: two nodes had %s for %.0f ms", ServiceAddress, r.Both)
	}
	if seen.OK == 0 {
		breaks("never lost: no request was answered")
	} else if last := seen.Gaps; len(last) > 0 && last[len(last)-1].After == "" && err == nil && last[len(last)-1].Length > r.Limits.Outage {
		breaks("never lost: the service did not come back")
	}
	if r.Outage > r.Limits.Outage {
		breaks("outage of %.0f ms, limit %.0f ms", r.Outage, r.Limits.Outage)
	}
	if r.Limits.Failed >= 0 && r.Failed > r.Limits.Failed {
		breaks("%d requests failed, limit %d", r.Failed, r.Limits.Failed)
	}
	if err == nil && len(seen.Switches) != r.Limits.Switches {
		breaks("the answering node changed %d times, not %d", len(seen.Switches), r.Limits.Switches)
	}
	return r
}

// Table renders the results, a line a step, and below it what was broken.
func Table(results []Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-34s %10s %10s %7s %7s  %-10s %s\n", "step", "outage ms", "limit ms", "failed", "visits", "served by", "promise")
	for _, r := range results {
		verdict := "kept: " + r.Promise
		if len(r.Broken) > 0 {
			verdict = "BROKEN: " + r.Promise
		}
		served := r.From
		if r.To != r.From {
			served += " → " + r.To
		}
		pad := strings.Repeat(" ", max(0, 10-len([]rune(served))))
		fmt.Fprintf(&b, "%-34s %10.0f %10.0f %7d %7d  %s%s %s\n", r.Step, r.Outage, r.Limits.Outage, r.Failed, r.Visits, served, pad, verdict)
	}
	busy := 0.0
	for _, r := range results {
		busy = max(busy, r.Busy)
		for _, words := range r.Broken {
			fmt.Fprintf(&b, "broken in %q: %s\n", r.Step, words)
		}
		if r.Both > 0 && r.Limits.Unproven {
			fmt.Fprintf(&b, "note on %q: two nodes had the address for %.0f ms; one of them could reach nobody, and without a fence device nothing proves that it let go\n", r.Step, r.Both)
		}
	}
	if busy >= 50 {
		fmt.Fprintf(&b, "note: this machine is busy: beside the cluster the client was without an answer from itself for up to %.0f ms, and the limits are so much longer in that step\n", busy)
	}
	return b.String()
}
