package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/executor"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/quorum"
	"github.com/takt-ha/takt/cluster/store"
	"github.com/takt-ha/takt/internal/mutant"
)

func fencerAction(verb string) fencer.Action { return fencer.Action(verb) }

// carryOut does what the machine wants, as package app does.
func (d *daemon) carryOut(e node.Effect) {
	s := d.m.sim
	switch e := e.(type) {
	case node.Command:
		d.command(e.Effect)
	case node.Report:
		s.report(d.m, e.Report)
	case node.Execute:
		d.execute(e)
	case node.Recall:
		d.recall(e)
	case node.Ask:
		d.ask(e)
	case node.Support:
		d.supported(e)
	case node.Sync:
		d.sync()
	case node.Pledge:
		d.pledge(e)
	case node.Force:
		d.force(e)
	case node.Demote:
		d.setMember(store.Demote, e.Node, func(err error) { d.step(node.Demoted{Demoted: quorum.Demoted{Node: e.Node, Err: err}}) })
	case node.Promote:
		d.setMember(store.Promote, e.Node, func(err error) { d.step(node.Promoted{Node: e.Node, Err: err}) })
	case node.PeerIs:
		d.peers[e.Node] = e
	case node.SetView:
		d.m.pulse.view(d, e.View)
	case node.LeaderLost:
		d.storage.p.do(d.hop(), func() { d.storage.step(store.LeaderLost{}) })
	case node.WhoHears:
		d.m.pulse.whoHears(d, e.Peer)
	case node.Transfer:
		s.tell(d.m, "hands the lead to %s: %s", s.nameOf(e.To), e.Why)
		d.storage.ask(func(id store.RequestID) store.Event { return store.Transfer{ID: id, To: e.To, Within: 2 * time.Second} }, func(store.Answered) {})
	case node.AskReset:
		d.insist(e.Node, func(there *daemon, reply func(any, error)) {
			if there.storage.core.Leadership().Leader == d.m.id {
				there.selfFence(e.Why)
			}
			reply(nil, nil)
		}, func(any, error) {})
	case node.SelfFence:
		d.selfFence(e.Why)
	case node.Answer:
		if done := d.answers[e.ID]; done != nil {
			delete(d.answers, e.ID)
			done(e.Text, e.Err)
		}
	case node.Fenced:
		s.tell(d.m, "fencing: %s", e.Entry.Words)
	case node.Wake:
		// As the real shell does, which never waits for less than a ms.
		d.timer.wake(max(d.m.clock.worldOf(e.At, d.now()), s.w.now+1e6), d.tick)
	}
}

// command does what a controller asks its shell for.
func (d *daemon) command(e controller.Effect) {
	switch e := e.(type) {
	case controller.Query:
		d.query(e)
	case controller.Propose:
		d.propose(e)
	case controller.Do:
		d.do(e)
	case controller.Recall:
		d.exec.sealed.do(&d.exec.p, d.hop(), func() { d.exec.step(executor.Seal{}) })
		d.exec.sealed.do(&d.exec.p, d.hop(), func() {
			records := d.exec.core.Snapshot(d.now())
			d.tell(node.Control{Input: controller.Local{Records: records, Active: d.exec.core.Active()}})
		})
	case controller.Seal:
		d.exec.sealed.do(&d.exec.p, d.hop(), func() { d.exec.step(executor.Seal{Keep: true}) })
	case controller.Settled:
		d.m.sim.check.settledAt(d.m, e.Index)
	}
}

// control gives the controller an input.
func (d *daemon) control(in controller.Input) { d.step(node.Control{Input: in}) }

// query asks a node what runs there (app's answerJoin is its other side).
func (d *daemon) query(e controller.Query) {
	stamp := agent.Stamp{Generation: e.Generation, Term: e.Term, Transition: e.Transition}
	done := func(answer any, err error) {
		records, _ := answer.([]agent.Record)
		d.control(controller.Joined{Node: e.Node, Term: e.Term, Transition: e.Transition, Records: records, Err: err})
	}
	if e.Node == d.m.id {
		d.answerJoin(stamp, func(a any, err error) { d.p.do(d.hop(), func() { done(a, err) }) })
		return
	}
	giveUp := d.insist(e.Node, func(there *daemon, reply func(any, error)) {
		there.answerJoin(stamp, func(a any, err error) {
			if records, ok := a.([]agent.Record); ok {
				a = allAbroad(records)
			}
			reply(a, err)
		})
	}, done)
	d.p.do(int64(controller.DefaultConfig(d.m.id, d.m.name).JoinTimeout), func() { giveUp(errors.New("no answer in time")) })
}

func (d *daemon) answerJoin(stamp agent.Stamp, reply func(any, error)) {
	seals := d.exec.core.Seals()
	if acting, why := d.machine.Acting(); !acting {
		reply(nil, &refused{why})
		return
	}
	if have := d.storage.core.State().Generation; stamp.Generation != have && !mutant.Off(mutant.GenerationCheck) {
		reply(nil, &refused{fmt.Sprintf("its log has generation %d, the coordinator says %d", have, stamp.Generation)})
		return
	}
	d.exec.ask(func(id uint64) executor.Input { return executor.Fence{ID: id, Stamp: stamp, Seals: seals} }, func(_ executor.Record, err error) {
		if err != nil {
			reply(nil, &refused{err.Error()})
			return
		}
		d.m.heardStamp(stamp)
		reply(d.exec.core.Snapshot(d.now()), nil)
	})
}

// propose changes the CIB on behalf of the coordinator.
func (d *daemon) propose(e controller.Propose) {
	c := store.Change{Author: "controller@" + d.m.name, Reason: e.Reason, Time: d.now(), Ops: e.Ops, Term: e.Term}
	d.storage.ask(func(id store.RequestID) store.Event { return store.Propose{ID: id, Change: c, Within: 5 * time.Second} }, func(a store.Answered) {
		in := controller.Proposed{ID: e.ID, Err: a.Err}
		if a.Err == nil && a.State != nil {
			in.State = controller.State{Root: a.State.Root, Index: a.State.Index, Generation: a.State.Generation}
		}
		d.p.do(d.hop(), func() { d.control(in) })
	})
}

// do runs an operation on a node (app's answerRun is its other side).
func (d *daemon) do(e controller.Do) {
	done := func(answer any, err error) {
		record, _ := answer.(agent.Record)
		d.control(controller.Ended{Ref: e.Ref, Record: record, Err: err})
	}
	if e.Node != d.m.id {
		d.insist(e.Node, func(there *daemon, reply func(any, error)) {
			there.answerRun(e.Command, func(r agent.Record, err error) { reply(abroad(r), err) })
		}, done)
		return
	}
	here := func(r agent.Record, err error) { d.p.do(d.hop(), func() { done(r, err) }) }
	if e.Command.Stamp.Action < 0 {
		d.ownDoing(e.Command, here)
		return
	}
	d.submit(e.Command, here)
}

func (d *daemon) answerRun(c agent.Command, reply func(agent.Record, error)) {
	switch acting, why := d.machine.Acting(); {
	case !acting:
		reply(agent.Record{}, &refused{why})
	case c.Stamp.Action < 0 && c.Action == agent.Forget:
		d.ownDoing(c, reply)
	case c.Stamp.Action < 0:
		reply(agent.Record{}, &refused{"only the node itself may act without a transition"})
	default:
		d.submit(c, reply)
	}
}

func (d *daemon) submit(c agent.Command, done func(agent.Record, error)) {
	d.exec.ask(func(id uint64) executor.Input { return executor.Submit{ID: id, Command: c} }, done)
}

// ownDoing runs an operation that no transition asked for; the coordinator hears
// the result.
func (d *daemon) ownDoing(c agent.Command, done func(agent.Record, error)) {
	d.exec.p.do(d.hop(), func() {
		action := c.Stamp.Action
		c.Stamp = d.exec.core.Newest()
		c.Stamp.Action = action
		d.exec.ask(func(id uint64) executor.Input { return executor.Submit{ID: id, Command: c} }, func(r agent.Record, err error) {
			if err == nil && c.Action != agent.Forget {
				d.p.do(d.hop(), func() { d.notify(r) })
			}
			done(r, err)
		})
	})
}

// setMember changes who votes.
func (d *daemon) setMember(verb store.MemberVerb, id cib.NodeID, done func(error)) {
	within := 5 * time.Second
	if verb == store.Promote {
		within = time.Second
	}
	d.storage.ask(func(req store.RequestID) store.Event {
		return store.SetMember{ID: req, Verb: verb, Node: id, Within: within}
	},
		func(a store.Answered) {
			d.p.do(d.hop(), func() {
				d.log()
				done(a.Err)
			})
		})
}

// execute has a member run an action of a fence device. What may have been heard and
// was not answered has no result.
func (d *daemon) execute(e node.Execute) {
	s := d.m.sim
	s.tell(d.m, "asks %s to run the %s of %s with %s: %s", e.Member, e.Action, e.Target, e.Device, e.Why)
	deadline := s.w.now + int64(e.Deadline.Sub(d.now()))
	done := func(r fencer.Result) {
		r.Command = e.Command
		d.step(node.FenceResult{Result: r})
	}
	here := func(a any, _ error) { d.p.do(d.hop(), func() { done(a.(fencer.Result)) }) }
	to := s.machine(e.MemberID)
	switch {
	case e.MemberID == d.m.id:
		d.runDevice(e, deadline, here)
	case to == nil:
		here(fencer.Result{Outcome: fencer.Undelivered}, nil)
	default:
		d.executeThere(to, e, deadline, done)
	}
}

// executeThere asks a member, again while it cannot be reached at all.
func (d *daemon) executeThere(to *machine, e node.Execute, deadline int64, done func(fencer.Result)) {
	generation, term := d.storage.core.State().Generation, d.storage.core.Leadership().Term
	sent := false
	var try func()
	try = func() {
		d.request(to, func(there *daemon, reply func(any, error)) {
			if err := there.mayFenceFor(d.m.id, generation, term); err != nil {
				reply(nil, err)
				return
			}
			there.runDevice(e, deadline, reply)
		}, func(a any, err error) {
			var way *unreached
			switch {
			case err == nil:
				done(a.(fencer.Result))
				return
			case !errors.As(err, &way):
				done(fencer.Result{Outcome: fencer.Undelivered, Words: err.Error()})
				return
			}
			sent = sent || !way.dial
			switch {
			case d.peers[to.id].Alive && d.m.sim.w.now < deadline:
				d.p.do(20e6, try)
			case !sent:
				done(fencer.Result{Outcome: fencer.Undelivered, Words: err.Error()})
			}
		})
	}
	try()
}

// mayFenceFor refuses commands of a node that does not decide about fencing, as far
// as this one knows.
func (d *daemon) mayFenceFor(from cib.NodeID, generation, term uint64) error {
	s, l := d.storage.core.State(), d.storage.core.Leadership()
	switch {
	case generation < s.Generation || generation == s.Generation && term < l.Term:
		return &refused{"an older coordinator asks"}
	case l.Leader == from:
		return nil
	case l.Leader != 0 && l.Leader != d.m.id && d.peers[l.Leader].Alive:
		return &refused{"another node coordinates"}
	case d.machine.Status().Place == quorum.Isolated:
		return &refused{"it is itself cut off, and so in doubt"}
	}
	return nil
}

// runDevice is a member's part of it.
func (d *daemon) runDevice(e node.Execute, deadline int64, reply func(any, error)) {
	s := d.m.sim
	o := s.outlet(string(e.Target))
	switch {
	case s.w.now >= deadline:
		reply(fencer.Result{Outcome: fencer.Undelivered, Words: "it came too late"}, nil)
		return
	case o == nil:
		reply(fencer.Result{Outcome: fencer.Failed, Words: "the device knows no such outlet"}, nil)
		return
	}
	because := e.Device + fencer.DeviceID(" on "+d.m.name+" for "+string(e.Why))
	once := false
	finish := func(r fencer.Result) {
		if !once {
			once = true
			reply(r, nil)
		}
	}
	o.run(e.Action, string(because), deadline, func(r fencer.Result) { d.p.do(d.hop(), func() { finish(r) }) })
	d.p.do(max(deadline-s.w.now, 0), func() { finish(fencer.Result{Outcome: fencer.Failed, Words: "its time is over"}) })
}

// recall cannot take back what an outlet has begun: its deadline does.
func (d *daemon) recall(e node.Recall) {
	d.m.sim.tell(d.m, "takes command %d back from %s: %s", e.Command, e.Member, e.Why)
}

// ask asks a node of this half of a tie; no answer within a second is a no.
func (d *daemon) ask(e node.Ask) {
	answer := func(p quorum.Plea, no string) {
		d.step(node.Supported{Supported: quorum.Supported{Node: e.Node, Plea: p, Err: no}})
	}
	once := false
	r := d.request(d.m.sim.machine(e.Node), func(there *daemon, reply func(any, error)) {
		there.asks++
		there.support[there.asks] = reply
		there.step(node.SupportAsked{Asked: quorum.Asked{ID: there.asks, Node: d.m.id, Plea: e.Plea}})
	}, func(a any, err error) {
		if once {
			return
		}
		once = true
		if err != nil {
			answer(e.Plea, err.Error())
			return
		}
		said := a.(quorum.Support)
		answer(said.Plea, said.Err)
	})
	d.p.do(1e9, func() { d.end(r, nil, &unreached{why: "no answer within a second"}) })
}

func (d *daemon) supported(e node.Support) {
	reply := d.support[e.ID]
	delete(d.support, e.ID)
	reply(e.Support, nil)
}

func (d *daemon) sync() {
	c := store.Change{Author: "quorum@" + d.m.name, Reason: "learn what was acknowledged", Time: d.now()}
	d.storage.ask(func(id store.RequestID) store.Event { return store.Propose{ID: id, Change: c, Within: 5 * time.Second} },
		func(a store.Answered) {
			d.p.do(d.hop(), func() { d.log(); d.step(node.Synced{Synced: quorum.Synced{Err: a.Err}}) })
		})
}

// pledge binds or frees the log.
func (d *daemon) pledge(e node.Pledge) {
	to := store.Lineage{Generation: e.Pledged.Generation, Claimer: e.Pledged.Claimer}
	d.storage.ask(func(id store.RequestID) store.Event { return store.Pledge{ID: id, To: to} }, func(a store.Answered) {
		d.p.do(d.hop(), func() {
			d.log()
			d.step(node.Pledged{Bound: quorum.Bound{Pledged: e.Pledged, Err: a.Err}})
		})
	})
}

func (d *daemon) force(e node.Force) {
	d.m.sim.tell(d.m, "forces generation %d: %s", e.Generation, e.Why)
	f := store.Forced{Generation: e.Generation, Author: "quorum@" + d.m.name, Reason: e.Why}
	d.storage.ask(func(id store.RequestID) store.Event { return store.Force{ID: id, Forced: f} }, func(a store.Answered) {
		if a.Err == nil {
			d.m.sim.check.forced(d.m, e.Generation)
		}
		d.p.do(d.hop(), func() { d.log(); d.step(node.Forced{Forced: quorum.Forced{Err: a.Err}}) })
	})
}

// selfFence resets the machine: by its watchdog, else as the kernel can.
func (d *daemon) selfFence(why string) {
	d.m.sim.check.fencedItself(d.m)
	d.m.sim.w.in(1e6, func() { d.m.dog.reset("fences itself: " + why) })
}

// noticeQueue holds results to be reported, the newest of each operation.
type noticeQueue struct {
	unsent  []agent.Record
	sending bool
	way     pipe // from the executor
}

func sameOperation(a, b agent.Command) bool {
	return a.Resource == b.Resource && a.Action == b.Action && a.Interval == b.Interval
}

// noticed takes a result that nobody asked for.
func (d *daemon) noticed(r agent.Record) {
	d.notices.way.do(&d.p, d.hop(), func() { d.notify(r) })
}

// notify reports a result to the coordinator, whoever that is by then.
func (d *daemon) notify(r agent.Record) {
	q := &d.notices
	kept := q.unsent[:0]
	for _, o := range q.unsent {
		if !sameOperation(o.Command, r.Command) {
			kept = append(kept, o)
		}
	}
	q.unsent = append(kept, r)
	sortBy(q.unsent, func(r agent.Record) int64 { return r.Call })
	if !q.sending {
		q.sending = true
		d.sendNotice()
	}
}

func (d *daemon) sendNotice() {
	q := &d.notices
	if len(q.unsent) == 0 {
		q.sending = false
		return
	}
	r := q.unsent[0]
	again := func() { d.p.do(20e6, d.sendNotice) }
	sent := func(_ any, err error) {
		if err != nil {
			again()
			return
		}
		for i, o := range q.unsent {
			if sameOperation(o.Command, r.Command) && o.Call == r.Call && o.Result.Code == r.Result.Code {
				q.unsent = append(q.unsent[:i:i], q.unsent[i+1:]...)
				break
			}
		}
		d.sendNotice()
	}
	switch l := d.storage.core.Leadership(); l.Leader {
	case 0:
		again()
	case d.m.id:
		d.control(controller.Noticed{Node: d.m.id, Record: r})
		sent(nil, nil)
	default:
		d.request(d.m.sim.machine(l.Leader), func(there *daemon, reply func(any, error)) { there.answerNotice(d.m.id, abroad(r), reply) }, sent)
	}
}

func (d *daemon) answerNotice(from cib.NodeID, r agent.Record, reply func(any, error)) {
	if l := d.storage.core.Leadership(); l.Leader != d.m.id || !l.Ready {
		reply(nil, &refused{"this node does not coordinate"})
		return
	}
	d.control(controller.Noticed{Node: from, Record: r})
	reply(nil, nil)
}
