package busypoll

import (
	"testing"
	"time"
)

// messages has n messages come, of which each takes so long when the thread sleeps or looks; it returns how
// often it looked.
func messages(t *Trial, clock *time.Duration, n, together int, sleeping, awake time.Duration) (looks int) {
	for range n {
		gap := sleeping
		if t.Look() {
			looks++
			gap = awake
			t.Looked(gap <= FarLimit, min(gap, FarLimit+1))
		}
		*clock += gap
		t.Came(together, *clock)
	}
	return looks
}

const µs = time.Microsecond

func TestTrialLooksWhileThatIsFaster(t *testing.T) {
	var d Trial
	var clock time.Duration
	if n := messages(&d, &clock, 10_000, 1, 60*µs, 30*µs); n < 9000 {
		t.Errorf("looked %d times", n)
	}
	// A tenth counts: it is one of two sides, and each has half of what both bring.
	if n := messages(&d, &clock, 100_000, 1, 50*µs, 45*µs); n < 90_000 {
		t.Errorf("looked %d times for a tenth", n)
	}
	// Then somebody else wants the processor.
	if n := messages(&d, &clock, 100_000, 1, 30*µs, 60*µs); n > lasting+20*sample {
		t.Errorf("looked %d times although it was slower", n)
	}
	if n := messages(&d, &clock, 2*mostOff, 1, 60*µs, 30*µs); n < 10_000 {
		t.Errorf("looked %d times after it had become faster again", n)
	}
}

func TestTrialEndsWhatIsInVain(t *testing.T) {
	for _, gap := range []time.Duration{FarLimit + FarLimit/2, time.Millisecond, time.Second} {
		var d Trial
		var clock time.Duration
		if n := messages(&d, &clock, 100_000, 1, gap, gap); n > 10*sample {
			t.Errorf("%v from message to message: looked %d times", gap, n)
		}
	}
}

// Whoever looks finds fewer at once: what counts is how many come in all.
func TestTrialCountsMessages(t *testing.T) {
	for _, c := range []struct {
		asleep, awake int // messages at once
		want          bool
	}{{4, 1, false}, {4, 2, false}, {2, 2, true}, {4, 3, true}} {
		var d Trial
		var clock time.Duration
		looks := 0
		for range 10_000 {
			if d.Look() {
				looks++
				d.Looked(true, 30*µs)
				clock += 30 * µs
				d.Came(c.awake, clock)
				continue
			}
			clock += 60 * µs
			d.Came(c.asleep, clock)
		}
		if looked := looks > 1000; looked != c.want {
			t.Errorf("%d at once asleep in 60 µs, %d awake in 30: looked %d times", c.asleep, c.awake, looks)
		}
	}
}
