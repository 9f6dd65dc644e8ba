package controller

import (
	"sort"

	"github.com/takt-ha/takt/cluster/scheduler"
)

// Run walks a transition's graph: which actions may start, given which have
// ended. It is pure; whoever drives it starts actions and reports their ends.
//
//	waiting ──all before it succeeded──▶ ready ──Start──▶ inFlight ──End──▶ succeeded
//	   │                                                      └──────────▶ failed
//	   └── stays for ever once something before it failed, or the run was aborted
type Run struct {
	actions  []scheduler.Action
	after    [][]scheduler.ActionID // after[a]: the actions that wait for a
	missing  []int                  // how many an action still waits for
	state    []actionState
	ready    []scheduler.ActionID // waiting for nothing, not yet started
	inFlight int
	limit    int
	aborted  string // why nothing more is started; "" while it goes on
	failures int
}

type actionState uint8

const (
	waiting actionState = iota
	inFlight
	succeeded
	failed
)

// NewRun starts at the beginning of a transition. At most limit actions are in
// flight at once; limit ≤ 0 means no limit.
func NewRun(t *scheduler.Transition, limit int) *Run {
	r := &Run{
		actions: t.Actions,
		after:   make([][]scheduler.ActionID, len(t.Actions)),
		missing: make([]int, len(t.Actions)),
		state:   make([]actionState, len(t.Actions)),
		limit:   limit,
	}
	seen := map[scheduler.Ordering]bool{}
	for _, o := range t.Order {
		if o.Before == o.After || seen[o] {
			continue
		}
		seen[o] = true
		r.after[o.Before] = append(r.after[o.Before], o.After)
		r.missing[o.After]++
	}
	for i := range r.actions {
		if r.actions[i].Stuck != "" {
			r.missing[i]++ // waits for what never ends in this transition
		}
		r.release(scheduler.ActionID(i))
	}
	return r
}

func (r *Run) release(id scheduler.ActionID) {
	if r.missing[id] == 0 {
		r.ready = append(r.ready, id)
	}
}

// Next returns the actions that may start now and marks them as in flight:
// higher priority first, then in the transition's order.
func (r *Run) Next() []scheduler.Action {
	if r.aborted != "" {
		return nil
	}
	sort.SliceStable(r.ready, func(i, j int) bool {
		a, b := &r.actions[r.ready[i]], &r.actions[r.ready[j]]
		if a.Priority != b.Priority {
			return a.Priority > b.Priority
		}
		return a.ID < b.ID
	})
	var started []scheduler.Action
	for len(r.ready) > 0 && (r.limit <= 0 || r.inFlight < r.limit) {
		id := r.ready[0]
		r.ready = r.ready[1:]
		r.state[id] = inFlight
		r.inFlight++
		started = append(started, r.actions[id])
	}
	return started
}

// End reports how an action in flight ended; for any other action it does nothing.
func (r *Run) End(id scheduler.ActionID, ok bool) {
	if int(id) < 0 || int(id) >= len(r.state) || r.state[id] != inFlight {
		return
	}
	r.inFlight--
	if !ok {
		r.state[id] = failed
		r.failures++
		return
	}
	r.state[id] = succeeded
	for _, next := range r.after[id] {
		r.missing[next]--
		r.release(next)
	}
}

// DropNode ends, as failed, everything in flight on a node that is gone, and
// returns what that was. Fencing happens to the node, not on it, and goes on.
func (r *Run) DropNode(node string) []scheduler.ActionID {
	var dropped []scheduler.ActionID
	for i := range r.actions {
		if r.actions[i].Node == node && r.state[i] == inFlight && !isFencing(r.actions[i]) {
			r.End(r.actions[i].ID, false)
			dropped = append(dropped, r.actions[i].ID)
		}
	}
	return dropped
}

// Abort lets nothing more start; what is in flight is waited for.
func (r *Run) Abort(why string) {
	if r.aborted == "" {
		r.aborted = why
	}
}

// Aborted returns why the run was aborted, "" if it was not.
func (r *Run) Aborted() string { return r.aborted }

// flying reports whether an action is in flight.
func (r *Run) flying(id scheduler.ActionID) bool { return r.state[id] == inFlight }

// InFlight returns the actions in flight.
func (r *Run) InFlight() []scheduler.Action {
	var list []scheduler.Action
	for i := range r.actions {
		if r.state[i] == inFlight {
			list = append(list, r.actions[i])
		}
	}
	return list
}

// Over reports whether nothing is in flight and nothing more can start.
func (r *Run) Over() bool {
	return r.inFlight == 0 && (r.aborted != "" || len(r.ready) == 0)
}

// Counts returns how many actions succeeded, failed, and were never started.
func (r *Run) Counts() (ok, bad, skipped int) {
	for _, s := range r.state {
		switch s {
		case succeeded:
			ok++
		case failed:
			bad++
		case waiting:
			skipped++
		}
	}
	return ok, bad, skipped
}
