package executor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
)

// endGroupTime bounds the wait for a process group that was killed.
const endGroupTime = 5 * time.Second

// onRestore takes over what an earlier daemon knew, and goes on where it ended.
func (c *Core) onRestore(in Restore) {
	c.seen, c.claimed, c.call = in.Meta.Stamp, in.Meta.Stamp, in.Meta.Call
	kept := slices.Clone(in.Resources)
	slices.SortFunc(kept, func(a, b Kept) int { return strings.Compare(a.Resource, b.Resource) })
	for i := range kept {
		c.restore(&kept[i])
	}
	for _, r := range c.all() {
		c.attach(r)
	}
}

func (c *Core) restore(k *Kept) {
	r := c.resource(k.Resource)
	for _, rec := range k.History {
		r.history[keyOf(rec.Command)] = rec
		c.call = max(c.call, rec.Call)
	}
	for _, rec := range k.Failures {
		r.failures[keyOf(rec.Command)] = rec
		c.call = max(c.call, rec.Call)
	}
	for _, cmd := range k.Recurring {
		if cmd.Interval > 0 && cmd.Timeout > 0 && cmd.Action == agent.Monitor && r.recurs(cmd.Interval) == nil {
			r.addRecurring(&recurring{cmd: cmd})
		}
	}
	if k.InFlight != nil {
		c.call = max(c.call, k.InFlight.Record.Call)
	}
	r.inFlight, r.active, r.watched = k.InFlight, k.Active, k.Watched
}

// attach settles what was in flight first, then lets monitors run at once and
// watches begin.
func (c *Core) attach(r *resource) {
	left := r.inFlight
	var jobs []*job
	if left != nil {
		jobs = append(jobs, &job{r: r, cmd: left.Record.Command, kind: settle, queued: c.now, left: left, begun: true})
		if left.Poll { // only its processes are left to be ended
			r.inFlight = nil
		}
	}
	for _, m := range r.recurring {
		if r.inFlight == nil || keyOf(left.Record.Command) != keyOf(m.cmd) {
			jobs = append(jobs, &job{r: r, cmd: m.cmd, kind: poll, queued: c.now})
		}
	}
	// With something to settle, the probe decides whether there is anything to watch.
	if r.active && r.inFlight == nil {
		c.arm(r)
	}
	r.queue = append(r.queue, jobs...)
	c.serve(r)
}

// settle replaces an operation that was in flight when the daemon ended by
// what a probe says. The operation stays in flight, on disk too, until then.
func (c *Core) settle(j *job) {
	if j.left.Process == nil {
		c.settleEnded(j, nil)
		return
	}
	j.phase = ending
	c.ids++
	c.ends[c.ids] = j
	c.emit(EndProcess{ID: c.ids, Process: *j.left.Process, Within: endGroupTime})
}

func (c *Core) onProcessEnded(in ProcessEnded) {
	if j := c.ends[in.ID]; j != nil {
		delete(c.ends, in.ID)
		c.settleEnded(j, in.Err)
	}
}

func (c *Core) settleEnded(j *job, err error) {
	if j.unended = err; err != nil {
		c.alert("cannot end what an earlier daemon began", j, err)
	}
	switch {
	case j.left.Poll:
		c.end(j, j.left.Record, nil)
	case j.cmd.Action == agent.Monitor: // it can simply be run again
		c.operate(j)
	default:
		j.timeout = milliseconds(j.cmd.Timeout)
		c.wantTurn(j)
	}
}

// probes reports whether a job asks by a probe what became of another operation.
func (j *job) probes() bool { return j.kind == settle && j.cmd.Action != agent.Monitor }

func (c *Core) probe(j *job) {
	rec := j.left.Record
	rec.Command.Action, rec.Command.Interval, rec.Command.Target = agent.Monitor, 0, agent.OK
	c.call++
	rec.Call = c.call
	rec.Result = agent.Result{Code: agent.Unknown, Status: agent.Pending, Started: c.now}
	c.invoke(j, rec)
}

// probed records what the probe found, and what that says of the operation.
func (c *Core) probed(j *job, res agent.Result, wasCalled bool) {
	r, probe, left := j.r, j.record, j.left.Record
	probe.Result, probe.Changed = bound(res), c.now
	left.Changed = c.now
	left.Result = verdict(left.Command.Action, probe.Result, j.unended)
	left.Result.Started, left.Result.Duration = j.left.Record.Result.Started, max(0, c.now.Sub(j.left.Record.Result.Started))
	r.inFlight = nil
	r.record(&left, true)
	r.record(&probe, wasCalled && j.unended == nil)
	j.phase = concluding
	c.save(&r.file, func(err error) {
		if err != nil {
			c.alert("cannot record what a probe found", j, err)
		}
		for _, rec := range []Record{probe, left} {
			c.observe(End, rec, false, true)
		}
		c.emit(Notice{left})
		c.emit(Notice{probe})
		c.tendWatch(j, probe, false)
		c.end(j, left, nil)
	})
}

// verdict says what became of an operation, given what a probe found after it
// was cut off. What the probe does not prove has failed.
func verdict(action string, probe agent.Result, unended error) agent.Result {
	res := agent.Result{Code: agent.ErrGeneric, Status: agent.Errored}
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
	if unended != nil {
		res.Reason += "; its processes could not be ended: " + unended.Error()
		return res
	}
	proof := map[string]string{agent.Start: "running", agent.MigrateFrom: "running", agent.Stop: "not running",
		agent.Promote: "running, promoted", agent.Demote: "running"}
	if want, ok := proof[action]; ok && found == want {
		res.Code, res.Status = agent.OK, agent.Done
	}
	return res
}
