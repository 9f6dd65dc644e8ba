package executor

import (
	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
)

// forget drops what is known of a resource, on disk first. That it may run is not
// forgotten: only what it did.
func (c *Core) forget(j *job) {
	if c.dismissed(j) {
		return
	}
	c.unwatch(j, func() {
		if c.dismissed(j) {
			return
		}
		c.commit(j)
		j.phase = recording
		c.save(&c.meta, func(err error) { c.forgetFile(j, err) }) // so that call numbers do not begin anew
	})
}

func (c *Core) forgetFile(j *job, err error) {
	if err != nil {
		c.forgot(j, err)
		return
	}
	j.r.forgetting = true
	c.save(&j.r.file, func(err error) {
		j.r.forgetting = false
		if err != nil {
			c.save(&j.r.file, nil) // whatever became of it: what is known is what counts
		}
		c.forgot(j, err)
	})
}

func (c *Core) forgot(j *job, err error) {
	if err != nil {
		c.end(j, Record{Command: j.cmd}, errs.E("forget", errs.Unavailable, j.cmd.Resource, "The history is kept; ask again.", err))
		c.arm(j.r)
		return
	}
	clear(j.r.history)
	clear(j.r.failures)
	c.end(j, Record{Command: j.cmd, Changed: c.now, Result: agent.Result{Started: c.now}}, nil)
}
