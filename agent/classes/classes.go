// Package classes puts the classes of agents together into the one registry
// that the executor asks: ocf scripts and Takt's native agents, lsb, systemd,
// and service, which is systemd where the unit exists and lsb else.
package classes

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/lsb"
	"github.com/takt-ha/takt/agent/native"
	"github.com/takt-ha/takt/agent/ocf"
	"github.com/takt-ha/takt/agent/systemd"
	"github.com/takt-ha/takt/internal/errs"
)

// Options of a Registry. The zero value is right for an ordinary machine.
type Options struct {
	RuntimeDir string       // where native agents keep their state; "" is /run/takt
	OCFRoot    string       // "" is /usr/lib/ocf
	InitDir    string       // of lsb scripts; "" is /etc/init.d
	Executable string       // Takt's binary, for isolated native agents; "" is the running program
	Log        *slog.Logger // nil discards
}

// Registry finds the agents of this node.
type Registry struct {
	native  *native.Set
	ocf     *ocf.Class
	lsb     *lsb.Class
	systemd *systemd.Class
}

var _ agent.Registry = (*Registry)(nil)

// NewRegistry returns the registry. Close it when the daemon ends.
func NewRegistry(opts Options) *Registry {
	return &Registry{
		native:  native.New(native.Options{RuntimeDir: opts.RuntimeDir, Executable: opts.Executable, Log: opts.Log}),
		ocf:     ocf.New(opts.OCFRoot, opts.Log),
		lsb:     lsb.New(opts.InitDir),
		systemd: systemd.New(),
	}
}

// Close ends what the agents do in the background; resources go on.
func (r *Registry) Close() { r.native.Close() }

// AnnounceAgain tells the neighbours of all held addresses anew; call it after
// any change of the membership.
func (r *Registry) AnnounceAgain() { r.native.Announcer().Again() }

// lookTime bounds a question to systemd.
const lookTime = 5 * time.Second

// Lookup implements agent.Registry. ocf:takt:X is the native agent; any other
// ocf agent is the script, and where heartbeat's or pacemaker's is not
// installed, the native agent of that name.
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
	default:
		return nil, errs.E("find agent", errs.NotFound, id.String(), "The classes are ocf, lsb, systemd and service.", fmt.Errorf("there is no class %q", id.Class))
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
// many judge the node that they are called on.
func (r *Registry) Refuses(ctx context.Context, id agent.ID, params map[string]string) string {
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
	slices.SortFunc(ids, func(a, b agent.ID) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(ids)
}
