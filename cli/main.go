// Package cli is the command line: one file a command. A command reads its
// flags, asks the daemon through api, and prints the answer as text or, with
// -o json, as JSON. How an answer looks is decided by pure functions from api
// types to text (render_*.go).
//
// Main returns the exit status: 0, or errs.Kind.ExitCode. An error is printed as
// "takt: what happened" with what to do on the next line; with -o json as one
// line {"error", "kind", "hint"}.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/identity"
)

// Paths is where a node's files are.
type Paths struct {
	Dir     string // identity, see internal/identity
	State   string // log, snapshots, history: survives a reboot
	Run     string // sockets and what must not survive a reboot
	Socket  string // of the api
	CallLog string // if set: a JSON line at the begin and the end of every agent call
	OCFRoot string // folder of the OCF agents; "" is the usual one
	// FenceFolders hold the fence agents, searched in this order; none is the usual one.
	FenceFolders []string
}

// Programs are the parts of the binary that the command line starts but is not
// made of; cmd/takt fills them in.
type Programs struct {
	// Bootstrap writes the first configuration of a new cluster into its state.
	Bootstrap func(p Paths, id *identity.Identity, f Founding) error
	// Daemon runs takt daemon until ctx ends.
	Daemon func(ctx context.Context, p Paths, log *slog.Logger) error
	// Pulse runs takt pulse, which listens on the socket for its daemon.
	Pulse func(ctx context.Context, socket string, log *slog.Logger) error
}

// exitStatus is an error that sets the exit status and prints nothing: what is
// to be said has been said, or was said by a program that the command ran.
type exitStatus int

// Error names the status.
func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Main runs one command (args without the program's name) and returns its exit status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer, p Programs) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(p)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return report(stderr, err, wantJSON(cmd))
}

// report prints an error, for programs as a line of JSON, and returns the exit status.
func report(stderr io.Writer, err error, asJSON bool) int {
	if err == nil {
		return 0
	}
	var status exitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	if asJSON {
		// Standard error, too, because an answer may stand on standard output already.
		_ = printLine(stderr, api.Failed{Error: err.Error(), Kind: errs.KindOf(err).String(), Hint: errs.HintOf(err)})
		return errs.KindOf(err).ExitCode()
	}
	fmt.Fprintf(stderr, "takt: %s\n", cleanLines(strings.TrimRight(err.Error(), "\n")))
	if hint := errs.HintOf(err); hint != "" {
		fmt.Fprintf(stderr, "  %s\n", cleanLines(hint))
	}
	return errs.KindOf(err).ExitCode()
}

// usage makes an error about how a command was called.
func usage(cmd *cobra.Command, err error) error {
	return errs.E(cmd.CommandPath(), errs.Invalid, "", fmt.Sprintf("See \"%s --help\".", cmd.CommandPath()), err)
}
