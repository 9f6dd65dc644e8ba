package app

import (
	"context"
	"errors"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/quorum"
	"github.com/takt-ha/takt/cluster/store"
	"github.com/takt-ha/takt/internal/errs"
)

// carryOut does what the machine asks for. It does not wait: what may take time is
// done beside, and its result told to the machine.
func (a *App) carryOut(e node.Effect) {
	switch e := e.(type) {
	case node.Command:
		a.command(e.Effect)
	case node.Report:
		a.journal.add(api.Event{Kind: e.Kind, Transition: e.Transition, Resource: e.Resource, On: e.On, Text: e.Text, Duration: e.Duration.Microseconds()})
	case node.PeerIs:
		a.peers.set(e)
		a.board.stir()
	case node.SetView:
		a.peers.setView(e.View)
		a.updateView()
	case node.LeaderLost:
		a.store.LeaderLost()
	case node.Answer:
		a.heart.requests.answer(e.ID, e)
	case node.Support:
		a.heart.pleas.answer(e.ID, e)
	case node.Fenced:
		a.noteFenced(e.Entry)
	case node.Recall:
		a.recallFence(e)
	case node.SelfFence:
		a.selfFence(e.Why)
	default:
		a.carryOutBeside(e)
	}
}

// carryOutBeside does what takes time.
func (a *App) carryOutBeside(e node.Effect) {
	switch e := e.(type) {
	case node.Execute:
		a.background("fence", func(ctx context.Context) error {
			if res, ok := a.execute(ctx, e); ok {
				a.heart.tell(node.FenceResult{Result: res})
			}
			return nil
		})
	case node.Ask:
		a.aside(func(ctx context.Context) node.Input { return a.askSupport(ctx, e) })
	case node.Sync:
		a.aside(func(ctx context.Context) node.Input {
			ctx, done := context.WithTimeout(ctx, shortTime)
			defer done()
			_, err := a.store.Propose(ctx, store.Change{Author: "claim@" + a.id.Name, Reason: "what was acknowledged is to be here", Time: time.Now()})
			return node.Synced{Synced: quorum.Synced{Err: err}}
		})
	case node.Pledge:
		a.aside(func(ctx context.Context) node.Input { return a.pledge(ctx, e.Pledge) })
	case node.Force:
		a.aside(func(ctx context.Context) node.Input { return a.force(ctx, e.Force) })
	case node.Demote:
		a.aside(func(ctx context.Context) node.Input {
			ctx, done := context.WithTimeout(ctx, shortTime)
			defer done()
			return node.Demoted{Demoted: quorum.Demoted{Node: e.Node, Err: a.store.Demote(ctx, e.Node)}}
		})
	case node.Promote:
		a.aside(func(ctx context.Context) node.Input {
			ctx, done := context.WithTimeout(ctx, time.Second)
			defer done()
			return node.Promoted{Node: e.Node, Err: a.store.Promote(ctx, e.Node)}
		})
	case node.AskReset:
		a.background("reset", func(ctx context.Context) error {
			ctx, done := context.WithTimeout(ctx, shortTime)
			defer done()
			if err := a.nodes.call(ctx, e.Node, "/reset", resetAsk{Why: e.Why}, &struct{}{}); err != nil {
				a.log.Warn("a node was not asked to reset itself", "node", a.peerName(e.Node), "error", err)
			}
			return nil
		})
	case node.WhoHears:
		a.aside(func(ctx context.Context) node.Input { return a.whoHears(ctx, e.Peer) })
	case node.Transfer:
		a.background("hand-over", func(ctx context.Context) error { return a.transfer(ctx, e) })
	}
}

// shortTime bounds a change of the log that the machine waits for.
const shortTime = 5 * time.Second

// aside runs work that may wait, and feeds what it gives back to the machine, which
// has to see first what that did to the log.
func (a *App) aside(work func(context.Context) node.Input) {
	a.background("effect", func(ctx context.Context) error {
		in := work(ctx)
		a.heart.tellStore()
		a.heart.tell(in)
		return nil
	})
}

// control feeds the controller.
func control(in controller.Input) node.Input { return node.Control{Input: in} }

// command does what the controller asks for.
func (a *App) command(e controller.Effect) {
	switch e := e.(type) {
	case controller.Settled:
		a.settle.reached(e.Index)
		a.tidy.Reset(tidyAfter)
	case controller.Recall:
		// Sealed at once: nothing that comes later may begin.
		a.exec.Seal(false)
		a.aside(func(context.Context) node.Input {
			return control(controller.Local{Records: a.exec.Snapshot(), Active: a.exec.Active()})
		})
	case controller.Seal:
		a.exec.Seal(true)
	case controller.Query:
		a.aside(func(ctx context.Context) node.Input { return control(a.query(ctx, e)) })
	case controller.Propose:
		a.aside(func(ctx context.Context) node.Input { return control(a.record(ctx, e)) })
	case controller.Do:
		if e.Ref.Local {
			a.board.leave("this node was cut off, and stops what it runs")
		}
		a.aside(func(ctx context.Context) node.Input {
			r, err := a.do(ctx, e.Node, e.Command)
			return control(controller.Ended{Ref: e.Ref, Record: r, Err: err})
		})
	}
}

// query asks a node what runs there.
func (a *App) query(ctx context.Context, q controller.Query) controller.Input {
	ctx, done := context.WithTimeout(ctx, controller.DefaultConfig(0, "").JoinTimeout) // by then the machine has asked again
	defer done()
	ask := joinAsk{Stamp: agent.Stamp{Generation: q.Generation, Term: q.Term, Transition: q.Transition}}
	var say joinSay
	var err error
	if q.Node == a.self {
		say, err = a.answerJoin(ctx, a.self, ask)
	} else {
		err = a.nodes.insist(ctx, q.Node, "/join", ask, &say)
	}
	return controller.Joined{Node: q.Node, Term: q.Term, Transition: q.Transition, Records: say.Records, Err: err}
}

// do runs an operation on a node. It retries until the node is gone or ctx ends, so that a
// broken connection does not leave an operation unknown while the node lives.
func (a *App) do(ctx context.Context, id cib.NodeID, c agent.Command) (agent.Record, error) {
	if id == a.self {
		if c.Stamp.Action < 0 {
			return a.ownDoing(ctx, c)
		}
		return a.exec.Do(ctx, c)
	}
	var r agent.Record
	err := a.nodes.insist(ctx, id, "/run", c, &r)
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

// record changes the CIB on behalf of the coordinator.
func (a *App) record(ctx context.Context, e controller.Propose) controller.Input {
	ctx, done := context.WithTimeout(ctx, shortTime)
	defer done()
	s, err := a.store.Propose(ctx, store.Change{Author: "controller@" + a.id.Name, Reason: e.Reason, Time: time.Now(), Ops: e.Ops, Term: e.Term})
	return controller.Proposed{ID: e.ID, State: controller.State{Root: s.Root, Index: s.Index, Generation: s.Generation}, Err: err}
}

// whoHears asks the heartbeats who hears a peer.
func (a *App) whoHears(ctx context.Context, peer cib.NodeID) node.Input {
	heard := node.Heard{Peer: peer}
	st, err := a.pulse.Status(ctx)
	if err != nil {
		a.log.Warn("the heartbeats do not say who hears a node", "peer", a.peerName(peer), "error", err)
	}
	for _, p := range st.Peers {
		if p.ID == peer {
			heard.By = p.HeardBy
		}
	}
	return heard
}

// transfer hands the lead over.
func (a *App) transfer(ctx context.Context, e node.Transfer) error {
	ctx, done := context.WithTimeout(ctx, 2*time.Second)
	defer done()
	if err := a.store.Transfer(ctx, e.To); err != nil {
		a.log.Warn("the lead could not be handed over", "to", a.peerName(e.To), "why", e.Why, "error", err)
	}
	return nil
}

// resetAsk is a coordinator's wish that a node resets itself.
type resetAsk struct {
	Why string `json:"why"`
}

// answerReset does so, for this node's coordinator alone.
func (a *App) answerReset(_ context.Context, from cib.NodeID, ask resetAsk) (struct{}, error) {
	if l := a.store.Leadership(); l.Leader != from {
		return struct{}{}, errs.E("reset", errs.Permission, a.id.Name, "Ask on the coordinator: takt fence reboot "+a.id.Name+".", errors.New("only the coordinator may ask for that"))
	}
	a.selfFence(ask.Why)
	return struct{}{}, nil
}

// selfFence resets this machine.
func (a *App) selfFence(why string) {
	a.journal.add(api.Event{Kind: "fencing", On: a.id.Name, Text: a.id.Name + " resets itself: " + why})
	a.background("reset", func(ctx context.Context) error {
		ctx, done := context.WithTimeout(ctx, shortTime)
		defer done()
		if err := a.pulse.Reset(ctx, why); err != nil {
			a.journal.add(api.Event{Kind: "failure", On: a.id.Name, Text: a.id.Name + " cannot reset itself: " + err.Error()})
		}
		return nil
	})
}
