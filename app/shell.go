package app

import (
	"context"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/store"
)

// shell is what the controller sees of the daemon (controller.Shell).
type shell struct{ a *App }

func noticed(node cib.NodeID, r agent.Record) controller.Noticed {
	return controller.Noticed{Node: node, Record: r}
}

// Query asks a node what runs there.
func (s shell) Query(ctx context.Context, node cib.NodeID, stamp agent.Stamp) ([]agent.Record, error) {
	ask := joinAsk{Stamp: stamp}
	if node == s.a.self {
		say, err := s.a.answerJoin(ctx, s.a.self, ask)
		return say.Records, err
	}
	var say joinSay
	err := s.a.nodes.insist(ctx, node, "/join", ask, &say)
	return say.Records, err
}

// Do runs an operation on a node.
func (s shell) Do(ctx context.Context, node cib.NodeID, c agent.Command) (agent.Record, error) {
	if node == s.a.self {
		if c.Stamp.Action < 0 {
			return s.a.ownDoing(ctx, c)
		}
		return s.a.exec.Do(ctx, c)
	}
	var r agent.Record
	err := s.a.nodes.insist(ctx, node, "/run", c, &r)
	return r, err
}

// ownDoing runs an operation that no transition asked for. It carries the newest
// stamp that the node has seen; the coordinator hears the result.
func (a *App) ownDoing(ctx context.Context, c agent.Command) (agent.Record, error) {
	action := c.Stamp.Action
	c.Stamp = a.exec.Newest()
	c.Stamp.Action = action
	r, err := a.exec.Do(ctx, c)
	if err == nil && c.Action != agent.Forget {
		a.nodes.notify(r)
	}
	return r, err
}

// Propose changes the CIB on behalf of the coordinator.
func (s shell) Propose(ctx context.Context, term uint64, reason string, ops []cib.Op) (controller.State, error) {
	ctx, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	state, err := s.a.store.Propose(ctx, store.Change{Author: "controller@" + s.a.id.Name, Reason: reason, Time: time.Now(), Ops: ops, Term: term})
	return controller.State{Root: state.Root, Index: state.Index, Generation: state.Generation}, err
}

// Recall seals this node's executor and returns what it knows.
func (s shell) Recall() []agent.Record {
	s.a.exec.Seal()
	return s.a.exec.Snapshot()
}

// Report writes a line of the story.
func (s shell) Report(r controller.Report) {
	s.a.journal.add(api.Event{
		Kind: r.Kind, Transition: r.Transition, Resource: r.Resource, On: r.On, Text: r.Text,
		Duration: r.Duration.Microseconds(),
	})
}

// Settled lets those go on who wait for it.
func (s shell) Settled(index uint64) {
	s.a.settle.reached(index)
	s.a.tidy.Reset(tidyAfter)
}

// LocalDone lets this node take part again after it was cut off.
func (s shell) LocalDone(times int) {
	s.a.peers.stopped(times)
	s.a.updateView()
}
