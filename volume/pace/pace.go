// Package pace decides how fast a resync or verify may go, so that an idle link is full and an
// application that works keeps it. Pure: time is an argument.
//
// Three things hold a resync back, each in a file of its own:
//
//	load    how much the application moves: while it works the resync keeps to a low rate
//	bucket  that rate, c-max-rate, or the fixed rate
//	window  how much is under way at once: c-fill-target, or what keeps the delay at c-delay-target
//
// The options are those of drbd.conf(5). They differ in two things: beside an application the
// rate is the larger of c-min-rate and a tenth of what the application itself moves; and the window opens
// as fast as answers come, not over c-plan-ahead, as long as they come in time.
package pace

import (
	"time"

	"github.com/takt-ha/takt/volume"
)

// MaxPiece is the largest piece of a resync in bytes: large enough for speed, small enough not to be in the way.
const MaxPiece = 512 << 10

const (
	maxBusy = 128 << 10 // the largest piece beside an application: its requests wait behind it
	// look bounds every wait: a load that has begun or ended is noticed by then.
	look = 100 * time.Millisecond
	// share is the part of the application's throughput that a resync may have beside it.
	share = 0.1
)

// Controller paces one resync or verify. It is of one goroutine at a time.
type Controller struct {
	o      volume.SyncOptions
	load   load
	bucket bucket
	window window
}

// New makes a Controller with the options' rates.
func New(o volume.SyncOptions) *Controller { return &Controller{o: o} }

// Set changes the rates while it runs.
func (c *Controller) Set(o volume.SyncOptions) { c.o = o }

// App is what the application does.
type App struct {
	Moved   int64 // bytes until now; never less than before
	Waiting bool  // a request of it has not been answered
}

// Next asks to send most more bytes. It returns how many of them may go now; or, if n is 0, after what
// time to ask again, at most a tenth of a second; an answer may make it sooner. now is the time since some
// beginning, inFlight the bytes that are under way.
func (c *Controller) Next(now time.Duration, most, inFlight int64, app App) (n int64, wait time.Duration) {
	c.load.see(now, app)
	rate, limit := c.rate(now), c.window.limit(c.o)
	n = min(most, c.piece(now, rate, limit))
	if inFlight > 0 && inFlight+n > limit {
		return 0, look
	}
	if wait = c.bucket.take(now, n, rate); wait > 0 {
		if c.yields(now) {
			wait = min(wait, c.load.until-now)
		}
		return 0, min(wait, look)
	}
	return n, 0
}

// Answered tells that n bytes have been answered, so long after they were sent.
func (c *Controller) Answered(now time.Duration, n int64, took time.Duration) {
	c.window.answered(c.o, now, n, took)
}

// rate is how fast it may go now, in bytes a second; 0: without a limit.
func (c *Controller) rate(now time.Duration) float64 {
	if c.o.NoPlan {
		return float64(c.o.Rate)
	}
	most := float64(c.o.MaxRate)
	if !c.yields(now) {
		return most
	}
	rate := max(float64(c.o.MinRate), share*c.load.demand)
	if most > 0 {
		rate = min(rate, most)
	}
	return rate
}

// yields says whether it makes way for an application.
func (c *Controller) yields(now time.Duration) bool {
	return !c.o.NoPlan && c.o.MinRate > 0 && c.load.busy(now)
}

// piece is the largest piece now: a tenth of a second at the rate, since many small ones would cost a slow disk
// a seek each; some of them fill the window.
func (c *Controller) piece(now time.Duration, rate float64, limit int64) int64 {
	most := min(MaxPiece, limit/pieces)
	if c.yields(now) {
		most = min(most, maxBusy)
	}
	if rate > 0 {
		most = min(most, int64(rate/10))
	}
	return max(most/volume.BlockSize, 1) * volume.BlockSize
}
