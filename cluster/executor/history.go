package executor

import (
	"cmp"
	"slices"
	"time"

	"github.com/takt-ha/takt/agent"
)

// Snapshot returns the last result of each operation, and what is in flight
// with Status Pending, sorted by resource, action, interval and call. now dates
// what is known without a result.
func (c *Core) Snapshot(now time.Time) []Record {
	return c.collect(func(r *resource) []Record {
		list := values(r.history)
		if len(list) == 0 && r.active && r.watched != nil { // its history was forgotten
			cmd := *r.watched
			cmd.Stamp, cmd.Action, cmd.Interval, cmd.Target = Stamp{}, agent.Start, 0, agent.OK
			list = append(list, Record{Command: cmd, Result: agent.Result{Started: now}})
		}
		if f := r.inFlight; f != nil && !f.Poll {
			list = append(list, f.Record)
		}
		return list
	})
}

// Failures returns the last failure of each operation, sorted as in Snapshot.
// A later success does not remove it; Forget does.
func (c *Core) Failures() []Record {
	return c.collect(func(r *resource) []Record { return values(r.failures) })
}

// Active returns, sorted, the resources that may hold something on this node:
// started or seen running, and not confirmed stopped since; and those of which an
// agent still runs that should have ended.
func (c *Core) Active() []string {
	return slices.DeleteFunc(c.names(), func(name string) bool {
		r := c.resources[name]
		// A start in flight may have got far enough already.
		return !r.active && r.stuck == nil && (r.inFlight == nil || r.inFlight.Record.Command.Action == agent.Monitor)
	})
}

func (c *Core) collect(of func(*resource) []Record) []Record {
	var list []Record
	for _, r := range c.resources {
		list = append(list, of(r)...)
	}
	sortRecords(list)
	return list
}

func sortRecords(list []Record) {
	slices.SortFunc(list, func(a, b Record) int {
		x, y := a.Command, b.Command
		return cmp.Or(cmp.Compare(x.Resource, y.Resource), cmp.Compare(x.Action, y.Action),
			cmp.Compare(x.Interval, y.Interval), cmp.Compare(a.Call, b.Call))
	})
}

func values[K comparable](m map[K]Record) []Record {
	list := make([]Record, 0, len(m))
	for _, r := range m {
		list = append(list, r)
	}
	return list
}

// running reports whether a monitor's result says that the resource runs.
func running(res agent.Result) bool {
	if res.Status != agent.Done {
		return false
	}
	switch res.Code {
	case agent.OK, agent.RunningPromoted, agent.Degraded, agent.DegradedPromoted:
		return true
	}
	return false
}

// failure reports whether a record tells of a failure. What a probe finds is
// a finding, not a failure, as long as it could be found.
func failure(rec Record) bool {
	res := rec.Result
	if res.Status != agent.Done {
		return res.Status != agent.Cancelled && res.Status != agent.Pending
	}
	if rec.Command.Action == agent.Monitor {
		if rec.Command.Interval == 0 && !rec.Noticed {
			return !running(res) && res.Code != agent.NotRunning
		}
		return res.Code != rec.Command.Target && !(running(res) && res.Code >= agent.Degraded)
	}
	return res.Code != agent.OK && res.Code != rec.Command.Target
}

// sameOutcome reports whether a result tells nothing new. The words of a watch
// and of a poll differ about one and the same failure.
func sameOutcome(prev, rec Record) bool {
	a, b := prev.Result, rec.Result
	return a.Code == b.Code && a.Status == b.Status && (a.Reason == b.Reason || prev.Noticed || rec.Noticed)
}

// record takes a result into the history and reports whether it differs
// from the one before.
func (r *resource) record(rec *Record, wasCalled bool) (changed bool) {
	key := keyOf(rec.Command)
	prev, known := r.history[key]
	changed = !known || !sameOutcome(prev, *rec)
	if !changed && rec.Command.Interval > 0 {
		rec.Changed = prev.Changed
		if prev.Noticed {
			rec.Noticed, rec.Result.Reason = true, prev.Result.Reason
		}
	}
	r.history[key] = *rec
	if failure(*rec) {
		r.failures[key] = *rec
	}
	if timedOut := rec.Command.Action == agent.Stop && rec.Result.Status == agent.TimedOut; wasCalled || timedOut {
		r.believe(*rec)
	}
	return changed
}

// believe draws the conclusion whether the resource is active. In doubt
// it is: an active resource that is called stopped may be started twice.
func (r *resource) believe(rec Record) {
	c, res := rec.Command, rec.Result
	switch c.Action {
	case agent.Stop:
		r.active = res.Status != agent.Done || res.Code != agent.OK
		if !r.active {
			r.watched = nil
			for key := range r.history {
				if key.interval > 0 {
					delete(r.history, key)
				}
			}
		}
	case agent.Start, agent.Promote, agent.Demote, agent.MigrateFrom:
		r.active = true
		if res.Status == agent.Done && res.Code == agent.OK {
			r.watched = &c
		}
	case agent.Monitor:
		switch {
		case running(res):
			r.active, r.watched = true, &c
		case c.Interval == 0 && !rec.Noticed && res.Status == agent.Done &&
			(res.Code == agent.NotRunning || res.Code == agent.ErrInstalled):
			r.active = false // a probe; a failed poll leaves something to stop
		case c.Interval == 0 && !rec.Noticed && res.Status != agent.Cancelled:
			r.active = true // cannot tell
		}
	}
}
