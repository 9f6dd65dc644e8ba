package executor

import (
	"cmp"
	"slices"
	"time"

	"github.com/takt-ha/takt/agent"
)

// recur lets a monitor recur once its first run has ended.
func (c *Core) recur(j *job, rec Record) {
	if first := j.kind == asked || j.kind == settle; !first || j.cmd.Action != agent.Monitor || j.cmd.Interval == 0 ||
		rec.Result.Status == agent.NotInstalled {
		return
	}
	c.endPolls(j.r, func(m *recurring) bool { return m.cmd.Interval == j.cmd.Interval })
	j.r.addRecurring(&recurring{cmd: j.cmd})
}

func (r *resource) addRecurring(m *recurring) {
	i, _ := slices.BinarySearchFunc(r.recurring, m, byInterval)
	r.recurring = slices.Insert(r.recurring, i, m)
}

func byInterval(a, b *recurring) int { return cmp.Compare(a.cmd.Interval, b.cmd.Interval) }

func (r *resource) recurs(interval int64) *recurring {
	for _, m := range r.recurring {
		if m.cmd.Interval == interval {
			return m
		}
	}
	return nil
}

// rest sets the time of a monitor's next run after one of its runs has ended.
func (c *Core) rest(j *job) {
	if j.kind == confirm || j.cmd.Action != agent.Monitor {
		return
	}
	if m := j.r.recurs(j.cmd.Interval); m != nil {
		c.wind(j.r, m)
	}
}

func (c *Core) wind(r *resource, m *recurring) {
	c.unset(m.next)
	if c.stopping {
		return
	}
	m.next = c.after(pause(milliseconds(m.cmd.Interval), c.now), func() {
		m.next = nil
		c.enqueue(&job{r: r, cmd: m.cmd, kind: poll, queued: c.now}, false)
	})
}

// grid is what the ends of long pauses are aligned to, so that the monitors of
// many resources wake an idle node once and not once each.
const grid = 500 * time.Millisecond

// pause returns how long to wait for the next poll: the interval, or a little
// less of a long one.
func pause(interval time.Duration, now time.Time) time.Duration {
	if interval < 10*grid {
		return interval
	}
	end := now.Add(interval)
	return interval - end.Sub(end.Truncate(grid))
}

// endPolls ends monitors, as far as match says, and returns them. What is queued
// or runs of them is left to drop.
func (c *Core) endPolls(r *resource, match func(*recurring) bool) []*recurring {
	var ended []*recurring
	r.recurring = slices.DeleteFunc(r.recurring, func(m *recurring) bool {
		if !match(m) {
			return false
		}
		c.unset(m.next)
		ended = append(ended, m)
		return true
	})
	return ended
}

// giveBack lets those monitors recur again that a job has ended and that did not
// begin after all: whoever comes next takes them from the history for running.
func (c *Core) giveBack(j *job) {
	for _, m := range j.parked {
		if j.r.recurs(m.cmd.Interval) == nil {
			j.r.addRecurring(m)
			c.wind(j.r, m)
		}
	}
	j.parked = nil
}

// pausePolls stops polling but remembers what to poll, for the next daemon.
func (c *Core) pausePolls(r *resource) {
	for _, m := range r.recurring {
		c.unset(m.next)
	}
	c.drop(r, (*job).repeats)
}
