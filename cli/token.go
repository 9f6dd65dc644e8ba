package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newTokenCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "token",
		Short: "Make a one-time token with which a node joins",
		Long: "Prints a token that admits one node. It is a secret: who has it becomes a member.\n" +
			"It is known to this node's daemon alone and ends with its first use.",
		Example: "  takt token\n  takt token -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := g.client().Token(cmd.Context())
			if err != nil {
				return err
			}
			if g.json() {
				return printJSON(cmd, t)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n", t.Text)
			fmt.Fprintf(cmd.ErrOrStderr(), "On the new node, before %s:\n  %s\n", time.Unix(t.Expires, 0).Format("2006-01-02 15:04:05 MST"), t.Command)
			return nil
		},
	}
}
