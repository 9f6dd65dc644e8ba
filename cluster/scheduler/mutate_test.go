package scheduler_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// sample is a document with the time at which it is looked at.
type sample struct {
	name string
	root *cib.Node
	now  time.Time
}

// ownCases are the clusters of all files in testdata/cases.
func ownCases(t testing.TB) []sample {
	t.Helper()
	var list []sample
	err := filepath.WalkDir("testdata/cases", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".txt" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		c, err := schedtest.ParseCase(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		root, now := c.CIB()
		list = append(list, sample{strings.TrimPrefix(filepath.ToSlash(path), "testdata/cases/"), root, now})
		return nil
	})
	if err != nil || len(list) == 0 {
		t.Fatalf("%d cases: %v", len(list), err)
	}
	return list
}

// slow is far beyond what any answer takes on a loaded machine: what is not
// bounded takes hours, or all memory.
const slow = 30 * time.Second

// TestMutations: documents that make no sense get an answer, soon, and always
// the same one, that has no circle. TAKT_MUTATIONS is how many of each case,
// TAKT_MUTATIONS_FROM the first seed; TAKT_MUTATIONS_OF=all takes the recorded
// cases, too; TAKT_TRACE is a file that gets each document before it is asked.
func TestMutations(t *testing.T) {
	from := number(t, "TAKT_MUTATIONS_FROM", 0)
	list := ownCases(t)
	if os.Getenv("TAKT_MUTATIONS_OF") == "all" {
		list = append(list, recordedCases(t)...)
	}
	for seed := range number(t, "TAKT_MUTATIONS", 4) {
		for _, s := range list {
			mutateOnce(t, s, seed+from)
		}
	}
}

// recordedCases are the clusters of the recorded regression cases.
func recordedCases(t *testing.T) []sample {
	t.Helper()
	var list []sample
	for _, c := range regressions(t) {
		text, err := os.ReadFile(filepath.Join(casesDir, c.Name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		root, err := cib.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, sample{c.Name, root, caseTime(t, c)})
	}
	return list
}

func mutateOnce(t *testing.T, s sample, seed uint64) {
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s, seed %d: panic: %v\n%s", s.name, seed, p, debug.Stack())
		}
	}()
	root := schedtest.Mutate(s.root, seed)
	if file := os.Getenv("TAKT_TRACE"); file != "" {
		if err := os.WriteFile(file, []byte(root.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	one := scheduler.Schedule(root, s.now)
	if took := time.Since(began); took > slow {
		t.Errorf("%s, seed %d: it took %v", s.name, seed, took)
	}
	if transitionBytes(t, one) != transitionBytes(t, scheduler.Schedule(root, s.now)) {
		t.Errorf("%s, seed %d: two answers", s.name, seed)
	}
	if schedtest.Decide(root, s.now).Cyclic() {
		t.Errorf("%s, seed %d: actions that wait for themselves", s.name, seed)
	}
}
