package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/quorum"
	"github.com/takt-ha/takt/cluster/store"
	"github.com/takt-ha/takt/internal/errs"
)

// How the halves of a tie speak to each other, and what a claim does to the log.

// plea is what a node of this half asks: POST /support.
type plea struct {
	Plea quorum.Plea `json:"plea"`
}

// reply is what it is told.
type reply struct {
	Plea quorum.Plea `json:"plea"`
	Err  string      `json:"err,omitempty"` // why not
}

// supportTime is how long a node of this half is waited for.
const supportTime = time.Second

// askSupport asks a node of this half.
func (a *App) askSupport(ctx context.Context, e node.Ask) node.Input {
	ctx, done := context.WithTimeout(ctx, supportTime)
	defer done()
	var got reply
	if err := a.nodes.call(ctx, e.Node, "/support", plea{Plea: e.Plea}, &got); err != nil {
		got = reply{Plea: e.Plea, Err: err.Error()}
	}
	return node.Supported{Supported: quorum.Supported{Node: e.Node, Plea: got.Plea, Err: got.Err}}
}

// answerSupport lets the machine answer another node's plea.
func (a *App) answerSupport(ctx context.Context, from cib.NodeID, ask plea) (reply, error) {
	a.heart.tellStore() // how new the log here is decides, and the machine may not have heard yet
	got, err := a.heart.pleas.ask(ctx, a.heart, func(id uint64) node.Input {
		return node.SupportAsked{Asked: quorum.Asked{ID: id, Node: from, Plea: ask.Plea}}
	})
	if err != nil {
		return reply{}, errs.E("support a claim", errs.Unavailable, a.id.Name, "", err)
	}
	return reply{Plea: got.Plea, Err: got.Err}, nil
}

// pledge binds the log, or frees it.
func (a *App) pledge(ctx context.Context, e quorum.Pledge) node.Input {
	ctx, done := context.WithTimeout(ctx, shortTime)
	defer done()
	err := a.store.Pledge(ctx, e.Pledged.Generation, e.Pledged.Claimer)
	return node.Pledged{Bound: quorum.Bound{Pledged: e.Pledged, Err: err}}
}

// force makes this node the only voter of the next generation. Nothing bounds it: the
// disk alone decides, and what was not waited for may happen all the same.
func (a *App) force(ctx context.Context, e quorum.Force) node.Input {
	_, err := a.store.Force(ctx, store.Forced{Generation: e.Generation, Author: "claim@" + a.id.Name, Reason: e.Why, Insist: a.ordered.Load() > 0})
	return node.Forced{Forced: quorum.Forced{Err: err}}
}

// mayFenceFor refuses commands of a node that does not decide about fencing, as
// far as this node knows: it coordinates, or nobody does and it is of this half.
func (a *App) mayFenceFor(from cib.NodeID) error {
	l := a.store.Leadership()
	switch {
	case l.Leader == from:
		return nil
	case l.Leader == a.self && a.heart.standing() == quorum.Quorate:
		return errs.E("fence", errs.Stale, a.id.Name, "", fmt.Errorf("%s coordinates, and not %s", a.id.Name, a.peerName(from)))
	case l.Leader != 0 && l.Leader != a.self && a.peers.get(l.Leader).Alive:
		return errs.E("fence", errs.Stale, a.id.Name, "", fmt.Errorf("%s coordinates, and not %s", a.peerName(l.Leader), a.peerName(from)))
	case a.heart.standing() == quorum.Isolated:
		return errs.E("fence", errs.Unavailable, a.id.Name, "", errors.New(a.id.Name+" is itself cut off, and so in doubt"))
	}
	return nil
}
