package executor

import (
	"context"
	"fmt"
	"time"

	"github.com/takt-ha/takt/agent"
)

// watchPause is how long a watch is not renewed after it reported a failure
// that a monitor refuted, so that one that lies cannot keep the node busy.
const watchPause = time.Second

// watch is one call of agent.Watcher.
type watch struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// tendWatch begins a watch where a result proved the resource active and none
// runs. refuted says that the last one lied.
func (e *Executor) tendWatch(r *resource, rec Record, refuted bool) {
	if refuted {
		e.log.Warn("a watch reported a failure that a monitor did not find", "resource", r.name)
		e.mu.Lock()
		r.rearm = time.Now().Add(watchPause)
		e.mu.Unlock()
		time.AfterFunc(watchPause, func() { e.armWatch(r) })
		return
	}
	ok := running(rec.Result)
	switch rec.Command.Action {
	case agent.Start, agent.Promote, agent.Demote, agent.MigrateFrom:
		ok = rec.Result.Status == agent.Done && rec.Result.Code == agent.OK
	case agent.Monitor:
	default:
		return
	}
	if ok {
		e.armWatch(r)
	}
}

// armWatch begins a watch of an active resource whose agent can, if none runs.
func (e *Executor) armWatch(r *resource) {
	e.mu.Lock()
	if r.watched == nil || r.watch != nil || e.stopping {
		e.mu.Unlock()
		return
	}
	cmd := *r.watched
	e.mu.Unlock()
	ag, err := e.cfg.Agents.Lookup(cmd.Agent)
	watcher, ok := ag.(agent.Watcher)
	if err != nil || !ok {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.watched == nil || r.watch != nil || e.stopping || r.leavingLocked() || time.Now().Before(r.rearm) {
		return
	}
	ctx, cancel := context.WithCancel(e.quit)
	w := &watch{cancel: cancel, done: make(chan struct{})}
	r.watch = w
	e.work.Go(func() {
		defer close(w.done)
		defer cancel()
		e.watchEnded(r, w, e.runWatch(ctx, watcher, cmd))
	})
}

func (e *Executor) runWatch(ctx context.Context, watcher agent.Watcher, cmd Command) (why string) {
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("watch panicked; the recurring monitor remains", "resource", cmd.Resource, "panic", fmt.Sprint(p))
			why = ""
		}
	}()
	inv := invocation(cmd, time.Duration(cmd.Timeout)*time.Millisecond)
	inv.Action, inv.Interval = agent.Monitor, 0
	why = watcher.Watch(ctx, inv)
	if ctx.Err() != nil {
		return ""
	}
	return why
}

// watchEnded has a reported failure confirmed by a monitor, before anything
// else of the resource runs. A poll in flight began before the failure and is
// taken back.
func (e *Executor) watchEnded(r *resource, w *watch, why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.watch != w {
		return
	}
	r.watch = nil
	if why == "" || e.stopping || r.watched == nil || r.leavingLocked() {
		return
	}
	if j := r.running; j != nil && j.kind == poll {
		j.cancelled = true
		j.cancel()
	}
	j := newJob(r.confirmLocked(), confirm)
	j.why = why
	e.enqueueLocked(r, j, true)
}

// confirmLocked returns the monitor under whose name a noticed failure is
// recorded: the most frequent recurring one, else a single one that expects
// the resource to run. Executor.mu is held.
func (r *resource) confirmLocked() Command {
	var best *recurring
	for _, rc := range r.recurring {
		if best == nil || rc.cmd.Interval < best.cmd.Interval {
			best = rc
		}
	}
	if best != nil {
		return best.cmd
	}
	c := *r.watched
	if c.Action != agent.Monitor || c.Target == agent.NotRunning {
		c.Target = agent.OK
	}
	c.Action, c.Interval = agent.Monitor, 0
	return c
}

// leavingLocked reports whether the resource is about to be stopped here: what
// happens to it then is no failure. Executor.mu is held.
func (r *resource) leavingLocked() bool {
	leaving := func(j *job) bool {
		if j.kind == settle { // what it was to do has been cut off
			return false
		}
		switch j.cmd.Action {
		case agent.Stop, agent.MigrateTo, Forget:
			return true
		}
		return false
	}
	if r.running != nil && leaving(r.running) {
		return true
	}
	for _, j := range r.queue {
		if leaving(j) {
			return true
		}
	}
	return false
}

// endWatch ends the watch and waits for it, for the grace at most.
func (e *Executor) endWatch(r *resource) {
	e.mu.Lock()
	w := r.watch
	r.watch = nil
	e.mu.Unlock()
	if w == nil {
		return
	}
	w.cancel()
	timer := time.NewTimer(e.cfg.Grace)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
		e.log.Error("a watch does not end", "resource", r.name)
	}
}
