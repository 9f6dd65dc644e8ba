package executor

import (
	"fmt"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent"
)

// BenchmarkIdle is one poll of a node that has nothing to do but ten recurring
// monitors.
func BenchmarkIdle(b *testing.B) {
	now := storyBegins
	core := NewCore(CoreConfig{Node: "n1", Boot: "a", Parallel: 8, Grace: 5 * time.Second})
	var wake time.Time
	var polls int
	var inputs []Input
	step := func(in Input) {
		for inputs = append(inputs[:0], in); len(inputs) > 0; inputs = inputs[1:] {
			for _, e := range core.Step(now, inputs[0]) {
				switch e := e.(type) {
				case SaveMeta:
					inputs = append(inputs, Wrote{ID: e.ID})
				case SaveResource:
					inputs = append(inputs, Wrote{ID: e.ID})
				case Watch:
					inputs = append(inputs, WatchEnded{ID: e.ID, Unable: true})
				case Wake:
					wake = e.At
				case Run:
					polls++
					inputs = append(inputs, Finished{Call: e.Record.Call, Called: true, Result: agent.Result{Started: now}})
				}
			}
		}
	}
	for i := range 10 {
		cmd := Command{Stamp: Stamp{Term: 1, Action: i}, Resource: fmt.Sprintf("r%d", i), Action: agent.Start, Timeout: 1000,
			Params: map[string]string{"ip": "192.0.2.1"}}
		step(Submit{ID: uint64(2 * i), Command: cmd})
		cmd.Stamp.Action, cmd.Action, cmd.Interval = i+10, agent.Monitor, int64(1000+100*i)
		step(Submit{ID: uint64(2*i + 1), Command: cmd})
	}
	polls = 0
	b.ReportAllocs()
	for b.Loop() {
		for before := polls; polls == before; {
			now = wake
			step(Tick{})
		}
	}
}
