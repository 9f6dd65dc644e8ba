package sim

import (
	"testing"
	"time"
)

// TestBothClocks: the values behave as those of time.Now do.
func TestBothClocks(t *testing.T) {
	c := clock{boot: 5e9, drift: 200, wall: -3e9}
	a, b := c.time(7e9), c.time(9e9)
	if got := b.Sub(a); got != 2*time.Second+400*time.Microsecond {
		t.Errorf("two seconds measured as %v", got)
	}
	c.wall += int64(time.Hour)
	if d := c.time(9e9); d.Sub(b) != 0 || d.Round(0).Sub(b.Round(0)) != time.Hour {
		t.Errorf("a jump by an hour: %v by the monotonic clock, %v by the wall clock", d.Sub(b), d.Round(0).Sub(b.Round(0)))
	}
	if want := time.Unix(epoch, 0).Add(4*time.Second + 400*time.Microsecond); !a.Equal(want) || a.UnixNano() != want.UnixNano() {
		t.Errorf("the wall clock says %v, not %v", a, want)
	}
	if !a.Add(time.Second).After(a) || a.Add(time.Second).Sub(a) != time.Second || a.Round(0).Year() != 2026 {
		t.Errorf("%v cannot be reckoned with", a)
	}
	if m, ok := monoOf(a.Add(time.Second)); !ok || m != 3e9+400e3 {
		t.Errorf("monotonic reading %d, %v", m, ok)
	}
}

// TestInverse: what is to happen at a time of the machine's does not come early.
func TestInverse(t *testing.T) {
	for _, drift := range []int64{0, 1, 200, -200, 5000, -5000} {
		c := clock{boot: 123_456_789, drift: drift}
		for _, mono := range []int64{0, 1, 999, 1e6 + 1, 1e9, 86400e9 + 7} {
			w := c.world(mono)
			if c.mono(w) < mono || c.mono(w-1) >= mono {
				t.Errorf("drift %d: mono %d is at %d, which is %d", drift, mono, w, c.mono(w))
			}
		}
	}
}
