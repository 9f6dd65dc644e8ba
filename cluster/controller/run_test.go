package controller

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/cluster/scheduler"
)

func transition(n int, order ...scheduler.Ordering) *scheduler.Transition {
	t := &scheduler.Transition{Order: order}
	for i := range n {
		t.Actions = append(t.Actions, scheduler.Action{ID: scheduler.ActionID(i), Kind: scheduler.Resource, Task: "start", Node: "n1"})
	}
	return t
}

// TestRunKeepsOrder runs random graphs with random failures: an action starts
// only after everything before it succeeded, never twice, at most limit are in
// flight, and the end is reached.
func TestRunKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "actions")
		tr := transition(n)
		for a := range n {
			for b := a + 1; b < n; b++ {
				if rapid.IntRange(0, 3).Draw(t, "edge") == 0 {
					tr.Order = append(tr.Order, scheduler.Ordering{Before: scheduler.ActionID(a), After: scheduler.ActionID(b)})
				}
			}
		}
		limit := rapid.IntRange(0, 4).Draw(t, "limit")
		r := NewRun(tr, limit)
		done, started := map[scheduler.ActionID]bool{}, map[scheduler.ActionID]bool{}
		var flying []scheduler.ActionID
		for step := 0; !r.Over(); step++ {
			if step > 4*n {
				t.Fatalf("no end after %d steps", step)
			}
			for _, a := range r.Next() {
				if started[a.ID] {
					t.Fatalf("action %d started twice", a.ID)
				}
				started[a.ID] = true
				for _, o := range tr.Order {
					if o.After == a.ID && !done[o.Before] {
						t.Fatalf("action %d started before %d succeeded", a.ID, o.Before)
					}
				}
				flying = append(flying, a.ID)
			}
			if limit > 0 && len(flying) > limit {
				t.Fatalf("%d in flight, limit %d", len(flying), limit)
			}
			if len(flying) == 0 {
				continue
			}
			i := rapid.IntRange(0, len(flying)-1).Draw(t, "which")
			id := flying[i]
			flying = append(flying[:i], flying[i+1:]...)
			ok := rapid.IntRange(0, 5).Draw(t, "fails") > 0
			r.End(id, ok)
			r.End(id, !ok) // a second report changes nothing
			done[id] = ok
		}
		if len(flying) > 0 {
			t.Fatalf("over with %d in flight", len(flying))
		}
	})
}

func TestRunPriorityUnderALimit(t *testing.T) {
	tr := transition(3)
	tr.Actions[2].Priority = 10
	r := NewRun(tr, 1)
	if got := r.Next(); len(got) != 1 || got[0].ID != 2 {
		t.Fatalf("started %v, want action 2 alone: it has the highest priority", got)
	}
}

func TestRunAbortWaitsForWhatFlies(t *testing.T) {
	r := NewRun(transition(2, scheduler.Ordering{Before: 0, After: 1}), 0)
	r.Next()
	r.Abort("test")
	if r.Over() {
		t.Fatal("over although an action is in flight")
	}
	r.End(0, true)
	if got := r.Next(); !r.Over() || len(got) > 0 {
		t.Fatalf("after the abort: over=%v, started %v; want over and nothing", r.Over(), got)
	}
}

func TestRunDropNode(t *testing.T) {
	tr := transition(3, scheduler.Ordering{Before: 0, After: 2})
	tr.Actions[1].Node = "n2"
	r := NewRun(tr, 0)
	r.Next()
	r.DropNode("n1")
	r.End(1, true)
	ok, bad, skipped := r.Counts()
	if !r.Over() || ok != 1 || bad != 1 || skipped != 1 {
		t.Fatalf("over=%v ok=%d failed=%d skipped=%d; want over with 1, 1, 1", r.Over(), ok, bad, skipped)
	}
}

// TestRunDropNodeLeavesFencingAlone: that a node falls silent while it is fenced
// does not end its fencing.
func TestRunDropNodeLeavesFencingAlone(t *testing.T) {
	tr := transition(1)
	tr.Actions[0].Kind, tr.Actions[0].Task, tr.Actions[0].Detail = scheduler.Cluster, "stonith", "reboot"
	r := NewRun(tr, 0)
	r.Next()
	if dropped := r.DropNode("n1"); len(dropped) > 0 || r.Over() {
		t.Fatalf("dropped %v", dropped)
	}
}

// TestRunLeavesStuckAlone: what waits for something outside the transition is
// never started, and does not keep the run from ending.
func TestRunLeavesStuckAlone(t *testing.T) {
	tr := transition(3, scheduler.Ordering{Before: 1, After: 2})
	tr.Actions[1].Stuck = "stop of other"
	r := NewRun(tr, 0)
	next := r.Next()
	if len(next) != 1 || next[0].ID != 0 {
		t.Fatalf("%v may start", next)
	}
	r.End(0, true)
	if !r.Over() {
		t.Error("the run waits for what cannot happen")
	}
}
