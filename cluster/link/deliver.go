package link

import "time"

// pulseGone is what keep tells deliver when the pulse has ended; it goes no further.
const pulseGone EventKind = "pulse-gone"

// deliver hands events to the daemon. A pulse that died says nothing more about
// how this node stands, and its successor nothing before it is in contact again:
// if that takes longer than the others wait before they call this node lost, the
// daemon hears that the node is cut off. The same holds for a pulse that was
// started just now: services may run here from before.
func (c *Client) deliver() {
	defer close(c.done)
	defer close(c.events)
	held := false // the pulse said that this node is quorate, or in a tie
	var overdue <-chan time.Time
	configured := c.configured
	for {
		select {
		case <-configured:
			if configured = nil; overdue == nil {
				overdue = time.After(c.grace())
			}
		case e, open := <-c.seen:
			switch {
			case !open:
				return
			case e.Kind == pulseGone && held && overdue == nil:
				overdue = time.After(c.grace())
			case e.Kind == StandingMove:
				held, overdue, configured = e.Standing != Isolated, nil, nil
			case e.Kind == WatchdogMove:
				c.noteArmed(e.Watchdog)
			}
			if e.Kind != pulseGone {
				c.pass(c.events, e)
			}
		case <-overdue:
			held, overdue = false, nil
			c.pass(c.events, Event{Kind: StandingMove, Standing: Isolated, At: time.Now().UnixNano(),
				Reason: "the pulse has started anew and is not in contact yet: others may call this node lost"})
		}
	}
}

// grace is how long after the end of a pulse this node still counts as being in
// contact: as with a living one, 0.7 of the dead time after the last heartbeat
// that others may have heard, which was no older than two intervals.
func (c *Client) grace() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.config == nil {
		return 0
	}
	return time.Duration(max(0, c.config.Deadtime*7/10-2*c.config.Keepalive)) * time.Millisecond
}

func (c *Client) noteArmed(timeout int) {
	if timeout > 0 {
		c.note(func() { c.armed = timeout })
	}
}

func (c *Client) pass(to chan<- Event, e Event) {
	select {
	case to <- e:
	case <-c.ctx.Done():
	}
}
