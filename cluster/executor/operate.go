package executor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
)

// operate runs a job of a resource to its end.
func (e *Executor) operate(r *resource, j *job) (Record, error) {
	timeout := time.Duration(j.cmd.Timeout) * time.Millisecond
	began := time.Now()
	if res, ok := e.waitStuck(r, j, timeout); !ok {
		rec := Record{Command: j.cmd, Queued: began.Sub(j.queued).Milliseconds()}
		return e.conclude(r, j, rec, res, false), nil
	}
	timeout -= time.Since(began)
	// A failure that was noticed must not wait for a slot: what it delays is a
	// service that is down, and there is at most one a resource.
	if j.kind != confirm {
		select {
		case e.slots <- struct{}{}:
			defer func() { <-e.slots }()
		case <-j.ctx.Done():
		}
	}
	rec, err := e.begin(r, j)
	if err != nil || rec.Result.Status == agent.Cancelled {
		e.skip(r, j)
		return rec, err
	}
	e.observe(Event{Time: rec.Result.Started, Phase: Begin, Record: rec, Recurring: j.recurring()})
	res, called := e.execute(r, j, rec, timeout)
	return e.conclude(r, j, rec, res, called), nil
}

// begin is the point of no return: the stamp is checked and the operation
// marked as in flight in one step, so that Fence sees either neither or both.
func (e *Executor) begin(r *resource, j *job) (Record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if j.cancelled {
		return cancelledRecord(j), nil
	}
	if e.stopping && j.kind == asked {
		return Record{Command: j.cmd}, e.refusal(j.cmd)
	}
	if j.kind == asked && e.sealed && j.cmd.Stamp.Action >= 0 {
		return Record{Command: j.cmd}, e.sealedOff(j.cmd)
	}
	if j.kind == asked && compareStamps(j.cmd.Stamp, e.seen) < 0 {
		return Record{Command: j.cmd}, e.stale(j.cmd.Stamp, e.seen)
	}
	j.begun = true
	e.call++
	now := time.Now()
	rec := Record{Command: j.cmd, Call: e.call, Queued: now.Sub(j.queued).Milliseconds(), Changed: now,
		Noticed: j.kind == confirm,
		Result:  agent.Result{Code: agent.Unknown, Status: agent.Pending, Started: now}}
	r.inFlight = &inFlight{Record: rec, Poll: j.recurring()}
	return rec, nil
}

// waitStuck waits for an operation that ignored its time-out. It returns false
// and the failure if the time of the new one passes before the old one ends.
func (e *Executor) waitStuck(r *resource, j *job, timeout time.Duration) (agent.Result, bool) {
	e.mu.Lock()
	stuck, by := r.stuck, r.stuckBy
	e.mu.Unlock()
	if stuck == nil {
		return agent.Result{}, true
	}
	start := time.Now()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-stuck:
		e.mu.Lock()
		r.stuck, r.stuckBy = nil, ""
		e.mu.Unlock()
		return agent.Result{}, true
	case <-j.ctx.Done():
		return agent.Result{Code: agent.Unknown, Status: agent.Cancelled, Started: start}, false
	case <-timer.C:
	}
	return agent.Result{Code: agent.Unknown, Status: agent.TimedOut, Started: start, Duration: time.Since(start),
		Reason: fmt.Sprintf("%s was not begun: an earlier %s ignores its time-out and still runs", j.cmd.Action, by)}, false
}

// execute finds and calls the agent; called is false if it was not called.
func (e *Executor) execute(r *resource, j *job, rec Record, timeout time.Duration) (res agent.Result, called bool) {
	failed := func(s agent.Status, why string) (agent.Result, bool) {
		return agent.Result{Code: agent.Unknown, Status: s, Reason: why, Started: rec.Result.Started}, false
	}
	ag, err := e.cfg.Agents.Lookup(e.effective(r, rec.Command).Agent)
	switch {
	case errs.KindOf(err) == errs.NotFound:
		res, _ := failed(agent.NotInstalled, err.Error())
		res.Code = agent.ErrInstalled
		return res, false
	case err != nil:
		return failed(agent.Errored, "find agent: "+err.Error())
	}
	if err := e.saveUnlessPoll(r, j); err != nil {
		// What only looks, or stops, goes on: a full disk is no reason to fail over,
		// nor to keep what has to go; on disk it counts as active still.
		if a := rec.Command.Action; a != agent.Monitor && a != agent.Stop {
			return failed(agent.Errored, "not started, because it could not be recorded first: "+err.Error())
		}
		e.log.Warn("cannot record an operation in flight", "resource", r.name, "action", rec.Command.Action, "err", err)
	}
	if a := rec.Command.Action; a == agent.Stop || a == agent.MigrateTo {
		e.endWatch(r)
	}
	return e.callAgent(r, j, ag, rec, timeout), true
}

// saveUnlessPoll records that an operation is in flight. A poll begins without a
// trace, and leaves none unless it has a process (see spawned) or finds a change:
// on a quiet node nothing is written.
func (e *Executor) saveUnlessPoll(r *resource, j *job) error {
	if j.kind == poll {
		return nil
	}
	return e.save(r)
}

// effective is the command as the agent is to get it. What is stopped is what
// runs, with the agent and the parameters that it was started with: the
// configuration may have changed since, or no longer know the resource.
func (e *Executor) effective(r *resource, c Command) Command {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.Action != agent.Stop {
		return c
	}
	start, started := r.history[opKey{agent.Start, 0}]
	switch {
	case r.watched != nil:
		c.Agent, c.Params = r.watched.Agent, r.watched.Params
	case started && len(c.Params) == 0: // a start that failed may have got far enough
		c.Agent, c.Params = start.Command.Agent, start.Command.Params
	}
	return c
}

// callAgent calls the agent and answers at the latest when the time-out and
// the grace have passed; the call that then still runs leaves the resource stuck.
func (e *Executor) callAgent(r *resource, j *job, ag agent.Agent, rec Record, timeout time.Duration) agent.Result {
	ctx, cancel := context.WithTimeout(j.ctx, timeout)
	result, ended := make(chan agent.Result, 1), make(chan struct{})
	if err := e.calls.begin(rec, time.Now()); err != nil {
		e.log.Warn("cannot write the log of agent calls", "path", e.cfg.CallLog, "err", err)
	}
	e.work.Go(func() {
		defer close(ended)
		defer cancel()
		res := e.invoke(ctx, r, ag, invocation(e.effective(r, rec.Command), timeout))
		done := rec
		done.Result = res
		if err := e.calls.ended(done, time.Now()); err != nil {
			e.log.Warn("cannot write the log of agent calls", "path", e.cfg.CallLog, "err", err)
		}
		result <- res
	})
	select {
	case res := <-result:
		return res
	case <-ctx.Done():
	}
	grace := time.NewTimer(e.cfg.Grace)
	defer grace.Stop()
	select {
	case res := <-result:
		return res
	case <-grace.C:
	}
	e.mu.Lock()
	r.stuck, r.stuckBy = ended, rec.Command.Action
	e.mu.Unlock()
	e.log.Error("an agent ignores the end of its time; the resource is stuck", "resource", r.name,
		"agent", rec.Command.Agent.String(), "action", rec.Command.Action)
	return agent.Result{Code: agent.Unknown, Status: agent.TimedOut, Started: rec.Result.Started,
		Duration: time.Since(rec.Result.Started),
		Reason: fmt.Sprintf("%s did not end within %v, nor within %v after it was told to; it still runs",
			rec.Command.Action, timeout, e.cfg.Grace)}
}

// invoke calls the agent and turns a panic into a failure.
func (e *Executor) invoke(ctx context.Context, r *resource, ag agent.Agent, inv agent.Invocation) (res agent.Result) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("agent panicked", "resource", inv.Resource, "agent", inv.Agent.String(), "panic", p, "stack", string(debug.Stack()))
			res = agent.Result{Code: agent.Unknown, Status: agent.Errored, Reason: fmt.Sprintf("the agent panicked: %v", p)}
		}
		if res.Started.IsZero() {
			res.Started, res.Duration = start, time.Since(start)
		}
		// An agent that only says "unknown" after its time has ended timed out.
		if res.Status == agent.Cancelled && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			res.Status = agent.TimedOut
		}
	}()
	return ag.Run(agent.WithOnStart(ctx, func(pid int) { e.spawned(r, pid) }), inv)
}

// spawned records the process group of the operation in flight.
func (e *Executor) spawned(r *resource, pid int) {
	p, err := e.cfg.Processes.Identify(pid)
	if err != nil {
		return // it has ended already
	}
	e.mu.Lock()
	if r.inFlight != nil {
		with := *r.inFlight
		with.Process = &p
		r.inFlight = &with
	}
	e.mu.Unlock()
	if err := e.save(r); err != nil {
		e.log.Warn("cannot record an operation's process", "resource", r.name, "pid", pid, "err", err)
	}
}

func invocation(c Command, timeout time.Duration) agent.Invocation {
	return agent.Invocation{Resource: c.Resource, Agent: c.Agent, Action: c.Action,
		Interval: time.Duration(c.Interval) * time.Millisecond, Timeout: timeout, Params: c.Params, Meta: c.Meta}
}

// maxReason is how many bytes of a reason are kept.
const maxReason = 1 << 10

// bound cuts what an agent says to what may be kept.
func bound(res agent.Result) agent.Result {
	if over := len(res.Output) - agent.MaxOutput; over > 0 {
		res.Output = strings.ToValidUTF8(res.Output[over:], "")
		res.Dropped += int64(over)
	}
	res.Reason = strings.Join(strings.Fields(res.Reason), " ")
	if len(res.Reason) > maxReason {
		res.Reason = strings.ToValidUTF8(res.Reason[:maxReason], "") + "…"
	}
	return res
}

func (e *Executor) observe(ev Event) {
	if e.cfg.Observe != nil {
		e.cfg.Observe(ev)
	}
}
