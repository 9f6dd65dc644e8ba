// Command takt is the whole of Takt in one binary: daemon, heartbeats, command
// line, agents and laboratory. What it is follows from the name it was called by
// and its first argument.
//
// The daemon starts this binary for each operation of a native agent, and a
// failover waits for that; so those and the other processes that are started by
// programs are told apart before the tree of commands is built.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	fenceagents "github.com/takt-ha/takt/agent/fence/native"
	"github.com/takt-ha/takt/agent/native"
	"github.com/takt-ha/takt/app"
	"github.com/takt-ha/takt/cli"
	"github.com/takt-ha/takt/cluster/executor"
	"github.com/takt-ha/takt/cluster/link"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/identity"
	"github.com/takt-ha/takt/lab"
)

func main() { os.Exit(run()) }

func run() int {
	args := os.Args[1:]
	// A service that an agent started may be this binary again, and has the
	// agent's environment: its arguments decide before the environment does.
	if len(args) > 1 && args[0] == "lab" {
		if code, done := laboratory(args[1:]); done {
			return code
		}
	} else if code, ours := cli.AgentTool(os.Args, os.Stdout, os.Stderr); ours {
		return code // an agent calls it, and has given it its own environment
	} else if name, ok := native.AgentName(os.Args[0], os.Environ()); ok {
		return native.Main(name, args, os.Environ(), os.Stdout, os.Stderr)
	}
	if name, rest, ok := fenceagents.AgentName(os.Args); ok {
		return fenceagents.Main(name, rest, os.Stdin, os.Stdout, os.Stderr)
	}
	if len(args) > 1 && args[0] == "pulse" {
		if socket, ok := flag(args[1:], "--socket"); ok {
			return pulseNow(socket)
		}
	}
	return cli.Main(args, os.Stdin, os.Stdout, os.Stderr, programs())
}

// laboratory runs what a laboratory starts by itself.
func laboratory(args []string) (code int, done bool) {
	if ours, err := lab.Hidden(args); ours {
		return status(err), true
	}
	volume, rest := "", args[1:]
	if len(rest) == 4 && rest[2] == "--volume" {
		volume, rest = rest[3], rest[:2]
	}
	address, ok := flag(rest, "--listen")
	if args[0] != "serve" || !ok {
		return 0, false
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	return status(lab.Serve(ctx, address, volume)), true
}

// flag reads arguments that are one flag and nothing else; every other form is
// left to the command line proper.
func flag(args []string, name string) (string, bool) {
	if len(args) == 2 && args[0] == name {
		return args[1], true
	}
	if len(args) == 1 {
		return strings.CutPrefix(args[0], name+"=")
	}
	return "", false
}

func pulseNow(socket string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	return status(pulse(ctx, socket, slog.New(slog.NewTextHandler(os.Stderr, nil))))
}

// status prints an error as the command line does.
func status(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "takt: %s\n", err)
	if hint := errs.HintOf(err); hint != "" {
		fmt.Fprintf(os.Stderr, "  %s\n", hint)
	}
	return errs.KindOf(err).ExitCode()
}

// programs gives the command line what it starts.
func programs() cli.Programs {
	return cli.Programs{
		Bootstrap: func(p cli.Paths, id *identity.Identity, f cli.Founding) error {
			return app.Bootstrap(options(p, nil), id, app.Founding(f))
		},
		Daemon: func(ctx context.Context, p cli.Paths, log *slog.Logger) error {
			return app.Run(ctx, options(p, log))
		},
		Pulse: pulse,
	}
}

func pulse(ctx context.Context, socket string, log *slog.Logger) error {
	return link.Pulse(ctx, link.PulseOptions{Socket: socket, Boot: executor.CertainBoot(), Log: log})
}

func options(p cli.Paths, log *slog.Logger) app.Options {
	return app.Options{Dir: p.Dir, State: p.State, Run: p.Run, Socket: p.Socket, CallLog: p.CallLog, OCFRoot: p.OCFRoot, FenceFolders: p.FenceFolders, Version: cli.Version, Log: log}
}
