package sim

import (
	"errors"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/executor"
)

// execution is the executor of one daemon: the real core, with what its shell
// would do done by the world.
type execution struct {
	d       *daemon
	p       proc
	core    *executor.Core
	timer   timer
	ids     uint64
	sealed  pipe
	asked   map[uint64]func(executor.Record, error) // Submit and Fence
	running map[int64]*call                         // by Record.Call
	watches map[uint64]string                       // resource that is watched
}

// left is what an executor keeps under /run: it outlives the daemon, and not the
// machine.
type left struct {
	meta  *executor.Meta
	kept  map[string]executor.Kept
	calls map[int]*call // processes of agents, by pid
	pids  int
}

func newLeft() *left { return &left{kept: map[string]executor.Kept{}, calls: map[int]*call{}} }

const (
	parallel  = 8
	execGrace = 5 * time.Second
	runWrite  = 30e3 // ns: to write a file under /run
)

func newExecution(d *daemon) *execution {
	x := &execution{d: d, asked: map[uint64]func(executor.Record, error){}, running: map[int64]*call{}, watches: map[uint64]string{}}
	x.p = d.proc()
	x.timer = timer{p: &x.p}
	x.core = executor.NewCore(executor.CoreConfig{Node: d.m.name, Boot: strconv.Itoa(d.m.boots), Parallel: parallel, Grace: execGrace})
	l := d.m.left
	if l.meta == nil {
		return x
	}
	in := executor.Restore{Meta: *l.meta}
	for _, name := range sortedKeys(l.kept) {
		k := l.kept[name]
		k.History, k.Failures = allAbroad(k.History), allAbroad(k.Failures)
		if k.InFlight != nil {
			flying := *k.InFlight
			flying.Record = abroad(flying.Record)
			k.InFlight = &flying
		}
		in.Resources = append(in.Resources, k)
	}
	x.p.do(0, func() { x.step(in) })
	return x
}

// step gives the core an input and carries out what it wants.
func (x *execution) step(in executor.Input) {
	for _, e := range x.core.Step(x.d.now(), in) {
		x.carryOut(e)
	}
}

// later gives the core an input after a while.
func (x *execution) later(d int64, in executor.Input) { x.p.do(d, func() { x.step(in) }) }

func (x *execution) carryOut(e executor.Effect) {
	l := x.d.m.left
	switch e := e.(type) {
	case executor.SaveMeta:
		x.write(e.ID, func() { meta := e.Meta; l.meta = &meta })
	case executor.SaveResource:
		x.write(e.ID, func() { l.kept[e.Kept.Resource] = e.Kept })
	case executor.RemoveResource:
		x.write(e.ID, func() { delete(l.kept, e.Resource) })
	case executor.Run:
		x.run(e)
	case executor.Abort:
		if c := x.running[e.Call]; c != nil {
			x.d.m.kill(c)
		}
	case executor.Watch:
		x.watch(e)
	case executor.Unwatch:
		x.unwatch(e.ID)
	case executor.EndProcess:
		x.endProcess(e)
	case executor.Answer:
		done := x.asked[e.ID]
		delete(x.asked, e.ID)
		done(e.Record, e.Err)
	case executor.Notice:
		x.d.noticed(e.Record)
	case executor.Observe:
		x.d.m.sim.check.observed(x.d.m, e.Event)
	case executor.Warn:
		x.d.m.sim.tell(x.d.m, "executor: %s %s %s %v", e.Text, e.Resource, e.Action, e.Err)
	case executor.Wake:
		x.timer.wake(x.d.m.clock.worldOf(e.At, x.d.now()), func() { x.step(executor.Tick{}) })
	case executor.Stopped:
	}
}

// write replaces a file under /run; the memory there may be full.
func (x *execution) write(id uint64, do func()) {
	x.p.do(runWrite, func() {
		if x.d.m.runFull > 0 {
			x.step(executor.Wrote{ID: id, Err: syscall.ENOSPC})
			return
		}
		do()
		x.step(executor.Wrote{ID: id})
	})
}

// run calls an agent, and ends it when its time is over.
func (x *execution) run(e executor.Run) {
	m, id := x.d.m, e.Record.Call
	l := m.left
	l.pids++
	pid := l.pids
	life := x.p.life
	c := m.call(e.Invocation, func(r agent.Result) {
		delete(l.calls, pid)
		if x.p.life != life {
			return // the daemon that asked is no more
		}
		delete(x.running, id)
		x.later(0, executor.Finished{Call: id, Result: r, Called: true})
	})
	l.calls[pid] = c
	x.running[id] = c
	x.later(runWrite, executor.Began{Call: id, Process: executor.Process{PID: pid, Start: uint64(m.boots)}})
	x.p.do(int64(e.Invocation.Timeout), func() {
		if x.running[id] == c && !c.over {
			x.d.m.timeOut(c)
		}
	})
}

// timeOut ends a call whose time is over.
func (m *machine) timeOut(c *call) {
	if c.over || c.stuck {
		return
	}
	c.over = true
	m.agents.do(killed, func() {
		m.end(c, agent.Result{Code: agent.Unknown, Status: agent.TimedOut, Reason: "its time is over"})
	})
}

// watch tells, for some agents, when a service dies.
func (x *execution) watch(e executor.Watch) {
	if base(e.Invocation.Resource)[0] != 'w' {
		x.later(0, executor.WatchEnded{ID: e.ID, Unable: true})
		return
	}
	x.watches[e.ID] = e.Invocation.Resource
	if s := x.d.m.service(e.Invocation.Resource); s.dead || !s.active {
		x.died(e.Invocation.Resource)
	}
}

func (x *execution) unwatch(id uint64) {
	if _, is := x.watches[id]; is {
		delete(x.watches, id)
		x.later(0, executor.WatchEnded{ID: id})
	}
}

// died ends the watches of a service.
func (x *execution) died(instance string) {
	for _, id := range sortedKeys(x.watches) {
		if x.watches[id] == instance {
			delete(x.watches, id)
			x.later(0, executor.WatchEnded{ID: id, Failure: "its process has ended"})
		}
	}
}

// endProcess kills what an earlier daemon left.
func (x *execution) endProcess(e executor.EndProcess) {
	c := x.d.m.left.calls[e.Process.PID]
	switch {
	case c == nil || e.Process.Start != uint64(x.d.m.boots):
		x.later(0, executor.ProcessEnded{ID: e.ID})
	case c.stuck:
		x.later(int64(e.Within), executor.ProcessEnded{ID: e.ID, Err: errors.New("it does not end")})
	default:
		x.d.m.kill(c)
		x.later(2*killed, executor.ProcessEnded{ID: e.ID})
	}
}

// ask gives the core a Submit or a Fence and calls done with its answer.
func (x *execution) ask(in func(id uint64) executor.Input, done func(executor.Record, error)) (id uint64) {
	x.ids++
	id = x.ids
	x.asked[id] = done
	x.later(x.d.hop(), in(id))
	return id
}

func sortedKeys[K interface{ ~string | ~uint64 | ~int }, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
