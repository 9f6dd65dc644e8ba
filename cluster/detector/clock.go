package detector

// tolerated is the lateness, in ns, that is not worth excusing: every wake is late by some microseconds.
const tolerated = int64(1e6)

// episodes is how many spells of lateness are remembered, to tell what was
// undisturbed time at a moment in the past.
const episodes = 256

// clock keeps undisturbed time: now minus all lateness so far.
type clock struct {
	now     int64
	planned int64 // when the shell was to wake
	excused int64 // sum of all lateness
	ring    [episodes]episode
	n       int // episodes ever
}

// episode is a spell of lateness: before from, excused was before.
type episode struct{ from, before int64 }

// advance moves to now and returns how late that is.
func (c *clock) advance(now int64) (late int64) {
	if now < c.now {
		now = c.now
	}
	late = now - c.planned
	c.now = now
	// Until the shell says otherwise it is expected back at once.
	c.planned = now
	if late <= tolerated {
		return 0
	}
	c.ring[c.n%episodes] = episode{from: now - late, before: c.excused}
	c.n++
	c.excused += late
	return late
}

// charge moves to now and excuses nothing.
func (c *clock) charge(now int64) {
	c.now = max(c.now, now)
	c.planned = c.now
}

func (c *clock) undisturbed() int64 { return c.now - c.excused }

// at returns the undisturbed time of a moment t up to now. A moment inside a
// spell of lateness counts as its start. Of moments older than the oldest
// remembered spell less is known: the time since then is never taken to be
// longer than it was in absolute time.
func (c *clock) at(t int64) int64 {
	u := t - c.excused
	for i := c.n - 1; i >= 0 && i >= c.n-episodes; i-- {
		e := c.ring[i%episodes]
		if t >= e.from {
			end := e.from // the spell's undisturbed length is zero
			if i+1 < c.n {
				end += c.ring[(i+1)%episodes].before - e.before
			} else {
				end += c.excused - e.before
			}
			if t < end {
				return e.from - e.before
			}
			return u
		}
		u = t - e.before
	}
	return u
}

// plan notes when the shell will wake, and returns it.
func (c *clock) plan(t int64) int64 {
	c.planned = t
	return t
}
