package executor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
)

// begin calls an agent beside whatever else happens. Its time counts from now.
func (e *Executor) begin(run Run) {
	call := run.Record.Call
	ctx, end := context.WithTimeout(context.Background(), run.Invocation.Timeout)
	register(e, e.runs, call, end)
	e.work.Go(func() {
		res, called := e.call(ctx, run)
		over(e, e.runs, call)
		e.step(Finished{Call: call, Result: res, Called: called})
	})
}

// call finds and calls the agent; called is false if there is none.
func (e *Executor) call(ctx context.Context, run Run) (res agent.Result, called bool) {
	started := time.Now()
	ag, err := e.cfg.Agents.Lookup(run.Invocation.Agent)
	switch {
	case errs.KindOf(err) == errs.NotFound:
		return agent.Result{Code: agent.ErrInstalled, Status: agent.NotInstalled, Reason: err.Error(), Started: started}, false
	case err != nil:
		return agent.Result{Code: agent.Unknown, Status: agent.Errored, Reason: "find agent: " + err.Error(), Started: started}, false
	}
	e.logCall(e.journal.begin(run.Record, started))
	res = e.invoke(ctx, ag, run)
	done := run.Record
	done.Result = res
	e.logCall(e.journal.ended(done, time.Now()))
	return res, true
}

func (e *Executor) logCall(err error) {
	if err != nil {
		e.log.Warn("cannot write the log of agent calls", "path", e.cfg.CallLog, "err", err)
	}
}

// invoke calls the agent and turns a panic into a failure.
func (e *Executor) invoke(ctx context.Context, ag agent.Agent, run Run) (res agent.Result) {
	start, inv := time.Now(), run.Invocation
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
	return ag.Run(agent.WithOnStart(ctx, func(pid int) { e.spawned(run.Record.Call, pid) }), inv)
}

// spawned tells of the process group that runs an operation.
func (e *Executor) spawned(call int64, pid int) {
	if p, err := e.cfg.Processes.Identify(pid); err == nil { // else it has ended already
		e.step(Began{Call: call, Process: p})
	}
}

// watch asks an agent to notice failures, if it can.
func (e *Executor) watch(w Watch) {
	ctx, end := context.WithCancel(context.Background())
	register(e, e.watches, w.ID, end)
	e.work.Go(func() {
		ended := WatchEnded{ID: w.ID}
		ag, err := e.cfg.Agents.Lookup(w.Invocation.Agent)
		if watcher, ok := ag.(agent.Watcher); ok && err == nil {
			ended.Failure = e.runWatch(ctx, watcher, w.Invocation)
		} else {
			ended.Unable = err == nil
		}
		over(e, e.watches, w.ID)
		e.step(ended)
	})
}

func (e *Executor) runWatch(ctx context.Context, watcher agent.Watcher, inv agent.Invocation) (why string) {
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("watch panicked; the recurring monitor remains", "resource", inv.Resource, "panic", fmt.Sprint(p))
			why = ""
		}
	}()
	why = watcher.Watch(ctx, inv)
	if ctx.Err() != nil {
		return ""
	}
	return why
}
