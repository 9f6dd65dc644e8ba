package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newShutdownCommand(g *globals) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "shutdown",
		Short: "Stop this node's daemon, after moving its resources away",
		Long: "The node says goodbye, so that the others need not wait for it to fall silent, and\n" +
			"keeps its vote: it is back when the daemon starts again. systemd does the same when\n" +
			"the machine goes down; \"systemctl stop takt\" alone leaves what runs here running.",
		Example: "  takt shutdown\n  takt shutdown --keep     # the daemon alone, for an upgrade",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := g.client().Shutdown(cmd.Context(), keep); err != nil {
				return err
			}
			if !g.json() {
				fmt.Fprintln(cmd.OutOrStdout(), "the daemon stops")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave what runs here running, and the heartbeats with it")
	return cmd
}
