package executor

import (
	"strings"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/mutant"
)

// conclude makes a result known: history, disk, the next poll, the watch, the
// event and, where nobody asked for it, the notice.
func (c *Core) conclude(j *job, rec Record, res agent.Result, wasCalled bool) {
	rec.Result, rec.Changed = bound(res), c.now
	if rec.Call == 0 { // never begun
		c.call++
		rec.Call = c.call
	}
	if j.cancelled && (j.cmd.Action == agent.Monitor || !j.begun) {
		rec.Result.Status, rec.Result.Reason = agent.Cancelled, "cancelled before it ended"
		if j.begun {
			c.observe(End, rec, j.repeats(), false)
		}
		c.skip(j, rec, nil)
		return
	}
	if j.begun && j.cmd.Action == agent.Start && rec.Result.Status == agent.Cancelled {
		// It may have got far enough: it counts as failed, and has to be stopped.
		rec.Result.Status, rec.Result.Reason = agent.Errored, "ended because this node was cut off"
	}
	if j.cmd.Action == agent.Stop && rec.Result.Status == agent.TimedOut && mutant.Off(mutant.StopTimeout) {
		rec.Result.Status, rec.Result.Code, wasCalled = agent.Done, agent.OK, true
	}
	c.settleResult(j, rec, wasCalled)
}

// settleResult takes a result that counts into the history.
func (c *Core) settleResult(j *job, rec Record, wasCalled bool) {
	r := j.r
	refuted := j.kind == confirm && running(rec.Result)
	if j.kind == confirm && !refuted {
		rec.Result.Reason = j.why
	}
	rec.Noticed = j.kind == confirm && !refuted
	changed := r.record(&rec, wasCalled)
	traceless := j.kind == poll && !changed && (r.inFlight == nil || r.inFlight.Process == nil)
	r.inFlight, r.intent = nil, nil
	c.recur(j, rec)
	c.rest(j)
	if traceless {
		c.publish(j, rec, changed, refuted)
		return
	}
	j.phase = concluding
	c.save(&r.file, func(err error) {
		if err != nil {
			c.alert("cannot record a result; a restarted daemon would probe", j, err)
		}
		c.publish(j, rec, changed, refuted)
	})
}

// publish tells everybody of a result that is on disk, or cannot be.
func (c *Core) publish(j *job, rec Record, changed, refuted bool) {
	c.observe(End, rec, j.repeats(), changed)
	orphan := j.kind == settle || j.kind == asked && (len(j.callers) == 0 || !sameTerm(j.cmd.Stamp, c.seen))
	if orphan || j.repeats() && changed {
		c.emit(Notice{rec})
	}
	c.tendWatch(j, rec, refuted)
	c.end(j, rec, nil)
}

// skip ends a job that leaves no trace in the history: nothing has happened.
func (c *Core) skip(j *job, rec Record, err error) {
	r := j.r
	c.unset(j.due)
	traces := r.intent != nil || r.inFlight != nil && (!r.inFlight.Poll || r.inFlight.Process != nil)
	r.inFlight, r.intent = nil, nil
	c.giveBack(j)
	c.rest(j)
	done := func() {
		c.end(j, rec, err)
		if j.leaves() { // the watch was ended in vain
			c.arm(r)
		}
	}
	if !traces {
		done()
		return
	}
	j.phase = concluding
	c.save(&r.file, func(err error) {
		if err != nil {
			c.warn("cannot record the end of an operation", j, err)
		}
		done()
	})
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
