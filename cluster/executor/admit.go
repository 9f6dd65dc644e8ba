package executor

import (
	"fmt"
	"slices"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/mutant"
)

// arrival is a Submit or a Fence whose stamp has not been admitted yet: they are
// taken in the order of their arrival, and a stamp that is newer than any before
// has to be on disk first.
type arrival struct {
	id     uint64 // 0: it has been answered
	submit *Command
	stamp  Stamp
	sealed bool // a Fence that a Seal has overtaken
}

func (a *arrival) command() Command {
	if a.submit == nil {
		return Command{Action: "fence", Stamp: a.stamp}
	}
	return *a.submit
}

func (c *Core) onSubmit(in Submit) {
	if err := validate(in.Command); err != nil {
		c.emit(Answer{ID: in.ID, Record: Record{Command: in.Command}, Err: err})
		return
	}
	cmd := in.Command
	c.arrive(&arrival{id: in.ID, submit: &cmd, stamp: cmd.Stamp})
}

func (c *Core) onFence(in Fence) {
	a := &arrival{id: in.ID, stamp: in.Stamp}
	if in.Seals != 0 && in.Seals != c.seals {
		c.refuse(a, c.cutOff(a.command()))
		return
	}
	c.arrive(a)
}

func (c *Core) arrive(a *arrival) {
	if a.submit != nil && c.sovereign(a.stamp) && !c.stopping {
		c.admitted(a)
		return
	}
	c.arrivals = append(c.arrivals, a)
	if len(c.arrivals) == 1 {
		c.admit()
	}
}

// admit takes arrivals until one has to wait for the disk.
func (c *Core) admit() {
	for len(c.arrivals) > 0 {
		a := c.arrivals[0]
		switch {
		case a.id == 0: // withdrawn
		case c.stale(a.stamp):
			c.refuse(a, c.tooOld(a.stamp))
		case c.stopping:
			c.refuse(a, c.leaves(a.command()))
		case compareStamps(a.stamp, c.seen) <= 0:
			c.admitted(a)
		case c.sealed && a.submit != nil:
			// Its stamp must not make the node's own stops look old.
			c.refuse(a, c.cutOff(*a.submit))
		default:
			c.claim(a)
			return
		}
		c.arrivals = slices.Delete(c.arrivals, 0, 1)
	}
}

// claim records a new stamp; the first arrival, and all after it, wait for that.
func (c *Core) claim(a *arrival) {
	c.claimed = a.stamp
	c.claimed.Action = 0
	c.save(&c.meta, func(err error) {
		if err != nil {
			c.claimed = c.seen
			c.refuse(a, errs.E("record the coordinator's term", errs.Unavailable, c.cfg.Node,
				"Nothing was run. Make room in the runtime folder, or see why it cannot be written.", err))
		} else {
			c.seen = c.claimed
			for _, r := range c.all() {
				c.reconsider(r)
			}
			c.admitted(a)
		}
		if len(c.arrivals) > 0 && c.arrivals[0] == a { // not after a Halt
			c.arrivals = slices.Delete(c.arrivals, 0, 1)
		}
		c.admit()
	})
}

// admitted goes on with an arrival whose stamp is on disk.
func (c *Core) admitted(a *arrival) {
	switch {
	case a.id == 0:
	case a.submit != nil:
		c.submit(a.id, *a.submit)
	case a.sealed:
		c.refuse(a, c.cutOff(a.command()))
	default:
		c.sealed = false
		c.emit(Answer{ID: a.id})
	}
}

func (c *Core) refuse(a *arrival, err error) {
	if a.id != 0 {
		c.emit(Answer{ID: a.id, Record: Record{Command: a.command()}, Err: err})
		a.id = 0
	}
}

// onSeal ends what a coordinator has asked for and that has not begun, and unless
// they are to be kept, starts in flight. A Fence that came before and waits for the disk must not undo it.
func (c *Core) onSeal(in Seal) {
	c.sealed = true
	c.seals++
	for _, a := range c.arrivals {
		a.sealed = true
	}
	for _, r := range c.all() {
		c.reconsider(r)
		if j := r.running; !in.Keep && j != nil && j.kind == asked && j.begun && j.cmd.Action == agent.Start {
			c.abort(j)
		}
	}
}

// stale reports whether a stamp is older than what this node has seen: whoever
// gave it is not the coordinator any more, or has changed its mind.
func (c *Core) stale(s Stamp) bool {
	return compareStamps(s, c.seen) < 0 && !mutant.Off(mutant.StaleCommand)
}

// sovereign reports whether a stamp is of what the node does by itself while it is cut
// off: no coordinator rules here then, and a stamp that is still on its way to the
// disk must not keep it from stopping.
func (c *Core) sovereign(s Stamp) bool { return c.sealed && s.Action < 0 }

// refusal says why a job must not begin now; nil: it may.
func (c *Core) refusal(j *job) error {
	switch {
	case j.kind != asked:
		return nil
	case c.stopping:
		return c.leaves(j.cmd)
	case c.sovereign(j.cmd.Stamp):
		return nil
	case c.sealed:
		return c.cutOff(j.cmd)
	case c.stale(j.cmd.Stamp):
		return c.tooOld(j.cmd.Stamp)
	}
	return nil
}

func (c *Core) tooOld(s Stamp) error {
	return errs.E("obey coordinator", errs.Stale, c.cfg.Node, "A newer coordinator is at work; nothing was run.",
		fmt.Errorf("command of generation %d, term %d, transition %d; seen %d, %d, %d",
			s.Generation, s.Term, s.Transition, c.seen.Generation, c.seen.Term, c.seen.Transition))
}

func (c *Core) cutOff(cmd Command) error {
	return errs.E("run "+cmd.Action, errs.Unavailable, cmd.Resource, "It joins again when it is quorate; nothing was run.",
		fmt.Errorf("%s was cut off and stops what it runs", c.cfg.Node))
}

func (c *Core) leaves(cmd Command) error {
	return errs.E("run "+cmd.Action, errs.Unavailable, cmd.Resource, "The operation was not started.",
		fmt.Errorf("the executor of %s is stopping", c.cfg.Node))
}
