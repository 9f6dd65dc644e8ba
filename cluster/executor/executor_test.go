package executor

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
)

// fake is an agent whose resource runs or not; it counts what is done to it.
type fake struct {
	mu      sync.Mutex
	calls   []string
	up      bool
	run     func(ctx context.Context, inv agent.Invocation) (agent.Result, bool) // false: as usual
	failed  chan string
	watches int
	pid     int
}

func (f *fake) Metadata(context.Context) (*agent.Metadata, error) { return nil, nil }

func (f *fake) Run(ctx context.Context, inv agent.Invocation) agent.Result {
	if started := agent.OnStart(ctx); started != nil && f.pid != 0 {
		started(f.pid)
	}
	f.mu.Lock()
	f.calls = append(f.calls, inv.Action)
	run := f.run
	f.mu.Unlock()
	if run != nil {
		if res, ok := run(ctx, inv); ok {
			return res
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch inv.Action {
	case agent.Start:
		f.up = true
	case agent.Stop:
		f.up = false
	case agent.Monitor:
		if !f.up {
			return agent.Result{Code: agent.NotRunning}
		}
	}
	return agent.Result{}
}

func (f *fake) Watch(ctx context.Context, _ agent.Invocation) string {
	f.set(func() { f.watches++ })
	defer f.set(func() { f.watches-- })
	select {
	case why := <-f.failed:
		return why
	case <-ctx.Done():
		return ""
	}
}

func (f *fake) set(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fake) log() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.calls, " ")
}

func (f *fake) watching() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.watches
}

type registry struct{ a agent.Agent }

func (r registry) List() []agent.ID { return nil }
func (r registry) Lookup(id agent.ID) (agent.Agent, error) {
	if id.Type == "absent" {
		return nil, errs.E("find agent", errs.NotFound, id.String(), "", errors.New("looked through everything"))
	}
	return r.a, nil
}

type processes struct {
	boot  string
	ended []Process
}

func (p *processes) Boot() string                      { return p.boot }
func (p *processes) Identify(pid int) (Process, error) { return Process{pid, 7}, nil }
func (p *processes) EndGroup(_ context.Context, q Process) error {
	p.ended = append(p.ended, q)
	return nil
}

type bench struct {
	*Executor
	t     *testing.T
	agent *fake
	disk  *osfs.Faulty
	procs *processes
	next  uint64
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, agent: &fake{failed: make(chan string, 8)}, disk: osfs.NewFaulty(osfs.NewMem()), procs: &processes{boot: "a"}}
	b.open()
	return b
}

func (b *bench) open() {
	b.t.Helper()
	e, err := New(Config{Node: "n1", Dir: "/run", Agents: registry{b.agent}, FS: b.disk, Processes: b.procs, CallLog: "/calls"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Executor = e
}

func (b *bench) close() {
	b.t.Helper()
	if err := b.Stop(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

// command returns a new command of the newest transition.
func (b *bench) command(action string, interval int64) Command {
	b.next++
	return Command{Stamp: Stamp{Generation: 1, Term: 1, Transition: 1, Action: int(b.next)}, Resource: "web", Agent: agent.ID{Class: "ocf", Provider: "t", Type: "fake"},
		Action: action, Interval: interval, Timeout: 1000}
}

func (b *bench) do(action string, interval int64) Record {
	b.t.Helper()
	rec, err := b.Do(context.Background(), b.command(action, interval))
	if err != nil {
		b.t.Fatalf("%s: %v", action, err)
	}
	return rec
}

func (b *bench) notice() (Record, bool) {
	synctest.Wait()
	select {
	case r := <-b.Notices():
		return r, true
	default:
		return Record{}, false
	}
}

func (b *bench) goDo(cmd Command) (result func() (Record, error)) {
	var rec Record
	var err error
	done := make(chan struct{})
	go func() { rec, err = b.Do(context.Background(), cmd); close(done) }()
	synctest.Wait()
	return func() (Record, error) { <-done; return rec, err }
}

// hang makes one action wait for release, deaf to its context.
func (b *bench) hang(action string) (release func()) {
	ch := make(chan struct{})
	b.agent.set(func() {
		b.agent.run = func(_ context.Context, inv agent.Invocation) (agent.Result, bool) {
			if inv.Action == action {
				<-ch
			}
			return agent.Result{}, false
		}
	})
	return sync.OnceFunc(func() { close(ch) })
}

func within(t *testing.T, test func(*testing.T)) { t.Helper(); synctest.Test(t, test) }

func TestQueueAndDuplicates(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		defer b.close()
		release := b.hang(agent.Start)
		start := b.command(agent.Start, 0)
		one, two := b.goDo(start), b.goDo(start)
		stop := b.goDo(b.command(agent.Stop, 0))
		if got := b.agent.log(); got != "start" {
			t.Fatalf("calls %q: the stop must wait for the start, the duplicate join it", got)
		}
		if s := b.Snapshot(); len(s) != 1 || s[0].Result.Status != agent.Pending {
			t.Fatalf("snapshot %+v, want the start in flight", s)
		}
		release()
		r1, err1 := one()
		r2, err2 := two()
		if err1 != nil || err2 != nil || r1.Call != r2.Call || r1.Result.Status != agent.Done {
			t.Fatalf("duplicates differ: %+v %v, %+v %v", r1, err1, r2, err2)
		}
		if _, err := stop(); err != nil {
			t.Fatal(err)
		}
		if again, _ := b.Do(t.Context(), start); again.Call != r1.Call {
			t.Fatal("a repeated start ran again")
		}
		if got := b.agent.log(); got != "start stop" || len(b.Active()) != 0 {
			t.Fatalf("calls %q, active %v", got, b.Active())
		}
	})
}

func TestStaleCommands(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		release := b.hang(agent.Start)
		start := b.goDo(b.command(agent.Start, 0))
		queued := b.goDo(b.command(agent.Stop, 0))
		if err := b.Fence(Stamp{Generation: 1, Term: 5}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Do(t.Context(), b.command(agent.Monitor, 0)); errs.KindOf(err) != errs.Stale {
			t.Fatalf("older term: %v, want stale", err)
		}
		release()
		if _, err := start(); err != nil {
			t.Fatal(err)
		}
		if _, err := queued(); errs.KindOf(err) != errs.Stale {
			t.Fatalf("queued before the fence: %v, want stale", err)
		}
		if n, ok := b.notice(); !ok || n.Command.Action != agent.Start {
			t.Fatalf("the new coordinator is not told of the start: %+v", n)
		}
		cmd := b.command(agent.Monitor, 0)
		cmd.Stamp = Stamp{Generation: 1, Term: 5, Transition: 3}
		if _, err := b.Do(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
		b.close()
		b.open()
		defer b.close()
		cmd.Stamp.Transition = 2
		if _, err := b.Do(t.Context(), cmd); errs.KindOf(err) != errs.Stale {
			t.Fatalf("older transition after a restart: %v, want stale", err)
		}
		if err := b.Fence(Stamp{Generation: 1, Term: 4}); errs.KindOf(err) != errs.Stale {
			t.Fatalf("fence of an older term: %v", err)
		}
	})
}

func TestStuckAgentDoesNotConfirmStop(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		defer b.close()
		release := b.hang(agent.Start)
		began := time.Now()
		if rec := b.do(agent.Start, 0); rec.Result.Status != agent.TimedOut || time.Since(began) != 6*time.Second {
			t.Fatalf("%+v after %v", rec.Result, time.Since(began))
		}
		rec := b.do(agent.Stop, 0)
		if rec.Result.Status != agent.TimedOut || !strings.Contains(rec.Result.Reason, "earlier start") || b.agent.log() != "start" {
			t.Fatalf("%+v, calls %q", rec.Result, b.agent.log())
		}
		release()
		synctest.Wait()
		if rec := b.do(agent.Stop, 0); rec.Result.Status != agent.Done || len(b.Active()) != 0 {
			t.Fatalf("%+v", rec.Result)
		}
	})
}

// TestStuckAgentCountsAsActive: nobody knows what a probe that does not end is at.
func TestStuckAgentCountsAsActive(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		defer b.close()
		release := b.hang(agent.Monitor)
		if rec := b.do(agent.Monitor, 0); rec.Result.Status != agent.TimedOut {
			t.Fatalf("%+v", rec.Result)
		}
		b.agent.set(func() { b.agent.run = nil })
		b.mu.Lock()
		b.core.resources["web"].active = false // as if it had been known to be stopped
		b.mu.Unlock()
		if got := b.Active(); len(got) != 1 {
			t.Fatalf("active %v while a probe is stuck", got)
		}
		release()
		synctest.Wait()
		if got := b.Active(); len(got) != 0 {
			t.Fatalf("active %v after the probe has ended", got)
		}
	})
}

func TestRecurringReportsChangesOnly(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		defer b.close()
		b.do(agent.Start, 0)
		b.do(agent.Monitor, 100)
		time.Sleep(time.Second)
		if n, ok := b.notice(); ok {
			t.Fatalf("nothing changed, but: %+v", n)
		}
		b.agent.set(func() { b.agent.up = false })
		time.Sleep(time.Second)
		n, ok := b.notice()
		if !ok || n.Result.Code != agent.NotRunning || n.Noticed {
			t.Fatalf("%+v %v", n, ok)
		}
		if n, ok := b.notice(); ok {
			t.Fatalf("told twice: %+v", n)
		}
		if got := b.Active(); len(got) != 1 || len(b.Failures()) != 1 {
			t.Fatalf("failed but not stopped must be active: %v, failures %v", got, b.Failures())
		}
		b.do(Cancel, 100)
		before := b.agent.log()
		time.Sleep(time.Second)
		if b.agent.log() != before {
			t.Fatal("polled after cancel")
		}
	})
}

func TestStopCancelsRunningMonitor(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		defer b.close()
		b.do(agent.Start, 0)
		b.do(agent.Monitor, 100)
		b.agent.set(func() {
			b.agent.run = func(ctx context.Context, inv agent.Invocation) (agent.Result, bool) {
				if inv.Action != agent.Monitor {
					return agent.Result{}, false
				}
				<-ctx.Done()
				return agent.Result{Code: agent.Unknown, Status: agent.TimedOut}, true
			}
		})
		time.Sleep(150 * time.Millisecond)
		began := time.Now()
		if rec := b.do(agent.Stop, 0); rec.Result.Code != agent.OK || time.Since(began) != 0 {
			t.Fatalf("%+v after %v", rec.Result, time.Since(began))
		}
		if n, ok := b.notice(); ok {
			t.Fatalf("a cancelled monitor was reported: %+v", n)
		}
		if b.agent.watching() != 0 {
			t.Fatal("watch goes on after stop")
		}
	})
}

func TestWatchNoticesAndLiesAreRefuted(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		defer b.close()
		b.do(agent.Start, 0)
		b.do(agent.Monitor, 10_000)
		synctest.Wait()
		b.agent.failed <- "a lie"
		if n, ok := b.notice(); ok {
			t.Fatalf("a lie was reported: %+v", n)
		}
		time.Sleep(2 * watchPause)
		synctest.Wait()
		if b.agent.watching() != 1 {
			t.Fatalf("%d watches after a lie, want 1", b.agent.watching())
		}
		b.agent.set(func() { b.agent.up = false })
		began := time.Now()
		b.agent.failed <- "process 7 was killed"
		n, ok := b.notice()
		if !ok || !n.Noticed || n.Command.Interval != 10_000 || n.Result.Reason != "process 7 was killed" ||
			n.Result.Code != agent.NotRunning || time.Since(began) != 0 {
			t.Fatalf("%+v %v after %v", n, ok, time.Since(began))
		}
		time.Sleep(30 * time.Second)
		if n, ok := b.notice(); ok {
			t.Fatalf("the poll told it again: %+v", n)
		}
	})
}

func TestRestartSettlesWhatWasInFlight(t *testing.T) {
	for action, want := range map[string]agent.Code{agent.Start: agent.OK, agent.Stop: agent.ErrGeneric} {
		within(t, func(t *testing.T) {
			b := newBench(t)
			b.do(agent.Start, 0)
			release := b.hang(action)
			b.agent.pid = 4711
			cmd := b.command(action, 0)
			cmd.Timeout = 60_000
			old := b.goDo(cmd)
			dead := b.Executor // its daemon is killed: it writes no more
			dead.cfg.FS = osfs.NewFaulty(osfs.NewMem())
			b.open()
			synctest.Wait()
			if len(b.procs.ended) != 1 || b.procs.ended[0] != (Process{4711, 7}) {
				t.Fatalf("ended %v", b.procs.ended)
			}
			n, ok := b.notice()
			if !ok || n.Command.Action != action || n.Result.Code != want ||
				!strings.Contains(n.Result.Reason, "the daemon restarted during "+action+"; a probe says: running") {
				t.Fatalf("%+v %v", n, ok)
			}
			if again, err := b.Do(t.Context(), cmd); err != nil || again.Result.Code != want {
				t.Fatalf("the command again: %+v %v", again, err)
			}
			if b.agent.watching() < 1 || len(b.Active()) != 1 {
				t.Fatal("not re-attached")
			}
			release()
			old()
			_ = dead.Stop(context.Background())
			b.close()
		})
	}
}

func TestRestartResumesAndRebootForgets(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		b.do(agent.Start, 0)
		last := b.do(agent.Monitor, 100)
		b.close()
		b.agent.set(func() { b.agent.up = false })
		b.open()
		if n, ok := b.notice(); !ok || n.Result.Code != agent.NotRunning || n.Call <= last.Call {
			t.Fatalf("%+v %v", n, ok)
		}
		b.close()
		b.procs.boot = "b"
		b.open()
		if s := b.Snapshot(); len(s) != 0 || len(b.Active()) != 0 {
			t.Fatalf("after a reboot: %+v", s)
		}
		b.close()
	})
}

// TestStopKnowsWhatRuns: the configuration may have changed or gone since the
// start; what is stopped is what was started, also by a later daemon.
func TestStopKnowsWhatRuns(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		var stopped []string
		b.agent.set(func() {
			b.agent.run = func(_ context.Context, inv agent.Invocation) (agent.Result, bool) {
				if inv.Action == agent.Stop {
					stopped = append(stopped, inv.Params["ip"])
				}
				return agent.Result{Code: agent.ErrGeneric}, inv.Action == agent.Start && inv.Params["ip"] == "bad"
			}
		})
		run := func(action, ip string) {
			t.Helper()
			c := b.command(action, 0)
			if ip != "" {
				c.Params = map[string]string{"ip": ip}
			}
			if _, err := b.Do(context.Background(), c); err != nil {
				t.Fatal(err)
			}
		}
		run(agent.Start, "old")
		run(agent.Stop, "new")
		run(agent.Start, "old")
		b.close()
		b.open()
		run(agent.Stop, "")
		run(agent.Stop, "new") // nothing runs: the configuration decides
		run(agent.Start, "bad")
		run(agent.Stop, "") // a start that failed may have got far enough
		if got := strings.Join(stopped, " "); got != "old old new bad" {
			t.Errorf("stopped %q", got)
		}
		b.close()
	})
}

func TestDiskErrors(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		defer b.close()
		full := errors.New("no space left")
		b.disk.FailIf(func(op, _ string) bool { return strings.HasPrefix(op, "executor.meta") }, full)
		if _, err := b.Do(t.Context(), b.command(agent.Start, 0)); errs.KindOf(err) != errs.Unavailable || b.agent.log() != "" {
			t.Fatalf("stamp not recorded: %v, calls %q", err, b.agent.log())
		}
		b.disk.FailIf(func(op, _ string) bool { return op == "executor.resource.create/write" }, full)
		rec := b.do(agent.Start, 0)
		if rec.Result.Status != agent.Errored || !strings.Contains(rec.Result.Reason, "no space left") || b.agent.log() != "" {
			t.Fatalf("%+v, calls %q", rec.Result, b.agent.log())
		}
		if rec := b.do(agent.Monitor, 0); rec.Result.Code != agent.NotRunning || rec.Result.Status != agent.Done {
			t.Fatalf("a full disk must not fail a monitor: %+v", rec.Result)
		}
		b.disk.Heal()
		if rec := b.do(agent.Start, 0); rec.Result.Code != agent.OK {
			t.Fatalf("%+v", rec.Result)
		}
	})
}

func TestBadAgents(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		defer b.close()
		cmd := b.command(agent.Start, 0)
		cmd.Agent.Type = "absent"
		if rec, err := b.Do(t.Context(), cmd); err != nil || rec.Result.Status != agent.NotInstalled || len(b.Active()) != 0 {
			t.Fatalf("%+v %v", rec.Result, err)
		}
		b.agent.run = func(context.Context, agent.Invocation) (agent.Result, bool) { panic("boom") }
		if rec := b.do(agent.Start, 0); rec.Result.Status != agent.Errored || !strings.Contains(rec.Result.Reason, "boom") {
			t.Fatalf("%+v", rec.Result)
		}
		b.agent.run = func(context.Context, agent.Invocation) (agent.Result, bool) {
			return agent.Result{Output: strings.Repeat("x", 3*agent.MaxOutput), Reason: "two\nlines"}, true
		}
		res := b.do(agent.Stop, 0).Result
		if len(res.Output) != agent.MaxOutput || res.Dropped != 2*agent.MaxOutput || res.Reason != "two lines" {
			t.Fatalf("%d bytes, %d dropped, reason %q", len(res.Output), res.Dropped, res.Reason)
		}
	})
}

func TestForget(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		release := b.hang(agent.Start)
		start := b.goDo(b.command(agent.Start, 0))
		if _, err := b.Do(t.Context(), b.command(Forget, 0)); errs.KindOf(err) != errs.Conflict {
			t.Fatalf("forget in flight: %v", err)
		}
		release()
		first, _ := start()
		b.do(agent.Monitor, 100)
		b.do(Forget, 0)
		// The history is gone; that the resource may run is not, or a node that is
		// cut off now would not stop it.
		mayRun := func(when string) {
			t.Helper()
			if s := b.Snapshot(); len(s) != 1 || s[0].Command.Action != agent.Start || s[0].Call != 0 || len(b.Active()) != 1 {
				b.close()
				t.Fatalf("%s: %+v, active %v", when, s, b.Active())
			}
		}
		mayRun("forgotten")
		if b.agent.watching() != 0 {
			t.Fatal("still watched")
		}
		b.close()
		b.open()
		defer b.close()
		mayRun("after a restart")
		b.agent.set(func() { b.agent.up = false })
		if rec := b.do(agent.Monitor, 0); rec.Call <= first.Call {
			t.Fatalf("call numbers began anew: %d", rec.Call)
		}
		if len(b.Active()) != 0 {
			t.Fatalf("a probe found it stopped, and it counts as active: %v", b.Active())
		}
	})
}

// TestSeal: what waits for its turn when the node is cut off must not begin, or
// nothing would ever stop it; what the node does by itself goes on.
func TestSeal(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		defer b.close()
		release := b.hang(agent.Start)
		first := b.goDo(b.command(agent.Start, 0))
		queued := b.goDo(b.command(agent.Monitor, 0))
		b.Seal(false)
		release()
		if _, err := first(); err != nil {
			t.Fatal(err)
		}
		if _, err := queued(); errs.KindOf(err) != errs.Unavailable {
			t.Fatalf("queued before the seal: %v, want unavailable", err)
		}
		own := b.command(agent.Stop, 0)
		own.Stamp = b.Newest()
		own.Stamp.Action = -1
		if _, err := b.Do(t.Context(), own); err != nil || len(b.Active()) != 0 {
			t.Fatalf("the node's own stop: %v, active %v", err, b.Active())
		}
		next := b.Newest()
		next.Transition++
		if err := b.Fence(next); err != nil {
			t.Fatal(err)
		}
		cmd := b.command(agent.Monitor, 0)
		cmd.Stamp.Generation, cmd.Stamp.Term, cmd.Stamp.Transition = next.Generation, next.Term, next.Transition
		if _, err := b.Do(t.Context(), cmd); err != nil {
			t.Fatalf("after the fence: %v", err)
		}
	})
}

// TestSealEndsAStart: a start in flight would hold up the stop that has to follow;
// it is ended, and counts as active because it may have got far enough.
func TestSealEndsAStart(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		defer b.close()
		b.agent.set(func() {
			b.agent.run = func(ctx context.Context, inv agent.Invocation) (agent.Result, bool) {
				if inv.Action != agent.Start {
					return agent.Result{}, false
				}
				<-ctx.Done()
				return agent.Result{Code: agent.Unknown, Status: agent.Cancelled}, true
			}
		})
		start := b.goDo(b.command(agent.Start, 0))
		synctest.Wait()
		b.Seal(false)
		rec, err := start()
		if err != nil || rec.Result.Status != agent.Errored || len(b.Active()) != 1 {
			t.Fatalf("%+v, %v, active %v; want a failure, and active", rec.Result, err, b.Active())
		}
	})
}

func TestAbandonAndBoundedStop(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		release := b.hang(agent.Start)
		cmd := b.command(agent.Start, 0)
		cmd.Timeout = 60_000
		start := b.goDo(cmd)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Do(ctx, b.command(agent.Stop, 0)); errs.KindOf(err) != errs.Timeout {
			t.Fatal(err)
		}
		late, cancel2 := context.WithTimeout(t.Context(), time.Second)
		defer cancel2()
		if err := b.Stop(late); errs.KindOf(err) != errs.Timeout || !strings.Contains(err.Error(), "start of web") {
			t.Fatal(err)
		}
		if _, err := b.Do(t.Context(), b.command(agent.Monitor, 0)); errs.KindOf(err) != errs.Unavailable {
			t.Fatal(err)
		}
		release()
		if _, err := start(); err != nil {
			t.Fatal(err)
		}
		b.close()
		if got := b.agent.log(); got != "start" {
			t.Fatalf("calls %q: an abandoned stop ran", got)
		}
	})
}

func TestCallLog(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		b.do(agent.Start, 0)
		b.close()
		data, err := b.disk.ReadFile("test", "/calls")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(data)), "\n")
		if len(lines) != 2 {
			t.Fatalf("%q", lines)
		}
		for i, want := range []Phase{Begin, End} {
			var l callLine
			if err := json.Unmarshal([]byte(lines[i]), &l); err != nil || l.Event != want || l.Action != agent.Start ||
				l.Node != "n1" || l.Time == 0 || (l.Code != nil) != (want == End) {
				t.Fatalf("%s: %v", lines[i], err)
			}
		}
	})
}

func TestCorruptFiles(t *testing.T) {
	within(t, func(t *testing.T) {
		b := newBench(t)
		b.do(agent.Start, 0)
		b.close()
		break1 := func(name string) {
			data, _ := b.disk.ReadFile("test", name)
			data[len(data)-2] ^= 1
			if err := osfs.WriteFile(b.disk, "test", name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		break1("/run/resource-web.json")
		b.open()
		if len(b.Snapshot()) != 0 {
			t.Fatal("a corrupt history was believed")
		}
		b.close()
		break1("/run/meta.json")
		if _, err := New(b.cfg); errs.KindOf(err) != errs.Corrupt {
			t.Fatalf("%v, want corrupt", err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	good, _ := encode(Kept{Resource: "web", Active: true})
	f.Add(good)
	f.Add([]byte("takt-executor 1 00000000\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Kept
		if decode(data, &s) == nil {
			if _, err := encode(s); err != nil {
				t.Fatal(err)
			}
		}
	})
}
