package scheduler

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// casesDir holds regression cases of another implementation, as data; it is
// no part of the repository.
const casesDir = "../../../shared/scheduler"

// floors are how many cases of a milestone passed when they were last raised.
var floors = map[int]int{1: 66, 2: 67, 3: 14, 4: 6, 5: 1}

type expectedAction struct {
	Kind                         Kind
	Task, Resource, Node, Detail string
	Interval                     int64 `json:"interval_ms"`
}

type expectation struct {
	Actions []expectedAction
	Order   [][2]int
	After   struct{ Placement Placement }
}

type caseEntry struct {
	Name      string
	Args      []string
	Milestone int
	Now       *int64
}

func TestCases(t *testing.T) {
	var list []caseEntry
	text, err := os.ReadFile(filepath.Join(casesDir, "cases.json"))
	if err != nil {
		t.Skip("the regression cases are not here (" + casesDir + "): skipped")
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	passed, total := map[int]int{}, map[int]int{}
	for _, c := range list {
		total[c.Milestone]++
		diff := runCase(t, c)
		if len(diff) == 0 {
			passed[c.Milestone]++
		} else if os.Getenv("TAKT_CASES") == "all" || os.Getenv("TAKT_CASES") == c.Name || os.Getenv("TAKT_CASES") == fmt.Sprint(c.Milestone) {
			t.Logf("M%d %s\n  %s", c.Milestone, c.Name, strings.Join(diff, "\n  "))
		}
	}
	for _, m := range slices.Sorted(maps.Keys(total)) {
		t.Logf("milestone %d: %d of %d", m, passed[m], total[m])
		if passed[m] < floors[m] {
			t.Errorf("milestone %d: %d cases pass, it were at least %d", m, passed[m], floors[m])
		}
	}
}

func runCase(t *testing.T, c caseEntry) []string {
	t.Helper()
	xml, err := os.ReadFile(filepath.Join(casesDir, c.Name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	var want expectation
	text, err := os.ReadFile(filepath.Join(casesDir, c.Name+".json"))
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	root, err := cib.Parse(xml)
	if err != nil {
		return []string{err.Error()}
	}
	return differences(&want, Schedule(root, caseTime(t, c)))
}

func caseTime(t *testing.T, c caseEntry) time.Time {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if c.Now != nil {
		now = time.Unix(*c.Now, 0)
	}
	for i, a := range c.Args {
		if a == "-t" {
			var err error
			if now, err = ParseTime(c.Args[i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return now
}

// differences compares real actions, their order as reachability, and where
// things run afterwards.
func differences(want *expectation, got *Transition) []string {
	gotOrder := make([][2]int, 0, len(got.Order))
	for _, o := range got.Order {
		gotOrder = append(gotOrder, [2]int{int(o.Before), int(o.After)})
	}
	mine := make([]expectedAction, 0, len(got.Actions))
	for _, a := range got.Actions {
		mine = append(mine, expectedAction{a.Kind, a.Task, a.Resource, a.Node, a.Detail, a.Interval})
	}
	a, b := realActions(want.Actions), realActions(mine)
	var diff []string
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if len(a[k]) > len(b[k]) {
			diff = append(diff, "- "+k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(b)) {
		if len(b[k]) > len(a[k]) {
			diff = append(diff, "+ "+k)
		}
	}
	p, q := reachable(a, b, len(want.Actions), want.Order), reachable(b, a, len(got.Actions), gotOrder)
	for _, k := range slices.Sorted(maps.Keys(p)) {
		if !q[k] {
			diff = append(diff, "- order "+k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(q)) {
		if !p[k] {
			diff = append(diff, "+ order "+k)
		}
	}
	_, after := got.Placements()
	names := map[string]bool{}
	for r := range after {
		names[r] = true
	}
	for r := range want.After.Placement {
		names[r] = true
	}
	for _, r := range slices.Sorted(maps.Keys(names)) {
		if !maps.Equal(after[r], want.After.Placement[r]) {
			diff = append(diff, fmt.Sprintf("~ %s: want %v, got %v", r, want.After.Placement[r], after[r]))
		}
	}
	return diff
}

func realActions(list []expectedAction) map[string][]int {
	found := map[string][]int{}
	for i, a := range list {
		if a.Kind == Resource || a.Task == "stonith" && a.Kind == Cluster {
			k := fmt.Sprintf("%s %s %s %d %s", a.Resource, a.Task, a.Node, a.Interval, a.Detail)
			found[k] = append(found[k], i)
		}
	}
	return found
}

func reachable(own, other map[string][]int, n int, order [][2]int) map[string]bool {
	after := make([][]int, n)
	for _, o := range order {
		after[o[0]] = append(after[o[0]], o[1])
	}
	name := map[int]string{}
	for k, ids := range own {
		if len(other[k]) > 0 {
			for _, i := range ids {
				name[i] = k
			}
		}
	}
	pairs := map[string]bool{}
	starts := slices.Collect(maps.Keys(name))
	sort.Ints(starts)
	for _, i := range starts {
		seen, stack := make([]bool, n), append([]int(nil), after[i]...)
		for len(stack) > 0 {
			j := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if seen[j] {
				continue
			}
			seen[j] = true
			if k := name[j]; k != "" {
				pairs[name[i]+" -> "+k] = true
			}
			stack = append(stack, after[j]...)
		}
	}
	return pairs
}
