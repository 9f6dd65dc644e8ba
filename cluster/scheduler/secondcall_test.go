package scheduler_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// secondCalls are what the daemon sees most: one result of one operation, on a
// node and for a resource that change from call to call.
var secondCalls = []struct {
	name string
	schedtest.Large
	result func(i int) cib.OpRecord
}{
	{"probe-ended", schedtest.Large{Nodes: 32, Primitives: 1000, Past: schedtest.PastNone}, func(i int) cib.OpRecord {
		return cib.OpRecord{Resource: fmt.Sprintf("p%05d", i%1000), Operation: "monitor", OnNode: "n003", TargetRC: 7, RC: 7}
	}},
	{"start-ended", schedtest.Large{Nodes: 32, Primitives: 1000, Past: schedtest.PastProbed}, func(i int) cib.OpRecord {
		k := i % 1000
		return cib.OpRecord{Resource: fmt.Sprintf("p%05d", k), Operation: "start", OnNode: fmt.Sprintf("n%03d", k%32+1)}
	}},
	{"monitor-failed", schedtest.Large{Nodes: 32, Primitives: 1000, Past: schedtest.PastRunning}, func(i int) cib.OpRecord {
		k := i % 1000
		return cib.OpRecord{Resource: fmt.Sprintf("p%05d", k), Operation: "monitor", IntervalMS: 10000, OnNode: fmt.Sprintf("n%03d", k%32+1), RC: 7}
	}},
}

// BenchmarkSecondCall is a call after the result of one operation changed; it
// says how much that is of a call that knows nothing of an earlier one.
func BenchmarkSecondCall(b *testing.B) {
	for _, c := range secondCalls {
		b.Run(c.name, func(b *testing.B) {
			root := largeRoot(b, c.Large)
			var full time.Duration
			for range 3 {
				from := time.Now()
				scheduler.Schedule(root, benchTime)
				if d := time.Since(from); full == 0 || d < full {
					full = d
				}
			}
			i := 0
			for b.Loop() {
				b.StopTimer()
				i++
				root = withResult(root, c.result(i), int64(1_000_000+i))
				b.StartTimer()
				scheduler.Schedule(root, benchTime)
			}
			b.ReportMetric(100*float64(b.Elapsed())/float64(b.N)/float64(full), "%of-full")
		})
	}
}

// withResult writes the result of an operation into the history of its node.
func withResult(root *cib.Node, r cib.OpRecord, call int64) *cib.Node {
	r.Call, r.Changed, r.Digest = call, benchTime, scheduler.ParamsDigest(nil)
	return root.WithPath(func(status *cib.Node) *cib.Node {
		for state := range status.Elements {
			if state.Attr("uname") == r.OnNode {
				return status.WithReplaced(state, state.WithPath(func(list *cib.Node) *cib.Node {
					lrm := list.ChildByID("lrm_resource", r.Resource)
					if lrm == nil {
						return list.WithChild(cib.MergeOp(cib.LRMResource(r.Resource, "ocf", "heartbeat", "Dummy"), r))
					}
					return list.WithReplaced(lrm, cib.MergeOp(lrm, r))
				}, "lrm", "lrm_resources"))
			}
		}
		return status
	}, "status")
}
