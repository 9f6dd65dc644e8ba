package executor

import (
	"cmp"
	"slices"
	"time"

	"github.com/takt-ha/takt/agent"
)

// Snapshot returns the last result of each operation, and what is in flight
// with Status Pending, sorted by resource, action, interval and call.
func (e *Executor) Snapshot() []Record {
	return e.collect(func(r *resource) []Record {
		list := values(r.history)
		if len(list) == 0 && r.active && r.watched != nil { // its history was forgotten
			c := *r.watched
			c.Stamp, c.Action, c.Interval, c.Target = Stamp{}, agent.Start, 0, agent.OK
			list = append(list, Record{Command: c, Result: agent.Result{Started: time.Now()}})
		}
		if f := r.inFlight; f != nil && !f.Poll {
			list = append(list, f.Record)
		}
		return list
	})
}

// Failures returns the last failure of each operation, sorted as in Snapshot.
// A later success does not remove it; Forget does.
func (e *Executor) Failures() []Record {
	return e.collect(func(r *resource) []Record { return values(r.failures) })
}

// Active returns, sorted, the resources that may hold something on this node:
// started or seen running, and not confirmed stopped since.
func (e *Executor) Active() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(e.namesLocked(), func(name string) bool {
		r := e.resources[name]
		// A start in flight may have got far enough already.
		return !r.active && (r.inFlight == nil || r.inFlight.Record.Command.Action == agent.Monitor)
	})
}

func (e *Executor) collect(of func(*resource) []Record) []Record {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []Record
	for _, r := range e.resources {
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

func (e *Executor) namesLocked() []string {
	names := make([]string, 0, len(e.resources))
	for name := range e.resources {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
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

// recordLocked takes a result into the history and reports whether it differs
// from the one before. Executor.mu is held.
func (r *resource) recordLocked(rec *Record, called bool) (changed bool) {
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
	if called {
		r.believeLocked(*rec)
	}
	return changed
}

// believeLocked draws the conclusion whether the resource is active. In doubt
// it is: an active resource that is called stopped may be started twice.
// Executor.mu is held.
func (r *resource) believeLocked(rec Record) {
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

// conclude makes a result known: history, disk, the next poll, the watch, the
// event and, where nobody asked for it, the notice.
func (e *Executor) conclude(r *resource, j *job, rec Record, res agent.Result, called bool) Record {
	rec.Result, rec.Changed = bound(res), time.Now()
	e.mu.Lock()
	if rec.Call == 0 { // never begun
		e.call++
		rec.Call = e.call
	}
	if j.cancelled && (j.cmd.Action == agent.Monitor || !j.begun) {
		e.mu.Unlock()
		e.skip(r, j)
		rec.Result.Status, rec.Result.Reason = agent.Cancelled, "cancelled before it ended"
		e.observe(Event{Time: rec.Changed, Phase: End, Record: rec, Recurring: j.recurring()})
		return rec
	}
	if j.begun && j.cmd.Action == agent.Start && rec.Result.Status == agent.Cancelled {
		// It may have got far enough: it counts as failed, and has to be stopped.
		rec.Result.Status, rec.Result.Reason = agent.Errored, "ended because this node was cut off"
	}
	refuted := j.kind == confirm && running(rec.Result)
	if j.kind == confirm && !refuted {
		rec.Result.Reason = j.why
	}
	rec.Noticed = j.kind == confirm && !refuted
	changed := r.recordLocked(&rec, called)
	traceless := j.kind == poll && !changed && (r.inFlight == nil || r.inFlight.Process == nil)
	r.inFlight = nil
	e.scheduleLocked(r, j, rec)
	orphan := j.kind == settle || j.kind == asked && (j.waiters == 0 || !sameTerm(j.cmd.Stamp, e.seen))
	e.mu.Unlock()

	if !traceless {
		if err := e.save(r); err != nil {
			e.log.Error("cannot record a result; a restarted daemon would probe", "resource", r.name, "action", j.cmd.Action, "err", err)
		}
	}
	e.observe(Event{Time: rec.Changed, Phase: End, Record: rec, Recurring: j.recurring(), Changed: changed})
	if orphan || j.recurring() && changed {
		e.out.put(rec)
	}
	e.tendWatch(r, rec, refuted)
	return rec
}

// skip ends a job that leaves no trace in the history.
func (e *Executor) skip(r *resource, j *job) {
	e.mu.Lock()
	wrote := r.inFlight != nil
	r.inFlight = nil
	e.rearmLocked(r, j)
	e.mu.Unlock()
	if !wrote {
		return
	}
	if err := e.save(r); err != nil {
		e.log.Warn("cannot record the end of an operation", "resource", r.name, "err", err)
	}
}
