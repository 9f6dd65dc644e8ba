package executor

import (
	"context"
	"time"
)

// step gives the core an input and sees to it that its effects are begun, in
// order. While another goroutine does that, it is left to it: none of the effects
// waits for anything.
func (e *Executor) step(in Input) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.effects = append(e.effects, e.core.Step(time.Now(), in)...)
	if e.carrying {
		return
	}
	e.carrying = true
	for len(e.effects) > 0 {
		list := e.effects
		e.effects = nil
		e.mu.Unlock()
		for _, f := range list {
			e.carryOut(f)
		}
		e.mu.Lock()
	}
	e.carrying = false
}

// carryOut begins one effect. e.mu is not held.
func (e *Executor) carryOut(f Effect) {
	switch f := f.(type) {
	case SaveMeta:
		e.writing(f.ID, func() error { return e.write("executor.meta", metaName, f.Meta) })
	case SaveResource:
		e.writing(f.ID, func() error { return e.write("executor.resource", fileName(f.Kept.Resource), f.Kept) })
	case RemoveResource:
		e.writing(f.ID, func() error { return e.remove(f.Resource) })
	case Run:
		e.begin(f)
	case Abort:
		cancel(e, e.runs, f.Call)
	case Watch:
		e.watch(f)
	case Unwatch:
		cancel(e, e.watches, f.ID)
	case EndProcess:
		e.work.Go(func() {
			ctx, done := context.WithTimeout(context.Background(), f.Within)
			defer done()
			e.step(ProcessEnded{ID: f.ID, Err: e.cfg.Processes.EndGroup(ctx, f.Process)})
		})
	case Answer:
		e.give(f)
	case Notice:
		e.out.put(f.Record)
	case Observe:
		if e.cfg.Observe != nil {
			e.cfg.Observe(f.Event)
		}
	case Warn:
		e.warn(f)
	case Wake:
		e.wake(time.Until(f.At))
	case Stopped:
		if e.timer != nil {
			e.timer.Stop()
		}
		close(e.stopped)
	}
}

func (e *Executor) writing(id uint64, write func() error) {
	e.work.Go(func() { e.step(Wrote{ID: id, Err: write()}) })
}

func (e *Executor) give(a Answer) {
	e.mu.Lock()
	ch := e.callers[a.ID]
	delete(e.callers, a.ID)
	e.mu.Unlock()
	ch <- a
}

// wake sets the one timer. A tick that comes too early or too often does no harm.
func (e *Executor) wake(in time.Duration) {
	if e.timer == nil { // guarded by carrying
		e.timer = time.AfterFunc(in, func() { e.step(Tick{}) })
		return
	}
	e.timer.Reset(in)
}

func (e *Executor) warn(w Warn) {
	log := e.log.Warn
	if w.Grave {
		log = e.log.Error
	}
	args := []any{"resource", w.Resource}
	if w.Action != "" {
		args = append(args, "action", w.Action)
	}
	if w.Err != nil {
		args = append(args, "err", w.Err)
	}
	log(w.Text, args...)
}

// register keeps how to end something that an effect began.
func register[K comparable](e *Executor, of map[K]context.CancelFunc, id K, end context.CancelFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	of[id] = end
}

func cancel[K comparable](e *Executor, of map[K]context.CancelFunc, id K) {
	e.mu.Lock()
	end := of[id]
	e.mu.Unlock()
	if end != nil {
		end()
	}
}

// over forgets what register kept, and ends it.
func over[K comparable](e *Executor, of map[K]context.CancelFunc, id K) {
	cancel(e, of, id)
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(of, id)
}
