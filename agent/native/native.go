// Package native holds Takt's own resource agents, written in Go: IPaddr2,
// Filesystem, anything, volume, director, Dummy and Stateful. Their parameters are those of the
// well-known scripts of the same names, so a configuration works with either.
//
// An agent whose system calls are quick runs inside the daemon. One whose
// system calls may hang (Filesystem: a dead file server) runs in a process of
// its own, by executing Takt's own binary under the agent's name, so that a
// time-out can end it. The same way round the binary is an OCF agent for any
// other cluster manager: see Main.
package native

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
)

// DefaultRuntimeDir is where the agents keep what a reboot must clear.
const DefaultRuntimeDir = "/run/takt"

// Options of a Set.
type Options struct {
	RuntimeDir string       // state files; a reboot must clear it; "" is DefaultRuntimeDir
	Executable string       // Takt's binary for isolated agents; "" is the running program
	Log        *slog.Logger // nil discards
	Inline     bool         // run every agent inside this process (set by Main)
	Node       string       // this node's name in the cluster; "": none is known
	Socket     string       // of the cluster's daemon, for volumes; "": there is none of Takt's
	// Score, if not nil, takes a promotion score that changes between operations; it must not block.
	Score func(resource, score string)
	// Attribute, if not nil, takes a transient attribute of this node; it must not block. An empty value takes it away.
	Attribute func(name, value string)
}

// Set is all native agents of one daemon.
type Set struct {
	opts      Options
	announcer *Announcer
	children  *children
	agents    map[string]kind
}

// kind is one agent type. run gets parameters that have been checked.
type kind struct {
	meta     *agent.Metadata
	isolated bool
	validate func(inv agent.Invocation) error
	run      func(ctx context.Context, inv agent.Invocation) error
	watch    func(ctx context.Context, inv agent.Invocation) string
	// promotion, if not nil, is the promotion score after an operation ended with code; nil: it stays.
	promotion func(ctx context.Context, inv agent.Invocation, code agent.Code) *string
}

// New returns the set; Close ends what it does in the background, and touches
// no resource.
func New(opts Options) *Set {
	if opts.RuntimeDir == "" {
		opts.RuntimeDir = DefaultRuntimeDir
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{opts: opts, announcer: newAnnouncer(opts.Log), children: newChildren()}
	s.agents = map[string]kind{
		"Dummy": s.dummy(), "Stateful": s.stateful(), "anything": s.anything(), "IPaddr2": s.ipaddr2(), "Filesystem": s.filesystem(),
		"volume": s.volumeAgent(), "director": s.directorAgent(),
	}
	return s
}

// Close ends announcements; resources go on.
func (s *Set) Close() { s.announcer.Close() }

// Announcer returns who tells the neighbours about held addresses.
func (s *Set) Announcer() *Announcer { return s.announcer }

// Types returns the names of the agents, sorted.
func (s *Set) Types() []string {
	var names []string
	for name := range s.agents {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Agent returns the agent of that name.
func (s *Set) Agent(name string) (agent.Agent, bool) {
	k, ok := s.agents[name]
	if !ok {
		return nil, false
	}
	r := &runner{set: s, name: name, kind: k}
	if k.watch == nil {
		return r, true
	}
	return &watcher{r}, true
}

// failure is an OCF exit code with its reason, as an error.
type failure struct {
	code   agent.Code
	reason string
}

func (f *failure) Error() string { return f.reason }

// fail makes an error that ends the operation with code.
func fail(code agent.Code, format string, args ...any) error {
	return &failure{code, fmt.Sprintf(format, args...)}
}

// codeOf gives the exit code and reason of an error of run; a plain error is
// soft, nil is OK.
func codeOf(err error) (agent.Code, string) {
	var f *failure
	switch {
	case err == nil:
		return agent.OK, ""
	case errors.As(err, &f):
		return f.code, f.reason
	case errors.Is(err, os.ErrPermission):
		return agent.ErrPerm, err.Error()
	}
	return agent.ErrGeneric, err.Error()
}

var errNotRunning = &failure{code: agent.NotRunning, reason: "not running"}

// runner is one native agent as the cluster sees it.
type runner struct {
	set  *Set
	name string
	kind kind
}

// Metadata returns the agent's description.
func (r *runner) Metadata(context.Context) (*agent.Metadata, error) { return r.kind.meta, nil }

// Run runs one operation.
func (r *runner) Run(ctx context.Context, inv agent.Invocation) agent.Result {
	if inv.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, inv.Timeout)
		defer cancel()
	}
	if r.kind.isolated && !r.set.opts.Inline && inv.Action != agent.MetaData {
		return r.runIsolated(ctx, inv)
	}
	started := time.Now()
	res := agent.Result{Started: started}
	if inv.Action == agent.MetaData {
		res.Output = string(r.kind.meta.XML())
	} else {
		res.Code, res.Reason = codeOf(r.operate(ctx, inv))
		if r.kind.promotion != nil {
			res.Promotion = r.kind.promotion(ctx, inv, res.Code)
		}
	}
	res.Duration = time.Since(started)
	switch {
	case res.Code == agent.ErrUnimplement:
		res.Status = agent.NotSupported
	case res.Code != agent.OK && errors.Is(ctx.Err(), context.DeadlineExceeded):
		res.Code, res.Status = agent.Unknown, agent.TimedOut
	case res.Code != agent.OK && ctx.Err() != nil:
		res.Code, res.Status = agent.Unknown, agent.Cancelled
	}
	if res.Code == agent.NotRunning {
		res.Reason = strings.TrimPrefix(res.Reason, errNotRunning.reason)
	}
	return res
}

// operate checks what the action needs and runs it. Only what would change
// something is held to the whole description: a stop or a probe with a wrong
// detail must still do what it can.
func (r *runner) operate(ctx context.Context, inv agent.Invocation) error {
	if !r.kind.meta.Supports(inv.Action) {
		return fail(agent.ErrUnimplement, "%s has no action %s", r.name, inv.Action)
	}
	if inv.Resource == "" || strings.ContainsAny(inv.Resource, "/\x00") || inv.Resource[0] == '.' {
		return fail(agent.ErrArgs, "resource name %q cannot be used as a file name", inv.Resource)
	}
	strict := inv.Action != agent.Stop && inv.Action != agent.Monitor
	for _, p := range r.kind.meta.Parameters {
		if p.Required && inv.Params[p.Name] == "" {
			return fail(agent.ErrConfigured, "parameter %s is required: %s", p.Name, p.ShortDesc)
		}
	}
	if problems := r.kind.meta.Check(inv.Params); strict && len(problems) > 0 {
		return fail(agent.ErrConfigured, "%s", strings.Join(problems, "; "))
	}
	if strict && r.kind.validate != nil {
		if err := r.kind.validate(inv); err != nil {
			return err
		}
	}
	if inv.Action == agent.ValidateAll {
		return nil
	}
	return r.kind.run(ctx, inv)
}

// watcher is a runner that notices failures.
type watcher struct{ *runner }

// Watch implements agent.Watcher.
func (w *watcher) Watch(ctx context.Context, inv agent.Invocation) string {
	return w.kind.watch(ctx, inv)
}

// param returns a parameter, or its default from the description.
func param(meta *agent.Metadata, inv agent.Invocation, name string) string {
	if v := inv.Params[name]; v != "" {
		return v
	}
	if p := meta.Parameter(name); p != nil {
		return p.Default
	}
	return ""
}

func boolean(meta *agent.Metadata, inv agent.Invocation, name string) bool {
	v, _ := agent.ParseBool(param(meta, inv, name))
	return v
}

// stateFile is the path of a resource's state, its folder made.
func (s *Set) stateFile(kind, resource string) (string, error) {
	folder := filepath.Join(s.opts.RuntimeDir, "agents", kind)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("make state folder: %w", err)
	}
	return filepath.Join(folder, resource), nil
}

// writeState replaces a file at once: a reader sees the old or the new whole.
// It is not synced: what it describes does not outlive a power cut either.
func writeState(path string, data []byte) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// actions lists the usual actions with 20 s, and the others given.
func actions(extra ...string) []agent.Action {
	list := []agent.Action{
		{Name: agent.Start, Timeout: 20 * time.Second}, {Name: agent.Stop, Timeout: 20 * time.Second},
		{Name: agent.Monitor, Timeout: 20 * time.Second, Interval: 10 * time.Second},
	}
	for _, name := range extra {
		list = append(list, agent.Action{Name: name, Timeout: 20 * time.Second})
	}
	return append(list, agent.Action{Name: agent.MetaData, Timeout: 5 * time.Second}, agent.Action{Name: agent.ValidateAll, Timeout: 20 * time.Second})
}
