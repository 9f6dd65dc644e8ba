package cli

import (
	"time"

	"github.com/spf13/cobra"
)

func newLeaveCommand(g *globals) *cobra.Command {
	w := waiting{}
	var force bool
	cmd := &cobra.Command{
		Use:   "leave",
		Short: "Take this machine out of its cluster for good",
		Long: "Moves this node's resources away, takes its vote, sets its identity and state aside\n" +
			"into dated folders and stops its daemon.",
		Example: "  takt leave",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := g.client().Leave(cmd.Context(), w.verb(cmd, "", force))
			return finishChange(cmd, g, &w, o, err)
		},
	}
	w.flags(cmd, 2*time.Minute)
	cmd.Flags().BoolVar(&force, "force", false, "leave even where resources cannot move away or quorum is lost by it")
	return cmd
}
