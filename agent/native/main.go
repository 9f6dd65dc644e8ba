package native

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/outcome"
	"github.com/takt-ha/takt/internal/command"
)

// The variables that tell the binary to behave as an agent, and with which
// runtime folder.
const (
	EnvAgent   = "TAKT_AGENT"
	EnvRuntime = "TAKT_RUNTIME_DIR"
)

// AgentName says whether a process called like this shall be an agent: argv0's
// last element, or the variable TAKT_AGENT, is the name of a native agent.
func AgentName(argv0 string, environ []string) (name string, ok bool) {
	names := []string{filepath.Base(argv0)}
	for _, pair := range environ {
		if v, found := strings.CutPrefix(pair, EnvAgent+"="); found {
			names = append([]string{v}, names...)
		}
	}
	for _, n := range names {
		if slices.Contains([]string{"Dummy", "Filesystem", "IPaddr2", "Stateful", "anything", "director", "volume"}, n) {
			return n, true
		}
	}
	return "", false
}

// Main is the process that is an agent: one action, parameters in the
// environment, an OCF exit code. name is the agent's, args are without argv[0].
func Main(name string, args []string, environ []string, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintf(stderr, "usage: %s ACTION, with the parameters in OCF_RESKEY_*; %s meta-data describes them\n", name, name)
		return int(agent.ErrArgs)
	}
	runtime := ""
	for _, pair := range environ {
		if v, ok := strings.CutPrefix(pair, EnvRuntime+"="); ok {
			runtime = v
		}
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	set := New(Options{RuntimeDir: runtime, Log: log, Inline: true})
	defer set.Close()
	a, ok := set.Agent(name)
	if !ok {
		fmt.Fprintf(stderr, "%s there is no native agent %s; the native agents are %s\n", outcome.ReasonPrefix, name, strings.Join(set.Types(), ", "))
		return int(agent.ErrInstalled)
	}
	inv := agent.FromEnvironment(environ, args[0])
	if inv.Resource == "" {
		inv.Resource = "default"
	}
	res := a.Run(context.Background(), inv)
	io.WriteString(stdout, res.Output) //nolint:errcheck // nobody to tell
	if res.Reason != "" {
		fmt.Fprintf(stderr, "%s%s\n", outcome.ReasonPrefix, strings.ReplaceAll(res.Reason, "\n", " "))
	}
	if res.Promotion != nil {
		tellScore(environ, *res.Promotion)
	}
	if inv.Action == agent.Start && res.Code == agent.OK {
		set.announcer.Finish()
	}
	if res.Status == agent.TimedOut || res.Status == agent.Cancelled {
		return int(agent.ErrGeneric)
	}
	return int(res.Code)
}

// tellScore sets the promotion score by the cluster manager's own program, where there is one.
func tellScore(environ []string, score string) {
	path := "/usr/sbin"
	for _, pair := range environ {
		if v, ok := strings.CutPrefix(pair, "HA_SBIN_DIR="); ok && v != "" {
			path = v
		}
	}
	args := []string{"--promotion", "-v", score}
	if score == "" {
		args = []string{"--promotion", "-D"}
	}
	if path = filepath.Join(path, "crm_attribute"); fileExists(path) {
		command.Run(context.Background(), command.Spec{Path: path, Args: args, Env: environ, Timeout: 10 * time.Second})
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// runIsolated runs the operation in a process of its own.
func (r *runner) runIsolated(ctx context.Context, inv agent.Invocation) agent.Result {
	path := r.set.opts.Executable
	if path == "" {
		// Not os.Executable: an upgrade may have replaced the file, and this
		// daemon's operations are to run the version that it is itself.
		path = "/proc/self/exe"
		if _, err := os.Stat(path); err != nil {
			return agent.Result{Code: agent.Unknown, Status: agent.Errored, Reason: "find the own binary: " + err.Error()}
		}
	}
	env := append(agent.Environment(inv, ""), EnvAgent+"="+r.name, EnvRuntime+"="+r.set.opts.RuntimeDir)
	out := command.Run(ctx, command.Spec{
		Path: path, Name: r.name, Args: []string{inv.Action}, Env: env, Timeout: inv.Timeout, Limit: agent.MaxOutput, Started: agent.OnStart(ctx),
	})
	res := outcome.Result(out)
	if res.Status == agent.Done && res.Code == agent.ErrUnimplement {
		res.Status = agent.NotSupported
	}
	return res
}
