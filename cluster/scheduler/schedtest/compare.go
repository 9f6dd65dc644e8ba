package schedtest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/takt-ha/takt/cluster/scheduler"
)

// Compare says in words how got differs from want, nothing if it agrees:
//
//   - ACTION   a real action is missing           + ACTION   one is too many
//   - order    one must come before the other     + order    it need not
//     ! cycle    got can never end                  ~ RESOURCE runs elsewhere afterwards
//
// Order counts as reachability between real actions that are on both sides.
func Compare(want, got *Expectation) []string {
	a, b := realActions(want), realActions(got)
	diff := append(surplus("- ", a, b), surplus("+ ", b, a)...)
	common := map[string]int{}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if b[name] > 0 {
			common[name] = len(names)
			names = append(names, name)
		}
	}
	p, q := reachability(want, common), reachability(got, common)
	diff = append(diff, orderSurplus("- order ", names, p, q)...)
	diff = append(diff, orderSurplus("+ order ", names, q, p)...)
	if q.cyclic && !p.cyclic {
		diff = append(diff, "! cycle: some actions wait for themselves")
	}
	if want.After.Placement == nil {
		return diff
	}
	return append(diff, movedOtherwise(want.After.Placement, got.After.Placement)...)
}

// CompareScores says which score lines are missing (-) and which are too many
// (+); nothing where want has none.
func CompareScores(want, got *Expectation) []string {
	if want.Scores == nil {
		return nil
	}
	a, b := count(want.Scores), count(got.Scores)
	diff := append(surplus("- ", a, b), surplus("+ ", b, a)...)
	// The two sides of one score stand side by side.
	slices.SortStableFunc(diff, func(x, y string) int {
		switch x, y := x[2:], y[2:]; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return diff
}

func count(list []string) map[string]int {
	n := map[string]int{}
	for _, s := range list {
		n[s]++
	}
	return n
}

func realActions(e *Expectation) map[string]int {
	n := map[string]int{}
	for _, a := range e.Actions {
		if a.Real() {
			n[a.String()]++
		}
	}
	return n
}

// surplus lists what a has more of than b, each as often as that.
func surplus(mark string, a, b map[string]int) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(a)) {
		for range a[k] - b[k] {
			list = append(list, mark+k)
		}
	}
	return list
}

func orderSurplus(mark string, names []string, p, q reach) []string {
	var list []string
	for i, after := range p.after {
		for j := range after.without(q.after[i]) {
			list = append(list, mark+names[i]+" -> "+names[j])
		}
	}
	return list
}

func movedOtherwise(want, got scheduler.Placement) []string {
	names := map[string]bool{}
	for r := range want {
		names[r] = true
	}
	for r := range got {
		names[r] = true
	}
	var list []string
	for _, r := range slices.Sorted(maps.Keys(names)) {
		if !maps.Equal(want[r], got[r]) {
			list = append(list, fmt.Sprintf("~ %s: want %v, got %v", r, want[r], got[r]))
		}
	}
	return list
}
