package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// bare is a working set with one resource per name and no cluster around them.
func bare(names ...string) (*working, []*resource) {
	w := newWorking(cib.NewNode("cib"), time.Unix(1_790_000_000, 0))
	list := make([]*resource, len(names))
	for i, name := range names {
		list[i] = &resource{id: name, base: name, variant: primitive, methods: primitiveMethods{}, managed: true, unique: true, role: Stopped}
	}
	w.resources = list
	return w, list
}

// made gives a resource an action as if a pass had made it.
func (w *working) made(r *resource, task string, flags actionFlags) *action {
	a := &action{number: len(w.actions), task: task, key: task, rsc: r, flags: flags, kind: Resource}
	w.actions = append(w.actions, a)
	if r == nil {
		w.single = append(w.single, a)
	} else {
		r.actions = append(r.actions, a)
	}
	return a
}

// TestOrderOnce: two actions are tied once for each effect that is new.
func TestOrderOnce(t *testing.T) {
	w, r := bare("a", "b")
	a, b := w.made(r[0], taskStart, runnable), w.made(r[1], taskStart, runnable)
	for i, c := range []struct {
		first, then *action
		effect      effect
		want        bool
	}{
		{a, b, onlyOrder | thenNeedsFirst, true},
		{a, b, onlyOrder, false},
		{a, b, firstForcesThen, true},
		{a, b, firstForcesThen | restarts, false},
		{b, a, onlyOrder, true},
		{a, b, 0, false},
		{a, a, onlyOrder, false},
	} {
		if got := w.order(c.first, c.then, c.effect); got != c.want {
			t.Errorf("%d: tied: %v, want %v", i, got, c.want)
		}
	}
	if len(a.after) != 2 || len(b.before) != 2 {
		t.Errorf("%d and %d edges, want 2 and 2", len(a.after), len(b.before))
	}
	// What was disabled since still counts as tied.
	b.before[0].effect = 0
	if w.order(a, b, onlyOrder) {
		t.Error("a disabled ordering was made again")
	}
}

// TestEnoughOfMany: what needs some of many can happen when that many can.
func TestEnoughOfMany(t *testing.T) {
	for able := range 4 {
		w, r := bare("a", "b", "c", "d")
		gate := w.made(nil, taskOneOrMore, pseudo|runnable|needsAny)
		gate.minRunnable = 2
		for i, first := range r[:3] {
			flags := runnable
			if i >= able {
				flags = 0
			}
			w.order(w.made(first, taskStart, flags), gate, oneOrMore|thenListed)
		}
		last := w.made(r[3], taskStart, runnable)
		w.order(gate, last, thenNeedsFirst)
		w.update(gate)
		w.update(last)
		if want := able >= 2; gate.is(runnable) != want || last.is(runnable) != want {
			t.Errorf("%d of 3 can start: the gate is runnable: %v, what comes after it: %v", able, gate.is(runnable), last.is(runnable))
		}
	}
}

// TestRestartSpreads: a start that has to happen makes what is ordered after it
// restart; one that cannot happen makes it stop.
func TestRestartSpreads(t *testing.T) {
	for _, able := range []bool{true, false} {
		w, r := bare("first", "then")
		start := w.made(r[0], taskStart, runnable)
		stop, again := w.made(r[1], taskStop, runnable|optional), w.made(r[1], taskStart, runnable|optional)
		if !able {
			start.clear(runnable)
		}
		w.order(start, again, onlyOrder|firstForcesThen|thenNeedsFirst)
		w.order(stop, again, onlyOrder|firstForcesThen|restarts)
		for _, a := range slices.Backward(w.actions) {
			w.update(a)
		}
		if stop.is(optional) || again.is(optional) {
			t.Errorf("first can start: %v: the stop is needless: %v, the start: %v", able, stop.is(optional), again.is(optional))
		}
		if again.is(runnable) != able {
			t.Errorf("first can start: %v, and then: %v", able, again.is(runnable))
		}
		if words := w.words(again); !strings.Contains(words, "starts after first") {
			t.Errorf("the reason does not name what forced it: %q", words)
		}
	}
}

// TestCirclesAreCut: the mildest ordering of a circle gives way, and is named.
func TestCirclesAreCut(t *testing.T) {
	w, r := bare("a", "b", "c")
	for i := range r {
		w.made(r[i], taskStart, runnable|pseudo)
	}
	w.order(w.actions[0], w.actions[1], onlyOrder|thenNeedsFirst)
	w.order(w.actions[1], w.actions[2], onlyOrder)
	w.order(w.actions[2], w.actions[0], onlyOrder|thenNeedsFirst)
	got := w.result()
	want := []Ordering{{Before: 2, After: 0}, {Before: 0, After: 1}}
	if !slices.Equal(got.Order, want) {
		t.Errorf("the order is %v, want %v", got.Order, want)
	}
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "start of b before start of c") {
		t.Errorf("the warnings are %q", got.Warnings)
	}
}

// TestStuck: what waits for something that is no part of the transition is
// marked, with all that comes after it, and says what it waits for.
func TestStuck(t *testing.T) {
	w, r := bare("a", "b", "c")
	stop, start, last := w.made(r[0], taskStop, 0), w.made(r[1], taskStart, runnable|pseudo), w.made(r[2], taskStart, runnable|pseudo)
	free := w.made(r[2], taskMonitor, runnable|pseudo)
	w.order(stop, start, firstForcesThen)
	w.order(start, last, onlyOrder)
	w.order(free, last, onlyOrder)
	got := map[string]bool{}
	for _, a := range w.result().Actions {
		got[a.Task+" "+a.Resource] = strings.Contains(a.Stuck, "stop of a")
	}
	if want := map[string]bool{"start b": true, "start c": true, "monitor c": false}; !maps.Equal(got, want) {
		t.Errorf("stuck are %v, want %v", got, want)
	}
}

// TestOrderOfMigrations: an order of two resources says how their migrations
// follow each other.
func TestOrderOfMigrations(t *testing.T) {
	for _, c := range []struct {
		first, then string
		both, half  bool
		want        string
	}{
		{taskStart, taskStart, true, false, "start→start migrate_from→migrate_to start→migrate_to(unless)"},
		{taskStart, taskStart, false, false, "start→start start→migrate_to"},
		{taskStop, taskStop, false, true, "stop→stop stop→migrate_to stop→migrate_from"},
		{taskDemote, taskStop, true, false, "demote→stop demote→migrate_to(unless)"},
		{taskPromote, taskStart, false, false, "promote→start promote→migrate_to"},
		{taskStart, taskPromote, true, false, "start→promote"},
	} {
		w, r := bare("a", "b")
		r[0].migratable, r[1].migratable = c.both, true
		if c.half {
			r[1].migrationTarget = &node{}
		}
		w.orderTasks(r[0], c.first, r[1], c.then, onlyOrder)
		var got []string
		for _, o := range w.orderings {
			text := o.firstTask + "→" + o.thenTask
			if o.effect&unlessFirstMigrates != 0 {
				text += "(unless)"
			}
			got = append(got, text)
		}
		if fmt.Sprint(strings.Join(got, " ")) != c.want {
			t.Errorf("%s then %s: %s, want %s", c.first, c.then, strings.Join(got, " "), c.want)
		}
	}
}
