// Package native holds Takt's own fence agents: fence_takt_lab, fence_takt_ssh,
// fence_takt_operator, fence_takt_watchdog and fence_takt_disk.
//
// All returns them for a fence.Registry; they then run inside the daemon, without
// a program to start. Called by an agent's name the binary is that fence agent
// for anybody else, by the published API: see Main.
package native

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence"
)

// Prefix begins the name of each of these agents.
const Prefix = "fence_takt_"

// Options of the agents. The zero value is right for a program that knows nothing
// of a cluster.
type Options struct {
	Node string // this node's name; "" is the machine's
	// Watchdog tells what the node's heartbeats say of its watchdog; nil: the
	// kernel is asked.
	Watchdog func() WatchdogState
	// Cluster is the cluster's id, 32 hex digits; disks of another one are
	// refused. "": any is taken.
	Cluster string
	Log     *slog.Logger // where fence_takt_operator's alerts go, too; nil discards
}

// All returns the agents, for fence.Options.Native.
func All(opts Options) []fence.Agent {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	kinds := []*kind{lab(), ssh(), operator(opts), watchdog(opts), diskKind(opts)}
	agents := make([]fence.Agent, len(kinds))
	for i, k := range kinds {
		agents[i] = k
	}
	return agents
}

// Names returns the names of the agents, sorted.
func Names() []string {
	var names []string
	for _, a := range All(Options{}) {
		names = append(names, a.Name())
	}
	slices.Sort(names)
	return names
}

// call is one action that an agent is to do.
type call struct {
	action string
	params fence.Params // with the defaults
	plug   string       // the machine; "" for list, monitor and validate-all
}

// errOff is the answer of a status that says off.
var errOff = errors.New("off")

// kind is one of the agents.
type kind struct {
	meta *fence.Metadata
	// run does one action of the metadata's but metadata itself. It returns
	// what goes to standard output. errOff is no failure.
	run     func(ctx context.Context, c call) (stdout string, err error)
	check   func(cfg fence.Config, nodes []string) []fence.Finding      // nil: nothing to say
	inspect func(ctx context.Context, cfg fence.Config) []fence.Finding // nil: nothing to say
}

var (
	_ fence.Agent     = (*kind)(nil)
	_ fence.Checker   = (*kind)(nil)
	_ fence.Inspector = (*kind)(nil)
)

// Name implements fence.Agent.
func (k *kind) Name() string { return k.meta.Name }

// Metadata implements fence.Agent.
func (k *kind) Metadata(context.Context) (*fence.Metadata, error) { return k.meta, nil }

// Check implements fence.Checker.
func (k *kind) Check(cfg fence.Config, nodes []string) []fence.Finding {
	if k.check == nil {
		return nil
	}
	cfg.Params = k.withDefaults(cfg.Params)
	return k.check(cfg, nodes)
}

// Inspect implements fence.Inspector.
func (k *kind) Inspect(ctx context.Context, cfg fence.Config) []fence.Finding {
	if k.inspect == nil {
		return nil
	}
	cfg.Params = k.withDefaults(cfg.Params)
	return k.inspect(ctx, cfg)
}

// Call implements fence.Agent.
func (k *kind) Call(ctx context.Context, req fence.Request) fence.Answer {
	began := time.Now()
	if req.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, req.Timeout)
		defer cancel()
	}
	stdout, err := k.do(ctx, req)
	ans := fence.Answer{Stdout: stdout, Result: agent.Result{Status: agent.Done, Code: agent.OK, Output: stdout, Started: began, Duration: time.Since(began)}}
	switch {
	case err == nil:
	case errors.Is(err, errOff):
		ans.Code = offCode
	default:
		ans.Code, ans.Reason, ans.Output = agent.ErrGeneric, err.Error(), stdout+err.Error()+"\n"
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			ans.Status, ans.Code = agent.TimedOut, agent.Unknown
			ans.Reason = fmt.Sprintf("did not end in time and was ended after %s: %v", ans.Duration.Round(time.Millisecond), err)
		} else if ctx.Err() != nil {
			ans.Status, ans.Code = agent.Cancelled, agent.Unknown
		}
	}
	return ans
}

// offCode is the exit status by which status says off (fence agent API).
const offCode agent.Code = 2

// do checks what is asked for and does it.
func (k *kind) do(ctx context.Context, req fence.Request) (string, error) {
	if req.Action == fence.MetaData {
		return string(k.meta.XML()), nil
	}
	if !k.meta.Supports(req.Action) {
		return "", fmt.Errorf("%s has no action %q; it has %s", k.meta.Name, req.Action, strings.Join(k.meta.Actions, ", "))
	}
	c := call{action: req.Action, params: k.withDefaults(req.Params)}
	for i := range k.meta.Parameters {
		p := &k.meta.Parameters[i]
		if p.Required && !p.Deprecated && c.params[p.Name] == "" && p.Name != "plug" {
			return "", fmt.Errorf("%s requires the parameter %s: %s", k.meta.Name, p.Name, p.ShortDesc)
		}
	}
	switch req.Action {
	case fence.On, fence.Off, fence.Reboot, fence.Status:
		if c.plug = plugOf(req.Params); c.plug == "" {
			return "", fmt.Errorf("%s needs plug, the machine that is meant", k.meta.Name)
		}
	}
	return k.run(ctx, c)
}

// plugOf is the machine that is meant: plug, port as older callers say, else the
// name of the node.
func plugOf(params fence.Params) string {
	for _, name := range []string{"plug", "port", "nodename"} {
		if params[name] != "" {
			return params[name]
		}
	}
	return ""
}

// withDefaults adds the parameters that are missing.
func (k *kind) withDefaults(params fence.Params) fence.Params {
	full := fence.Params{}
	for i := range k.meta.Parameters {
		full[k.meta.Parameters[i].Name] = k.meta.Parameters[i].Default
	}
	for name, value := range params {
		if value != "" {
			full[name] = value
		}
	}
	return full
}

// describe begins the description of an agent: what all of them have.
func describe(name, short, long string, actions []string, params ...fence.Parameter) *fence.Metadata {
	common := []fence.Parameter{
		{Name: "action", Type: "string", Default: fence.Reboot, ShortDesc: "what to do"},
		{Name: "plug", Type: "string", Required: true, Obsoletes: "port", ShortDesc: "the machine; by default the name of its node"},
		{Name: "port", Type: "string", Required: true, Deprecated: true, ShortDesc: "older name of plug"},
	}
	return &fence.Metadata{Name: Prefix + name, ShortDesc: short, LongDesc: long, Parameters: append(common, params...), Actions: append(actions, fence.MetaData, fence.ValidateAll)}
}
