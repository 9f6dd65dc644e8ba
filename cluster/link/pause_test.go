package link

import (
	"testing"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/internal/mutant"
	"pgregory.net/rapid"
)

// wakes pauses n1 of a cluster, and returns what it reports from its waking on until it is quorate.
func wakes(nodes int, pause int64) (reports []Event, last Standing) {
	s := newSimulation(nodes, 1, 20, 200)
	for _, n := range s.nodes {
		s.start(n)
	}
	s.run(s.now + 1000*ms)
	n := s.nodes[0]
	s.onEvent = func(about *simNode, ev Event) {
		if about == n {
			reports = append(reports, ev)
		}
	}
	n.pausedTo = s.now + pause
	s.run(n.pausedTo + 1000*ms)
	return reports, n.eng.standing
}

// TestPaused: a node that was stopped and continued says so before anything
// else, and calls nobody lost, however long it was.
func TestPaused(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nodes := rapid.IntRange(2, 5).Draw(rt, "nodes")
		reports, last := wakes(nodes, int64(rapid.IntRange(240, 5000).Draw(rt, "pause"))*ms)
		if len(reports) == 0 || reports[0].Kind != SelfPaused {
			rt.Fatalf("the first reports are %+v", reports)
		}
		for _, ev := range reports {
			if ev.Kind == PeerLost || ev.Kind == PeerGone || ev.Standing == Tie {
				rt.Fatalf("on waking: %s %s", ev.Kind, ev.Reason)
			}
		}
		if last != Quorate {
			rt.Fatalf("it is %s in the end", last)
		}
	})
}

// TestMutants: without its rule a node that was paused accuses others, and one that is cut off does not see it.
func TestMutants(t *testing.T) {
	defer mutant.Switch(mutant.OwnPause)()
	accused := false
	reports, _ := wakes(2, 600*ms)
	for _, ev := range reports {
		accused = accused || ev.Kind == PeerLost
	}
	if !accused {
		t.Errorf("a node that does not doubt itself calls nobody lost: the rule does nothing; %+v", reports)
	}
	mutant.Switch(mutant.Isolation)
	s := newSimulation(3, 1, 20, 200)
	for _, n := range s.nodes {
		s.start(n)
	}
	s.run(s.now + 1000*ms)
	for _, other := range []cib.NodeID{2, 3} {
		s.cut[[3]int{1, int(other), 0}], s.cut[[3]int{int(other), 1, 0}] = true, true
	}
	s.run(s.now + 1000*ms)
	if got := s.nodes[0].eng.standing; got != Quorate {
		t.Errorf("a node that ignores its isolation is %s: the rule sits elsewhere", got)
	}
}
