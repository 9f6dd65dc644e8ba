package scheduler_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// stormy are the features that tie a cluster together, calm are the others.
var stormy = []schedtest.Features{schedtest.Bundles, schedtest.Guests, schedtest.Remotes, schedtest.Rules, schedtest.Utilization,
	schedtest.Unfencing, schedtest.Orphans, schedtest.Shutdown, schedtest.Quorum, schedtest.Fencing, schedtest.Requires}

const calm = schedtest.All &^ (schedtest.Bundles | schedtest.Guests | schedtest.Remotes | schedtest.Rules | schedtest.Utilization |
	schedtest.Unfencing | schedtest.Orphans | schedtest.Shutdown | schedtest.Quorum | schedtest.Fencing | schedtest.Requires)

// TestMemo: whatever changes from call to call, a Memo gives what Schedule gives.
// TAKT_MEMO is the number of sequences, 300 if unset.
func TestMemo(t *testing.T) {
	calls, parts := 0, 0
	for seed := range number(t, "TAKT_MEMO", 300) {
		s := newStory(t, seed)
		var memo scheduler.Memo
		var told []string
		for range 12 {
			whole := memo.Whole()
			got := transitionBytes(t, memo.Schedule(s.root, s.now))
			if want := transitionBytes(t, scheduler.Schedule(s.root, s.now)); got != want {
				t.Errorf("seed %d: %q: %s", seed, told, firstDifference(want, got))
				break
			}
			calls++
			if memo.Whole() == whole {
				parts++
			}
			told = append(told, s.change())
		}
	}
	t.Logf("%d calls, %d of them in parts", calls, parts)
	if parts*10 < calls {
		t.Errorf("only %d of %d calls were computed in parts", parts, calls)
	}
}

// newStory begins with anything, with a cluster in parts, or with one that is all
// parts, where every choice between nodes depends on those before.
func newStory(t *testing.T, seed uint64) *story {
	s := &story{r: rand.New(rand.NewPCG(seed, 0x3e30)), now: schedtest.RandomTime, call: 1000}
	switch seed % 8 {
	case 0:
		s.root = schedtest.Random(seed, 3+int(seed%5), schedtest.All)
	case 1, 2:
		pasts := []schedtest.Past{schedtest.PastNone, schedtest.PastProbed, schedtest.PastRunning}
		s.root = largeRoot(t, schedtest.Large{Nodes: 2 + s.r.IntN(4), Primitives: 3 + s.r.IntN(12), Groups: s.r.IntN(3), GroupSize: 2,
			Clones: s.r.IntN(3), Past: pasts[s.r.IntN(3)]})
		s.aged()
	case 3, 4, 5:
		s.root = schedtest.Random(seed, 3+int(seed%11), calm|stormy[s.r.IntN(len(stormy))])
	default:
		s.root = schedtest.Random(seed, 3+int(seed%11), calm)
	}
	return s
}

// aged gives failures a life, so that time matters, and resources a reason to leave.
func (s *story) aged() {
	meta := cib.NewNode("meta_attributes", "id", "defaults").WithChild(
		cib.NewNode("nvpair", "id", "life", "name", "failure-timeout", "value", s.pick("0", "60s", "20min")),
		cib.NewNode("nvpair", "id", "threshold", "name", "migration-threshold", "value", s.pick("INFINITY", "1", "3")))
	s.root = s.root.WithPath(func(n *cib.Node) *cib.Node { return n.WithChild(meta) }, "configuration", "rsc_defaults")
}

func (s *story) pick(list ...string) string { return list[s.r.IntN(len(list))] }

// story changes a cluster as a daemon does.
type story struct {
	r    *rand.Rand
	root *cib.Node
	now  time.Time
	call int64
	gone *cib.Node // the state of the node that went away, before it did
}

// change makes one small change, and says which.
func (s *story) change() string {
	switch n := s.r.IntN(100); {
	case n < 62:
		return s.result()
	case n < 70:
		return s.forget()
	case n < 80:
		step := []time.Duration{time.Second, time.Minute, 10 * time.Minute, 3 * time.Hour, -10 * time.Minute}[s.r.IntN(5)]
		s.now = s.now.Add(step)
		return "later by " + step.String()
	case n < 86:
		return s.goOrCome()
	case n < 91:
		return s.constrain()
	case n < 95:
		s.root, _ = cib.Parse([]byte(s.root.String()))
		return "everything read anew"
	case n < 98:
		s.root = s.root.WithAttr("num_updates", fmt.Sprint(s.r.IntN(1000)))
		return "counted on"
	}
	s.root = s.root.WithAttr("have-quorum", fmt.Sprint(s.r.IntN(2)))
	return "quorum"
}

func (s *story) states() []*cib.Node {
	return slices.DeleteFunc(slices.Collect(s.root.Child("status").Elements), func(n *cib.Node) bool { return n.Name() != "node_state" })
}

// replace changes the state of a node.
func (s *story) replace(old, now *cib.Node) {
	s.root = s.root.WithPath(func(status *cib.Node) *cib.Node { return status.WithReplaced(old, now) }, "status")
}

// primitives are the configured ones.
func (s *story) primitives() []*cib.Node {
	var list []*cib.Node
	var walk func(n *cib.Node)
	walk = func(n *cib.Node) {
		for c := range n.Elements {
			if c.Name() == "primitive" {
				list = append(list, c)
			}
			walk(c)
		}
	}
	walk(s.root.Path("configuration", "resources"))
	return list
}

// result writes what an operation gave into a history, and counts its failure.
func (s *story) result() string {
	states, resources := s.states(), s.primitives()
	if len(states) == 0 || len(resources) == 0 {
		return "nothing"
	}
	state, p := states[s.r.IntN(len(states))], resources[s.r.IntN(len(resources))]
	s.call++
	r := cib.OpRecord{Resource: p.ID(), OnNode: state.Attr("uname"), Call: s.call, Changed: s.now.Add(-time.Duration(s.r.IntN(600)) * time.Second),
		Operation: s.pick("start", "stop", "monitor", "monitor", "monitor", "promote", "demote"), Transition: uint64(s.call)}
	lrm := state.Path("lrm", "lrm_resources").ChildByID("lrm_resource", p.ID())
	if r.Operation == "monitor" {
		r.IntervalMS = int64(s.r.IntN(2)) * 10000
		if r.IntervalMS == 0 {
			r.TargetRC, r.RC = 7, 7
		}
	}
	if s.r.IntN(4) == 0 {
		r.RC = []int{0, 1, 5, 7, 8, 9}[s.r.IntN(6)]
	}
	if s.r.IntN(12) == 0 {
		r.OpStatus, r.Call = -1, -1
	}
	if s.r.IntN(4) > 0 {
		r.Digest = scheduler.ParamsDigest(nil)
		for op := range lrm.Elements { // what ran there before may have had parameters
			r.Digest = op.Attr("op-digest")
		}
	}
	now := state.WithPath(func(list *cib.Node) *cib.Node {
		if lrm == nil {
			return list.WithChild(cib.MergeOp(cib.LRMResource(p.ID(), p.Attr("class"), p.Attr("provider"), p.Attr("type")), r))
		}
		return list.WithReplaced(lrm, cib.MergeOp(lrm, r))
	}, "lrm", "lrm_resources")
	if r.Failed() && s.r.IntN(4) > 0 {
		now = cib.WithFailure(now, r.Resource, r.Operation, r.IntervalMS, r.Operation == "stop", r.Changed)
	}
	s.replace(state, now)
	return fmt.Sprintf("%s of %s on %s every %d ms: %d", r.Operation, r.Resource, r.OnNode, r.IntervalMS, r.RC)
}

// forget drops the failures of a resource on a node, or all its history.
func (s *story) forget() string {
	states, resources := s.states(), s.primitives()
	if len(states) == 0 || len(resources) == 0 {
		return "nothing"
	}
	state, id := states[s.r.IntN(len(states))], resources[s.r.IntN(len(resources))].ID()
	now := cib.WithoutFailures(state, id)
	if s.r.IntN(2) == 0 {
		now = now.WithPath(func(list *cib.Node) *cib.Node {
			if lrm := list.ChildByID("lrm_resource", id); lrm != nil {
				return list.WithReplaced(lrm, nil)
			}
			return list
		}, "lrm", "lrm_resources")
	}
	s.replace(state, now)
	return "cleanup of " + id + " on " + state.Attr("uname")
}

// goOrCome takes a node away, or lets the one that went come back.
func (s *story) goOrCome() string {
	states := s.states()
	if len(states) == 0 {
		return "nothing"
	}
	if s.gone != nil {
		for _, state := range states {
			if state.ID() == s.gone.ID() {
				s.replace(state, s.gone)
			}
		}
		s.gone = nil
		return "a node came back"
	}
	s.gone = states[s.r.IntN(len(states))]
	away := s.gone.WithAttr("in_ccm", "false").WithAttr("crmd", "offline")
	if s.r.IntN(2) == 0 {
		away = away.WithAttr("join", "down").WithAttr("expected", "down")
	}
	s.replace(s.gone, away)
	return s.gone.Attr("uname") + " went away"
}

// constrain adds a constraint between two resources.
func (s *story) constrain() string {
	resources := s.primitives()
	if len(resources) == 0 {
		return "nothing"
	}
	a, b := resources[s.r.IntN(len(resources))].ID(), resources[s.r.IntN(len(resources))].ID()
	id := fmt.Sprintf("new-%d", s.r.Uint32())
	score := s.pick("INFINITY", "-INFINITY", "10", "-10")
	c := []*cib.Node{
		cib.NewNode("rsc_location", "id", id, "rsc", a, "node", "n1", "score", score),
		cib.NewNode("rsc_colocation", "id", id, "rsc", a, "with-rsc", b, "score", score),
		cib.NewNode("rsc_order", "id", id, "first", a, "then", b),
	}[s.r.IntN(3)]
	s.root = s.root.WithPath(func(list *cib.Node) *cib.Node { return list.WithChild(c) }, "configuration", "constraints")
	return c.Name() + " " + a + " " + b
}
