// Package pace decides how fast a resync may go, so that it yields to the
// application. Pure: time is an argument.
package pace

import (
	"time"

	"github.com/takt-ha/takt/volume"
)

// Controller paces one resync or verify.
type Controller struct {
	o      volume.SyncOptions
	tokens float64
	last   time.Duration
	app    int64
	appAt  time.Duration
	demand float64 // bytes a second of the application
	known  bool    // it has been measured; until then it counts as busy
}

// New makes a Controller with the options' rates.
func New(o volume.SyncOptions) *Controller { return &Controller{o: o} }

// Set changes the rates while it runs.
func (c *Controller) Set(o volume.SyncOptions) { c.o = o }

// window is how much may be under way when nobody else is.
const window = 8 << 20

// share is the part of the application's throughput that a resync may have beside it.
const share = 0.1

// Next says how long to wait before n more bytes may go; 0: now. inFlight are the bytes under
// way, app is a count of bytes of the application that grows.
func (c *Controller) Next(now time.Duration, n, inFlight, app int64) time.Duration {
	if d := now - c.appAt; d >= 100*time.Millisecond {
		c.demand, c.known = float64(app-c.app)/d.Seconds(), true
		c.app, c.appAt = app, now
	}
	limit := int64(window)
	rate := float64(c.o.MaxRate)
	if c.o.NoPlan {
		rate = float64(c.o.Rate)
	} else if c.demand > 0 || !c.known {
		limit = max(c.o.FillTarget, 2*n)
		rate = max(share*c.demand, float64(c.o.MinRate))
		if c.o.MaxRate > 0 {
			rate = min(rate, float64(c.o.MaxRate))
		}
	}
	if inFlight > 0 && inFlight+n > limit {
		return 50 * time.Millisecond // an answer wakes the run earlier
	}
	if rate <= 0 {
		c.last = now
		return 0
	}
	c.tokens = min(c.tokens+rate*(now-c.last).Seconds(), max(rate/10, float64(n)))
	c.last = now
	if c.tokens < float64(n) {
		// Never 0, which would mean now.
		return time.Duration((float64(n)-c.tokens)/rate*float64(time.Second)) + time.Microsecond
	}
	c.tokens -= float64(n)
	return 0
}
