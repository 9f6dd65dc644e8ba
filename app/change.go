package app

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/store"
	"github.com/takt-ha/takt/internal/errs"
)

// onLeader does here or asks there: what changes the cluster happens on the node
// that coordinates it, where its effects are seen. An edit that was made for a
// coordinator who is none any more is made anew by its successor.
func (a *App) onLeader(ctx context.Context, here func() (*api.Outcome, error), there func(*api.Client) (*api.Outcome, error)) (*api.Outcome, error) {
	return atLeader(ctx, a, here, there)
}

// atLeader is onLeader for any answer.
func atLeader[T any](ctx context.Context, a *App, here func() (*T, error), there func(*api.Client) (*T, error)) (*T, error) {
	for try := 1; ; try++ {
		c, err := a.leader(ctx)
		if err != nil {
			return nil, err
		}
		var out *T
		if c == nil {
			out, err = here()
		} else {
			out, err = there(c)
			c.Close()
		}
		if errs.KindOf(err) != errs.Stale || try == 3 {
			return out, err
		}
	}
}

// leader returns nil if this node coordinates, else a client of the one that
// does: what changes the cluster happens there, where its effects are seen.
func (a *App) leader(ctx context.Context) (*api.Client, error) {
	l := a.awaitLeader(ctx)
	switch {
	case l.Leader == a.self && l.Ready:
		return nil, nil
	case l.Leader == 0 || l.Leader == a.self:
		why := a.whyLeaderless(ctx)
		return nil, errs.E("change the cluster", errs.Unavailable, a.id.Cluster,
			"takt status says what it waits for.", fmt.Errorf("nobody coordinates it now (%s)", why))
	}
	return a.clientOf(l.Leader), nil
}

// clientOf asks another node's daemon.
func (a *App) clientOf(id cib.NodeID) *api.Client {
	return api.NewClientDial(a.peerName(id), func(ctx context.Context) (net.Conn, error) {
		return a.mesh.Dial(ctx, uint64(id), apiALPN)
	})
}

// whyLeaderless says why nobody coordinates: by what the heartbeats say now, because
// what they said at the loss counts down seconds that are long over.
func (a *App) whyLeaderless(ctx context.Context) string {
	obeys, why := a.heart.obeys()
	if st, err := a.pulse.Status(ctx); err == nil && !obeys && st.Reason != "" {
		return st.Reason
	}
	return why
}

// leaderPatience is how long a request waits while the cluster elects.
const leaderPatience = 3 * time.Second

// awaitLeader returns the leadership, at once if there is one.
func (a *App) awaitLeader(ctx context.Context) store.Leadership {
	ctx, done := context.WithTimeout(ctx, leaderPatience)
	defer done()
	changed, cancel := a.store.LeadershipChanged()
	defer cancel()
	for {
		l := a.store.Leadership()
		if l.Leader != 0 && (l.Leader != a.self || l.Ready) {
			return l
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return l
		}
	}
}

// edit is a change of the CIB with its words.
type edit struct {
	text string
	ops  []cib.Op
	warn []string
}

// change makes an edit of the newest CIB, proposes it, and waits, if wished, until
// the cluster has settled. Edits are made one after the other: each sees the one
// before.
func (a *App) change(ctx context.Context, v api.Verb, make func(root *cib.Node) (edit, error)) (*api.Outcome, error) {
	out, before, state, err := a.propose(ctx, v, make)
	if err != nil || state.Root == nil {
		return out, err
	}
	out.Settled = a.waitSettled(ctx, state.Index, v.Wait)
	out.Warnings = append(out.Warnings, newFailures(before, a.store.State().Root)...)
	return out, nil
}

// propose is the part of change that others must not interrupt. The state is
// void where nothing had to be changed.
func (a *App) propose(ctx context.Context, v api.Verb, make func(root *cib.Node) (edit, error)) (*api.Outcome, *cib.Node, store.State, error) {
	a.editing.Lock()
	defer a.editing.Unlock()
	term := a.store.Leadership().Term
	before := a.store.State().Root
	e, err := make(before)
	if err != nil {
		return nil, nil, store.State{}, err
	}
	out := &api.Outcome{Text: e.text, Warnings: e.warn, Settled: true}
	if len(e.ops) == 0 {
		out.CIBVersion = cib.VersionOf(before).String()
		return out, nil, store.State{}, nil
	}
	if after, err := cib.Apply(before, e.ops); err == nil {
		out.Changes = differences(before, after)
		out.Actions = actionLines(scheduler.Schedule(after, time.Now()))
	}
	state, err := a.store.Propose(ctx, store.Change{Author: v.User, Reason: e.text, Time: time.Now(), Ops: e.ops, Term: term})
	if err != nil {
		return nil, nil, store.State{}, err
	}
	a.journal.add(api.Event{Kind: "config", On: a.id.Name, Text: strings.TrimSpace(v.User + ": " + e.text)})
	// The controller must judge this state, not the one before it: nothing else
	// may make it look again.
	a.heart.tellStore()
	a.heart.tell(control(controller.Poke{Reason: e.text}))
	out.CIBVersion = cib.VersionOf(state.Root).String()
	return out, before, state, nil
}

// newFailures tells, a line each, what has failed since before.
func newFailures(before, after *cib.Node) []string {
	known := map[api.Failure]bool{}
	for _, f := range statusFailures(before) {
		known[f] = true
	}
	var lines []string
	for _, f := range statusFailures(after) {
		if known[f] {
			continue
		}
		why := f.Reason
		if why == "" {
			why = fmt.Sprintf("%s, exit status %d", f.Status, f.Code)
		}
		lines = append(lines, fmt.Sprintf("%s of %s failed on %s: %s", f.Action, f.Resource, f.Node, why))
	}
	return lines
}

// waitSettled waits at most so many milliseconds until the cluster has nothing left to do as of
// an index. Who coordinates knows that: where another node does so by now, it is asked.
func (a *App) waitSettled(ctx context.Context, index uint64, wait int64) bool {
	if wait <= 0 {
		return false
	}
	ctx, done := context.WithTimeout(ctx, time.Duration(wait)*time.Millisecond)
	defer done()
	changed, cancel := a.store.LeadershipChanged()
	defer cancel()
	for ctx.Err() == nil {
		l := a.store.Leadership()
		if l.Leader == a.self && a.settle.wait(ctx, index, changed) || l.Leader != a.self && l.Leader != 0 && a.settledAt(ctx, l.Leader, index) {
			return true
		}
		if l.Leader == a.self {
			continue // it is no more, or anew
		}
		select {
		case <-changed:
		case <-time.After(askSettled):
		case <-ctx.Done():
		}
	}
	return false
}

// askSettled is how often another coordinator is asked whether the cluster has settled.
const askSettled = 200 * time.Millisecond

// settledAt asks a coordinator whether it has nothing left to do as of an index.
func (a *App) settledAt(ctx context.Context, leader cib.NodeID, index uint64) bool {
	ctx, done := context.WithTimeout(ctx, leaderPatience)
	defer done()
	c := a.clientOf(leader)
	defer c.Close()
	st, err := c.Status(ctx)
	return err == nil && st.Settled >= index // who does not answer is asked again
}

func actionLines(t *scheduler.Transition) []string {
	var lines []string
	for _, act := range t.Actions {
		if act.Kind == scheduler.Pseudo {
			continue
		}
		task := act.Task
		switch {
		case task == agent.Monitor && act.Interval == 0:
			task = "probe"
		case task == "delete", task == "lrm_delete":
			task = "forget"
		}
		line := strings.TrimSpace(task+" "+act.Resource) + " on " + act.Node
		if act.Reason != "" {
			line += ": " + act.Reason
		}
		lines = append(lines, line)
	}
	return lines
}
