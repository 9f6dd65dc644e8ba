package fence

import (
	"context"
	"fmt"
	"strings"
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
	watched map[string]bool // guarded by mu: resources that this node has started
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
	s.mu.Lock()
	watched := s.watched[inv.Resource]
	if inv.Action == agent.Stop {
		delete(s.watched, inv.Resource)
	}
	s.mu.Unlock()
	switch inv.Action {
	case agent.Stop:
		return end(agent.OK, "")
	case agent.Monitor:
		if !watched {
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
		var wrong []string
		for _, f := range findings {
			if f.Severity == Error {
				wrong = append(wrong, f.String())
			}
		}
		return end(agent.ErrConfigured, strings.Join(wrong, "; "))
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
	if inv.Action == agent.Start {
		s.mu.Lock()
		s.watched[inv.Resource] = true
		s.mu.Unlock()
	}
	return end(agent.OK, "")
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
