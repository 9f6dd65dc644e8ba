package executor

import (
	"context"
	"fmt"
	"time"

	"github.com/takt-ha/takt/agent"
)

// endGroupTime bounds the wait for a process group that was killed.
const endGroupTime = 5 * time.Second

// restore takes over what an earlier daemon knew of a resource. It is called
// before any goroutine runs.
func (e *Executor) restore(s saved) {
	r := newResource(s.Resource)
	for _, rec := range s.History {
		r.history[keyOf(rec.Command)] = rec
		e.call = max(e.call, rec.Call)
	}
	for _, rec := range s.Failures {
		r.failures[keyOf(rec.Command)] = rec
		e.call = max(e.call, rec.Call)
	}
	for _, c := range s.Recurring {
		if c.Interval > 0 && c.Timeout > 0 && c.Action == agent.Monitor {
			r.recurring[c.Interval] = &recurring{cmd: c}
		}
	}
	if s.InFlight != nil {
		e.call = max(e.call, s.InFlight.Record.Call)
	}
	r.inFlight, r.active, r.watched = s.InFlight, s.Active, s.Watched
	e.resources[s.Resource] = r
}

// attach goes on where the earlier daemon ended: what was in flight is settled
// first, then monitors run at once and watches begin.
func (e *Executor) attach() {
	e.mu.Lock()
	var watched []*resource
	for _, name := range e.namesLocked() {
		r := e.resources[name]
		if left := r.inFlight; left != nil {
			j := newJob(left.Record.Command, settle)
			j.left, j.begun = left, true
			if left.Poll { // only its processes are left to be ended
				r.inFlight = nil
			}
			e.enqueueLocked(r, j, false)
		}
		for _, rc := range r.recurring {
			if left := r.inFlight; left == nil || keyOf(left.Record.Command) != keyOf(rc.cmd) {
				e.enqueueLocked(r, newJob(rc.cmd, poll), false)
			}
		}
		// With something to settle, the probe decides whether there is anything to watch.
		if r.active && r.watched != nil && r.inFlight == nil {
			watched = append(watched, r)
		}
	}
	e.mu.Unlock()
	for _, r := range watched {
		e.armWatch(r)
	}
}

// endLeft ends the process group of an operation that an earlier daemon began.
func (e *Executor) endLeft(left *inFlight) error {
	if left == nil || left.Process == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), endGroupTime)
	defer cancel()
	return e.cfg.Processes.EndGroup(ctx, *left.Process)
}

// settle replaces an operation that was in flight when the daemon ended by
// what a probe says. The operation stays in flight, on disk too, until then.
func (e *Executor) settle(r *resource, j *job) (Record, error) {
	left := j.left.Record
	ended := e.endLeft(j.left)
	if ended != nil {
		e.log.Error("cannot end what an earlier daemon began", "resource", r.name, "action", left.Command.Action, "err", ended)
	}
	switch {
	case j.left.Poll:
		return left, nil
	case left.Command.Action == agent.Monitor: // it can simply be run again
		return e.operate(r, j)
	}
	e.slots <- struct{}{}
	defer func() { <-e.slots }()

	probe := left
	probe.Command.Action, probe.Command.Interval, probe.Command.Target = agent.Monitor, 0, agent.OK
	e.mu.Lock()
	e.call++
	probe.Call = e.call
	e.mu.Unlock()
	probe.Result = agent.Result{Code: agent.Unknown, Status: agent.Pending, Started: time.Now()}
	e.observe(Event{Time: probe.Result.Started, Phase: Begin, Record: probe})
	res, called := e.execute(r, j, probe, time.Duration(left.Command.Timeout)*time.Millisecond)
	probe.Result, probe.Changed = bound(res), time.Now()

	left.Changed = probe.Changed
	left.Result = verdict(left.Command.Action, probe.Result, left.Result.Started, ended)
	e.mu.Lock()
	r.inFlight = nil
	r.recordLocked(&left, true)
	r.recordLocked(&probe, called && ended == nil)
	e.mu.Unlock()
	if err := e.save(r); err != nil {
		e.log.Error("cannot record what a probe found", "resource", r.name, "err", err)
	}
	e.observe(Event{Time: probe.Changed, Phase: End, Record: probe, Changed: true})
	e.observe(Event{Time: left.Changed, Phase: End, Record: left, Changed: true})
	e.out.put(left)
	e.out.put(probe)
	e.tendWatch(r, probe, false)
	return left, nil
}

// verdict says what became of an operation, given what a probe found after it
// was cut off. What the probe does not prove has failed.
func verdict(action string, probe agent.Result, started time.Time, ended error) agent.Result {
	res := agent.Result{Code: agent.ErrGeneric, Status: agent.Errored, Started: started, Duration: max(0, time.Since(started))}
	found := "it cannot tell"
	switch {
	case running(probe) && (probe.Code == agent.RunningPromoted || probe.Code == agent.DegradedPromoted):
		found = "running, promoted"
	case running(probe):
		found = "running"
	case probe.Status == agent.Done && probe.Code == agent.NotRunning:
		found = "not running"
	case probe.Reason != "":
		found = "it cannot tell (" + probe.Reason + ")"
	}
	res.Reason = fmt.Sprintf("the daemon restarted during %s; a probe says: %s", action, found)
	if ended != nil {
		res.Reason += "; its processes could not be ended: " + ended.Error()
		return res
	}
	proof := map[string]string{agent.Start: "running", agent.MigrateFrom: "running", agent.Stop: "not running",
		agent.Promote: "running, promoted", agent.Demote: "running"}
	if want, ok := proof[action]; ok && found == want {
		res.Code, res.Status = agent.OK, agent.Done
	}
	return res
}
