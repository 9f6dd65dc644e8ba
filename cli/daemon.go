package cli

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
)

func newDaemonCommand(g *globals, p Programs) *cobra.Command {
	var paths Paths
	var level, format string
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Run this node's daemon in the foreground",
		Long: "Runs until SIGTERM or SIGINT. Services and heartbeats outlive it, so that a restart\n" +
			"or an upgrade disturbs nothing. The log goes to standard error.",
		Example: "  takt daemon\n  takt daemon --log-level debug --log-format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLog(cmd.ErrOrStderr(), level, format)
			if err != nil {
				return usage(cmd, err)
			}
			paths.Socket = g.socket
			return p.Daemon(cmd.Context(), paths, log)
		},
	}
	pathFlags(cmd, &paths)
	cmd.Flags().StringVar(&paths.CallLog, "call-log", os.Getenv("TAKT_CALL_LOG"), "file for a JSON line at the begin and the end of every agent call (environment: TAKT_CALL_LOG)")
	ocfRootFlag(cmd.Flags(), &paths.OCFRoot)
	fenceFoldersFlag(cmd.Flags(), &paths.FenceFolders)
	logFlags(cmd, &level, &format)
	return cmd
}

func logFlags(cmd *cobra.Command, level, format *string) {
	cmd.Flags().StringVar(level, "log-level", cmp.Or(os.Getenv("TAKT_LOG_LEVEL"), "info"), "debug, info, warn or error (environment: TAKT_LOG_LEVEL)")
	cmd.Flags().StringVar(format, "log-format", "text", "text or json")
}

func newLog(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", level)
	}
	opts := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("--log-format %q: want text or json", format)
}

func newPulseCommand(p Programs) *cobra.Command {
	var socket, level, format string
	cmd := &cobra.Command{
		Use:   "pulse --socket PATH",
		Short: "Run the heartbeats of this node (the daemon starts this by itself)",
		Long: "Sends and receives heartbeats in a small real-time process of its own, so that\n" +
			"nothing the daemon does delays them. The daemon starts it and attaches to it again\n" +
			"after a restart of its own.",
		Example: "  takt pulse --socket /run/takt/pulse.sock",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLog(cmd.ErrOrStderr(), level, format)
			if err != nil {
				return usage(cmd, err)
			}
			return p.Pulse(cmd.Context(), socket, log)
		},
	}
	// It hides the global --socket: the pulse has a socket of its own.
	cmd.Flags().StringVar(&socket, "socket", "/run/takt/pulse.sock", "where the daemon attaches")
	logFlags(cmd, &level, &format)
	return cmd
}
