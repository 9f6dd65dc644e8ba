package executor

import (
	"time"

	"github.com/takt-ha/takt/agent"
)

// scheduleLocked arranges the next run of a recurring monitor after one of its
// runs has ended, and begins a new one after its first. e.mu is held.
func (e *Executor) scheduleLocked(r *resource, j *job, rec Record) {
	first := j.kind == asked || j.kind == settle
	if first && j.cmd.Action == agent.Monitor && j.cmd.Interval > 0 && rec.Result.Status != agent.NotInstalled {
		r.recurring[j.cmd.Interval] = &recurring{cmd: j.cmd}
	}
	if j.kind != confirm {
		e.rearmLocked(r, j)
	}
}

// rearmLocked starts the timer for the next poll, if the monitor still recurs.
// e.mu is held.
func (e *Executor) rearmLocked(r *resource, j *job) {
	rc := r.recurring[j.cmd.Interval]
	if rc == nil || e.stopping || j.kind == confirm || j.cmd.Action != agent.Monitor {
		return
	}
	rc.timer = time.AfterFunc(pause(time.Duration(rc.cmd.Interval)*time.Millisecond, time.Now()), func() { e.poll(r, rc) })
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

// poll queues the next run of a recurring monitor.
func (e *Executor) poll(r *resource, rc *recurring) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping || r.recurring[rc.cmd.Interval] != rc {
		return
	}
	e.enqueueLocked(r, newJob(rc.cmd, poll), false)
}
