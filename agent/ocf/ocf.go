// Package ocf runs the agents that are programs below an OCF root:
// ROOT/resource.d/PROVIDER/TYPE, called with the action as the only argument
// and everything else in the environment (OCF resource agent API 1.1).
package ocf

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/outcome"
	"github.com/takt-ha/takt/internal/command"
	"github.com/takt-ha/takt/internal/errs"
)

// Class finds the agents below one root.
type Class struct {
	root  string
	tools agent.Tools
	log   *slog.Logger
}

// New returns the class. root is the OCF root, "" for agent.DefaultOCFRoot; tools are what agents call.
func New(root string, tools agent.Tools, log *slog.Logger) *Class {
	if root == "" {
		root = agent.DefaultOCFRoot
	}
	return &Class{root: root, tools: tools, log: log}
}

// Folder is where the class looks for providers.
func (c *Class) Folder() string { return filepath.Join(c.root, "resource.d") }

// Path is the file of an agent.
func (c *Class) Path(id agent.ID) string {
	return filepath.Join(c.Folder(), id.Provider, id.Type)
}

// Installed says whether the agent's file is there and executable.
func (c *Class) Installed(id agent.ID) bool {
	return !strings.HasPrefix(id.Type, ".") && !strings.HasPrefix(id.Provider, ".") && executable(c.Path(id))
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Agent returns the agent, installed or not: one that is missing answers each
// operation with NotInstalled, as it may be installed later.
func (c *Class) Agent(id agent.ID) *Agent {
	return &Agent{class: c, id: id}
}

// List returns the installed agents, sorted.
func (c *Class) List() []agent.ID {
	var ids []agent.ID
	providers, err := os.ReadDir(c.Folder())
	if err != nil {
		return nil
	}
	for _, provider := range providers {
		entries, err := os.ReadDir(filepath.Join(c.Folder(), provider.Name()))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if id := (agent.ID{Class: "ocf", Provider: provider.Name(), Type: e.Name()}); c.Installed(id) {
				ids = append(ids, id)
			}
		}
	}
	slices.SortFunc(ids, func(a, b agent.ID) int { return strings.Compare(a.String(), b.String()) })
	return ids
}

// Agent is one program.
type Agent struct {
	class *Class
	id    agent.ID

	mu     sync.Mutex
	meta   *agent.Metadata // guarded by mu
	metaAt time.Time       // guarded by mu: the file's modification time that meta was read at
}

// Run runs one operation.
func (a *Agent) Run(ctx context.Context, inv agent.Invocation) agent.Result {
	path := a.class.Path(a.id)
	if !a.class.Installed(a.id) {
		return agent.Result{Status: agent.NotInstalled, Code: agent.ErrInstalled, Started: time.Now(),
			Reason: fmt.Sprintf("%s is not an executable file; install the package that holds the agent %s", path, a.id)}
	}
	a.prepare()
	out := command.Run(ctx, command.Spec{
		Path: path, Args: []string{inv.Action}, Env: a.class.tools.Into(agent.Environment(inv, a.class.root)),
		Timeout: inv.Timeout, Limit: agent.MaxOutput, Started: agent.OnStart(ctx),
	})
	r := outcome.Result(out)
	if r.Status == agent.Done && r.Code == agent.ErrUnimplement {
		r.Status = agent.NotSupported
	}
	return r
}

// prepare makes the folder where the shell agents keep their state; the
// package's own tmpfiles entry may not have run (containers, early boot).
func (a *Agent) prepare() {
	if err := os.MkdirAll(agent.AgentTemp, 0o755); err != nil && a.class.log != nil {
		a.class.log.Warn("cannot make the agents' state folder", "folder", agent.AgentTemp, "error", err)
	}
}

// metaTimeout bounds the meta-data action, which needs neither network nor service.
const metaTimeout = 10 * time.Second

// Metadata runs the meta-data action, and again only when the file has changed.
func (a *Agent) Metadata(ctx context.Context) (*agent.Metadata, error) {
	path := a.class.Path(a.id)
	info, err := os.Stat(path)
	if err != nil || !a.class.Installed(a.id) {
		return nil, errs.E("read meta-data of", errs.NotFound, a.id.String(), "Install the package that holds the agent.", fmt.Errorf("%s is not an executable file", path))
	}
	a.mu.Lock()
	if a.meta != nil && a.metaAt.Equal(info.ModTime()) {
		defer a.mu.Unlock()
		return a.meta, nil
	}
	a.mu.Unlock()
	meta, err := a.readMetadata(ctx)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.meta, a.metaAt = meta, info.ModTime()
	return meta, nil
}

func (a *Agent) readMetadata(ctx context.Context) (*agent.Metadata, error) {
	inv := agent.Invocation{Resource: a.id.Type, Agent: a.id, Action: agent.MetaData, Timeout: metaTimeout}
	out := command.Run(ctx, command.Spec{
		Path: a.class.Path(a.id), Args: []string{agent.MetaData}, Env: agent.Environment(inv, a.class.root), Timeout: metaTimeout, Limit: 1 << 20,
	})
	if r := outcome.Result(out); r.Status != agent.Done || r.Code != agent.OK {
		return nil, errs.E("read meta-data of", errs.Other, a.id.String(), "Run the agent by hand with the argument meta-data.", fmt.Errorf("%s (%s) %s", r.Status, r.Code, r.Reason))
	}
	meta, err := agent.ParseMetadata([]byte(out.Stdout))
	if err != nil {
		return nil, errs.E("read meta-data of", errs.Invalid, a.id.String(), "The agent is broken; report it to whoever made it.", err)
	}
	return meta, nil
}
