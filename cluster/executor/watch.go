package executor

import (
	"slices"
	"time"

	"github.com/takt-ha/takt/agent"
)

// watchPause is how long a watch is not renewed after it reported a failure
// that a monitor refuted, so that one that lies cannot keep the node busy.
const watchPause = time.Second

// tendWatch begins a watch where a result proved the resource active and none
// runs. refuted says that the last one lied.
func (c *Core) tendWatch(j *job, rec Record, refuted bool) {
	r := j.r
	if refuted {
		c.emit(Warn{Text: "a watch reported a failure that a monitor did not find", Resource: r.name})
		r.rearm = c.now.Add(watchPause)
		c.after(watchPause, func() { c.arm(r) })
		return
	}
	switch rec.Command.Action {
	case agent.Start, agent.Promote, agent.Demote, agent.MigrateFrom:
		if rec.Result.Status == agent.Done && rec.Result.Code == agent.OK {
			r.unable = agent.ID{}
			c.arm(r)
		}
	case agent.Monitor:
		if running(rec.Result) {
			c.arm(r)
		}
	}
}

// arm begins a watch of an active resource whose agent can, if none runs.
func (c *Core) arm(r *resource) {
	if r.watched == nil || r.watch != 0 || c.stopping || r.watched.Agent == r.unable || r.leaving() || c.now.Before(r.rearm) {
		return
	}
	c.ids++
	r.watch = c.ids
	c.watches[c.ids] = r
	inv := invocation(*r.watched, milliseconds(r.watched.Timeout))
	inv.Action, inv.Interval = agent.Monitor, 0
	c.emit(Watch{ID: c.ids, Invocation: inv})
}

// onWatchEnded has a reported failure confirmed by a monitor, before anything
// else of the resource runs. A poll in flight began before the failure and is
// taken back.
func (c *Core) onWatchEnded(in WatchEnded) {
	r := c.watches[in.ID]
	if r == nil {
		return
	}
	delete(c.watches, in.ID)
	c.touched = append(c.touched, r)
	if j := r.running; j != nil && j.phase == unwatching && j.watch == in.ID {
		c.hasten(j.due, 0)
		return
	}
	if r.watch != in.ID {
		return
	}
	r.watch = 0
	if in.Unable && r.watched != nil {
		r.unable = r.watched.Agent
	}
	if in.Failure == "" || c.stopping || r.watched == nil || r.leaving() {
		return
	}
	if j := r.running; j != nil && j.kind == poll {
		c.cancel(j)
	}
	c.enqueue(&job{r: r, cmd: r.confirming(), kind: confirm, queued: c.now, why: in.Failure}, true)
}

// confirming is the monitor under whose name a noticed failure is recorded: the
// most frequent recurring one, else a single one that expects the resource to run.
func (r *resource) confirming() Command {
	if len(r.recurring) > 0 {
		return r.recurring[0].cmd
	}
	cmd := *r.watched
	if cmd.Action != agent.Monitor || cmd.Target == agent.NotRunning {
		cmd.Target = agent.OK
	}
	cmd.Action, cmd.Interval = agent.Monitor, 0
	return cmd
}

// leaving reports whether the resource is about to be stopped here: what happens
// to it then is no failure.
func (r *resource) leaving() bool {
	return r.running != nil && r.running.leaves() || slices.ContainsFunc(r.queue, (*job).leaves)
}

func (j *job) leaves() bool {
	if j.kind == settle { // what it was to do has been cut off
		return false
	}
	switch j.cmd.Action {
	case agent.Stop, agent.MigrateTo, Forget:
		return true
	}
	return false
}

// unwatch ends the watch of a job's resource and waits for it, for the grace at
// most; then the job goes on.
func (c *Core) unwatch(j *job, then func()) {
	if j.r.watch == 0 {
		then()
		return
	}
	j.phase, j.watch = unwatching, j.r.watch
	j.r.watch = 0
	c.emit(Unwatch{j.watch})
	j.due = c.after(c.cfg.Grace, func() {
		if c.watches[j.watch] != nil {
			c.alert("a watch does not end", j, nil)
		}
		then()
	})
}
