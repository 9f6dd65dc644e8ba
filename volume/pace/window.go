package pace

import (
	"time"

	"github.com/takt-ha/takt/volume"
)

// window is how many bytes may be under way: sent, and not answered.
//
//	fill   c-fill-target: always so many
//	delay  it opens by what was answered as long as answers come within half of c-delay-target: it doubles with each
//	       round trip. The first that comes later settles it: from then on it follows what the path
//	       carries in c-delay-target, within about c-plan-ahead.
type window struct {
	size    float64 // of delay; 0: nothing has been answered yet
	settled bool    // it does not double any more
	at      time.Duration

	carried float64       // bytes a second that the path carries, as far as is known
	sum     int64         // answered since
	since   time.Duration // the measure of carried began
}

const (
	// maxWindow bounds the memory that a resync takes on both sides, as max-buffers does in drbd.conf(5).
	maxWindow = 8 << 20
	// firstWindow goes out before anything is known about the path.
	firstWindow = 256 << 10
	// pieces of a window are under way together, so that no end of the path waits for the other.
	pieces = 4
)

// limit is how many bytes may be under way now.
func (w *window) limit(o volume.SyncOptions) int64 {
	switch {
	case o.NoPlan:
		return maxWindow
	case o.FillTarget > 0:
		return min(o.FillTarget, maxWindow)
	case w.size == 0:
		return max(firstWindow, floor(o))
	}
	return max(int64(w.size), floor(o))
}

// floor is what c-min-rate needs under way on a path with the delay that is aimed at.
func floor(o volume.SyncOptions) int64 {
	return min(max(int64(float64(o.MinRate)*o.Delay.Seconds()), pieces*volume.BlockSize), maxWindow)
}

// answered takes in that n bytes were answered so long after they were sent.
func (w *window) answered(o volume.SyncOptions, now time.Duration, n int64, took time.Duration) {
	if w.size == 0 {
		w.size = float64(w.limit(o))
		w.at, w.since = now, now-took
	}
	w.measure(now, n)
	past := now - w.at
	w.at = now
	if w.settled = w.settled || took > o.Delay/2; !w.settled {
		w.size = min(w.size+float64(n), maxWindow)
		return
	}
	// What goes through is less than the path carries while few bytes are under way or c-min-rate rules: an answer
	// in time never closes the window, a late one never opens it.
	aim := min(w.carried*o.Delay.Seconds(), maxWindow)
	if aim > w.size == (took <= o.Delay) {
		w.size += (aim - w.size) * min(1, past.Seconds()/o.PlanAhead.Seconds())
	}
	w.size = min(max(w.size, float64(floor(o))), maxWindow)
}

// measure keeps what the path carries.
func (w *window) measure(now time.Duration, n int64) {
	w.sum += n
	d := (now - w.since).Seconds()
	if d < look.Seconds() {
		return
	}
	fresh := float64(w.sum) / d
	if w.carried == 0 {
		w.carried = fresh
	}
	w.carried = (w.carried + fresh) / 2
	w.since, w.sum = now, 0
}
