// Package lsb runs init scripts (/etc/init.d) as agents. Their status exit
// codes (Linux Standard Base, "Init Script Actions") are translated to OCF's.
package lsb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/outcome"
	"github.com/takt-ha/takt/internal/command"
	"github.com/takt-ha/takt/internal/errs"
)

// DefaultFolder is where init scripts are.
const DefaultFolder = "/etc/init.d"

// Class finds the scripts of one folder.
type Class struct{ folder string }

// New returns the class; folder "" is DefaultFolder.
func New(folder string) *Class {
	if folder == "" {
		folder = DefaultFolder
	}
	return &Class{folder: folder}
}

// Folder is where the class looks.
func (c *Class) Folder() string { return c.folder }

// Installed says whether there is a script of that name.
func (c *Class) Installed(name string) bool {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsRune(name, '/') {
		return false
	}
	info, err := os.Stat(filepath.Join(c.folder, name))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// List returns the names of the scripts, sorted.
func (c *Class) List() []string {
	entries, err := os.ReadDir(c.folder)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if c.Installed(e.Name()) && e.Name() != "README" && e.Name() != "skeleton" {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}

// Agent returns the agent of a script, installed or not.
func (c *Class) Agent(name string) *Agent {
	return &Agent{class: c, name: name}
}

// Agent is one script.
type Agent struct {
	class *Class
	name  string
}

// Run runs one operation. An init script has no parameters.
func (a *Agent) Run(ctx context.Context, inv agent.Invocation) agent.Result {
	path := filepath.Join(a.class.folder, a.name)
	if !a.class.Installed(a.name) {
		return agent.Result{Status: agent.NotInstalled, Code: agent.ErrInstalled, Started: time.Now(), Reason: path + " is not an executable file"}
	}
	verb := inv.Action
	switch inv.Action {
	case agent.Monitor:
		verb = "status"
	case agent.Start, agent.Stop, agent.Reload:
	default:
		return agent.Result{Status: agent.NotSupported, Code: agent.ErrUnimplement, Started: time.Now(), Reason: "an init script has no action " + inv.Action}
	}
	out := command.Run(ctx, command.Spec{Path: path, Args: []string{verb}, Env: environment(), Timeout: inv.Timeout, Limit: agent.MaxOutput, Started: agent.OnStart(ctx)})
	r := outcome.Result(out)
	if r.Status == agent.Done && out.Signal == 0 {
		r.Code = translate(inv.Action, out.Exit)
	}
	return r
}

func environment() []string {
	return []string{"HOME=/root", "LC_ALL=C", "PATH=" + agent.SearchPath, "SHELL=/bin/sh"}
}

// translate gives the OCF code of an init script's exit status. A dead service
// that left its pid or lock file (status 1 and 2) is not running: it can be
// started without a stop, and it does not block another node.
func translate(action string, exit int) agent.Code {
	if action != agent.Monitor {
		switch {
		case action == agent.Stop && exit == 7:
			return agent.OK
		case exit < 0 || exit > 7:
			return agent.ErrGeneric
		}
		return agent.Code(exit)
	}
	switch exit {
	case 0:
		return agent.OK
	case 1, 2, 3:
		return agent.NotRunning
	case 4: // by the book "unknown"; in the field "insufficient privileges"
		return agent.ErrPerm
	case 5, 150:
		return agent.ErrInstalled
	}
	return agent.ErrGeneric
}

// Metadata describes the script: LSB has no such action.
func (a *Agent) Metadata(context.Context) (*agent.Metadata, error) {
	path := filepath.Join(a.class.folder, a.name)
	if !a.class.Installed(a.name) {
		return nil, errs.E("read meta-data of", errs.NotFound, "lsb:"+a.name, "Install the package that holds the init script.", fmt.Errorf("%s is not an executable file", path))
	}
	m := &agent.Metadata{Name: a.name, Version: "1.0", API: "1.1", ShortDesc: "init script " + path,
		LongDesc: "An init script has no parameters. For the cluster to rely on it, start and stop must be idempotent and status must exit with 0 (running) or 3 (stopped)."}
	for _, name := range []string{agent.Start, agent.Stop, agent.Monitor, agent.Reload} {
		action := agent.Action{Name: name, Timeout: 20 * time.Second}
		if name == agent.Monitor {
			action.Interval = 15 * time.Second
		}
		m.Actions = append(m.Actions, action)
	}
	return m, nil
}
