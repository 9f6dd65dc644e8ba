package pace

import (
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
)

// sent is how many bytes go in ten seconds in pieces of 128 KiB, each answered after a
// millisecond, beside an application with a throughput of app bytes a second.
func sent(o volume.SyncOptions, app int64) (n int64) {
	const piece = 128 << 10
	c := New(o)
	for now := time.Duration(0); now < 10*time.Second; {
		wait := c.Next(now, piece, 0, app*int64(now/time.Millisecond)/1000)
		if wait == 0 {
			n += piece
			wait = time.Millisecond
		}
		now += wait
	}
	return n
}

func TestRates(t *testing.T) {
	const mib = 1 << 20
	free := int64(10_000 * 128 << 10) // a piece each millisecond
	for _, c := range []struct {
		name string
		o    volume.SyncOptions
		app  int64
		want int64 // in ten seconds
	}{
		{"nobody else is there", volume.SyncOptions{MinRate: mib}, 0, free},
		{"c-max-rate", volume.SyncOptions{MinRate: mib, MaxRate: 10 * mib}, 0, 100 * mib},
		{"a tenth of a busy application", volume.SyncOptions{MinRate: mib}, 200 * mib, 200 * mib},
		{"c-min-rate beside a slow application", volume.SyncOptions{MinRate: 4 * mib}, mib, 40 * mib},
		{"c-max-rate beside a busy application", volume.SyncOptions{MinRate: mib, MaxRate: 5 * mib}, 200 * mib, 50 * mib},
		{"a fixed rate", volume.SyncOptions{NoPlan: true, Rate: 3 * mib}, 200 * mib, 30 * mib},
	} {
		got := sent(c.o, c.app)
		if got < c.want*9/10 || got > c.want*11/10 {
			t.Errorf("%s: %d MiB in ten seconds, want %d", c.name, got/mib, c.want/mib)
		}
	}
}

// TestWindow: beside an application little is under way at once; alone, more.
func TestWindow(t *testing.T) {
	c := New(volume.SyncOptions{MinRate: 1 << 30})
	c.Next(time.Second/2, 1, 0, 0)
	if c.Next(time.Second, 1<<20, window-1<<20, 0) != 0 {
		t.Error("alone, the window is not used")
	}
	if c.Next(time.Second, 1<<20, window, 0) == 0 {
		t.Error("alone, more than the window is under way")
	}
	if c.Next(2*time.Second, 1<<20, 2<<20, 1<<20) == 0 {
		t.Error("beside an application three pieces are under way")
	}
}
