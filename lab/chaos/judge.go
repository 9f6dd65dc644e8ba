package chaos

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Crash is the end of everything on a node: at Time, ns since 1970, nothing of
// it ran any more, and nothing had been started anew.
type Crash struct {
	Node string
	Time int64
}

// Interval is a time in which a resource may have been active on a node.
type Interval struct {
	Node     string
	From, To int64  // ns since 1970; To is math.MaxInt64 while it goes on
	Began    string // what makes it so: "start", or "monitor" if it was only seen
	Ended    string // "stop", "probe" (found not running), "crash", or "" while it goes on
}

// Violation is a resource that may have been active on two nodes at once.
type Violation struct {
	Resource string
	A, B     Interval
}

// String tells the two intervals, with the times since the earlier one began.
func (v Violation) String() string {
	rel := func(t int64) string {
		if t == math.MaxInt64 {
			return "now"
		}
		return fmt.Sprintf("%.1f ms", float64(t-v.A.From)/1e6)
	}
	return fmt.Sprintf("%s may have run twice from %s: on %s until %s (%s … %s), on %s from %s (%s) until %s (%s)",
		v.Resource, time.Unix(0, v.A.From).UTC().Format("15:04:05.000000"),
		v.A.Node, rel(v.A.To), v.A.Began, cmp.Or(v.A.Ended, "not stopped"),
		v.B.Node, rel(v.B.From), v.B.Began, rel(v.B.To), cmp.Or(v.B.Ended, "not stopped"))
}

// Judge decides from the logs of all nodes and from their crashes which unique
// resources may have been active twice. A resource may be active on a node
//
//	from  the begin of a start, whatever became of it, or
//	      the begin of a monitor that found it running there,
//	to    the end of a stop that succeeded, or
//	      the end of a single monitor (a probe) that found it not running, or
//	      the node's crash.
//
// A stop that failed, or that has no end, proves nothing. Fence devices are left out:
// what they say of themselves is where they are watched, and a node that is to be
// fenced is no reason to wait with that.
func Judge(calls []Call, crashes []Crash) []Violation {
	all := Intervals(calls, crashes)
	var found []Violation
	for _, resource := range slices.Sorted(maps.Keys(all)) {
		list := all[resource]
		slices.SortStableFunc(list, func(a, b Interval) int { return cmp.Compare(a.From, b.From) })
		for i, a := range list {
			for _, b := range list[i+1:] {
				if a.Node != b.Node && b.From < a.To && a.From < b.To {
					found = append(found, Violation{resource, a, b})
				}
			}
		}
	}
	return found
}

// place is a resource on a node.
type place struct{ resource, node string }

// tracker follows one resource on one node.
type tracker struct {
	open   *Interval
	closed int64 // when the last interval ended
	begun  map[callKey]Call
	done   []Interval
}

type callKey struct {
	daemon int
	number int64
}

// Intervals returns for each resource when it may have been active where.
func Intervals(calls []Call, crashes []Crash) map[string][]Interval {
	at := map[place]*tracker{}
	crashes = slices.Clone(crashes)
	slices.SortStableFunc(crashes, func(a, b Crash) int { return cmp.Compare(a.Time, b.Time) })
	calls = slices.Clone(calls)
	slices.SortStableFunc(calls, func(a, b Call) int { return cmp.Compare(a.Time, b.Time) })
	for _, c := range calls {
		for len(crashes) > 0 && crashes[0].Time < c.Time {
			crash(at, crashes[0])
			crashes = crashes[1:]
		}
		if c.Class == classFence {
			continue
		}
		p := place{c.Resource, c.Node}
		if at[p] == nil {
			at[p] = &tracker{begun: map[callKey]Call{}}
		}
		at[p].take(c)
	}
	for _, c := range crashes {
		crash(at, c)
	}
	all := map[string][]Interval{}
	for p, t := range at {
		list := t.done
		if t.open != nil {
			list = append(list, *t.open)
		}
		all[p.resource] = append(all[p.resource], list...)
	}
	return all
}

func crash(at map[place]*tracker, c Crash) {
	for p, t := range at {
		if p.node == c.Node {
			t.close(c.Time, "crash")
			clear(t.begun) // what was in flight died, and its number may come again
		}
	}
}

func (t *tracker) take(c Call) {
	key := callKey{c.Daemon, c.Number}
	if c.Event == "begin" {
		t.begun[key] = c
		if c.Action == actionStart {
			t.begin(c.Node, c.Time, actionStart)
		}
		return
	}
	begin, known := t.begun[key]
	delete(t.begun, key)
	if !known { // the log was cut: all that is certain is when it ended
		begin = c
	}
	switch {
	case c.Action == actionStop && c.answered(codeOK), c.Action == actionMonitor && c.Interval == 0 && c.answered(codeNotRunning):
		if t.starting(c.Daemon) {
			return // it looked before the start that is in flight had done its work
		}
		why := c.Action
		if why == actionMonitor {
			why = "probe"
		}
		t.close(c.Time, why)
	case c.Action == actionMonitor && (c.answered(codeOK) || c.answered(codeRunningPromoted)):
		if begin.Time >= t.closed {
			t.begin(c.Node, begin.Time, actionMonitor)
		}
	}
}

// starting reports whether this daemon has a start in flight. A later daemon
// ends what its predecessor left before it calls an agent.
func (t *tracker) starting(daemon int) bool {
	for key, c := range t.begun {
		if key.daemon == daemon && c.Action == actionStart {
			return true
		}
	}
	return false
}

func (t *tracker) begin(node string, at int64, why string) {
	if t.open == nil {
		t.open = &Interval{Node: node, From: at, To: math.MaxInt64, Began: why}
	}
}

func (t *tracker) close(at int64, why string) {
	t.closed = at
	if t.open != nil {
		t.open.To, t.open.Ended = at, why
		t.done = append(t.done, *t.open)
		t.open = nil
	}
}
