package link

import "time"

// beatsPerPatience is how often a daemon gives a sign of life within the time after
// which it counts as stuck: four of them may be late, or four fifths of that time pass, without
// harm. That time runs from the last one, so fewer of them make no hanging daemon last longer.
const beatsPerPatience = 5

// leastBeatEvery bounds what a very short time-out of the watchdog costs.
const leastBeatEvery = 20 * time.Millisecond

// beat gives the pulse signs of life for as long as the daemon is healthy. A
// daemon whose health check hangs is as silent as one that hangs.
func (c *Client) beat() {
	for {
		if healthy := c.opt.Healthy; healthy == nil || healthy() {
			c.mu.Lock()
			conn := c.conn
			c.mu.Unlock()
			if conn != nil {
				_ = conn.send(request{Type: askBeat}) // a broken connection is noticed by who reads it
			}
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.hurry:
		case <-time.After(c.beatEvery()):
		}
	}
}

// note changes what beatEvery goes by; the next beat follows at once.
func (c *Client) note(change func()) {
	c.mu.Lock()
	change()
	c.mu.Unlock()
	select {
	case c.hurry <- struct{}{}:
	default:
	}
}

// beatEvery is the time between two beats. A watchdog that is armed keeps its time-out,
// whatever the configuration has become.
func (c *Client) beatEvery() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := patience
	if c.config != nil {
		wait = c.config.patience()
	}
	if c.armed > 0 {
		wait = min(wait, int64(c.armed)*ms/2)
	}
	return max(time.Duration(wait/beatsPerPatience), leastBeatEvery)
}
