package app

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/takt-ha/takt/cluster/controller"
	"github.com/takt-ha/takt/cluster/node"
	"github.com/takt-ha/takt/cluster/quorum"
	"github.com/takt-ha/takt/internal/errs"
)

// heart drives the daemon's node.Machine: one goroutine owns it, effects are
// carried out beside it and come back as inputs.
//
//	pulse, mesh, executor, api ──inputs──▶ inbox ─┐
//	store ──news: read it──────────────────────┴─▶ Step ──▶ effects ──▶ App.carryOut
type heart struct {
	inbox chan node.Input
	news  chan struct{}            // the store has changed
	looks chan func(*node.Machine) // questions about the machine
	done  chan struct{}
	begun atomic.Bool
	ctx   context.Context
	stop  context.CancelFunc

	mu     sync.Mutex
	doubts int // losses of the standing that the machine has not heard of yet
	acting bool
	why    string
	place  quorum.Place
	moved  func() // called when acting has changed; set before the loop begins

	requests asking[node.Answer]
	pleas    asking[node.Support]
}

func newHeart() *heart {
	h := &heart{inbox: make(chan node.Input, 256), news: make(chan struct{}, 1), looks: make(chan func(*node.Machine)), done: make(chan struct{}),
		why: "the heartbeats have just started"}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// tell gives the machine an input. It does not wait for its effects; after the
// end it does nothing.
func (h *heart) tell(in node.Input) {
	if ends(in) {
		// From now on, and not only once the machine has got there, nothing is obeyed.
		h.mu.Lock()
		h.doubts++
		h.mu.Unlock()
	}
	select {
	case h.inbox <- in:
	case <-h.ctx.Done():
	}
}

// tellStore says that the store has changed: the machine hears of it before it
// hears anything that is told from now on.
func (h *heart) tellStore() {
	select {
	case h.news <- struct{}{}:
	default:
	}
}

// obeys returns whether this node takes a coordinator's commands, and why or why not.
func (h *heart) obeys() (bool, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.acting && h.doubts > 0 {
		return false, "it has just been cut off"
	}
	return h.acting, h.why
}

// standing returns how the node stands, as far as the machine has heard.
func (h *heart) standing() quorum.Place {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.place
}

// status returns what the machine knows.
func (h *heart) status(ctx context.Context) (node.Status, error) {
	got := make(chan node.Status, 1)
	select {
	case h.looks <- func(m *node.Machine) { got <- m.Status() }:
		return <-got, nil
	case <-ctx.Done():
		return node.Status{}, ctx.Err()
	case <-h.ctx.Done():
		return node.Status{}, errStops
	}
}

// healthy returns true once the loop has turned, and waits for that
// (link.ClientOptions.Healthy).
func (h *heart) healthy() bool {
	turned := make(chan struct{})
	select {
	case h.looks <- func(*node.Machine) { close(turned) }:
		<-turned
		return true
	case <-h.ctx.Done():
		return false
	}
}

// asking are requests to the machine that wait for their answers, by id.
type asking[T any] struct {
	mu   sync.Mutex
	next uint64
	who  map[uint64]chan T
}

// ask tells the machine a request and waits for its answer.
func (q *asking[T]) ask(ctx context.Context, h *heart, request func(id uint64) node.Input) (answer T, err error) {
	q.mu.Lock()
	if q.who == nil {
		q.who = map[uint64]chan T{}
	}
	q.next++
	id, got := q.next, make(chan T, 1)
	q.who[id] = got
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.who, id)
	}()
	h.tell(request(id))
	select {
	case answer = <-got:
		return answer, nil
	case <-ctx.Done():
		return answer, ctx.Err()
	case <-h.ctx.Done():
		return answer, errStops
	}
}

// answer gives an answer to who waits for it.
func (q *asking[T]) answer(id uint64, answer T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if got := q.who[id]; got != nil {
		got <- answer
		delete(q.who, id)
	}
}

var errStops = errs.E("ask the daemon", errs.Unavailable, "", "", errors.New("it stops"))

// end ends the loop and waits for it. It is idempotent.
func (h *heart) end() {
	h.stop()
	if h.begun.Load() {
		<-h.done
	}
}

// beat runs the machine until the end. It is the goroutine that owns it.
func (h *heart) beat(cfg node.Config, readStore func() node.Log, carryOut func(node.Effect)) {
	defer close(h.done)
	m := node.NewMachine(cfg)
	wake := time.NewTimer(time.Hour)
	defer wake.Stop()
	step := func(in node.Input) {
		began := time.Now()
		effects := m.Step(began, in)
		took := time.Since(began)
		h.publish(m, in)
		for _, e := range effects {
			if w, is := e.(node.Wake); is {
				wake.Reset(max(time.Until(w.At), time.Millisecond))
				continue
			}
			carryOut(timed(e, took))
		}
	}
	for {
		var in node.Input
		select {
		case in = <-h.inbox:
		case <-h.news:
			step(readStore())
			continue
		case <-wake.C:
			in = node.Tick{}
		case look := <-h.looks:
			look(m)
			continue
		case <-h.ctx.Done():
			return
		}
		select {
		case <-h.news:
			step(readStore())
		default:
		}
		step(in)
	}
}

// publish makes what others ask often known without the loop.
func (h *heart) publish(m *node.Machine, in node.Input) {
	acting, why := m.Acting()
	h.mu.Lock()
	if h.acting != acting && h.moved != nil {
		defer h.moved() // after the unlock
	}
	defer h.mu.Unlock()
	h.acting, h.why = acting, why
	if s, is := in.(node.Standing); is {
		h.place = s.Place
	}
	if ends(in) {
		h.doubts--
	}
}

// timed says in a decision how long it took to make.
func timed(e node.Effect, took time.Duration) node.Effect {
	if r, is := e.(node.Report); is && r.Kind == "decision" && r.Duration == 0 {
		r.Duration = took
		return r
	}
	return e
}

// startHeart begins to drive the machine.
func (a *App) startHeart() {
	cfg := node.DefaultConfig(a.self, a.id.Name)
	cfg.MaxVoters, cfg.Random = maxVoters, rand.Float64
	cfg.Controller = controller.DefaultConfig(a.self, a.id.Name)
	a.heart.moved = a.board.stir
	a.heart.begun.Store(true)
	go a.heart.beat(cfg, a.readStore, a.carryOut)
}
