package schedtest

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

func TestMain(m *testing.M) {
	Serve()
	os.Exit(m.Run())
}

func act(task, resource, node string) Action {
	return Action{Kind: scheduler.Resource, Task: task, Resource: resource, Node: node}
}

func point(task string) Action { return Action{Kind: scheduler.Pseudo, Task: task} }

// TestCompare: actions, their order through points, and where things end.
func TestCompare(t *testing.T) {
	base := func() *Expectation {
		return &Expectation{
			Actions: []Action{act("stop", "a", "n1"), point("gate"), act("start", "a", "n2"), act("start", "b", "n2")},
			Order:   [][2]int{{0, 1}, {1, 2}},
			After:   State{scheduler.Placement{"a": {"n2": scheduler.Started}, "b": {}}},
		}
	}
	for name, c := range map[string]struct {
		change func(*Expectation)
		want   []string
	}{
		"the same": {func(*Expectation) {}, nil},
		"a shorter way": {func(e *Expectation) {
			e.Order = append(e.Order, [2]int{0, 2})
		}, nil},
		"no way": {func(e *Expectation) { e.Order = e.Order[:1] }, []string{"- order stop a on n1 -> start a on n2"}},
		"another way": {func(e *Expectation) {
			e.Order = append(e.Order, [2]int{2, 3})
		}, []string{"+ order start a on n2 -> start b on n2", "+ order stop a on n1 -> start b on n2"}},
		"a missing action": {func(e *Expectation) { e.Actions[3] = point("none") }, []string{"- start b on n2"}},
		"an action twice":  {func(e *Expectation) { e.Actions[1] = act("start", "b", "n2") }, []string{"+ start b on n2", "+ order start b on n2 -> start a on n2", "+ order stop a on n1 -> start b on n2"}},
		"a circle":         {func(e *Expectation) { e.Order = append(e.Order, [2]int{1, 0}) }, []string{"! cycle: some actions wait for themselves", "+ order stop a on n1 -> stop a on n1"}},
		"elsewhere": {func(e *Expectation) {
			e.After.Placement["a"]["n2"] = scheduler.Promoted
		}, []string{"~ a: want map[n2:Started], got map[n2:Promoted]"}},
		"nothing and nowhere": {func(e *Expectation) { delete(e.After.Placement, "b") }, nil},
	} {
		got := base()
		c.change(got)
		diff := Compare(base(), got)
		slices.Sort(diff)
		slices.Sort(c.want)
		if !slices.Equal(diff, c.want) {
			t.Errorf("%s: %q, want %q", name, diff, c.want)
		}
	}
}

func TestCompareScores(t *testing.T) {
	a, b := &Expectation{Scores: []string{"x: 1", "y: 2"}}, &Expectation{Scores: []string{"y: 2", "x: 3", "y: 2"}}
	if got, want := strings.Join(CompareScores(a, b), "|"), "- x: 1|+ x: 3|+ y: 2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := CompareScores(&Expectation{}, b); got != nil {
		t.Errorf("nothing is known, but %q differs", got)
	}
}

// TestShrink leaves what the failure needs, and nothing else.
func TestShrink(t *testing.T) {
	has := func(n *cib.Node, want string) bool { return strings.Contains(n.String(), want) }
	root := Random(3, 8, All)
	for seed := uint64(4); !has(root, `operation="stop"`) || !has(root, `on-fail="`); seed++ {
		root = Random(seed, 8, All)
	}
	small := Shrink(root, func(n *cib.Node) bool { return has(n, `operation="stop"`) && has(n, `on-fail="`) })
	count := 0
	var walk func(*cib.Node)
	walk = func(n *cib.Node) {
		count++
		for c := range n.Elements {
			walk(c)
		}
	}
	walk(small)
	if !has(small, `operation="stop"`) || !has(small, `on-fail="`) || count > 16 {
		t.Errorf("%d elements are left: %s", count, small)
	}
}

// TestWorker: a time-out and bad input are errors, and the next question is answered.
func TestWorker(t *testing.T) {
	var w Worker
	defer w.Close()
	good := []byte(Random(1, 3, 0).String())
	for range 2 {
		if _, err := w.Schedule([]byte("<cib"), RandomTime); err == nil {
			t.Error("half a document was scheduled")
		}
		if _, err := w.Schedule(good, RandomTime); err != nil {
			t.Error(err)
		}
		w.Timeout = time.Nanosecond
		if _, err := w.Schedule(good, RandomTime); err == nil {
			t.Error("an answer within a nanosecond")
		}
		w.Timeout = 0
	}
}

func TestParseFeatures(t *testing.T) {
	for text, want := range map[string]Features{"": All, "all": All, "none": 0, "groups, clones": Groups | Clones, "all,-bundles": All &^ Bundles} {
		if got, err := ParseFeatures(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := ParseFeatures("grops"); err == nil {
		t.Error("a wrong name was taken")
	}
	if len(featureNames) != 42 || All != 1<<42-1 {
		t.Errorf("%d names for %b", len(featureNames), uint64(All))
	}
}

// TestPermute moves children, and changes nothing else.
func TestPermute(t *testing.T) {
	root, moved := Random(5, 8, All), false
	for seed := range uint64(10) {
		other := Permute(root, seed, Meaningless)
		moved = moved || other.String() != root.String()
		if back := Permute(other, seed, 0); back.String() != other.String() {
			t.Error("nothing was to be moved, and was")
		}
		a, b := []byte(root.String()), []byte(other.String())
		slices.Sort(a)
		slices.Sort(b)
		if string(a) != string(b) {
			t.Error("something else than the order has changed")
		}
	}
	if !moved {
		t.Error("nothing has moved")
	}
}
