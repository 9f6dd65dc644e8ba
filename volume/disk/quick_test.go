package disk

import (
	"testing"
	"time"
)

func TestQuickIsEarnedAndLost(t *testing.T) {
	d := &Disk{}
	writes := func(n int, each time.Duration) (quick int) {
		for range n {
			if d.Quick() {
				quick++
			}
			d.quick.took(4096, each)
		}
		return quick
	}
	if n := writes(believed, 10*time.Microsecond); n != 0 || !d.Quick() {
		t.Errorf("%d of the first writes counted as quick; afterwards: %v", n, d.Quick())
	}
	if n := writes(10_000, 10*time.Microsecond); n != 10_000 {
		t.Errorf("%d of 10000", n)
	}
	if n := writes(1, 5*time.Millisecond); n != 1 || d.Quick() {
		t.Error("one that waited is not noticed")
	}
	if n := writes(doubted+believed, 10*time.Microsecond); n != 0 || !d.Quick() {
		t.Errorf("%d counted as quick; afterwards: %v", n, d.Quick())
	}
	if n := writes(10_000, time.Millisecond); n > 1 {
		t.Errorf("%d writes to a disk that always takes its time counted as quick", n)
	}
}

// A long write takes longer without waiting for anything.
func TestQuickLongWrite(t *testing.T) {
	d := &Disk{}
	for range believed {
		d.quick.took(1<<20, time.Millisecond)
	}
	if !d.Quick() {
		t.Error("a gigabyte a second is quick")
	}
}
