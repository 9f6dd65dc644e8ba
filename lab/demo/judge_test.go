package demo

import (
	"errors"
	"strings"
	"testing"

	"github.com/takt-ha/takt/lab"
)

func report(change func(*lab.Report)) *lab.Report {
	r := &lab.Report{Total: 100, OK: 98, Failed: 2, Gaps: []lab.Gap{{Length: 800, Before: "n1", After: "n2", Failed: 2}},
		Switches: []lab.Switch{{Before: "n1", After: "n2"}}}
	change(r)
	return r
}

func TestJudge(t *testing.T) {
	limits := Limits{Outage: 1000, Failed: -1, Switches: 1}
	for _, c := range []struct {
		name   string
		result Result
		change func(*lab.Report)
		err    error
		want   string // part of what was broken; "" for kept
	}{
		{"kept", Result{}, func(*lab.Report) {}, nil, ""},
		{"too long", Result{}, func(r *lab.Report) { r.Gaps[0].Length = 1001 }, nil, "limit 1000 ms"},
		{"too long, and the machine is not to blame", Result{Busy: 100}, func(r *lab.Report) { r.Gaps[0].Length = 1101 }, nil, "limit 1100 ms"},
		{"the machine is to blame", Result{Busy: 100}, func(r *lab.Report) { r.Gaps[0].Length = 1099 }, nil, ""},
		{"two answered", Result{}, func(r *lab.Report) { r.Twice = []lab.Switch{{Before: "n2", After: "n1"}} }, nil, "never twice"},
		{"two addresses", Result{Both: 20}, func(*lab.Report) {}, nil, "never twice"},
		{"no switch", Result{}, func(r *lab.Report) { r.Switches = nil }, nil, "changed 0 times"},
		{"nobody answered", Result{}, func(r *lab.Report) { r.OK = 0 }, nil, "never lost"},
		{"stuck", Result{}, func(*lab.Report) {}, errors.New("time is up"), "not finished"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.result.Limits = limits
			got := strings.Join(judge(c.result, report(c.change), c.err).Broken, "; ")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("broken: %q, want %q", got, c.want)
			}
		})
	}
}

func TestJudgeFailedRequests(t *testing.T) {
	r := judge(Result{Limits: Limits{Outage: 1000, Switches: 1}}, report(func(*lab.Report) {}), nil)
	if len(r.Broken) != 1 || !strings.Contains(r.Broken[0], "2 requests failed") {
		t.Errorf("got %v", r.Broken)
	}
}

func TestUnprovenIsShownAndNotJudged(t *testing.T) {
	r := judge(Result{Both: 40, Limits: Limits{Outage: 1000, Failed: -1, Switches: 1, Unproven: true}}, report(func(*lab.Report) {}), nil)
	if len(r.Broken) != 0 || !strings.Contains(Table([]Result{r}), "note on") {
		t.Errorf("broken %v, table:\n%s", r.Broken, Table([]Result{r}))
	}
}

func TestBroken(t *testing.T) {
	kept := make([]Result, len(steps("fast")))
	if Broken(kept, "fast") {
		t.Error("all kept")
	}
	if !Broken(kept[1:], "fast") {
		t.Error("a step is missing")
	}
	kept[0].Broken = []string{"x"}
	if !Broken(kept, "fast") {
		t.Error("one was broken")
	}
}
