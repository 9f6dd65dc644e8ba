package scheduler_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// benchSizes are the clusters that bench/scheduler measures as whole processes.
// Names without spaces, so that -bench chooses them:
//
//	go test -run '^$' -bench 'Schedule/32x1000/none' -cpuprofile cpu.prof ./cluster/scheduler
var benchSizes = []struct {
	name string
	schedtest.Large
}{
	{"32x1000/probed", schedtest.Large{Nodes: 32, Primitives: 1000, Past: schedtest.PastProbed}},
	{"32x1000/none", schedtest.Large{Nodes: 32, Primitives: 1000, Past: schedtest.PastNone}},
	{"32x1000/running", schedtest.Large{Nodes: 32, Primitives: 1000, Past: schedtest.PastRunning}},
	{"16x500x4/probed", schedtest.Large{Nodes: 16, Groups: 500, GroupSize: 4, Past: schedtest.PastProbed}},
	{"16x500x4/none", schedtest.Large{Nodes: 16, Groups: 500, GroupSize: 4, Past: schedtest.PastNone}},
	{"16x100clones/none", schedtest.Large{Nodes: 16, Clones: 100, Past: schedtest.PastNone}},
	{"100x2000/probed", schedtest.Large{Nodes: 100, Primitives: 2000, Past: schedtest.PastProbed}},
	{"100x2000/none", schedtest.Large{Nodes: 100, Primitives: 2000, Past: schedtest.PastNone}},
}

// benchTime is when the clusters' documents say that they are from.
var benchTime = time.Unix(1_700_000_000, 0)

func largeRoot(b testing.TB, l schedtest.Large) *cib.Node {
	b.Helper()
	var text bytes.Buffer
	if err := l.Write(&text); err != nil {
		b.Fatal(err)
	}
	root, err := cib.Parse(text.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	return root
}

// BenchmarkSchedule is one whole call without reading the document.
func BenchmarkSchedule(b *testing.B) {
	for _, s := range benchSizes {
		b.Run(s.name, func(b *testing.B) {
			root := largeRoot(b, s.Large)
			b.ReportAllocs()
			actions := 0
			for b.Loop() {
				actions = len(scheduler.Schedule(root, benchTime).Actions)
			}
			b.ReportMetric(float64(actions), "actions")
		})
	}
}

// BenchmarkSituation is what it costs to read where everything runs.
func BenchmarkSituation(b *testing.B) {
	for _, s := range benchSizes {
		b.Run(s.name, func(b *testing.B) {
			root := largeRoot(b, s.Large)
			b.ReportAllocs()
			for b.Loop() {
				scheduler.Situation(root, benchTime, false)
			}
		})
	}
}
