package scheduler_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// oracleRun compares many random CIBs in several lanes at once.
type oracleRun struct {
	seed     uint64
	features schedtest.Features
	size     int
	next     atomic.Uint64 // seeds handed out so far

	mu                                          sync.Mutex
	equal, scores, differ, mute, oddEnd, cyclic int
	classes                                     map[string]*class
}

// class is a group of differences of one kind.
type class struct {
	signature string
	count     int
	seed      uint64 // of the smallest CIB that shows it
	bytes     int
	diff      []string
}

// TestOracle compares with crm_simulate on random CIBs: TAKT_ORACLE is how many,
// TAKT_ORACLE_SEED the first seed, TAKT_ORACLE_FEATURES what they may use,
// TAKT_ORACLE_SIZE how large they are. Classes of differences are printed, and
// the smallest CIB of each, shrunk, goes to the folder TAKT_ORACLE_OUT, at most
// TAKT_ORACLE_SHRINK (20) of them, the most frequent first.
func TestOracle(t *testing.T) {
	n := number(t, "TAKT_ORACLE", 0)
	if n == 0 {
		t.Skip("set TAKT_ORACLE to a number of random CIBs to ask crm_simulate about")
	}
	features, err := schedtest.ParseFeatures(os.Getenv("TAKT_ORACLE_FEATURES"))
	if err != nil {
		t.Fatal(err)
	}
	run := &oracleRun{seed: number(t, "TAKT_ORACLE_SEED", 1), features: features, size: int(number(t, "TAKT_ORACLE_SIZE", 6)), classes: map[string]*class{}}
	began := time.Now()
	var wait sync.WaitGroup
	for range 2 {
		oracle := openOracle(t)
		oracle.Unvalidated = true
		wait.Go(func() { run.lane(oracle, n) })
	}
	wait.Wait()
	run.report(t, time.Since(began))
}

func (r *oracleRun) lane(oracle *schedtest.Oracle, n uint64) {
	var worker schedtest.Worker
	defer worker.Close()
	for {
		i := r.next.Add(1) - 1
		if i >= n {
			return
		}
		root := schedtest.Random(r.seed+i, r.size, r.features)
		want, diff, scores, err := ask(oracle, &worker, root)
		r.note(root, r.seed+i, want, diff, scores, err)
	}
}

// ask puts one question to both.
func ask(oracle *schedtest.Oracle, worker *schedtest.Worker, root *cib.Node) (want *schedtest.Expectation, diff, scores []string, err error) {
	return askAt(oracle, worker, root, schedtest.RandomTime)
}

// askAt puts one question about some time to both.
func askAt(oracle *schedtest.Oracle, worker *schedtest.Worker, root *cib.Node, now time.Time) (want *schedtest.Expectation, diff, scores []string, err error) {
	text := []byte(root.String())
	if want, err = oracle.Ask(text, now); err != nil {
		return nil, nil, nil, err
	}
	got, err := worker.Schedule(text, now)
	if err != nil {
		return want, []string{err.Error()}, nil, nil
	}
	diff = schedtest.Compare(want, got)
	if want.Cyclic() { // an order that can never end is nothing to follow
		diff = slices.DeleteFunc(diff, func(d string) bool { return strings.Contains(d, " order ") })
	}
	return want, diff, schedtest.CompareScores(want, got), nil
}

func (r *oracleRun) note(root *cib.Node, seed uint64, want *schedtest.Expectation, diff, scores []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.mute++
		return
	}
	if want.Cyclic() {
		r.cyclic++
	}
	if want.After.Placement == nil {
		r.oddEnd++
	}
	if len(scores) == 0 && want.Scores != nil {
		r.scores++
	}
	if len(diff) == 0 {
		r.equal++
		return
	}
	r.differ++
	sig := schedtest.Signature(diff, root)
	c := r.classes[sig]
	if c == nil {
		c = &class{signature: sig, bytes: math.MaxInt}
		r.classes[sig] = c
	}
	c.count++
	if size := len(root.String()); size < c.bytes || size == c.bytes && seed < c.seed {
		c.bytes, c.seed, c.diff = size, seed, diff
	}
}

func (r *oracleRun) report(t *testing.T, took time.Duration) {
	list := slices.SortedFunc(maps.Values(r.classes), func(a, b *class) int {
		return cmp.Or(b.count-a.count, strings.Compare(a.signature, b.signature))
	})
	var text strings.Builder
	for _, c := range list[:min(len(list), 60)] {
		fmt.Fprintf(&text, "%6d  %s   (seed %d)\n", c.count, c.signature, c.seed)
	}
	total := r.equal + r.differ
	t.Logf("\n%sfeatures %s, seeds from %d: %d of %d equal (%.2f %%), scores equal in %d, %d classes of differences; no answer to %d, end unknown of %d, circles in %d; %.0f CIBs a second",
		text.String(), r.features, r.seed, r.equal, total, 100*float64(r.equal)/float64(max(total, 1)), r.scores, len(list), r.mute, r.oddEnd, r.cyclic,
		float64(total+r.mute)/took.Seconds())
	if dir := os.Getenv("TAKT_ORACLE_OUT"); dir != "" {
		most := int(number(t, "TAKT_ORACLE_SHRINK", 20))
		r.write(t, dir, list[:min(len(list), most)])
	}
}

// write puts the shrunk CIB of each class, and how it differs, into a folder.
func (r *oracleRun) write(t *testing.T, dir string, list []*class) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	oracle := openOracle(t)
	oracle.Unvalidated = true
	var worker schedtest.Worker
	defer worker.Close()
	for i, c := range list {
		small := schedtest.Shrink(schedtest.Random(c.seed, r.size, r.features), func(root *cib.Node) bool {
			_, diff, _, err := ask(oracle, &worker, root)
			return err == nil && schedtest.Signature(diff, root) == c.signature && cib.Validate(root) == nil
		})
		_, diff, _, err := ask(oracle, &worker, small)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%d times: %s\nseed %d\n\n%s\n", c.count, c.signature, c.seed, strings.Join(diff, "\n"))
		name := filepath.Join(dir, fmt.Sprintf("%02d", i+1))
		if err := errors.Join(os.WriteFile(name+".xml", []byte(small.Indent()), 0o644), os.WriteFile(name+".txt", []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestOracleKnowsTheCases: asking the real one ourselves gives what was recorded.
func TestOracleKnowsTheCases(t *testing.T) {
	if os.Getenv("TAKT_ORACLE") == "" {
		t.Skip("set TAKT_ORACLE to ask crm_simulate")
	}
	list := regressions(t)
	oracle := openOracle(t)
	for _, c := range list {
		xml, err := os.ReadFile(filepath.Join(casesDir, c.Name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := schedtest.Load(filepath.Join(casesDir, c.Name+".json"), filepath.Join(casesDir, c.Name+".scores"))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Time{}
		if len(c.Args) > 0 || c.Now != nil {
			now = caseTime(t, c)
		}
		got, err := oracle.Ask(xml, now)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if diff := append(schedtest.Compare(want, got), schedtest.CompareScores(want, got)...); len(diff) > 0 {
			t.Errorf("%s:\n  %s", c.Name, strings.Join(diff, "\n  "))
		}
	}
}

func openOracle(t *testing.T) *schedtest.Oracle {
	t.Helper()
	oracle, err := schedtest.NewOracle()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { oracle.Close() })
	return oracle
}
