package controller

import (
	"context"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// Controller runs a Machine: one goroutine owns it, effects run beside it and
// come back as inputs.
type Controller struct {
	shell    Shell
	inbox    chan Input
	patience time.Duration // for the answer to a Query: by then the machine has asked again

	mu      sync.Mutex
	pending Pending // as of the last step

	work   sync.WaitGroup
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

// Pending is what a coordinator waits for.
type Pending struct {
	Leading    bool
	Term       uint64
	Transition uint64
	Actions    []scheduler.Action
	Since      []time.Time
	Settled    uint64 // index of the CIB version that nothing was left to do for
}

// New starts a controller. Feed it with Send; end it with Stop.
func New(cfg Config, shell Shell) *Controller {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Controller{shell: shell, patience: cfg.JoinTimeout, inbox: make(chan Input, 256), ctx: ctx, cancel: cancel, done: make(chan struct{})}
	go c.loop(NewMachine(cfg))
	return c
}

// Send gives the machine an input. It does not wait for its effects; after Stop
// it does nothing.
func (c *Controller) Send(in Input) {
	select {
	case c.inbox <- in:
	case <-c.ctx.Done():
	}
}

// Pending returns what the machine waits for.
func (c *Controller) Pending() Pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending
}

// Stop ends the loop and waits for effects in flight, which its context ends.
// It is idempotent.
func (c *Controller) Stop() {
	c.cancel()
	<-c.done
	c.work.Wait()
}

func (c *Controller) loop(m *Machine) {
	defer close(c.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var in Input
		select {
		case in = <-c.inbox:
		case <-timer.C:
			in = Tick{}
		case <-c.ctx.Done():
			return
		}
		began := time.Now()
		effects := m.Step(began, in)
		c.publish(m)
		c.carryOut(timed(effects, time.Since(began)), timer)
	}
}

// timed says in a decision how long it took to make.
func timed(effects []Effect, took time.Duration) []Effect {
	for i, e := range effects {
		if r, is := e.(Report); is && r.Kind == "decision" && r.Duration == 0 {
			r.Duration = took
			effects[i] = r
		}
	}
	return effects
}

func (c *Controller) publish(m *Machine) {
	p := Pending{Leading: m.Leading(), Term: m.lead.Term, Settled: m.settled}
	p.Transition, p.Actions, p.Since = m.Pending()
	c.mu.Lock()
	c.pending = p
	c.mu.Unlock()
}

func (c *Controller) carryOut(effects []Effect, timer *time.Timer) {
	for _, e := range effects {
		switch e := e.(type) {
		case Report:
			c.shell.Report(e)
		case Settled:
			c.shell.Settled(e.Index)
		case LocalDone:
			c.shell.LocalDone(e.Times)
		case Wake:
			timer.Reset(max(time.Until(e.At), time.Millisecond))
		case Recall:
			c.aside(func(context.Context) Input { return Local{Records: c.shell.Recall()} })
		case Query:
			c.aside(func(ctx context.Context) Input { return c.query(ctx, e) })
		case Propose:
			c.aside(func(ctx context.Context) Input {
				s, err := c.shell.Propose(ctx, e.Term, e.Reason, e.Ops)
				return Proposed{ID: e.ID, State: s, Err: err}
			})
		case Do:
			c.aside(func(ctx context.Context) Input { return c.do(ctx, e) })
		}
	}
}

// aside runs work that may wait, and feeds what it gives back to the machine.
func (c *Controller) aside(work func(context.Context) Input) {
	c.work.Add(1)
	go func() {
		defer c.work.Done()
		c.Send(work(c.ctx))
	}()
}

func (c *Controller) query(ctx context.Context, q Query) Input {
	ctx, done := context.WithTimeout(ctx, c.patience)
	defer done()
	stamp := agent.Stamp{Generation: q.Generation, Term: q.Term, Transition: q.Transition}
	records, err := c.shell.Query(ctx, q.Node, stamp)
	return Joined{Node: q.Node, Term: q.Term, Transition: q.Transition, Records: records, Err: err}
}

func (c *Controller) do(ctx context.Context, d Do) Input {
	record, err := c.shell.Do(ctx, d.Node, d.Command)
	return Ended{Ref: d.Ref, Record: record, Err: err}
}
