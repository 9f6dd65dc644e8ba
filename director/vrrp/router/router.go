// Package router runs the instances of a director: it gives vrrp.Machine the time, the packets and the state of the
// interfaces, and carries out what it decides.
//
// One thread does it all: it sleeps in one ppoll(2) on every socket until something comes or is due, reads all that is
// queued, and only then lets the machine judge. So a machine that is busy may be late, but it blames nobody for that.
package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/vrrp"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/netif"
	"github.com/takt-ha/takt/internal/realtime"
)

// Options say how to run a Router.
type Options struct {
	Config *director.Config
	Log    *slog.Logger // nil: none
	// Notify is called in order for every change that scripts, FIFOs or mails want to know. It must return at once.
	Notify func(vrrp.Notify)
	// Realtime asks for real-time priority and locked memory for the whole process: for one that does little else.
	Realtime bool
	Broker   string // see realtime.Reach; "" means the environment's TAKT_RT_SOCKET
}

// Router is the shell around a vrrp.Machine. Its methods may be called from any goroutine.
type Router struct {
	opt     Options
	log     *slog.Logger
	machine *vrrp.Machine
	cfg     *director.Config
	hands   *hands
	socks   sockets
	clock   clock
	ahead   time.Duration // what the wall clock is ahead of it, as the machine knows
	began   time.Time
	words   string            // what priority was reached
	said    map[string]string // by instance: the last warning

	mu    sync.Mutex // guards what follows
	wake  [2]int     // a pipe; -1 when the loop has ended
	calls []func()   // to be run by the loop
	ended bool
}

// ErrEnded is returned by calls to a Router whose Run has returned, or was not begun.
var ErrEnded = errors.New("the VRRP router does not run")

// starting is what errors at the start are about.
const starting = "start VRRP"

// New makes a Router. It needs CAP_NET_ADMIN and CAP_NET_RAW to run.
func New(opt Options) (*Router, error) {
	r := &Router{opt: opt, log: opt.Log, cfg: opt.Config, machine: vrrp.New(opt.Config), wake: [2]int{-1, -1}, words: "left alone", said: map[string]string{}}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.opt.Notify == nil {
		r.opt.Notify = func(vrrp.Notify) {}
	}
	if err := unix.Pipe2(r.wake[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, errs.E(starting, errs.Other, "", "", fmt.Errorf("make a pipe: %w", err))
	}
	hands, err := newHands(r.log)
	if err != nil {
		r.closeWake()
		return nil, errs.E(starting, errs.Permission, "", "Run it as root, or with CAP_NET_ADMIN and CAP_NET_RAW.", err)
	}
	r.hands = hands
	return r, nil
}

// Run runs the instances until ctx ends; then it gives up in order: addresses are removed, and rivals are told. It returns
// once that is done. It is called once.
func (r *Router) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer r.end()
	r.reach()
	stop := context.AfterFunc(ctx, r.rouse)
	defer stop()
	watch, cancel := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer cancel()
	r.began = time.Now()
	r.look()
	r.tellTime(r.clock.now())
	r.step(vrrp.Start{Sequence: uint32(r.began.Unix())})
	watcher.Go(func() { netif.Watch(watch, func() { r.post(r.look) }) })
	r.log.Info("VRRP runs", "instances", len(r.cfg.Instances), "priority", r.words)
	for ctx.Err() == nil {
		if err := r.turn(); err != nil {
			r.stop()
			return errs.E("run VRRP", errs.Other, "", "", err)
		}
	}
	if context.Cause(ctx) != errAbandoned {
		r.stop()
	}
	return nil
}

// reach asks for priority.
func (r *Router) reach() {
	if !r.opt.Realtime {
		return
	}
	runtime.GOMAXPROCS(2)
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(64 << 20)
	broker := r.opt.Broker
	if broker == "" {
		broker = os.Getenv("TAKT_RT_SOCKET")
	}
	r.words = realtime.Reach(broker).Words
}

// turn sleeps until something comes or is due, and does it.
func (r *Router) turn() error {
	planned := r.machine.Next()
	if err := r.socks.wait(r.wake[0], r.clock.now(), planned); err != nil {
		return err
	}
	now := r.clock.now()
	r.tellTime(now)
	if late := now - planned; late >= time.Millisecond {
		r.stepAt(now, vrrp.Paused{For: late})
	}
	r.socks.drain(&r.clock, now, func(p vrrp.Packet) { r.stepAt(now, p) })
	r.runCalls()
	if now >= r.machine.Next() {
		r.stepAt(now, vrrp.Tick{})
	}
	return nil
}

// clockSlack is how far the wall clock may drift until the machine is told: much less than any window for times.
const clockSlack = 10 * time.Millisecond

// tellTime tells the machine what the wall clock says, when that is not what it follows from the last time: somebody has set it.
func (r *Router) tellTime(now time.Duration) {
	unix := time.Duration(time.Now().UnixNano())
	if ahead := unix - now; (ahead - r.ahead).Abs() > clockSlack {
		r.ahead = ahead
		r.stepAt(now, vrrp.Clock{Unix: unix})
	}
}

func (r *Router) stop() {
	r.step(vrrp.Stop{})
	r.hands.leave()
	r.log.Info("VRRP has ended")
}

func (r *Router) step(in vrrp.Input) { r.stepAt(r.clock.now(), in) }

func (r *Router) stepAt(now time.Duration, in vrrp.Input) {
	for _, e := range r.machine.Step(now, in) {
		r.carryOut(e)
	}
}

func (r *Router) carryOut(e vrrp.Effect) {
	switch e := e.(type) {
	case vrrp.Send:
		r.send(&e)
	case vrrp.AddAddresses:
		r.hands.add(&e)
	case vrrp.RemoveAddresses:
		r.hands.remove(&e)
	case vrrp.Announce:
		r.hands.announce(&e)
	case vrrp.Notify:
		r.say(&e)
		r.opt.Notify(e)
	case vrrp.Refuse:
		r.log.Warn("an advert was ignored", "instance", e.Instance, "interface", e.Interface, "from", e.From, "virtual_router_id", e.VRID,
			"because", e.Why.String(), "detail", e.Detail, "so far", e.Count)
	case vrrp.Say:
		r.log.Info(e.Words, "instance", e.Instance)
	}
}

func (r *Router) say(e *vrrp.Notify) {
	kind := "instance"
	if e.Group {
		kind = "group"
	}
	args := []any{kind, e.Name, "priority", e.Priority}
	if e.Reason != "" {
		args = append(args, "because", e.Reason)
	}
	r.log.Info(string(e.Event), args...)
}

func (r *Router) send(e *vrrp.Send) {
	if err := r.socks.send(e); err != nil {
		r.log.Debug("an advert was not sent", "instance", e.Of.Name, "error", err)
	}
}

// Reload takes another configuration, whole, and returns once it is in force. Masters stay masters.
func (r *Router) Reload(cfg *director.Config) error {
	return r.call(func() {
		r.cfg = cfg
		r.look()
		r.step(vrrp.Reload{Config: cfg})
		r.hands.prune(cfg)
	})
}

// Track says how a tracked script, file or process is.
func (r *Router) Track(t vrrp.Track) { r.post(func() { r.step(t) }) }

// Status is how all instances stand.
type Status struct {
	Priority  string // of the process: what was reached
	Instances []Instance
}

// Instance is how one stands, by the wall clock.
type Instance struct {
	vrrp.Status
	SinceTime time.Time
	HeardTime time.Time // of the last rival; zero: none
}

// Status asks the loop.
func (r *Router) Status() (Status, error) {
	st := Status{}
	err := r.call(func() {
		now, wall := r.clock.now(), time.Now()
		st.Priority = r.words
		for _, s := range r.machine.Status() {
			i := Instance{Status: s, SinceTime: wall.Add(s.Since - now)}
			if s.Rival.IsValid() {
				i.HeardTime = wall.Add(s.RivalAt - now)
			}
			st.Instances = append(st.Instances, i)
		}
	})
	return st, err
}

// call has the loop run f, and waits for it.
func (r *Router) call(f func()) error {
	done := make(chan bool, 1)
	if !r.enqueue(func() { f(); done <- true }, func() { done <- false }) {
		return ErrEnded
	}
	if !<-done {
		return ErrEnded
	}
	return nil
}

// post has the loop run f some time.
func (r *Router) post(f func()) { r.enqueue(f, func() {}) }

func (r *Router) enqueue(f, never func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	r.calls = append(r.calls, func() {
		if r.ended {
			never()
			return
		}
		f()
	})
	r.rouseLocked()
	return true
}

func (r *Router) runCalls() {
	r.mu.Lock()
	calls := r.calls
	r.calls = nil
	r.mu.Unlock()
	for _, f := range calls {
		f()
	}
}

func (r *Router) rouse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rouseLocked()
}

// rouseLocked wakes the loop; mu is held. A full pipe wakes it as well.
func (r *Router) rouseLocked() {
	if r.wake[1] >= 0 {
		_, _ = unix.Write(r.wake[1], []byte{0})
	}
}

// end frees everything; calls that still wait are told.
func (r *Router) end() {
	r.socks.close()
	r.hands.close()
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.runCalls()
	r.closeWake()
}

func (r *Router) closeWake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, fd := range r.wake {
		if fd >= 0 {
			_ = unix.Close(fd)
			r.wake[k] = -1
		}
	}
}
