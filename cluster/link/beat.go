package link

import "time"

// Beats a second are two, or more where a short time-out of the watchdog asks for it.
const (
	beatEvery      = 500 * time.Millisecond
	leastBeatEvery = 20 * time.Millisecond
)

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
		case <-time.After(c.beatEvery()):
		}
	}
}

// beatEvery is the time between two beats: many within half of the watchdog's time-out.
func (c *Client) beatEvery() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.config == nil || c.config.Watchdog == nil {
		return beatEvery
	}
	return max(min(beatEvery, time.Duration(c.config.Watchdog.Timeout)*time.Millisecond/20), leastBeatEvery)
}
