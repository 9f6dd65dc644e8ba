package sim

import (
	"slices"
	"testing"
)

// TestWorld: events happen in the order of their times, and those of one time in
// the order in which they were arranged.
func TestWorld(t *testing.T) {
	w := &world{after: func() string { return "" }}
	luck := newChance(1, 2)
	var got []int64
	var arrange func()
	arrange = func() {
		got = append(got, w.now)
		for range 3 {
			if len(got) < 2000 {
				w.in(luck.span(0, 50), arrange)
			}
		}
	}
	w.at(5, arrange)
	w.run(100_000)
	if len(got) < 2000 || !slices.IsSorted(got) {
		t.Errorf("%d events, in order: %v", len(got), slices.IsSorted(got))
	}
	got = nil
	for i := range int64(100) {
		w.at(200_000, func() { got = append(got, i) })
	}
	w.run(300_000)
	if len(got) != 100 || !slices.IsSorted(got) {
		t.Errorf("events of one time: %v", got)
	}
}

// TestProc: a process does one thing after the other, nothing while it or its node
// is paused, and what was meant for an earlier life is lost.
func TestProc(t *testing.T) {
	w := &world{after: func() string { return "" }}
	var host pause
	p := &proc{w: w, under: []*pause{&host}}
	var got []int64
	note := func() { got = append(got, w.now) }
	p.do(10, func() { note(); p.busy(20) })
	p.do(15, note) // waits for the first
	p.do(16, note)
	w.at(40, func() { host.until = 100 })
	p.do(50, note)
	w.at(90, func() { host.until = 120 })
	p.do(130, func() { note(); p.die(); p.do(5, note) })
	p.do(130, note) // of the earlier life
	w.run(1000)
	if want := []int64{10, 30, 30, 120, 130, 135}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	tm := timer{p: p}
	got = nil
	tm.wake(1100, note)
	tm.wake(1200, note)
	w.run(1300)
	if !slices.Equal(got, []int64{1200}) {
		t.Errorf("a timer that was set again: %v", got)
	}
}
