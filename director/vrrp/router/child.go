package router

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/vrrp"
	"github.com/takt-ha/takt/internal/errs"
)

// Child is a Router in a process of its own, with real-time priority: whatever its daemon does, adverts go out in time. If the
// process dies, another one is started a second later, which finds what it left.
type Child struct {
	opt    Options
	args   []string // of the program
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	conf   *director.Config        // guarded by mu
	tracks []vrrp.Track            // guarded by mu: the last of each kind and name
	write  *gob.Encoder            // guarded by mu; nil while there is no process
	waits  map[uint64]chan *answer // guarded by mu
	last   uint64                  // guarded by mu: the number of the newest order
	closes bool                    // guarded by mu
}

// patience is how long a child may take to give up in order.
const patience = 10 * time.Second

// pause is between the death of a process and the next one.
const pause = time.Second

// Spawn starts a router as the process args (args[0] is the program), whose standard input and output Serve has. Options.Realtime
// and Broker are the process's own affair. It fails if the first process cannot run.
func Spawn(opt Options, args ...string) (*Child, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Notify == nil {
		opt.Notify = func(vrrp.Notify) {}
	}
	conf := ours(opt.Config)
	opt.Config = nil
	c := &Child{opt: opt, args: args, conf: conf, ended: make(chan struct{}), waits: map[uint64]chan *answer{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	wait, err := c.start()
	if err != nil {
		c.cancel()
		if errs.HintOf(err) != "" {
			return nil, err
		}
		return nil, errs.E(starting, errs.Other, "", "", err)
	}
	go c.supervise(wait)
	return c, nil
}

// ours is a configuration without what is none of VRRP's business: there may be thousands of virtual servers.
func ours(c *director.Config) *director.Config {
	less := *c
	less.Servers = nil
	return &less
}

// start runs one process, and returns how to wait for its end.
func (c *Child) start() (wait func() error, err error) {
	cmd := exec.CommandContext(c.ctx, c.args[0], c.args[1:]...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is the daemon's: it tells the child
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.write = gob.NewEncoder(in)
	conf, tracks := c.conf, append([]vrrp.Track(nil), c.tracks...)
	c.mu.Unlock()
	read := make(chan struct{})
	go func() { defer close(read); c.read(out) }()
	wait = func() error {
		<-read
		in.Close()
		return cmd.Wait()
	}
	if _, err := c.ask(order{Config: conf}); err != nil {
		in.Close()
		_ = cmd.Process.Kill()
		ended := wait()
		if errs.HintOf(err) != "" { // it has said why itself
			return nil, err
		}
		return nil, errors.Join(err, ended)
	}
	for k := range tracks {
		c.send(&order{Track: &tracks[k]})
	}
	return wait, nil
}

// supervise starts the process again while it should be there.
func (c *Child) supervise(wait func() error) {
	defer close(c.ended)
	for {
		var err error
		if wait != nil {
			err = wait()
		}
		c.mu.Lock()
		closes := c.closes
		c.mu.Unlock()
		if closes {
			return
		}
		c.opt.Log.Error("the VRRP process has died; another one is started", "error", err)
		select {
		case <-time.After(pause):
		case <-c.ctx.Done():
			return
		}
		if wait, err = c.start(); err != nil {
			c.opt.Log.Error("no VRRP process can be started; it is tried again", "error", err)
		}
	}
}

// read takes what the process tells, until it has ended; who waits for an answer then gets none.
func (c *Child) read(from io.Reader) {
	answers := gob.NewDecoder(from)
	for {
		a := &answer{}
		if answers.Decode(a) != nil {
			break
		}
		switch {
		case a.Notify != nil:
			c.opt.Notify(*a.Notify)
		case a.Line != nil:
			var args []any
			for k := range a.Line.Keys {
				args = append(args, a.Line.Keys[k], a.Line.Vals[k])
			}
			c.opt.Log.Log(c.ctx, a.Line.Level, a.Line.Words, args...)
		default:
			c.answered(a)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = nil
	for id, w := range c.waits {
		close(w)
		delete(c.waits, id)
	}
}

func (c *Child) answered(a *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.waits[a.ID]; w != nil {
		w <- a
		delete(c.waits, a.ID)
	}
}

// send gives an order that has no answer.
func (c *Child) send(o *order) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.write != nil {
		_ = c.write.Encode(o) // a process that is gone is found by read
	}
}

// ask gives an order and waits for the answer.
func (c *Child) ask(o order) (*answer, error) {
	w := make(chan *answer, 1)
	c.mu.Lock()
	if c.write == nil {
		c.mu.Unlock()
		return nil, ErrEnded
	}
	c.last++
	o.ID = c.last
	c.waits[o.ID] = w
	err := c.write.Encode(&o)
	c.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnded, err)
	}
	a, ok := <-w
	if !ok {
		return nil, ErrEnded
	}
	switch {
	case a.Hint != "":
		return a, errs.E(starting, errs.Permission, "", a.Hint, errors.New(a.Err))
	case a.Err != "":
		return a, errors.New(a.Err)
	}
	return a, nil
}

// Reload is Router.Reload. If there is no process now, the next one gets the configuration.
func (c *Child) Reload(cfg *director.Config) error {
	cfg = ours(cfg)
	c.mu.Lock()
	c.conf = cfg
	c.mu.Unlock()
	if _, err := c.ask(order{Config: cfg}); err != nil && !errors.Is(err, ErrEnded) {
		return err
	}
	return nil
}

// Track is Router.Track.
func (c *Child) Track(t vrrp.Track) {
	c.mu.Lock()
	known := false
	for k := range c.tracks {
		if c.tracks[k].Kind == t.Kind && c.tracks[k].Name == t.Name {
			c.tracks[k], known = t, true
		}
	}
	if !known {
		c.tracks = append(c.tracks, t)
	}
	c.mu.Unlock()
	c.send(&order{Track: &t})
}

// Status is Router.Status.
func (c *Child) Status() (Status, error) {
	a, err := c.ask(order{Status: true})
	if err != nil {
		return Status{}, err
	}
	return *a.Status, nil
}

// Close gives up in order: addresses are removed and rivals are told. A process that does not within ten seconds is killed.
func (c *Child) Close() error {
	c.mu.Lock()
	c.closes = true
	c.mu.Unlock()
	limit := time.AfterFunc(patience, c.cancel)
	defer limit.Stop()
	_, err := c.ask(order{Close: true})
	if err != nil {
		c.cancel()
	}
	<-c.ended
	c.cancel()
	return err
}
