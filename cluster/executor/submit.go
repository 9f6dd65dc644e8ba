package executor

import (
	"context"
	"fmt"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
)

// Do runs one command to its end and returns its record. A failed operation is
// a Record, not an error. Commands of one resource run in the order of their
// arrival. A command with a stamp that is known joins the one in flight or
// gets the result of the one that has ended: it is not run again.
//
// Errors: Invalid (the command makes no sense), Stale (its stamp is older than
// one seen, also if a newer one comes while it is queued), Conflict (forget
// while an operation is in flight), Unavailable (the executor stops, or cannot
// record the new stamp). In these cases nothing was run. Timeout: ctx ended;
// the operation goes on if it had begun, and its result is then a notice.
func (e *Executor) Do(ctx context.Context, cmd Command) (Record, error) {
	if err := validate(cmd); err != nil {
		return Record{Command: cmd}, err
	}
	if err := e.admit(cmd.Stamp); err != nil {
		return Record{Command: cmd}, err
	}
	j, rec, err := e.submit(cmd)
	if j == nil {
		return rec, err
	}
	select {
	case <-j.done:
		return j.rec, j.err
	case <-ctx.Done():
		return e.abandon(j, ctx.Err())
	}
}

func validate(c Command) error {
	bad := func(why string) error {
		return errs.E("run "+c.Action, errs.Invalid, c.Resource, "The coordinator sent a broken command; report this as a bug.", fmt.Errorf("%s", why))
	}
	switch {
	case c.Resource == "":
		return bad("no resource named")
	case c.Action == "":
		return bad("no action named")
	case c.Interval < 0:
		return bad("negative interval")
	case c.Action == Forget || c.Action == Cancel:
		return nil
	case c.Timeout <= 0:
		return bad("no time-out")
	case c.Interval > 0 && c.Action != agent.Monitor:
		return bad("only monitor can recur")
	}
	return nil
}

// Fence makes the executor refuse whatever is older than a stamp, also what is
// queued, and ends Seal. When it returns nil, nothing older will begin any more;
// what is in flight stands in Snapshot. It fails as Stale if a newer one was seen,
// as Unavailable if the stamp cannot be recorded.
func (e *Executor) Fence(s Stamp) error {
	if err := e.admit(s); err != nil {
		return err
	}
	e.mu.Lock()
	e.sealed = false
	e.mu.Unlock()
	return nil
}

// Seal lets nothing begin that a coordinator has asked for, queued or to come,
// until the next Fence, and ends starts in flight: this node is cut off, and stops
// by itself what runs here.
func (e *Executor) Seal() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sealed = true
	for _, r := range e.resources {
		if j := r.running; j != nil && j.begun && j.kind == asked && j.cmd.Action == agent.Start {
			j.cancel()
		}
	}
}

func (e *Executor) sealedOff(c Command) error {
	return errs.E("run "+c.Action, errs.Unavailable, c.Resource, "It joins again when it is quorate; nothing was run.",
		fmt.Errorf("%s was cut off and stops what it runs", e.cfg.Node))
}

// Newest returns the newest stamp seen. What the node does by itself carries it,
// with a negative action that no coordinator gives.
func (e *Executor) Newest() Stamp {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen
}

// admit checks a stamp and records it, on disk first, if it is the newest.
func (e *Executor) admit(s Stamp) error {
	e.metaMu.Lock()
	defer e.metaMu.Unlock()
	e.mu.Lock()
	seen, call := e.seen, e.call
	e.mu.Unlock()
	switch c := compareStamps(s, seen); {
	case c < 0:
		return e.stale(s, seen)
	case c == 0:
		return nil
	}
	s.Action = 0
	if err := e.saveMeta(s, call); err != nil {
		return errs.E("record the coordinator's term", errs.Unavailable, e.path(metaName),
			"Nothing was run. Make room in the runtime folder, or see why it cannot be written.", err)
	}
	e.mu.Lock()
	e.seen = s
	e.mu.Unlock()
	return nil
}

func (e *Executor) stale(s, seen Stamp) error {
	return errs.E("obey coordinator", errs.Stale, e.cfg.Node, "A newer coordinator is at work; nothing was run.",
		fmt.Errorf("command of generation %d, term %d, transition %d; seen %d, %d, %d",
			s.Generation, s.Term, s.Transition, seen.Generation, seen.Term, seen.Transition))
}

func (e *Executor) refusal(c Command) error {
	return errs.E("run "+c.Action, errs.Unavailable, c.Resource, "The operation was not started.",
		fmt.Errorf("the executor of %s is stopping", e.cfg.Node))
}

// submit queues a command, or answers it at once (no job).
func (e *Executor) submit(cmd Command) (*job, Record, error) {
	e.mu.Lock()
	if e.stopping {
		e.mu.Unlock()
		return nil, Record{Command: cmd}, e.refusal(cmd)
	}
	if seen := e.seen; compareStamps(cmd.Stamp, seen) < 0 {
		e.mu.Unlock()
		return nil, Record{Command: cmd}, e.stale(cmd.Stamp, seen)
	}
	r := e.resources[cmd.Resource]
	if cmd.Action == Cancel {
		return nil, e.cancelLocked(r, cmd), nil
	}
	defer e.mu.Unlock()
	if r == nil {
		r = newResource(cmd.Resource)
		e.resources[cmd.Resource] = r
	}
	if j := r.pendingLocked(cmd); j != nil {
		j.waiters++
		return j, Record{}, nil
	}
	if rec, ok := r.history[keyOf(cmd)]; ok && rec.Command.Stamp == cmd.Stamp {
		return nil, rec, nil
	}
	if cmd.Action == Forget && r.busyLocked() {
		return nil, Record{Command: cmd}, errs.E("forget", errs.Conflict, cmd.Resource,
			"Ask again when the operation has ended.", fmt.Errorf("an operation is in flight"))
	}
	r.makeWayLocked(cmd)
	j := newJob(cmd, asked)
	j.waiters = 1
	e.enqueueLocked(r, j, false)
	return j, Record{}, nil
}

// makeWayLocked ends the monitors that a command makes meaningless: all before
// the state changes, its own predecessor before a recurring one begins anew.
// Executor.mu is held.
func (r *resource) makeWayLocked(cmd Command) {
	switch cmd.Action {
	case agent.Stop, agent.Start, agent.Promote, agent.Demote, agent.MigrateTo, agent.MigrateFrom, Forget:
		r.cancelAllRecurringLocked()
	case agent.Monitor:
		if cmd.Interval > 0 {
			r.cancelRecurringLocked(cmd.Interval)
		}
	}
}

// cancelLocked ends a recurring monitor at once; that there is none is no
// error. It is called with e.mu held and releases it.
func (e *Executor) cancelLocked(r *resource, cmd Command) Record {
	now := time.Now()
	rec := Record{Command: cmd, Changed: now, Result: agent.Result{Started: now}}
	if r == nil {
		e.mu.Unlock()
		return rec
	}
	r.cancelRecurringLocked(cmd.Interval)
	delete(r.history, opKey{agent.Monitor, cmd.Interval})
	e.mu.Unlock()
	if err := e.save(r); err != nil {
		e.log.Warn("cannot record the end of a monitor; a restarted daemon would resume it", "resource", r.name, "err", err)
	}
	return rec
}

// abandon ends the wait of one caller. A job that has not begun and that
// nobody else waits for is taken back.
func (e *Executor) abandon(j *job, cause error) (Record, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-j.done:
		return j.rec, j.err
	default:
	}
	j.waiters--
	hint := "The operation goes on; its result will be reported."
	if !j.begun && j.waiters == 0 && j.kind == asked {
		j.cancelled = true
		j.cancel()
		hint = "The operation had not begun and was taken back."
	}
	return Record{Command: j.cmd}, errs.E("run "+j.cmd.Action, errs.Timeout, j.cmd.Resource, hint, cause)
}

// forget drops what is known of a resource, on disk first.
func (e *Executor) forget(r *resource, j *job) (Record, error) {
	e.endWatch(r)
	e.metaMu.Lock()
	e.mu.Lock()
	seen, call := e.seen, e.call
	e.mu.Unlock()
	err := e.saveMeta(seen, call) // so that call numbers do not begin anew
	e.metaMu.Unlock()
	if err == nil {
		err = e.removeFile(r)
	}
	if err != nil {
		return Record{Command: j.cmd}, errs.E("forget", errs.Unavailable, j.cmd.Resource, "The history is kept; ask again.", err)
	}
	e.mu.Lock()
	clear(r.history)
	clear(r.failures)
	e.mu.Unlock()
	if r.active { // only its history is forgotten, not that it may run
		if err := e.save(r); err != nil {
			e.log.Warn("cannot record that a forgotten resource may run", "resource", r.name, "err", err)
		}
	}
	now := time.Now()
	return Record{Command: j.cmd, Changed: now, Result: agent.Result{Started: now}}, nil
}
