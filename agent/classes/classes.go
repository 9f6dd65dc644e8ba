// Package classes puts the classes of agents together into the one registry
// that the executor asks: ocf scripts and Takt's native agents, lsb, systemd,
// service, which is systemd where the unit exists and lsb else, and stonith: fence
// devices as resources.
package classes

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence"
	fenceagents "github.com/takt-ha/takt/agent/fence/native"
	"github.com/takt-ha/takt/agent/lsb"
	"github.com/takt-ha/takt/agent/native"
	"github.com/takt-ha/takt/agent/ocf"
	"github.com/takt-ha/takt/agent/systemd"
	"github.com/takt-ha/takt/internal/errs"
)

// Options of a Registry. The zero value is right for an ordinary machine.
type Options struct {
	RuntimeDir string      // where native agents keep their state; "" is /run/takt
	OCFRoot    string      // "" is /usr/lib/ocf
	Tools      agent.Tools // what scripts call to set their promotion scores
	Node       string      // this node's name in the cluster
	// Score takes promotion scores that change between operations; see native.Options.
	Score      func(resource, score string)
	Attribute  func(name, value string) // of native agents; see native.Options
	InitDir    string                   // of lsb scripts; "" is /etc/init.d
	Executable string                   // Takt's binary, for isolated native agents; "" is the running program
	Log        *slog.Logger             // nil discards
	// Fence is where fence agents are found and what their devices do when the
	// configuration does not say; Native and RuntimeDir are filled in.
	Fence fence.Options
	// FenceAgents is what Takt's own fence agents know of this node.
	FenceAgents fenceagents.Options
}

// Registry finds the agents of this node.
type Registry struct {
	native  *native.Set
	ocf     *ocf.Class
	lsb     *lsb.Class
	systemd *systemd.Class
	fence   *fence.Registry

	mu      sync.Mutex
	stonith map[string]*fence.Resource // by type, guarded by mu: each knows what it has started
}

var _ agent.Registry = (*Registry)(nil)

// NewRegistry returns the registry. Close it when the daemon ends.
func NewRegistry(opts Options) *Registry {
	if opts.FenceAgents.Log == nil {
		opts.FenceAgents.Log = opts.Log
	}
	opts.Fence.Native = append(fenceagents.All(opts.FenceAgents), opts.Fence.Native...)
	if opts.Fence.RuntimeDir == "" {
		opts.Fence.RuntimeDir = cmp.Or(opts.RuntimeDir, native.DefaultRuntimeDir)
	}
	return &Registry{
		native:  native.New(native.Options{RuntimeDir: opts.RuntimeDir, Executable: opts.Executable, Log: opts.Log, Node: opts.Node, Socket: opts.Tools.Socket, Score: opts.Score, Attribute: opts.Attribute}),
		ocf:     ocf.New(opts.OCFRoot, opts.Tools, opts.Log),
		lsb:     lsb.New(opts.InitDir),
		systemd: systemd.New(),
		fence:   fence.NewRegistry(opts.Fence),
		stonith: map[string]*fence.Resource{},
	}
}

// Fence returns the fence agents; whoever switches nodes off makes its devices
// there, so that they take turns with the resources of the class stonith.
func (r *Registry) Fence() *fence.Registry { return r.fence }

// device returns the agent of a fence device as a resource, always the same one.
func (r *Registry) device(name string) (agent.Agent, error) {
	if _, err := r.fence.Lookup(name); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stonith[name] == nil {
		r.stonith[name] = r.fence.Resource(name)
	}
	return r.stonith[name], nil
}

// Close ends what the agents do in the background; resources go on.
func (r *Registry) Close() {
	r.native.Close()
	r.fence.Close()
}

// AnnounceAgain tells the neighbours of all held addresses anew; call it after
// any change of the membership.
func (r *Registry) AnnounceAgain() { r.native.Announcer().Again() }

// lookTime bounds a question to systemd.
const lookTime = 5 * time.Second

// Lookup implements agent.Registry. ocf:takt:X is the native agent; any other
// ocf agent is the script, and where heartbeat's or pacemaker's is not
// installed, the native agent of that name; for linbit's drbd, volume.
func (r *Registry) Lookup(id agent.ID) (agent.Agent, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	where := ""
	switch id.Class {
	case "ocf":
		if id.Provider != "takt" && r.ocf.Installed(id) {
			return r.ocf.Agent(id), nil
		}
		if id.Provider == "takt" || id.Provider == "heartbeat" || id.Provider == "pacemaker" {
			if a, ok := r.native.Agent(id.Type); ok {
				return a, nil
			}
		}
		if id.Provider == "linbit" && id.Type == "drbd" {
			if a, ok := r.native.Agent("volume"); ok {
				return a, nil
			}
		}
		where = r.ocf.Path(id) + " and the native agents (" + strings.Join(r.native.Types(), ", ") + ")"
	case "lsb":
		if r.lsb.Installed(id.Type) {
			return r.lsb.Agent(id.Type), nil
		}
		where = r.lsb.Folder()
	case "systemd":
		if a, err := r.unit(ctx, id); a != nil || err != nil {
			return a, err
		}
		where = "systemd's units"
	case "service":
		if a, err := r.unit(ctx, id); a != nil || err != nil {
			return a, err
		}
		if r.lsb.Installed(id.Type) {
			return r.lsb.Agent(id.Type), nil
		}
		where = "systemd's units and " + r.lsb.Folder()
	case "stonith":
		return r.device(id.Type)
	default:
		return nil, errs.E("find agent", errs.NotFound, id.String(), "The classes are ocf, lsb, systemd, service and stonith.", fmt.Errorf("there is no class %q", id.Class))
	}
	return nil, errs.E("find agent", errs.NotFound, id.String(), "Install the package that holds it, or see `takt agents list`.", fmt.Errorf("looked through %s", where))
}

// unit returns the agent of a systemd unit; nothing if there is none, an error if
// nobody can tell.
func (r *Registry) unit(ctx context.Context, id agent.ID) (agent.Agent, error) {
	there, err := r.systemd.Installed(ctx, id.Type)
	if err != nil {
		return nil, errs.E("find agent", errs.Unavailable, id.String(), "See systemctl status and the system's D-Bus.", err)
	}
	if !there {
		return nil, nil
	}
	return r.systemd.Agent(id.Type), nil
}

// Refuses returns why one of Takt's own agents can work with these parameters on
// no node (validate-all: not configured), "" if it could. Scripts are not asked:
// many judge the node that they are called on. A fence device is asked whosever its
// agent is: what makes it unusable is in its configuration, and would else be seen
// when a node is to be fenced.
func (r *Registry) Refuses(ctx context.Context, id agent.ID, params map[string]string) string {
	if id.Class == "stonith" {
		return r.refusesDevice(ctx, id, params)
	}
	if id.Class == "ocf" && id.Provider != "takt" && r.ocf.Installed(id) {
		return ""
	}
	a, ok := r.native.Agent(id.Type)
	if id.Class != "ocf" || !ok {
		return ""
	}
	res := a.Run(ctx, agent.Invocation{Resource: id.Type, Agent: id, Action: agent.ValidateAll, Timeout: lookTime, Params: params})
	if res.Status != agent.Done || res.Code != agent.ErrConfigured {
		return ""
	}
	return res.Reason
}

func (r *Registry) refusesDevice(ctx context.Context, id agent.ID, params map[string]string) string {
	a, err := r.fence.Lookup(id.Type)
	if err != nil {
		return "" // it may be installed elsewhere
	}
	if _, err := a.Metadata(ctx); err != nil {
		return ""
	}
	if d, findings := r.fence.Check(ctx, fence.Primitive{ID: id.Type, Type: id.Type, Params: params}, nil); d == nil {
		return fence.Errors(findings)
	}
	return ""
}

// List implements agent.Registry.
func (r *Registry) List() []agent.ID {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	ids := r.ocf.List()
	for _, name := range r.native.Types() {
		ids = append(ids, agent.ID{Class: "ocf", Provider: "takt", Type: name})
	}
	for _, name := range r.lsb.List() {
		ids = append(ids, agent.ID{Class: "lsb", Type: name})
	}
	for _, name := range r.systemd.List(ctx) {
		ids = append(ids, agent.ID{Class: "systemd", Type: name})
	}
	for _, name := range r.fence.List() {
		ids = append(ids, agent.ID{Class: "stonith", Type: name})
	}
	slices.SortFunc(ids, func(a, b agent.ID) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(ids)
}
