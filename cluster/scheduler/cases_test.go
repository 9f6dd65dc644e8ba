package scheduler_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib/rule"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// casesDir holds regression cases of another implementation, as data; it is
// no part of the repository.
const casesDir = "../../../shared/scheduler"

func TestMain(m *testing.M) {
	schedtest.Serve()
	os.Exit(m.Run())
}

// regression is one case as cases.json lists it.
type regression struct {
	Name      string
	Group     string
	Args      []string
	Milestone int
	Now       *int64
}

// tally counts cases.
type tally struct{ passed, scores, total int }

func (c *tally) add(diff, scores []string) {
	c.total++
	if len(diff) == 0 {
		c.passed++
	}
	if len(scores) == 0 {
		c.scores++
	}
}

// TestCases compares with all recorded cases. The environment says what is
// printed: TAKT_CASES=all, a milestone's number or names with commas prints
// differences, TAKT_SCORES=all or names those of the scores; TAKT_PASSED=FILE
// gets the names of the passing cases, one a line.
func TestCases(t *testing.T) {
	list := regressions(t)
	var worker schedtest.Worker
	defer worker.Close()
	milestones, groups := map[int]*tally{}, map[string]*tally{}
	var all tally
	var passed, failed []string
	for _, c := range list {
		diff, scores := compareCase(t, &worker, c)
		if len(diff) == 0 {
			passed = append(passed, c.Name)
		} else {
			failed = append(failed, fmt.Sprintf("M%d %-44s %s", c.Milestone, c.Name, diff[0]))
		}
		if milestones[c.Milestone] == nil {
			milestones[c.Milestone] = &tally{}
		}
		if groups[c.Group] == nil {
			groups[c.Group] = &tally{}
		}
		for _, n := range []*tally{milestones[c.Milestone], groups[c.Group], &all} {
			n.add(diff, scores)
		}
		if len(diff) > 0 && chosen(os.Getenv("TAKT_CASES"), c) {
			t.Logf("M%d %s\n  %s", c.Milestone, c.Name, strings.Join(diff, "\n  "))
		}
		if len(scores) > 0 && chosen(os.Getenv("TAKT_SCORES"), c) {
			t.Logf("M%d %s: scores\n  %s", c.Milestone, c.Name, strings.Join(scores, "\n  "))
		}
	}
	report(t, milestones, groups, all, failed)
	if file := os.Getenv("TAKT_PASSED"); file != "" {
		if err := os.WriteFile(file, []byte(strings.Join(passed, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func report(t *testing.T, milestones map[int]*tally, groups map[string]*tally, all tally, failed []string) {
	var text strings.Builder
	if os.Getenv("TAKT_REPORT") != "" {
		for _, line := range failed {
			fmt.Fprintf(&text, "FAIL %s\n", line)
		}
		for _, g := range slices.Sorted(maps.Keys(groups)) {
			fmt.Fprintf(&text, "%4d of %3d  %s\n", groups[g].passed, groups[g].total, g)
		}
	}
	for _, m := range slices.Sorted(maps.Keys(milestones)) {
		n := milestones[m]
		fmt.Fprintf(&text, "milestone %d: %d of %d, scores equal in %d\n", m, n.passed, n.total, n.scores)
		if n.passed < n.total {
			t.Errorf("milestone %d: %d of %d cases fail; TAKT_REPORT=1 lists them", m, n.total-n.passed, n.total)
		}
	}
	t.Logf("\n%sall: %d of %d, scores equal in %d", text.String(), all.passed, all.total, all.scores)
}

// regressions lists the cases, or skips the test where they are not.
func regressions(t *testing.T) []regression {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(casesDir, "cases.json"))
	if err != nil {
		t.Skip("the regression cases are not here (" + casesDir + "): skipped")
	}
	var list []regression
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// chosen reports whether a variable's value asks for the case.
func chosen(what string, c regression) bool {
	return what == "all" || what == fmt.Sprint(c.Milestone) || slices.Contains(strings.Split(what, ","), c.Name)
}

// compareCase returns how the answer and its scores differ from the record.
func compareCase(t *testing.T, worker *schedtest.Worker, c regression) (diff, scores []string) {
	t.Helper()
	path := filepath.Join(casesDir, c.Name)
	xml, err := os.ReadFile(path + ".xml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := schedtest.Load(path+".json", path+".scores")
	if err != nil {
		t.Fatal(err)
	}
	got, err := worker.Schedule(xml, caseTime(t, c))
	if err != nil {
		return []string{err.Error()}, []string{err.Error()}
	}
	return schedtest.Compare(want, got), schedtest.CompareScores(want, got)
}

func caseTime(t *testing.T, c regression) time.Time {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if c.Now != nil {
		now = time.Unix(*c.Now, 0)
	}
	for i, a := range c.Args {
		if a == "-t" {
			var err error
			if now, err = rule.ParseMoment(c.Args[i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return now
}
