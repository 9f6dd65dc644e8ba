package fence

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent"
)

// Resource is a stonith primitive as the executor sees it: class stonith,
// where start means that this node watches the device, and monitor that the
// device answers. It switches nothing; that is the fencer's, through Device.
type Resource struct {
	registry *Registry
	name     string

	mu      sync.Mutex
	watched map[string]bool // guarded by mu: resources that this node has started; a file each, too
}

var _ agent.Agent = (*Resource)(nil)

// Resource returns the agent of a stonith resource's type. One value must
// serve all operations of that type on a node: it knows what was started.
func (r *Registry) Resource(name string) *Resource {
	return &Resource{registry: r, name: name, watched: map[string]bool{}}
}

// Run implements agent.Agent.
func (s *Resource) Run(ctx context.Context, inv agent.Invocation) agent.Result {
	began := time.Now()
	end := func(code agent.Code, reason string) agent.Result {
		return agent.Result{Code: code, Reason: reason, Started: began, Duration: time.Since(began)}
	}
	switch inv.Action {
	case agent.Stop:
		if err := s.watch(inv.Resource, false); err != nil {
			return end(agent.ErrGeneric, err.Error())
		}
		return end(agent.OK, "")
	case agent.Monitor:
		if !s.watches(inv.Resource) {
			return end(agent.NotRunning, "")
		}
	case agent.Start, agent.ValidateAll:
	default:
		r := end(agent.ErrUnimplement, fmt.Sprintf("a fence device has no action %s", inv.Action))
		r.Status = agent.NotSupported
		return r
	}
	return s.ask(ctx, inv, end)
}

// ask looks at the configuration and, but for validate-all, asks the device.
func (s *Resource) ask(ctx context.Context, inv agent.Invocation, end func(agent.Code, string) agent.Result) agent.Result {
	if inv.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, inv.Timeout)
		defer cancel()
	}
	if _, err := s.registry.Lookup(s.name); err != nil {
		r := end(agent.ErrInstalled, err.Error())
		r.Status = agent.NotInstalled
		return r
	}
	d, findings := s.registry.Device(ctx, Primitive{inv.Resource, s.name, inv.Params}, nil)
	if d == nil {
		return end(agent.ErrConfigured, Errors(findings))
	}
	if inv.Action == agent.ValidateAll {
		return end(agent.OK, "")
	}
	res := d.Do(ctx, Monitor, "")
	if !res.OK {
		r := end(agent.ErrGeneric, res.Reason)
		if ctx.Err() == context.DeadlineExceeded {
			r.Status, r.Code = agent.TimedOut, agent.Unknown
		}
		return r
	}
	d.freshen()
	if inv.Action == agent.Start {
		if err := s.watch(inv.Resource, true); err != nil {
			return end(agent.ErrGeneric, err.Error())
		}
	}
	return end(agent.OK, "")
}

// file is where it stands that a resource was started, "" for nowhere.
func (s *Resource) file(resource string) string {
	if s.registry.opts.RuntimeDir == "" {
		return ""
	}
	return filepath.Join(s.registry.opts.RuntimeDir, "fence", url.PathEscape(s.name+" "+resource))
}

// watches says whether this node, now or as an earlier daemon, started the resource.
func (s *Resource) watches(resource string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.watched[resource] && s.file(resource) != "" {
		_, err := os.Stat(s.file(resource))
		s.watched[resource] = err == nil
	}
	return s.watched[resource]
}

// watch notes that a resource was started or stopped.
func (s *Resource) watch(resource string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if file := s.file(resource); file != "" && on {
		if err = os.MkdirAll(filepath.Dir(file), 0o755); err == nil {
			err = os.WriteFile(file, nil, 0o644)
		}
	} else if file != "" {
		if err = os.Remove(file); os.IsNotExist(err) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("note whether the device is watched: %w; make room in that folder", err)
	}
	s.watched[resource] = on
	return nil
}

// Metadata implements agent.Agent: the fence agent's parameters and what all
// fence devices have, in the words of resource agents.
func (s *Resource) Metadata(ctx context.Context) (*agent.Metadata, error) {
	a, err := s.registry.Lookup(s.name)
	if err != nil {
		return nil, err
	}
	m, err := a.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	out := &agent.Metadata{Name: s.name, ShortDesc: m.ShortDesc, LongDesc: m.LongDesc}
	for i := range m.Parameters {
		p := &m.Parameters[i]
		if p.Name == "action" {
			continue
		}
		required := p.Required && p.Default == "" && m.Alias(p.Name) == "" && p.Name != "nodename" && p.Name != m.PlugParameter()
		kind := p.Type
		if kind == "second" {
			kind = "time"
		}
		out.Parameters = append(out.Parameters, agent.Parameter{Name: p.Name, Type: kind, Default: p.Default, Required: required,
			Unique: p.Unique, Deprecated: p.Deprecated, Options: p.Options, ShortDesc: p.ShortDesc})
	}
	for _, name := range append(pcmkNames(), "takt_verify") {
		out.Parameters = append(out.Parameters, agent.Parameter{Name: name, Type: "string", ShortDesc: "of every fence device"})
	}
	for _, action := range []string{agent.Start, agent.Stop, agent.Monitor, agent.ValidateAll} {
		out.Actions = append(out.Actions, agent.Action{Name: action, Timeout: time.Minute})
	}
	return out, nil
}
