package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
)

// verbHelp describes one verb of a resource or node.
type verbHelp struct {
	verb, args, short, long, example string
	node                             bool // takes a node as its second argument
}

func resourceVerbs() []verbHelp {
	return []verbHelp{
		{"move", "RES [NODE]", "Move a resource to another node", "The resource moves once; what made it move is taken back as soon as it has happened.\nWithout NODE the cluster chooses the best other one.", "  takt resource move web\n  takt resource move web n2", true},
		{"ban", "RES [NODE]", "Keep a resource away from a node", "Lasts until \"takt resource clear\". Without NODE: the node where it runs now.", "  takt resource ban web n1", true},
		{"clear", "RES [NODE]", "Take bans and unfinished moves back", "Without NODE: on all nodes.", "  takt resource clear web", true},
		{"cleanup", "RES [NODE]", "Forget failures, once their cause is mended", "Forgets failed operations and counts and looks at the resource anew.", "  takt resource cleanup web", true},
		{"start", "RES", "Let a resource run", "Sets target-role=Started.", "  takt resource start web", false},
		{"stop", "RES", "Stop a resource and keep it stopped", "Sets target-role=Stopped.", "  takt resource stop web", false},
		{"restart", "RES", "Stop a resource and start it again", "What depends on it is stopped and started too.", "  takt resource restart web", false},
		{"refresh", "RES [NODE]", "Look anew at what a resource really does", "Forgets its whole history and probes it.", "  takt resource refresh web", true},
		{"manage", "RES", "Let the cluster act on a resource", "Takes \"unmanage\" back.", "  takt resource manage web", false},
		{"unmanage", "RES", "Leave a resource alone, running or not", "The cluster goes on watching it, but neither starts nor stops it.", "  takt resource unmanage web", false},
	}
}

func newResourceCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "resource",
		Aliases: []string{"rsc"},
		Short:   "Move, start, stop and mend resources",
		Long:    "Acts on one resource or group. Each command waits until the cluster has settled.",
		Example: "  takt resource list\n  takt resource move web n2",
	}
	for _, v := range resourceVerbs() {
		cmd.AddCommand(newVerbCommand(g, v, resourceNames, (*api.Client).Resource))
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "list",
		Short:   "List resources and where they run",
		Example: "  takt resource list\n  takt resource list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := g.client().Status(cmd.Context())
			if err != nil {
				return err
			}
			if g.json() {
				return printJSON(cmd, s.Resources)
			}
			renderResources(cmd.OutOrStdout(), s, painterFor(cmd.OutOrStdout()))
			return nil
		},
	})
	return cmd
}

type act func(c *api.Client, ctx context.Context, name, verb string, v api.Verb) (*api.Outcome, error)

// newVerbCommand makes the command of one verb; names completes its first argument.
func newVerbCommand(g *globals, v verbHelp, names func(*api.Status) []string, do act) *cobra.Command {
	var w waiting
	var force bool
	limit := 1
	if v.node {
		limit = 2
	}
	cmd := &cobra.Command{
		Use:     v.verb + " " + v.args,
		Short:   v.short,
		Long:    v.long,
		Example: v.example,
		Args:    cobra.RangeArgs(1, limit),
		RunE: func(cmd *cobra.Command, args []string) error {
			node := ""
			if len(args) == 2 {
				node = args[1]
			}
			o, err := do(g.client(), cmd.Context(), args[0], v.verb, w.verb(cmd, node, force))
			return finishChange(cmd, g, &w, o, err)
		},
		ValidArgsFunction: complete(g, limit, names),
	}
	w.flags(cmd, 60*time.Second)
	cmd.Flags().BoolVar(&force, "force", false, "do it although the cluster advises against it")
	return cmd
}
