package busypoll

import (
	"testing"
	"time"
)

// turns makes the decisions of n waits for requests that come so long after the answer; it returns how often it looked
// and how long in all.
func turns(d *Decider, n int, gap time.Duration) (looks int, spent time.Duration) {
	for range n {
		if !d.Look() {
			continue
		}
		looks++
		took := min(gap, Limit+time.Microsecond)
		spent += took
		d.Looked(gap <= Limit, took)
	}
	return looks, spent
}

func TestLooksWhileItIsWorthIt(t *testing.T) {
	var d Decider
	if n, _ := turns(&d, 1000, 20*time.Microsecond); n != 1000 {
		t.Errorf("looked %d times for 1000 requests that came soon", n)
	}
}

func TestRareRequestsCostNothing(t *testing.T) {
	var d Decider
	const n = 100_000
	if looks, spent := turns(&d, n, time.Millisecond); spent > n*time.Millisecond/10_000 {
		t.Errorf("%d looks, %v of %v", looks, spent, n*time.Millisecond)
	}
}

func TestTakesUpAgain(t *testing.T) {
	var d Decider
	turns(&d, 100_000, time.Millisecond)
	if n, _ := turns(&d, 10_000, 20*time.Microsecond); n < 10_000-mostRest {
		t.Errorf("looked %d times", n)
	}
	turns(&d, 1, time.Millisecond)
	if n, _ := turns(&d, 1000, 20*time.Microsecond); n != 1000-leastRest {
		t.Errorf("one look in vain was followed by %d of 1000", n)
	}
}

// What was found late was found while somebody else had the processor.
func TestLateIsInVain(t *testing.T) {
	var d Decider
	d.Looked(true, 3*time.Millisecond)
	if d.Look() {
		t.Error("looks on")
	}
}
