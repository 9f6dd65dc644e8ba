package executor

import (
	"fmt"
	"slices"

	"github.com/takt-ha/takt/agent"
)

// operate begins the way of a job to its agent.
func (c *Core) operate(j *job) {
	j.timeout = milliseconds(j.cmd.Timeout)
	if j.r.stuck == nil {
		c.wantTurn(j)
		return
	}
	// The time-out of the new operation passes while the old one runs: a stop must
	// not be confirmed, and a failed stop not be waited for without end.
	j.phase, j.since = waitsForEnd, c.now
	j.due = c.after(j.timeout, func() { c.tooLate(j) })
	c.reconsider(j.r)
}

// tooLate fails a job whose time has passed before it could begin.
func (c *Core) tooLate(j *job) {
	rec := Record{Command: j.cmd, Queued: j.since.Sub(j.queued).Milliseconds()}
	c.conclude(j, rec, agent.Result{Code: agent.Unknown, Status: agent.TimedOut, Started: j.since, Duration: c.now.Sub(j.since),
		Reason: fmt.Sprintf("%s was not begun: an earlier %s ignores its time-out and still runs", j.cmd.Action, j.r.stuck.action)}, false)
}

// unstuck goes on when an operation that ignored its time-out has ended.
func (c *Core) unstuck(r *resource) {
	r.stuck = nil
	c.touched = append(c.touched, r)
	j := r.running
	if j == nil || j.phase != waitsForEnd {
		return
	}
	c.unset(j.due)
	j.timeout -= c.now.Sub(j.since)
	c.wantTurn(j)
}

// wantTurn waits until few enough operations run. A failure that was noticed must
// not wait: what it delays is a service that is down, and there is at most one a
// resource.
func (c *Core) wantTurn(j *job) {
	switch {
	case j.kind == confirm:
		c.prepare(j)
	case c.free > 0:
		c.free--
		j.turn = true
		c.prepare(j)
	default:
		j.phase = waitsForTurn
		c.waiting = append(c.waiting, j)
		c.reconsider(j.r)
	}
}

func (c *Core) nextTurn() {
	for c.free > 0 && len(c.waiting) > 0 {
		j := c.waiting[0]
		c.waiting = slices.Delete(c.waiting, 0, 1)
		c.free--
		j.turn = true
		c.prepare(j)
	}
}

// reconsider ends a job that waits and must not begin any more.
func (c *Core) reconsider(r *resource) {
	j := r.running
	if j == nil || j.phase != waitsForEnd && j.phase != waitsForTurn || !j.cancelled && c.refusal(j) == nil {
		return
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(k *job) bool { return k == j })
	c.dismissed(j)
}

// dismissed ends a job that must not begin, or has been taken back.
func (c *Core) dismissed(j *job) bool {
	if j.cancelled {
		c.skip(j, c.takenBack(j), nil)
		return true
	}
	if err := c.refusal(j); err != nil {
		c.skip(j, Record{Command: j.cmd}, err)
		return true
	}
	return false
}

// prepare records that an operation is about to begin. A poll leaves no trace,
// unless it has a process or finds a change: on a quiet node nothing is written.
func (c *Core) prepare(j *job) {
	if j.probes() {
		c.probe(j)
		return
	}
	if c.dismissed(j) {
		return
	}
	c.call++
	j.record = Record{Command: j.cmd, Call: c.call, Queued: c.now.Sub(j.queued).Milliseconds(), Changed: c.now,
		Noticed: j.kind == confirm, Result: agent.Result{Code: agent.Unknown, Status: agent.Pending, Started: c.now}}
	if j.kind == poll {
		c.begin(j)
		return
	}
	j.r.intent = &InFlight{Record: j.record, Poll: j.repeats()}
	j.phase = recording
	c.save(&j.r.file, func(err error) { c.recorded(j, err) })
}

func (c *Core) recorded(j *job, err error) {
	if err != nil {
		// What only looks, or stops, goes on: a full disk is no reason to fail over,
		// nor to keep what has to go; on disk it counts as active still.
		if a := j.cmd.Action; a != agent.Monitor && a != agent.Stop {
			c.conclude(j, j.record, agent.Result{Code: agent.Unknown, Status: agent.Errored, Started: j.record.Result.Started,
				Reason: "not started, because it could not be recorded first: " + err.Error()}, false)
			return
		}
		c.warn("cannot record an operation in flight", j, err)
	}
	if a := j.cmd.Action; a == agent.Stop || a == agent.MigrateTo {
		c.unwatch(j, func() { c.begin(j) })
		return
	}
	c.begin(j)
}

// begin is the point of no return. The stamp is looked at once more, in the same
// step in which the agent is called and the operation shows in Snapshot: after
// the answer to a Fence nothing older begins, and what has begun is known.
func (c *Core) begin(j *job) {
	if c.dismissed(j) {
		return
	}
	r := j.r
	c.commit(j)
	j.record.Changed, j.record.Result.Started = c.now, c.now
	r.inFlight, r.intent = &InFlight{Record: j.record, Poll: j.repeats()}, nil
	c.invoke(j, j.record)
}

// commit makes a job one that cannot be taken back. Its monitors have ended for
// good, and so have those that another job has given back meanwhile.
func (c *Core) commit(j *job) {
	j.begun, j.parked = true, nil
	if changes(j.cmd.Action) || j.cmd.Action == Forget {
		c.endPolls(j.r, func(*recurring) bool { return true })
		c.drop(j.r, (*job).repeats)
	}
}

// effective is the command as the agent is to get it. What is stopped is what
// runs, with the agent and the parameters that it was started with: the
// configuration may have changed since, or no longer know the resource.
func (r *resource) effective(cmd Command) Command {
	if cmd.Action != agent.Stop {
		return cmd
	}
	start, started := r.history[opKey{agent.Start, 0}]
	switch {
	case r.watched != nil:
		cmd.Agent, cmd.Params = r.watched.Agent, r.watched.Params
	case started && len(cmd.Params) == 0: // a start that failed may have got far enough
		cmd.Agent, cmd.Params = start.Command.Agent, start.Command.Params
	}
	return cmd
}

// invoke calls the agent. When time-out and grace have passed it is given up.
func (c *Core) invoke(j *job, rec Record) {
	j.phase, j.record = called, rec
	c.runs[rec.Call] = j.r
	j.due = c.after(j.timeout+c.cfg.Grace, func() { c.giveUp(j) })
	c.observe(Begin, rec, j.repeats(), false)
	c.emit(Run{Record: rec, Invocation: invocation(j.r.effective(rec.Command), j.timeout)})
}

// abort ends a call before its time.
func (c *Core) abort(j *job) {
	if j.phase == called {
		c.emit(Abort{j.record.Call})
		c.hasten(j.due, c.cfg.Grace)
	}
}

// giveUp leaves the resource stuck.
func (c *Core) giveUp(j *job) {
	rec := j.record
	j.r.stuck = &stuck{rec.Call, rec.Command.Action}
	c.alert("an agent ignores the end of its time; the resource is stuck", j, nil)
	c.returned(j, agent.Result{Code: agent.Unknown, Status: agent.TimedOut, Started: rec.Result.Started,
		Duration: c.now.Sub(rec.Result.Started),
		Reason: fmt.Sprintf("%s did not end within %v, nor within %v after it was told to; it still runs",
			rec.Command.Action, j.timeout, c.cfg.Grace)}, true)
}

// onBegan records the process group of the operation in flight, so that a later
// daemon can end it.
func (c *Core) onBegan(in Began) {
	r := c.runs[in.Call]
	if r == nil || r.running == nil || r.running.phase != called || r.running.record.Call != in.Call || r.inFlight == nil {
		return
	}
	with := *r.inFlight
	with.Process = &in.Process
	r.inFlight = &with
	c.save(&r.file, func(err error) {
		if err != nil {
			c.emit(Warn{Text: "cannot record an operation's process", Resource: r.name, Err: err})
		}
	})
}

func (c *Core) onFinished(in Finished) {
	r := c.runs[in.Call]
	if r == nil {
		return
	}
	delete(c.runs, in.Call)
	if r.stuck != nil && r.stuck.call == in.Call {
		c.unstuck(r)
		return
	}
	res := in.Result
	if res.Started.IsZero() {
		begun := r.running.record.Result.Started
		res.Started, res.Duration = begun, c.now.Sub(begun)
	}
	c.returned(r.running, res, in.Called)
}

func (c *Core) returned(j *job, res agent.Result, wasCalled bool) {
	c.unset(j.due)
	if j.probes() {
		c.probed(j, res, wasCalled)
		return
	}
	c.conclude(j, j.record, res, wasCalled)
}
