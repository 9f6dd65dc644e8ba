package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
)

func newEventsCommand(g *globals) *cobra.Command {
	q := api.EventQuery{}
	var here bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happened: failure, decision, action, result",
		Long: "Prints one line an event, oldest first: when, how long it took, which node says it,\n" +
			"its kind, the transition it belongs to, and what happened in words.\n" +
			"With -o json each line is one JSON object.",
		Example: "  takt events\n  takt events -f\n  takt events -n 20 --resource web -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.AllNodes = q.AllNodes && !here
			out, p := cmd.OutOrStdout(), painterFor(cmd.OutOrStdout())
			enc := json.NewEncoder(out)
			return g.client().Events(cmd.Context(), q, func(e api.Event) error {
				if g.json() {
					return enc.Encode(e)
				}
				_, err := fmt.Fprintln(out, eventLine(e, p, time.Local))
				return err
			})
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&q.Follow, "follow", "f", false, "go on with new events until interrupted")
	f.BoolVar(&q.AllNodes, "all", true, "ask every reachable node")
	f.BoolVar(&here, "here", false, "ask this node alone (as --all=false)")
	f.IntVarP(&q.Limit, "lines", "n", 0, "the newest so many; 0: all that are remembered")
	f.StringVar(&q.Resource, "resource", "", "only what is about this resource")
	f.Uint64Var(&q.After, "after", 0, "only events of this node with a greater sequence number")
	return cmd
}
