package scheduler_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// recorded is a regression case as a start for alterations.
type recorded struct {
	name string
	root *cib.Node
	now  time.Time
}

// alterationRun compares many alterations in several lanes at once.
type alterationRun struct {
	seed  uint64
	bases []recorded
	next  atomic.Uint64

	mu                   sync.Mutex
	equal, scores, mute  int
	total, cyclic, blunt int
	classes              map[string]*alterationClass
	found                *os.File // a line for each difference, as it is found; nil: none
}

// alterationClass is a group of differences of one kind.
type alterationClass struct {
	signature string
	count     int
	seeds     []uint64 // of some that show it
	bytes     int
	seed      uint64 // of the smallest
}

// TestAlterations changes recorded cases at random and compares with crm_simulate:
// TAKT_MUTATE is how many, TAKT_MUTATE_SEED the first seed, TAKT_MUTATE_CASES the
// names with commas (all), TAKT_MUTATE_OUT a folder for the shrunk CIB of each
// class of differences, at most TAKT_ORACLE_SHRINK (20) of them.
func TestAlterations(t *testing.T) {
	n := number(t, "TAKT_MUTATE", 0)
	if n == 0 {
		t.Skip("set TAKT_MUTATE to a number of altered cases to ask crm_simulate about")
	}
	run := &alterationRun{seed: number(t, "TAKT_MUTATE_SEED", 1), bases: recordedBases(t), classes: map[string]*alterationClass{}}
	if dir := os.Getenv("TAKT_MUTATE_OUT"); dir != "" {
		file, err := createIn(dir, "found.txt")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		run.found = file
	}
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

func createIn(dir, name string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.Create(filepath.Join(dir, name))
}

// recordedBases reads the cases, brought to the current schema.
func recordedBases(t *testing.T) []recorded {
	t.Helper()
	var list []recorded
	only := os.Getenv("TAKT_MUTATE_CASES")
	for _, c := range regressions(t) {
		if only != "" && !slices.Contains(strings.Split(only, ","), c.Name) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(casesDir, c.Name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 400_000 {
			continue // the largest take most of the time and say no more
		}
		root, err := cib.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		root, _ = cib.Upgrade(root)
		list = append(list, recorded{c.Name, root, caseTime(t, c)})
	}
	return list
}

// alteration returns the alteration of a seed, and the name of its case.
func (r *alterationRun) alteration(seed uint64) (schedtest.Alteration, string) {
	base := r.bases[rand.New(rand.NewPCG(seed, 7)).IntN(len(r.bases))]
	return schedtest.Alter(base.root, base.now, seed), base.name
}

func (r *alterationRun) lane(oracle *schedtest.Oracle, n uint64) {
	var worker schedtest.Worker
	defer worker.Close()
	for {
		i := r.next.Add(1) - 1
		if i >= n {
			return
		}
		m, _ := r.alteration(r.seed + i)
		want, diff, scores, err := askAt(oracle, &worker, m.Root, m.Now)
		r.note(m.Root, r.seed+i, want, diff, scores, err)
	}
}

func (r *alterationRun) note(root *cib.Node, seed uint64, want *schedtest.Expectation, diff, scores []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.mute++
		return
	}
	r.total++
	if want.Cyclic() {
		r.cyclic++
	}
	if want.After.Placement == nil {
		r.blunt++
	}
	if len(scores) == 0 {
		r.scores++
	}
	if len(diff) == 0 {
		r.equal++
		return
	}
	sig := schedtest.Signature(diff, root)
	if r.found != nil {
		_, base := r.alteration(seed)
		fmt.Fprintf(r.found, "%5d of %5d  seed %d of %s: %s\n", r.total-r.equal, r.total, seed, base, sig)
	}
	c := r.classes[sig]
	if c == nil {
		c = &alterationClass{signature: sig, bytes: math.MaxInt}
		r.classes[sig] = c
	}
	c.count++
	c.seeds = append(c.seeds, seed)
	if size := len(root.String()); size < c.bytes || size == c.bytes && seed < c.seed {
		c.bytes, c.seed = size, seed
	}
}

func (r *alterationRun) report(t *testing.T, took time.Duration) {
	list := slices.SortedFunc(maps.Values(r.classes), func(a, b *alterationClass) int {
		return cmp.Or(b.count-a.count, strings.Compare(a.signature, b.signature))
	})
	var text strings.Builder
	for _, c := range list[:min(len(list), 100)] {
		fmt.Fprintf(&text, "%6d  %s   %v\n", c.count, c.signature, c.seeds[:min(len(c.seeds), 4)])
	}
	t.Logf("\n%sseeds from %d: %d of %d equal (%.2f %%), scores equal in %d, %d classes of differences; no answer to %d, end unknown of %d, circles in %d; %.0f a second",
		text.String(), r.seed, r.equal, r.total, 100*float64(r.equal)/float64(max(r.total, 1)), r.scores, len(list), r.mute, r.blunt, r.cyclic,
		float64(r.total)/took.Seconds())
	if dir := os.Getenv("TAKT_MUTATE_OUT"); dir != "" {
		r.write(t, dir, list[:min(len(list), int(number(t, "TAKT_ORACLE_SHRINK", 20)))])
	}
}

// write puts the shrunk CIB of each class, what was changed and how the answers
// differ into a folder.
func (r *alterationRun) write(t *testing.T, dir string, list []*alterationClass) {
	var wait sync.WaitGroup
	var next atomic.Int64
	for range 2 {
		oracle := openOracle(t)
		oracle.Unvalidated = true
		wait.Go(func() {
			var worker schedtest.Worker
			defer worker.Close()
			for i := int(next.Add(1)) - 1; i < len(list); i = int(next.Add(1)) - 1 {
				r.writeOne(t, oracle, &worker, filepath.Join(dir, fmt.Sprintf("%02d", i+1)), list[i])
			}
		})
	}
	wait.Wait()
}

func (r *alterationRun) writeOne(t *testing.T, oracle *schedtest.Oracle, worker *schedtest.Worker, name string, c *alterationClass) {
	m, base := r.alteration(c.seed)
	small := schedtest.Shrink(m.Root, func(root *cib.Node) bool {
		_, diff, _, err := askAt(oracle, worker, root, m.Now)
		return err == nil && schedtest.Signature(diff, root) == c.signature
	})
	_, diff, _, err := askAt(oracle, worker, small, m.Now)
	if err != nil {
		t.Error(err)
		return
	}
	text := fmt.Sprintf("%d times: %s\n%s, seed %d, at %s\n%s\n\n%s\n", c.count, c.signature, base, c.seed, m.Now.UTC().Format(time.DateTime),
		strings.Join(m.Did, "\n"), strings.Join(diff, "\n"))
	if err := errors.Join(os.WriteFile(name+".xml", []byte(small.Indent()), 0o644), os.WriteFile(name+".txt", []byte(text), 0o644)); err != nil {
		t.Error(err)
	}
}
