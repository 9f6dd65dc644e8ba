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
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// question is a document and a time to ask both schedulers about.
type question struct {
	root  *cib.Node
	now   time.Time
	about string // where it comes from, in words
}

// comparison asks many questions in several lanes at once, and groups what
// differs by its signature.
type comparison struct {
	seed  uint64
	pose  func(seed uint64) question
	valid bool   // documents stay valid while they are shrunk
	out   string // folder for differences, "" for none
	next  atomic.Uint64

	mu                   sync.Mutex
	total, equal, scores int
	mute, oddEnd, cyclic int
	classes              map[string]*class
	found                *os.File // a line for each difference, as it is found; nil: none
}

// class is a group of differences of one kind.
type class struct {
	signature string
	seeds     []uint64 // that show it
	seed      uint64   // of the smallest document that does
	bytes     int
}

// run asks n questions and prints how often both said the same.
func (c *comparison) run(t *testing.T, n uint64) {
	c.classes = map[string]*class{}
	if c.out != "" {
		if err := os.MkdirAll(c.out, 0o755); err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(filepath.Join(c.out, "found.txt"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		c.found = file
	}
	began := time.Now()
	inLanes(t, func(oracle *schedtest.Oracle, worker *schedtest.Worker) {
		for i := c.next.Add(1) - 1; i < n; i = c.next.Add(1) - 1 {
			q := c.pose(c.seed + i)
			want, diff, scores, err := ask(oracle, worker, q)
			c.note(q, c.seed+i, want, diff, scores, err)
		}
	})
	c.report(t, time.Since(began))
}

// inLanes runs work twice at once, each with an oracle and a worker of its own.
func inLanes(t *testing.T, work func(*schedtest.Oracle, *schedtest.Worker)) {
	var wait sync.WaitGroup
	for range 2 {
		oracle := openOracle(t)
		oracle.Unvalidated = true
		wait.Go(func() {
			var worker schedtest.Worker
			defer worker.Close()
			work(oracle, &worker)
		})
	}
	wait.Wait()
}

// ask puts one question to both.
func ask(oracle *schedtest.Oracle, worker *schedtest.Worker, q question) (want *schedtest.Expectation, diff, scores []string, err error) {
	text := []byte(q.root.String())
	if want, err = oracle.Ask(text, q.now); err != nil {
		return nil, nil, nil, err
	}
	got, err := worker.Schedule(text, q.now)
	if err != nil {
		return want, []string{err.Error()}, nil, nil
	}
	diff = schedtest.Compare(want, got)
	if want.Cyclic() { // an order that can never end is nothing to follow
		diff = slices.DeleteFunc(diff, func(d string) bool { return strings.Contains(d, " order ") })
	}
	return want, diff, schedtest.CompareScores(want, got), nil
}

func (c *comparison) note(q question, seed uint64, want *schedtest.Expectation, diff, scores []string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.mute++
		return
	}
	c.total++
	if want.Cyclic() {
		c.cyclic++
	}
	if want.After.Placement == nil {
		c.oddEnd++
	}
	if len(scores) == 0 && want.Scores != nil {
		c.scores++
	}
	if len(diff) == 0 {
		c.equal++
		return
	}
	signature := schedtest.Signature(diff, q.root)
	if c.found != nil {
		fmt.Fprintf(c.found, "%5d of %5d  seed %d, %s: %s\n", c.total-c.equal, c.total, seed, firstLine(q.about), signature)
	}
	kind := c.classes[signature]
	if kind == nil {
		kind = &class{signature: signature, bytes: math.MaxInt}
		c.classes[signature] = kind
	}
	kind.seeds = append(kind.seeds, seed)
	if size := len(q.root.String()); size < kind.bytes || size == kind.bytes && seed < kind.seed {
		kind.bytes, kind.seed = size, seed
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func (c *comparison) report(t *testing.T, took time.Duration) {
	list := slices.SortedFunc(maps.Values(c.classes), func(a, b *class) int {
		return cmp.Or(len(b.seeds)-len(a.seeds), strings.Compare(a.signature, b.signature))
	})
	var text strings.Builder
	for _, kind := range list[:min(len(list), 100)] {
		slices.Sort(kind.seeds)
		fmt.Fprintf(&text, "%6d  %s   (seed %d; %v)\n", len(kind.seeds), kind.signature, kind.seed, kind.seeds[:min(len(kind.seeds), 4)])
	}
	t.Logf("\n%sseeds from %d: %d of %d equal (%.2f %%), scores equal in %d, %d classes of differences; no answer to %d, end unknown of %d, circles in %d; %.0f a second",
		text.String(), c.seed, c.equal, c.total, 100*float64(c.equal)/float64(max(c.total, 1)), c.scores, len(list), c.mute, c.oddEnd, c.cyclic,
		float64(c.total+c.mute)/took.Seconds())
	if c.out == "" {
		return
	}
	list = list[:min(len(list), int(number(t, "TAKT_ORACLE_SHRINK", 20)))]
	var next atomic.Int64
	inLanes(t, func(oracle *schedtest.Oracle, worker *schedtest.Worker) {
		for i := int(next.Add(1)) - 1; i < len(list); i = int(next.Add(1)) - 1 {
			c.write(t, oracle, worker, filepath.Join(c.out, fmt.Sprintf("%02d", i+1)), list[i])
		}
	})
}

// write puts the shrunk document of a class, and how the answers to it differ,
// into two files.
func (c *comparison) write(t *testing.T, oracle *schedtest.Oracle, worker *schedtest.Worker, name string, kind *class) {
	q := c.pose(kind.seed)
	q.root = schedtest.Shrink(q.root, func(root *cib.Node) bool {
		_, diff, _, err := ask(oracle, worker, question{root: root, now: q.now})
		return err == nil && schedtest.Signature(diff, root) == kind.signature && (!c.valid || cib.Validate(root) == nil)
	})
	_, diff, _, err := ask(oracle, worker, q)
	if err != nil {
		t.Error(err)
		return
	}
	text := fmt.Sprintf("%d times: %s\nseed %d, at %s\n%s\n\n%s\n", len(kind.seeds), kind.signature, kind.seed, q.now.UTC().Format(time.DateTime),
		q.about, strings.Join(diff, "\n"))
	if err := errors.Join(os.WriteFile(name+".xml", []byte(q.root.Indent()), 0o644), os.WriteFile(name+".txt", []byte(text), 0o644)); err != nil {
		t.Error(err)
	}
}
