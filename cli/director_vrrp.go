package cli

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/director/vrrp/router"
	"github.com/takt-ha/takt/internal/errs"
)

// newDirectorVRRPCommand is the process in which a director runs VRRP; it starts it by itself.
func newDirectorVRRPCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "vrrp",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if st, err := os.Stdin.Stat(); err != nil || st.Mode()&os.ModeNamedPipe == 0 {
				return errs.E(cmd.CommandPath(), errs.Invalid, "", "This is started by \"takt director run\".", nil)
			}
			// Whoever ends the whole group means the director, which says when and how this one ends.
			signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
			return router.Serve(os.Stdin, os.Stdout, true)
		},
	}
}
