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

// Executor runs the operations of one node: it carries out, on a real machine,
// what its Core decides. Its methods may be called from any goroutine.
type Executor struct {
	cfg     Config
	log     *slog.Logger
	journal *callLog
	quit    context.Context    // of the notices
	end     context.CancelFunc // ends quit
	work    sync.WaitGroup     // what effects began, and the notices
	stopped chan struct{}      // closed when nothing is in flight after Stop
	out     *notices

	mu       sync.Mutex
	core     *Core
	effects  []Effect // decided and not yet begun, in order
	carrying bool     // somebody begins them
	timer    *time.Timer
	ids      uint64 // of callers
	callers  map[uint64]chan Answer
	runs     map[int64]context.CancelFunc
	watches  map[uint64]context.CancelFunc
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
		cfg: cfg, log: cfg.Log, out: newNotices(), stopped: make(chan struct{}),
		core:    NewCore(CoreConfig{Node: cfg.Node, Boot: cfg.Boot, Parallel: cfg.Parallel, Grace: cfg.Grace}),
		callers: make(map[uint64]chan Answer),
		runs:    make(map[int64]context.CancelFunc),
		watches: make(map[uint64]context.CancelFunc),
	}
	if err := cfg.FS.MkdirAll("executor.mkdir", cfg.Dir, 0o700); err != nil {
		return nil, errs.E("open executor state", errs.Unavailable, cfg.Dir,
			"The folder must be writable by the daemon; is /run mounted read-only or full?", err)
	}
	found, err := e.load()
	if err != nil {
		return nil, err
	}
	if e.journal, err = openCallLog(cfg.FS, cfg.CallLog, cfg.Node); err != nil {
		return nil, errs.E("open log of agent calls", errs.Unavailable, cfg.CallLog, "", err)
	}
	e.quit, e.end = context.WithCancel(context.Background())
	e.work.Go(func() { e.out.pump(e.quit.Done()) })
	e.step(found)
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
	e.step(Halt{})
	e.end()
	select {
	case <-e.stopped:
		e.work.Wait() // nothing is in flight: they only have to return
		return e.journal.close()
	case <-ctx.Done():
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return errs.E("stop executor", errs.Timeout, e.cfg.Node,
		"Nothing to do: the next daemon ends the operation and probes the resource.",
		fmt.Errorf("still in flight: %v", e.core.Busy()))
}

func (e *Executor) path(name string) string { return filepath.Join(e.cfg.Dir, name) }
