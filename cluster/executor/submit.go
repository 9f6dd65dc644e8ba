package executor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
)

func validate(c Command) error {
	bad := func(why string) error {
		return errs.E("run "+c.Action, errs.Invalid, c.Resource, "The coordinator sent a broken command; report this as a bug.", errors.New(why))
	}
	switch {
	case c.Resource == "":
		return bad("no resource named")
	case c.Action == "":
		return bad("no action named")
	case c.Interval < 0:
		return bad("negative interval")
	case c.Action == Forget || c.Action == Cancel:
		return nil
	case c.Timeout <= 0:
		return bad("no time-out")
	case c.Interval > 0 && c.Action != agent.Monitor:
		return bad("only monitor can recur")
	}
	return nil
}

// submit queues a command that has been admitted, or answers it at once: the
// same command joins the one that is there, or gets its result.
func (c *Core) submit(id uint64, cmd Command) {
	r := c.resources[cmd.Resource]
	if r != nil {
		if j := r.pending(cmd); j != nil {
			c.join(j, id)
			return
		}
		if rec, ok := r.history[keyOf(cmd)]; ok && rec.Command.Stamp == cmd.Stamp {
			c.emit(Answer{ID: id, Record: rec})
			return
		}
	}
	j := &job{cmd: cmd, kind: asked, queued: c.now}
	if err := c.refusal(j); err != nil { // before it makes way for itself
		c.emit(Answer{ID: id, Record: Record{Command: cmd}, Err: err})
		return
	}
	r = c.resource(cmd.Resource)
	c.touched = append(c.touched, r)
	j.r = r
	switch {
	case cmd.Action == Cancel:
		c.cancelPolls(r, id, cmd)
		return
	case cmd.Action == Forget && r.busy():
		c.emit(Answer{ID: id, Record: Record{Command: cmd}, Err: errs.E("forget", errs.Conflict, cmd.Resource,
			"Ask again when the operation has ended.", errors.New("an operation is in flight"))})
		return
	}
	c.join(j, id)
	c.makeWay(j)
	c.enqueue(j, false)
}

func (c *Core) join(j *job, id uint64) {
	j.callers = append(j.callers, id)
	c.callers[id] = j
}

// cancelPolls ends a recurring monitor at once; that there is none is no error.
func (c *Core) cancelPolls(r *resource, id uint64, cmd Command) {
	meant := func(m *recurring) bool { return m.cmd.Interval == cmd.Interval }
	ended := c.endPolls(r, meant)
	c.drop(r, func(j *job) bool { return monitors(j, cmd.Interval) })
	for _, j := range r.jobs() {
		j.parked = slices.DeleteFunc(j.parked, meant)
	}
	_, known := r.history[opKey{agent.Monitor, cmd.Interval}]
	delete(r.history, opKey{agent.Monitor, cmd.Interval})
	rec := Record{Command: cmd, Changed: c.now, Result: agent.Result{Started: c.now}}
	if !known && len(ended) == 0 {
		c.emit(Answer{ID: id, Record: rec})
		return
	}
	c.save(&r.file, func(err error) {
		if err != nil {
			c.emit(Warn{Text: "cannot record the end of a monitor; a restarted daemon would resume it", Resource: r.name, Err: err})
		}
		c.emit(Answer{ID: id, Record: rec})
	})
}

// makeWay ends the monitors that a command makes meaningless: all before the
// state changes, its own predecessor before a recurring one begins anew. Should
// the command not begin after all, they come back.
func (c *Core) makeWay(j *job) {
	switch {
	case changes(j.cmd.Action) || j.cmd.Action == Forget:
		j.parked = c.endPolls(j.r, func(*recurring) bool { return true })
		for _, k := range j.r.queue {
			if k.kind == asked && k.cmd.Interval > 0 {
				j.parked = append(j.parked, k.parked...)
			}
		}
		c.drop(j.r, func(k *job) bool { return k.repeats() || k.kind == asked && k.cmd.Interval > 0 })
	case j.cmd.Action == agent.Monitor && j.cmd.Interval > 0:
		own := j.cmd.Interval
		j.parked = c.endPolls(j.r, func(m *recurring) bool { return m.cmd.Interval == own })
		c.drop(j.r, func(k *job) bool { return monitors(k, own) })
	}
}

// changes reports whether an action changes the state of a resource.
func changes(action string) bool {
	switch action {
	case agent.Stop, agent.Start, agent.Promote, agent.Demote, agent.MigrateTo, agent.MigrateFrom:
		return true
	}
	return false
}

// monitors reports whether a job is a monitor of one interval that may be taken back.
func monitors(j *job, interval int64) bool {
	return j.cmd.Action == agent.Monitor && j.cmd.Interval == interval && j.kind != settle
}

func (c *Core) onWithdraw(in Withdraw) {
	for _, a := range c.arrivals {
		if a.id == in.ID {
			c.refuse(a, c.timeout(a.command(), false, in.Cause))
			return
		}
	}
	j := c.callers[in.ID]
	if j == nil {
		return // it has its answer
	}
	delete(c.callers, in.ID)
	j.callers = slices.DeleteFunc(j.callers, func(id uint64) bool { return id == in.ID })
	c.emit(Answer{ID: in.ID, Record: Record{Command: j.cmd}, Err: c.timeout(j.cmd, j.begun, in.Cause)})
	if j.begun || len(j.callers) > 0 || j.kind != asked {
		return
	}
	if j.phase == queued {
		j.r.queue = slices.DeleteFunc(j.r.queue, func(k *job) bool { return k == j })
		c.giveBack(j)
		c.touched = append(c.touched, j.r)
		return
	}
	c.cancel(j)
}

func (c *Core) timeout(cmd Command, begun bool, cause error) error {
	hint := "The operation had not begun and was taken back."
	if begun {
		hint = "The operation goes on; its result will be reported."
	}
	if cause == nil {
		cause = fmt.Errorf("nobody waits for %s any more", cmd.Action)
	}
	return errs.E("run "+cmd.Action, errs.Timeout, cmd.Resource, hint, cause)
}
