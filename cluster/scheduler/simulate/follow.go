package simulate

import (
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// Rounds is how many transitions Follow carries out at most. A cluster that
// has not settled by then goes in a circle.
const Rounds = 6

// Course is what happens to a cluster that is left to itself.
type Course struct {
	Root    *cib.Node             // the document at the end
	Last    *scheduler.Transition // computed from Root
	Done    []scheduler.Action    // what happened, in order
	Settled bool                  // nothing is left that could be done
	Refused []scheduler.Action    // what would have to happen at the end and cannot
}

// Follow schedules and carries out until nothing changes any more. refuse names
// actions that cannot succeed (nil: none).
func Follow(root *cib.Node, now time.Time, refuse func(*scheduler.Action) bool) *Course {
	c := &Course{Root: root}
	var before []scheduler.Action
	for range Rounds {
		c.Last = scheduler.Schedule(c.Root, now)
		next, done := Execute(c.Root, c.Last, now, refuse)
		if len(done) == 0 || sameActions(before, done) {
			c.Settled = true
			break
		}
		c.Root, before = next, done
		c.Done = append(c.Done, done...)
	}
	if !c.Settled {
		c.Last = scheduler.Schedule(c.Root, now)
	}
	for i := range c.Last.Actions {
		if a := &c.Last.Actions[i]; refuse != nil && a.Kind != scheduler.Pseudo && refuse(a) {
			c.Refused = append(c.Refused, *a)
		}
	}
	return c
}

// sameActions reports whether a round repeated the one before: what it did had
// no effect that the scheduler sees, and would not have any the next time.
func sameActions(a, b []scheduler.Action) bool {
	return slices.EqualFunc(a, b, func(x, y scheduler.Action) bool {
		return x.Task == y.Task && x.Resource == y.Resource && x.Node == y.Node && x.Interval == y.Interval && x.Detail == y.Detail
	})
}
