package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/internal/errs"
)

// FenceNode does something to the fencing of a node (api.Backend). The
// coordinator decides; where there is none, this node answers by its own rules.
func (a *App) FenceNode(ctx context.Context, name, verb string, v api.FenceVerb) (*api.Outcome, error) {
	if findNode(a.root(), name) == nil {
		return nil, errs.E("fence "+verb, errs.NotFound, name, "takt status lists the nodes.", errors.New("there is no such node"))
	}
	if verb == "confirm" && a.there(name) {
		return nil, errs.E("fence "+verb, errs.Conflict, name, "Switch it off first, or say takt fence off "+name+".",
			fmt.Errorf("%s is heard, so a person's word is no proof that it is off", name))
	}
	for try := 1; ; try++ {
		out, err := a.fenceWhereDecided(ctx, name, verb, v)
		if errs.KindOf(err) != errs.Stale || try == 3 {
			return out, err
		}
		_ = a.await(ctx, leaderPatience, func() bool { // until the news of the new coordinator is here
			l := a.store.Leadership()
			return l.Leader != 0 && (l.Leader == a.self || a.peerName(l.Leader) != name)
		})
	}
}

// fenceWhereDecided does it here, or asks the coordinator.
func (a *App) fenceWhereDecided(ctx context.Context, name, verb string, v api.FenceVerb) (*api.Outcome, error) {
	leads := a.store.Leadership().Leader == a.self
	if name == a.id.Name && verb != "status" && (!leads || a.giveLead(ctx)) && api.CallerOf(ctx).Node != 0 {
		// Nobody fences itself, and who is switched off gives no answer: who asked
		// is to ask the new coordinator.
		return nil, errs.E("fence "+verb, errs.Stale, name, "Ask again.", errors.New(name+" does not coordinate the cluster any more"))
	}
	l := a.store.Leadership()
	if verb != "confirm" && verb != "status" {
		l = a.awaitLeader(ctx)
	}
	switch {
	case l.Leader == 0 && verb == "test":
		why := a.whyLeaderless(ctx)
		return nil, errs.E("test the fencing of", errs.Unavailable, name, "takt status says what it waits for.", fmt.Errorf("nobody coordinates the cluster now (%s)", why))
	case l.Leader != 0 && l.Leader != a.self && a.peers.alive(l.Leader):
		c := a.clientOf(l.Leader)
		defer c.Close()
		return c.FenceNode(ctx, name, verb, v)
	}
	switch verb {
	case "status":
		return a.fenceStatus(ctx, name)
	case "test":
		return a.fenceTest(ctx, name, v)
	case "confirm":
		a.journal.add(api.Event{Kind: "fencing", On: name, Text: v.User + " says that " + name + " is off"})
		return a.requested(ctx, verb, name, func(id uint64) node.Input { return node.ConfirmRequest{ID: id, Target: name, By: v.User} })
	}
	if l.Leader == a.self { // the machine learns of its lead a moment after the log
		_ = a.await(ctx, leaderPatience, func() bool {
			st, err := a.heart.status(ctx)
			return err != nil || st.Pending.Leading
		})
	}
	return a.switchNode(ctx, name, fencer.Action(verb), v.User, "an operator asked for it", "")
}

// switchNode asks the machine for fencing. try names the one way that is to be
// tried; "" all that are configured.
func (a *App) switchNode(ctx context.Context, name string, action fencer.Action, by, reason, try string) (*api.Outcome, error) {
	return a.requested(ctx, string(action), name, func(id uint64) node.Input {
		return node.FenceRequest{ID: id, Target: name, Action: action, By: by, Reason: reason, Try: try}
	})
}

// requested makes a request of the machine.
func (a *App) requested(ctx context.Context, verb, name string, request func(uint64) node.Input) (*api.Outcome, error) {
	answer, err := a.heart.requests.ask(ctx, a.heart, request)
	switch {
	case err != nil:
		return nil, errs.E("fence "+verb, errs.Timeout, name, "It goes on: see takt fence list and takt fence history.", err)
	case answer.Err != "":
		return nil, errs.E("fence "+verb, errs.Conflict, name, "takt status says how the cluster stands, takt fence list what fences each node, takt fence history what was tried.", errors.New(answer.Err))
	}
	return &api.Outcome{Text: answer.Text, Settled: true}, nil
}

// inquiry is one question for a device about a node, put to a member.
type inquiry struct{ device, member string }

// looks are the questions what stands in the way of a node's devices, put to every
// member that may run them and to the node itself, which may have to obey.
func (a *App) looks(name string) []inquiry {
	var list []inquiry
	for _, d := range a.fencing.list() {
		if !fences(d, name) {
			continue
		}
		for _, n := range a.fencing.view().kit.plan.Nodes {
			runs := slices.ContainsFunc(d.Members, func(r fencer.Reach) bool { return string(r.Node) == n })
			if (runs || n == name) && a.there(n) {
				list = append(list, inquiry{string(d.ID), n})
			}
		}
	}
	return list
}

// asks are the questions that show whether a node could be fenced: every device
// that fences it and can be asked, from every member that is there.
func (a *App) asks(name string) []inquiry {
	var list []inquiry
	for _, d := range a.fencing.list() {
		if !fences(d, name) || !slices.Contains(d.Actions, fencer.Status) {
			continue
		}
		for _, r := range d.Members {
			if member := string(r.Node); member != name && a.there(member) {
				list = append(list, inquiry{string(d.ID), member})
			}
		}
	}
	return list
}

// notAsked says why nobody can be asked about the fencing of a node.
func (a *App) notAsked(ctx context.Context, op, name string) error {
	v, watchdogs := a.fencing.view(), a.watchdogs(ctx)
	if t := watchdogs[name]; t > 0 && len(v.setup.Tries(v.kit.member(name))) == 0 {
		return errs.E(op, errs.NotFound, name, "A device can be asked and tested: takt fence add makes one.",
			fmt.Errorf("only its own watchdog (%v) fences it, and that obeys nobody: it resets the node when it is cut off", t))
	}
	for _, d := range v.devices {
		if fences(d, name) && !slices.Contains(d.Actions, fencer.Status) {
			return errs.E(op, errs.Unavailable, name, "takt fence test "+name+" --force switches it off and on again, and so shows whether it can be.",
				fmt.Errorf("%s cannot be asked: its agent has no action status", d.ID))
		}
	}
	return errs.E(op, errs.NotFound, name, "takt fence list says what fences each node; takt fence add makes a device.", errors.New(v.whyNot(name)))
}

func fences(d fencer.Device, name string) bool {
	for _, t := range d.Targets {
		if string(t) == name {
			return true
		}
	}
	return d.Anybody
}

// there reports whether a node can be asked.
func (a *App) there(name string) bool {
	if name == a.id.Name {
		return true
	}
	id, _ := cib.ParseNodeID(findNode(a.root(), name).ID())
	return a.peers.alive(id)
}

const (
	questionTime = 30 * time.Second // bounds a question for a status
	// questionGrace is for a device that does not answer to be ended, and to say so
	// itself: that its time was over tells nothing of what it did.
	questionGrace = 3 * time.Second
)

// question asks a device about a node.
func (a *App) question(ctx context.Context, action, name string, q inquiry) fenceAnswer {
	state, lead := a.store.State(), a.store.Leadership()
	c := fenceCommand{Session: a.session + " questions", Command: a.questions.Add(1), Generation: state.Generation, Term: lead.Term,
		Device: q.device, Action: action, Target: name, Left: questionTime.Milliseconds()}
	ctx, done := context.WithTimeout(ctx, questionTime+questionGrace)
	defer done()
	var answer fenceAnswer
	var err error
	if q.member == a.id.Name {
		answer, err = a.fenceRuns.do(ctx, a.ctx, 0, c)
	} else {
		id, _ := cib.ParseNodeID(findNode(a.root(), q.member).ID())
		answer, err = a.executeThere(ctx, id, c)
	}
	if err != nil {
		return fenceAnswer{Outcome: fencer.Undelivered, Words: line(err.Error())}
	}
	return answer
}

// answers reports whether it says on or off.
func (a fenceAnswer) answers() bool { return a.Outcome == fencer.Done && a.Power != "" }

// say puts an answer into words.
func (q inquiry) say(name string, got fenceAnswer) string {
	if !got.answers() {
		return fmt.Sprintf("%s, asked by %s: the status of %s cannot be had: %s", q.device, q.member, name, got.Words)
	}
	return fmt.Sprintf("%s, asked by %s: %s is %s", q.device, q.member, name, got.Power)
}

// fenceStatus asks every device of a node.
func (a *App) fenceStatus(ctx context.Context, name string) (*api.Outcome, error) {
	asks := a.asks(name)
	if len(asks) == 0 {
		return nil, a.notAsked(ctx, "fence status", name)
	}
	out := &api.Outcome{Settled: true}
	var lines []string
	for i, got := range a.questionAll(ctx, fence.Status, name, asks) {
		if !got.answers() {
			out.Warnings = append(out.Warnings, asks[i].say(name, got))
			continue
		}
		lines = append(lines, asks[i].say(name, got))
	}
	out.Text = strings.Join(lines, "; ")
	if len(lines) == 0 {
		return nil, errs.E("fence status", errs.Unavailable, name, "See that the devices answer: addresses, logins, network.", errors.New(strings.Join(out.Warnings, "; ")))
	}
	return out, nil
}

// questionAll asks all at once; a device takes its questions one after the other.
func (a *App) questionAll(ctx context.Context, action, name string, asks []inquiry) []fenceAnswer {
	got := make([]fenceAnswer, len(asks))
	done := make(chan struct{}, len(asks))
	for i, q := range asks {
		a.background("question", func(context.Context) error {
			got[i] = a.question(ctx, action, name, q)
			done <- struct{}{}
			return nil
		})
	}
	for range asks {
		<-done
	}
	return got
}

// giveLead hands the lead to another node, if there is one, and waits for it.
func (a *App) giveLead(ctx context.Context) bool {
	if err := a.handOver(ctx); err != nil {
		return false
	}
	if err := a.await(ctx, leaderPatience, func() bool { l := a.store.Leadership(); return l.Leader != 0 && l.Leader != a.self }); err != nil {
		a.log.Warn("no other node has taken the lead", "error", err)
		return false
	}
	return true
}
