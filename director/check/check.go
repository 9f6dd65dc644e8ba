// Package check asks real servers whether they work, as keepalived's checkers do (keepalived.conf(5)): TCP, HTTP, SMTP, DNS, UDP, ping, a
// program, a file. A thousand checks a second cost neither threads nor lasting goroutines: one goroutine knows who is due, and a check has one
// of its own only while it runs.
package check

import (
	"container/heap"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/pool"
	"github.com/takt-ha/takt/director/program"
)

// Runner runs checks. Its methods may be called by any goroutine.
type Runner struct {
	tell func(pool.Checked)
	log  *slog.Logger

	life context.Context
	end  context.CancelFunc
	work sync.WaitGroup
	wake chan struct{} // something is due earlier than before

	mu    sync.Mutex
	all   map[pool.CheckID]*entry // guarded by mu
	due   queue                   // guarded by mu
	rests map[string]bool         // guarded by mu; by virtual server

	starved time.Time // guarded by mu; when it was last said that checks cannot be made
}

// entry is one check.
type entry struct {
	id    pool.CheckID
	conf  director.Check
	probe probe
	clock clock
	at    time.Time // when it is due
	place int       // in the queue; -1: it runs, or is gone
	add   int       // what it last said of the weight
}

// probe asks once. It ends by ctx at the latest. add is what is to be added to the server's weight.
type probe func(ctx context.Context) (add int, err error)

// NewRunner returns a runner; tell is called for each result that changes something, by several goroutines, and may not call the runner.
func NewRunner(tell func(pool.Checked), log *slog.Logger) *Runner {
	r := &Runner{tell: tell, log: log, wake: make(chan struct{}, 1), all: map[pool.CheckID]*entry{}, rests: map[string]bool{}}
	r.life, r.end = context.WithCancel(context.Background())
	r.work.Add(1)
	go r.loop()
	return r
}

// Close ends all checks and waits for them.
func (r *Runner) Close() {
	r.end()
	r.work.Wait()
}

// Set takes a configuration: checks that stay as they are go on as if nothing had been, new ones begin spread over their warm-up, others
// end. It fails as a whole, and nothing changes.
func (r *Runner) Set(c *director.Config) error {
	now := time.Now()
	fresh := map[pool.CheckID]*entry{}
	for i := range c.Servers {
		v := &c.Servers[i]
		for k := range v.Servers {
			s := &v.Servers[k]
			for n := range s.Checks {
				e, err := newEntry(c, v, s, n)
				if err != nil {
					return err
				}
				fresh[e.id] = e
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, e := range r.all {
		if f := fresh[id]; f != nil && same(f.conf, e.conf) {
			e.probe, e.clock.timing = f.probe, f.clock.timing
			fresh[id] = e
			continue
		}
		if e.place >= 0 {
			heap.Remove(&r.due, e.place)
		}
	}
	for id, e := range fresh {
		if r.all[id] != e {
			e.at = e.clock.first(now, rand.Float64())
			heap.Push(&r.due, e)
		}
	}
	r.all = fresh
	r.nudge()
	return nil
}

func same(a, b director.Check) bool {
	a.Pos, b.Pos = director.Pos{}, director.Pos{}
	return reflect.DeepEqual(a, b)
}

func newEntry(c *director.Config, v *director.VirtualServer, s *director.RealServer, n int) (*entry, error) {
	k := s.Checks[n]
	at := pool.At(v, s)
	p, err := newProbe(c, &k, at, s.Weight)
	if err != nil {
		return nil, fmt.Errorf("%s: %s of %s: %w", k.Pos, k.Kind, at, err)
	}
	alpha := v.Alpha || s.Alpha
	return &entry{id: pool.CheckID{Virtual: pool.Name(v), Real: at, N: n}, conf: k, probe: p, clock: clock{timing: k.Timing, up: !alpha}, place: -1}, nil
}

// Rest lets the checks of a virtual server rest, or go on.
func (r *Runner) Rest(virtual string, rest bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rests[virtual] = rest
}

func (r *Runner) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// pushLocked lets a check wait for its time. Who sleeps is woken only if it is the next one. r.mu is held.
func (r *Runner) pushLocked(e *entry) {
	heap.Push(&r.due, e)
	if e.place == 0 {
		r.nudge()
	}
}

// together is for how long checks that are due wait for others, so that thousands of them wake the machine a hundred times a second, and not
// each for itself.
const together = 10 * time.Millisecond

// loop begins each check when it is due.
func (r *Runner) loop() {
	defer r.work.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(max(r.begin(time.Now()), together))
		select {
		case <-timer.C:
		case <-r.wake:
		case <-r.life.Done():
			return
		}
	}
}

// begin starts what is due, and returns how long nothing else is.
func (r *Runner) begin(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.due) > 0 {
		e := r.due[0]
		if wait := e.at.Sub(now); wait > 0 {
			return wait
		}
		if r.rests[e.id.Virtual] {
			e.at = now.Add(max(e.clock.timing.Loop, time.Second))
			heap.Fix(&r.due, 0)
			continue
		}
		heap.Pop(&r.due)
		e.clock.begun = now
		r.work.Add(1)
		go r.run(e, e.probe)
	}
	return time.Hour
}

// run asks once and tells.
func (r *Runner) run(e *entry, p probe) {
	defer r.work.Done()
	add, err := p(r.life)
	if r.life.Err() != nil {
		return
	}
	if out, told := r.ended(e, add, err); told {
		r.tell(out)
	}
}

func (r *Runner) ended(e *entry, add int, err error) (pool.Checked, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all[e.id] != e {
		return pool.Checked{}, false // the configuration has gone on without it
	}
	if program.Starved(err) {
		r.starvedLocked(e, err)
		return pool.Checked{}, false
	}
	tell, next := e.clock.ended(err == nil, time.Now())
	out := pool.Checked{ID: e.id, Up: e.clock.up, Add: add}
	switch {
	case err != nil:
		out.Why, out.Add = err.Error(), e.add
		if !tell && e.conf.Log {
			r.log.Info("a check fails", "virtual", e.id.Virtual, "real", e.id.Real.String(), "check", e.conf.Kind, "why", out.Why, "tries left", e.clock.timing.Retry-e.clock.failed+1)
		}
	case add != e.add:
		e.add, tell = add, true
	}
	e.at = next
	r.pushLocked(e)
	return out, tell
}

// starvedLocked puts off a check that could not be made: what is known of the server stays. r.mu is held.
func (r *Runner) starvedLocked(e *entry, err error) {
	now := time.Now()
	if r.starved.IsZero() || now.Sub(r.starved) > time.Minute {
		r.starved = now
		r.log.Error("checks cannot be made, for this machine is at its limits; what is known of the servers stays. Is LimitNOFILE (ulimit -n) high enough?",
			"why", err, "checks", len(r.all), "virtual", e.id.Virtual, "real", e.id.Real.String())
	}
	e.at = now.Add(max(e.clock.timing.RetryDelay, time.Second))
	r.pushLocked(e)
}

// queue is entries by when they are due. It is a heap.Interface.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push is for package heap.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.place = len(*q)
	*q = append(*q, e)
}

// Pop is for package heap.
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q, e.place = old[:len(old)-1], -1
	return e
}
