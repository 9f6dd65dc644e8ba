package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/fencer"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/internal/errs"
)

// fenceCommand is what one node asks another to do with a fence device. It may be
// repeated over a broken way: a command is run once.
type fenceCommand struct {
	Session    string `json:"session"` // of the daemon that decides: its commands count from 1
	Command    uint64 `json:"command"`
	Generation uint64 `json:"generation"`
	Term       uint64 `json:"term"`
	Device     string `json:"device"`
	Action     string `json:"action"`
	Target     string `json:"target"`
	Left       int64  `json:"left_ms"` // until it must have ended: clocks differ
}

// fenceRecall ends a command that may still run.
type fenceRecall struct {
	Session string `json:"session"`
	Command uint64 `json:"command"`
}

// fenceAnswer is how a command ended.
type fenceAnswer struct {
	Outcome  fencer.Outcome `json:"outcome"`
	Power    fencer.Power   `json:"power,omitempty"`
	Words    string         `json:"words,omitempty"`
	Verified bool           `json:"verified,omitempty"`
	Took     int64          `json:"took_ms"`
	Found    []deviceFault  `json:"found,omitempty"` // of inspectAction
}

// inspectAction asks a member what stands in a device's way there. It switches nothing, so
// it may be asked about the member itself.
const inspectAction = "inspect"

// deviceFault is one thing that a member has found.
type deviceFault struct {
	Fatal bool   `json:"fatal,omitempty"` // the device cannot work like this
	Words string `json:"words"`           // with the device and the member
}

// fenceRuns are the commands that run on this node, or have just ended.
type fenceRuns struct {
	self    string
	devices *fencing

	work sync.WaitGroup // commands that run

	mu   sync.Mutex
	runs map[fenceRecall]*fenceRun
}

type fenceRun struct {
	from   cib.NodeID // who decided, 0: this node
	cancel context.CancelFunc
	done   chan struct{} // closed once answer is there
	answer fenceAnswer
}

// keepAnswer is how long an answer is kept for one who asks again.
const keepAnswer = time.Minute

func newFenceRuns(self string, devices *fencing) *fenceRuns {
	return &fenceRuns{self: self, devices: devices, runs: map[fenceRecall]*fenceRun{}}
}

// do runs a command of a node (0: this one), or waits for it if it runs already. ctx
// bounds the waiting alone; life, which is the daemon's, the command.
func (r *fenceRuns) do(ctx, life context.Context, from cib.NodeID, c fenceCommand) (fenceAnswer, error) {
	run := r.begin(life, from, c)
	select {
	case <-run.done:
		return run.answer, nil
	case <-ctx.Done():
		return fenceAnswer{}, ctx.Err()
	}
}

func (r *fenceRuns) begin(life context.Context, from cib.NodeID, c fenceCommand) *fenceRun {
	key := fenceRecall{c.Session, c.Command}
	r.mu.Lock()
	defer r.mu.Unlock()
	if run := r.runs[key]; run != nil {
		return run
	}
	ctx, cancel := context.WithTimeout(life, time.Duration(c.Left)*time.Millisecond)
	run := &fenceRun{from: from, cancel: cancel, done: make(chan struct{})}
	r.runs[key] = run
	r.work.Go(func() {
		defer cancel()
		run.answer = r.run(ctx, c)
		close(run.done)
		time.AfterFunc(keepAnswer, func() { r.forget(key) })
	})
	return run
}

func (r *fenceRuns) forget(key fenceRecall) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.runs, key)
}

// recall ends a command. One that was not heard of yet will not begin.
func (r *fenceRuns) recall(key fenceRecall) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if run := r.runs[key]; run != nil {
		run.cancel()
		return
	}
	run := &fenceRun{cancel: func() {}, done: make(chan struct{}), answer: fenceAnswer{Outcome: fencer.Undelivered, Words: "it was recalled before it began"}}
	close(run.done)
	r.runs[key] = run
	time.AfterFunc(keepAnswer, func() { r.forget(key) })
}

// endStale ends what runs for nodes that decide no more, by what refuses says of them:
// their successor knows nothing of it, and a second try of an off could hit a node that
// is back and healthy.
func (r *fenceRuns) endStale(refuses func(from cib.NodeID) error) {
	r.mu.Lock()
	var others []*fenceRun
	for _, run := range r.runs {
		if run.from != 0 {
			others = append(others, run)
		}
	}
	r.mu.Unlock()
	for _, run := range others {
		if errs.KindOf(refuses(run.from)) == errs.Stale {
			run.cancel()
		}
	}
}

// run does what a command asks for.
func (r *fenceRuns) run(ctx context.Context, c fenceCommand) fenceAnswer {
	began := time.Now()
	if ctx.Err() != nil {
		return fenceAnswer{Outcome: fencer.Undelivered, Words: "its time was over before it began"}
	}
	d, err := r.devices.device(ctx, c.Device)
	switch {
	case err != nil:
		return fenceAnswer{Outcome: fencer.Undelivered, Words: line(err.Error())}
	case c.Action == inspectAction:
		return r.inspect(ctx, d)
	case c.Target == r.self && !(c.Action == fence.On && d.Metadata().OnTarget):
		return fenceAnswer{Outcome: fencer.Undelivered, Words: r.self + " does not fence itself"}
	case ctx.Err() != nil:
		return fenceAnswer{Outcome: fencer.Undelivered, Words: "its time was over before it began"}
	}
	res := d.Do(ctx, c.Action, c.Target)
	a := fenceAnswer{Outcome: fencer.Failed, Words: line(res.Reason), Took: time.Since(began).Milliseconds(), Verified: res.Proof == fence.ByStatus}
	if res.OK {
		a.Outcome = fencer.Done
	}
	if c.Action == fence.Status || a.Verified {
		switch res.Power {
		case fence.PowerOn:
			a.Power = fencer.PowerOn
		case fence.PowerOff:
			a.Power = fencer.PowerOff
		}
	}
	return a
}

// inspect looks at a device from this node.
func (r *fenceRuns) inspect(ctx context.Context, d *fence.Device) fenceAnswer {
	a := fenceAnswer{Outcome: fencer.Done}
	for _, f := range r.devices.seenHere(ctx, d) {
		a.Found = append(a.Found, deviceFault{f.Severity == fence.Error, line(f.String())})
	}
	return a
}

// line keeps words to one line of a bearable length.
func line(s string) string {
	const most = 400
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// execute runs a command of this node's fencer where it says, and gives its result.
// What may have been heard and was not answered has no result: ok is false.
func (a *App) execute(ctx context.Context, e node.Execute) (res fencer.Result, ok bool) {
	c := fenceCommand{Session: a.session, Command: e.Command, Generation: e.Generation, Term: e.Term,
		Device: string(e.Device), Action: string(e.Action), Target: string(e.Target)}
	ctx, done := context.WithDeadline(ctx, e.Deadline)
	defer done()
	c.Left = min(e.Timeout, time.Until(e.Deadline)).Milliseconds()
	var answer fenceAnswer
	var err error
	if string(e.Member) == a.id.Name {
		answer, err = a.fenceRuns.do(ctx, a.ctx, 0, c)
	} else {
		answer, err = a.executeThere(ctx, e.MemberID, c)
	}
	switch {
	case errors.Is(err, errUndelivered):
		return fencer.Result{Command: e.Command, Outcome: fencer.Undelivered, Words: line(err.Error())}, true
	case err != nil:
		return fencer.Result{}, false
	}
	a.fencing.noteTook(e, answer)
	return fencer.Result{Command: e.Command, Outcome: answer.Outcome, Power: answer.Power, Words: answer.Words}, true
}

var errUndelivered = errors.New("it was not begun")

// executeThere asks a member. A member that cannot be reached at all has not
// begun; one that was asked and does not answer may have.
func (a *App) executeThere(ctx context.Context, id cib.NodeID, c fenceCommand) (fenceAnswer, error) {
	if id == 0 {
		return fenceAnswer{}, fmt.Errorf("%w: there is no such node", errUndelivered)
	}
	sent := false
	for {
		var answer fenceAnswer
		err := a.nodes.call(ctx, id, "/fence", c, &answer)
		var way *unreached
		if err == nil {
			return answer, nil
		}
		if !errors.As(err, &way) { // it answered: no
			return fenceAnswer{}, fmt.Errorf("%w: %w", errUndelivered, err)
		}
		sent = sent || !isDial(err)
		if p := a.peers.get(id); ctx.Err() != nil || !p.Alive {
			if !sent {
				return fenceAnswer{}, fmt.Errorf("%w: %s cannot be reached: %w", errUndelivered, a.peerName(id), err)
			}
			return fenceAnswer{}, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// isDial reports a failure to connect: nothing was sent.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// recallFence ends a command wherever it runs; it does not wait.
func (a *App) recallFence(e node.Recall) {
	key := fenceRecall{a.session, e.Command}
	switch e.MemberID {
	case a.self:
		a.fenceRuns.recall(key)
		return
	case 0:
		return
	}
	a.background("recall", func(ctx context.Context) error {
		ctx, done := context.WithTimeout(ctx, 5*time.Second)
		defer done()
		if err := a.nodes.insist(ctx, e.MemberID, "/fence/recall", key, &struct{}{}); err != nil {
			a.log.Warn("a fencing command could not be recalled; it ends by its time", "member", e.Member, "error", err)
		}
		return nil
	})
}

// answerFence runs a fencing command for the node that decides about fencing.
func (a *App) answerFence(ctx context.Context, from cib.NodeID, c fenceCommand) (fenceAnswer, error) {
	const op = "fence"
	state, lead := a.store.State(), a.store.Leadership()
	switch {
	case c.Generation < state.Generation || c.Generation == state.Generation && c.Term < lead.Term:
		return fenceAnswer{}, errs.E(op, errs.Stale, c.Target, "", fmt.Errorf("%s decides by generation %d, term %d; %s knows of %d, %d", a.peerName(from), c.Generation, c.Term, a.id.Name, state.Generation, lead.Term))
	case c.Left <= 0:
		return fenceAnswer{}, errs.E(op, errs.Timeout, c.Target, "", errors.New("its time was over when it came"))
	}
	if err := a.mayFenceFor(from); err != nil {
		return fenceAnswer{}, err
	}
	return a.fenceRuns.do(ctx, a.ctx, from, c)
}

func (a *App) answerRecall(_ context.Context, _ cib.NodeID, key fenceRecall) (struct{}, error) {
	a.fenceRuns.recall(key)
	return struct{}{}, nil
}
