package scheduler_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/schedtest"
)

// eachRandom calls check with random CIBs, TAKT_PROPERTY of them (300 if unset).
func eachRandom(t *testing.T, check func(seed uint64, root *cib.Node)) {
	t.Helper()
	for seed := range number(t, "TAKT_PROPERTY", 300) {
		check(seed, schedtest.Random(seed, 6, schedtest.All))
	}
}

// mustDecide calls Schedule, and names the seed if it panics.
func mustDecide(t *testing.T, seed uint64, root *cib.Node) *scheduler.Transition {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("seed %d: panic", seed)
			panic(p)
		}
	}()
	return scheduler.Schedule(root, schedtest.RandomTime)
}

// TestNeverWrong: no transition does what none may do.
func TestNeverWrong(t *testing.T) {
	acts := 0
	eachRandom(t, func(seed uint64, root *cib.Node) {
		e := schedtest.Decide(root, schedtest.RandomTime)
		acts += len(e.Actions)
		for _, v := range schedtest.Violations(root, e) {
			t.Errorf("seed %d: %s", seed, v)
		}
	})
	if acts == 0 {
		t.Error("nothing was ever done")
	}
}

// TestReasons: whatever is done, the transition says why.
func TestReasons(t *testing.T) {
	eachRandom(t, func(seed uint64, root *cib.Node) {
		for _, a := range mustDecide(t, seed, root).Actions {
			if a.Kind != scheduler.Pseudo && a.Reason == "" {
				t.Errorf("seed %d: %s of %s on %s has no reason", seed, a.Task, a.Resource, a.Node)
			}
		}
	})
}

// TestSameBytes: the same document gives the same bytes, scores and reasons
// included, each of TAKT_SAME times (20 if unset), although maps are gone through
// in another order each time.
func TestSameBytes(t *testing.T) {
	list := ownCases(t)
	for seed := range uint64(100) {
		list = append(list, sample{fmt.Sprintf("seed %d", seed), schedtest.Random(seed, 6, schedtest.All), schedtest.RandomTime})
	}
	decide := func(s sample) string {
		return transitionBytes(t, scheduler.ScheduleWith(s.root, s.now, scheduler.Options{Scores: true}))
	}
	for _, s := range list {
		first := decide(s)
		for range number(t, "TAKT_SAME", 20) {
			if again := decide(s); again != first {
				t.Errorf("%s: two answers: %s", s.name, firstDifference(first, again))
				break
			}
		}
	}
}

// TestOrderWithoutMeaning: nodes, pairs of a set, operations, and constraints of
// different kinds may stand in any order.
func TestOrderWithoutMeaning(t *testing.T) {
	eachRandom(t, func(seed uint64, root *cib.Node) {
		one := transitionBytes(t, mustDecide(t, seed, root))
		other := schedtest.Permute(root, seed, schedtest.Meaningless)
		if two := transitionBytes(t, mustDecide(t, seed, other)); one != two {
			t.Errorf("seed %d: another order of siblings gives another transition: %s", seed, firstDifference(one, two))
		}
	})
}

func transitionBytes(t *testing.T, got *scheduler.Transition) string {
	t.Helper()
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + strings.Join(got.ScoreLines, "\n")
}

func firstDifference(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	cut := func(s string) string { return s[max(0, min(i, len(s))-80):min(len(s), i+80)] }
	return fmt.Sprintf("%q\n%q", cut(a), cut(b))
}

// TestLocalStop: a node on its own stops what it runs, demotes what it stops, and does
// nothing else.
func TestLocalStop(t *testing.T) {
	stops := 0
	eachRandom(t, func(seed uint64, root *cib.Node) {
		demoted := map[string]bool{}
		for _, a := range scheduler.ScheduleLocalStop(root, "n1", schedtest.RandomTime).InOrder() {
			switch {
			case a.Kind == scheduler.Pseudo:
			case a.Task == "demote" && a.Node == "n1":
				demoted[a.Resource] = true
			case a.Task != "stop" || a.Node != "n1":
				t.Errorf("seed %d: a local stop on n1 does %s of %s on %s", seed, a.Task, a.Resource, a.Node)
			default:
				stops++
				delete(demoted, a.Resource)
			}
		}
		if len(demoted) > 0 {
			t.Errorf("seed %d: a local stop on n1 demotes %v after its stop, or without", seed, demoted)
		}
	})
	if stops == 0 {
		t.Error("nothing was ever stopped")
	}
}

// TestOracleIsNeverWrong: what none may do, the real one does not do, either, so
// that the invariants are right.
func TestOracleIsNeverWrong(t *testing.T) {
	n := number(t, "TAKT_ORACLE", 0)
	if n == 0 {
		t.Skip("set TAKT_ORACLE to a number of random CIBs to ask crm_simulate about")
	}
	oracle := openOracle(t)
	oracle.Unvalidated = true
	for seed := range n {
		root := schedtest.Random(seed, 6, schedtest.All)
		e, err := oracle.Ask([]byte(root.String()), schedtest.RandomTime)
		if err != nil || e.Cyclic() {
			continue
		}
		for _, v := range schedtest.Violations(root, e) {
			t.Errorf("seed %d: %s", seed, v)
		}
	}
}

// FuzzSchedule: whatever the bytes are, there is an answer, and within a second.
func FuzzSchedule(f *testing.F) {
	f.Add([]byte(`<cib have-quorum="1"><configuration><resources><primitive id="a" class="ocf" type="b"/></resources></configuration></cib>`))
	for seed := range uint64(20) {
		f.Add([]byte(schedtest.Random(seed, 4, schedtest.All).String()))
	}
	for _, s := range ownCases(f) {
		f.Add([]byte(s.root.String()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		root, err := cib.Parse(data)
		if err != nil {
			return
		}
		began := time.Now()
		scheduler.Schedule(root, schedtest.RandomTime)
		if took := time.Since(began); took > slow {
			t.Errorf("it took %v", took)
		}
		scheduler.ScheduleLocalStop(root, "n1", schedtest.RandomTime)
	})
}
