package busypoll

import (
	"testing"
	"time"
)

// turns makes the decisions of n waits, each of which brings so many requests, that long after the answer; it
// returns how often it looked and how long in all.
func turns(d *Decider, n, together int, gap time.Duration) (looks int, spent time.Duration) {
	for range n {
		if d.Look() {
			looks++
			took := min(gap, Limit+time.Microsecond)
			spent += took
			d.Looked(gap <= Limit, took)
			together = min(together, 1) // who looks finds the first one alone
		}
		d.Came(together)
	}
	return looks, spent
}

const soon = 20 * time.Microsecond

func TestLooksWhileItIsWorthIt(t *testing.T) {
	var d Decider
	if n, _ := turns(&d, 10_000, 1, soon); n < 9800 {
		t.Errorf("looked %d times for 10000 requests that came soon", n)
	}
}

func TestRareRequestsCostNothing(t *testing.T) {
	var d Decider
	const n = 100_000
	if looks, spent := turns(&d, n, 1, time.Millisecond); spent > n*time.Millisecond/10_000 {
		t.Errorf("%d looks, %v of %v", looks, spent, n*time.Millisecond)
	}
}

func TestTakesUpAgain(t *testing.T) {
	var d Decider
	turns(&d, 100_000, 1, time.Millisecond)
	if n, _ := turns(&d, 20_000, 1, soon); n < 19_600-mostRest {
		t.Errorf("looked %d times", n)
	}
}

// Several at once are better waited for, also when a client begins to send them while the thread looks.
func TestSeveralAtOnce(t *testing.T) {
	var d Decider
	if n, _ := turns(&d, 10_000, 4, soon); n != 0 {
		t.Errorf("looked %d times", n)
	}
	turns(&d, 10_000, 1, soon)
	looks := 0
	for range 10_000 {
		n, _ := turns(&d, 1, 4, soon)
		looks += n
	}
	if looks > trust {
		t.Errorf("looked %d times", looks)
	}
}

// What was found late was found while somebody else had the processor.
func TestLateIsInVain(t *testing.T) {
	var d Decider
	turns(&d, single, 1, soon)
	if !d.Look() {
		t.Fatal("does not look")
	}
	d.Looked(true, 3*time.Millisecond)
	if d.Look() {
		t.Error("looks on")
	}
}
