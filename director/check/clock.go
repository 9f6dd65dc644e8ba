package check

import (
	"time"

	"github.com/takt-ha/takt/director"
)

// clock is when a check runs and what its outcomes mean. It is pure.
//
//	      fails, Retry times in a row passed over
//	up ─────────────────────────────────────────▶ down
//	   ◀─────────────────────────────────────────
//	      succeeds once
type clock struct {
	timing director.CheckTiming
	up     bool
	known  bool // somebody was told of up
	failed int  // in a row, while up
	begun  time.Time
}

// first is when it runs for the first time: share, from 0 to 1, of the warm-up after now, so that checks do not all run at once.
func (c *clock) first(now time.Time, share float64) time.Time {
	warmup := c.timing.Warmup
	if warmup == 0 {
		warmup = c.timing.Loop
	}
	return now.Add(time.Duration(float64(warmup) * share))
}

// ended takes an outcome and returns whether it is to be told, and when the check runs again. What is told first tells also that nothing is
// wrong: who waits for the first check has to know.
func (c *clock) ended(ok bool, now time.Time) (tell bool, next time.Time) {
	next = c.begun.Add(c.timing.Loop)
	switch {
	case ok:
		tell = !c.up || !c.known
		c.up, c.failed = true, 0
	case c.up && c.failed < c.timing.Retry:
		c.failed++
		next = now.Add(c.timing.RetryDelay)
	default:
		tell = c.up || !c.known
		c.up, c.failed = false, 0
	}
	c.known = c.known || tell
	if next.Before(now) {
		next = now
	}
	return tell, next
}
