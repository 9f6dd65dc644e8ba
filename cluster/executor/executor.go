package executor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/osfs"
)

// Config is what an Executor needs.
type Config struct {
	// Node is this node's name, as it stands in the call log. Required.
	Node string
	// Dir is the runtime folder, e.g. /run/takt/executor; made if missing. It
	// must be emptied by a reboot or belong to this node alone. Required.
	Dir string
	// Agents finds the agents. Required.
	Agents agent.Registry
	// FS is the disk that holds Dir. Required.
	FS osfs.FS
	// Log takes what an operator should know; nil: nothing is logged.
	Log *slog.Logger
	// Parallel is how many operations run at once. 0: twice the processors, at
	// least 8. A small number delays fail-overs, a large one lets a machine
	// that starts a hundred services at once time out.
	Parallel int
	// Grace is how long after its time-out an agent may take to end the
	// operation before it is called stuck. 0: 5 s. Too small, and an agent that
	// escalates from SIGTERM to SIGKILL is called stuck without cause.
	Grace time.Duration
	// CallLog is a file to which the begin and end of every call of an agent
	// is appended as a line of JSON; "": none.
	CallLog string
	// Observe is told of each operation's begin and end, outside of all locks;
	// it must return soon. nil: nobody is told.
	Observe func(Event)
	// Processes ends process groups that an earlier daemon left; nil: the host's.
	Processes Processes
	// Boot identifies this run of the machine. When it differs from what Dir
	// says, nothing in Dir runs any more and the history is dropped. "": asked
	// of Processes.
	Boot string
}

// Validate refuses a Config that cannot work.
func (c Config) Validate() error {
	switch {
	case c.Node == "":
		return errors.New("executor: Config.Node is empty")
	case c.Dir == "":
		return errors.New("executor: Config.Dir is empty")
	case c.Agents == nil || c.FS == nil:
		return errors.New("executor: Config.Agents and Config.FS are required")
	case c.Parallel < 0 || c.Grace < 0:
		return errors.New("executor: Config.Parallel and Config.Grace must not be negative")
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.Parallel = cmp.Or(c.Parallel, max(8, 2*runtime.NumCPU()))
	c.Grace = cmp.Or(c.Grace, 5*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Processes == nil {
		c.Processes = hostProcesses{}
	}
	if c.Boot == "" {
		c.Boot = c.Processes.Boot()
	}
	return c
}

// Executor runs the operations of one node. Its methods may be called from any
// goroutine.
type Executor struct {
	cfg   Config
	log   *slog.Logger
	calls *callLog
	slots chan struct{}      // one token an operation that runs
	quit  context.Context    // of watches and of the notices
	end   context.CancelFunc // ends quit
	work  sync.WaitGroup     // workers, watches and the notices
	out   *notices

	metaMu sync.Mutex // serializes writes of the meta file; taken before mu

	mu        sync.Mutex
	stopping  bool
	sealed    bool  // see Seal
	seen      Stamp // newest stamp admitted, on disk before it stands here
	call      int64 // newest call number
	resources map[string]*resource
}

// New loads what an earlier daemon left in cfg.Dir and re-attaches: recurring
// monitors and watches of active resources go on, and an operation that was in
// flight is ended and replaced by what a probe says. Services are not touched.
// It fails if Dir cannot be used, or (Corrupt) if the newest stamp seen cannot
// be read.
func New(cfg Config) (*Executor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	e := &Executor{
		cfg:       cfg,
		log:       cfg.Log,
		slots:     make(chan struct{}, cfg.Parallel),
		resources: make(map[string]*resource),
		out:       newNotices(),
	}
	if err := cfg.FS.MkdirAll("executor.mkdir", cfg.Dir, 0o700); err != nil {
		return nil, errs.E("open executor state", errs.Unavailable, cfg.Dir,
			"The folder must be writable by the daemon; is /run mounted read-only or full?", err)
	}
	if err := e.load(); err != nil {
		return nil, err
	}
	calls, err := openCallLog(cfg.FS, cfg.CallLog, cfg.Node)
	if err != nil {
		return nil, errs.E("open log of agent calls", errs.Unavailable, cfg.CallLog, "", err)
	}
	e.calls = calls
	e.quit, e.end = context.WithCancel(context.Background())
	e.work.Go(func() { e.out.pump(e.quit.Done()) })
	e.attach()
	return e, nil
}

// Notices brings changes that no command asked for: a recurring monitor whose
// result changed, a failure seen by a watch, the outcome of an operation that
// was in flight when the daemon restarted or that an earlier coordinator
// asked for. Per operation only the newest is kept. Closed by Stop.
func (e *Executor) Notices() <-chan Record { return e.out.ch }

// Stop ends monitors and watches, refuses what is still queued and waits for
// operations in flight, until ctx ends. Services are left as they are. An
// operation that is still in flight then is reported as a Timeout; the next
// daemon settles it by a probe. Stop is idempotent.
func (e *Executor) Stop(ctx context.Context) error {
	e.mu.Lock()
	e.stopping = true
	for _, name := range e.namesLocked() {
		r := e.resources[name]
		r.stopRecurringLocked()
		for _, j := range r.takeQueueLocked() {
			j.fail(e.refusal(j.cmd))
		}
	}
	e.mu.Unlock()
	e.end()
	idle := make(chan struct{})
	go func() {
		e.work.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return e.calls.close()
	case <-ctx.Done():
	}
	return errs.E("stop executor", errs.Timeout, e.cfg.Node,
		"Nothing to do: the next daemon ends the operation and probes the resource.",
		fmt.Errorf("still in flight: %v", e.busy()))
}

// busy names what is in flight, sorted by resource.
func (e *Executor) busy() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []string
	for _, name := range e.namesLocked() {
		if j := e.resources[name].running; j != nil {
			list = append(list, j.cmd.Action+" of "+name)
		}
	}
	return list
}

func (e *Executor) path(name string) string { return filepath.Join(e.cfg.Dir, name) }
