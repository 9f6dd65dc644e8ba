// Package pace decides how fast a resync may go, so that it yields to the
// application. Pure: time is an argument.
package pace

import (
	"time"

	"github.com/takt-ha/takt/volume"
)

// Controller paces one resync or verify.
type Controller struct {
	o       volume.SyncOptions
	rate    float64 // bytes a second allowed; 0: no limit
	tokens  float64
	last    time.Duration
	app     int64
	appAt   time.Duration
	busy    bool // the application works
	acked   int64
	ackedAt time.Duration
	speed   float64 // bytes a second that the peer answers
}

// New makes a Controller with the options' rates.
func New(o volume.SyncOptions) *Controller { return &Controller{o: o} }

// Set changes the rates while it runs.
func (c *Controller) Set(o volume.SyncOptions) { c.o = o }

// window is how much may be under way when nobody else is.
const window = 8 << 20

// Answered notes that the peer has answered n bytes; now is the time since the start.
func (c *Controller) Answered(now time.Duration, n int64) {
	c.acked += n
	if d := now - c.ackedAt; d >= 100*time.Millisecond {
		c.speed = float64(c.acked) / d.Seconds()
		c.acked, c.ackedAt = 0, now
	}
}

// Next says how long to wait before n more bytes may go; 0: now. inFlight are the bytes under
// way, app is a count of bytes of the application that grows.
func (c *Controller) Next(now time.Duration, n, inFlight, app int64) time.Duration {
	if now-c.appAt >= 100*time.Millisecond {
		c.busy = app != c.app
		c.app, c.appAt = app, now
	}
	limit := int64(window)
	rate := float64(c.o.MaxRate)
	if c.o.NoPlan {
		rate = float64(c.o.Rate)
	} else if c.busy {
		limit = max(c.o.FillTarget, 2*n)
		if rate = 0.1 * c.speed; rate < float64(c.o.MinRate) {
			rate = float64(c.o.MinRate)
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
		return time.Duration((float64(n) - c.tokens) / rate * float64(time.Second))
	}
	c.tokens -= float64(n)
	return 0
}
