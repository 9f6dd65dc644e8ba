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
// node and for a resource that change from call to call. It says what was known
// already (again), or something new.
var secondCalls = []struct {
	name   string
	past   schedtest.Past
	result func(p int, home string, i int) cib.OpRecord // p: of 1000 resources, home: the node where it is or will be
}{
	{"none/probe-again", schedtest.PastNone, func(int, string, int) cib.OpRecord { return probeResult(7, "n003") }},
	{"none/probe-ended", schedtest.PastNone, func(p int, _ string, _ int) cib.OpRecord { return probeResult(p, "n003") }},
	{"probed/probe-again", schedtest.PastProbed, func(p int, _ string, i int) cib.OpRecord { return probeResult(p, fmt.Sprintf("n%03d", i%32+1)) }},
	{"probed/start-ended", schedtest.PastProbed, func(p int, home string, _ int) cib.OpRecord {
		return cib.OpRecord{Resource: largePrimitive(p), Operation: "start", OnNode: home}
	}},
	{"running/monitor-again", schedtest.PastRunning, func(p int, home string, _ int) cib.OpRecord {
		return cib.OpRecord{Resource: largePrimitive(p), Operation: "monitor", IntervalMS: 10000, OnNode: home, Digest: monitorDigest}
	}},
	{"running/monitor-failed", schedtest.PastRunning, func(p int, home string, _ int) cib.OpRecord {
		return cib.OpRecord{Resource: largePrimitive(p), Operation: "monitor", IntervalMS: 10000, OnNode: home, RC: 7, Digest: monitorDigest}
	}},
}

// monitorDigest is that of the monitors of Large's primitives.
var monitorDigest = scheduler.ParamsDigest(map[string]string{"CRM_meta_timeout": "20000"})

func largePrimitive(p int) string { return fmt.Sprintf("p%05d", p) }

// homesOf says where everything is, or will be.
func homesOf(t *scheduler.Transition) map[string]string {
	homes := map[string]string{}
	for _, a := range t.Allocations {
		homes[a.Resource] = a.Node
		if len(a.From) > 0 {
			homes[a.Resource] = a.From[0]
		}
	}
	return homes
}

func probeResult(p int, node string) cib.OpRecord {
	return cib.OpRecord{Resource: largePrimitive(p), Operation: "monitor", OnNode: node, TargetRC: 7, RC: 7}
}

// TestSecondCall: none of these needs more than a part to be computed anew.
func TestSecondCall(t *testing.T) {
	for _, c := range secondCalls {
		root := largeRoot(t, schedtest.Large{Nodes: 32, Primitives: 1000, Past: c.past})
		homes := homesOf(scheduler.Schedule(root, benchTime))
		var memo scheduler.Memo
		var whole any
		for i := range 4 {
			root = withResult(root, c.result(i, homes[largePrimitive(i)], 2), int64(1_000_000+i))
			memo.Schedule(root, benchTime)
			if i == 0 {
				whole = memo.Whole()
			} else if memo.Whole() != whole {
				t.Errorf("%s: all was computed anew", c.name)
			}
		}
	}
}

// BenchmarkSecondCall is a call of a Memo after the result of one operation
// changed; it says how much that is of a call that knows nothing of an earlier one.
func BenchmarkSecondCall(b *testing.B) {
	for _, c := range secondCalls {
		b.Run(c.name, func(b *testing.B) {
			root := largeRoot(b, schedtest.Large{Nodes: 32, Primitives: 1000, Past: c.past})
			var full time.Duration
			for range 5 {
				from := time.Now()
				scheduler.Schedule(root, benchTime)
				if d := time.Since(from); full == 0 || d < full {
					full = d
				}
			}
			var memo scheduler.Memo
			homes := homesOf(memo.Schedule(root, benchTime))
			i := 0
			for b.Loop() {
				b.StopTimer()
				root = withResult(root, c.result(i%1000, homes[largePrimitive(i%1000)], i), int64(1_000_000+i))
				i++
				b.StartTimer()
				memo.Schedule(root, benchTime)
			}
			b.ReportMetric(100*float64(b.Elapsed())/float64(b.N)/float64(full), "%of-full")
			b.ReportMetric(float64(full)/1e6, "ms-full")
		})
	}
}

// withResult writes the result of an operation into the history of its node.
func withResult(root *cib.Node, r cib.OpRecord, call int64) *cib.Node {
	if r.Digest == "" {
		r.Digest = scheduler.ParamsDigest(nil)
	}
	r.Call, r.Changed = call, benchTime
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
