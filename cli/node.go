package cli

import (
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
)

func nodeVerbs() []verbHelp {
	return []verbHelp{
		{verb: "standby", short: "Move everything off a node", long: "The node stays a member and keeps its vote, but runs no resources until \"takt node online\".", example: "  takt node standby n1"},
		{verb: "online", short: "Let a node run resources again", long: "Takes \"standby\" back.", example: "  takt node online n1"},
		{verb: "maintenance", short: "Leave a node's resources alone", long: "Nothing on the node is started, stopped or watched until \"takt node ready\".", example: "  takt node maintenance n1"},
		{verb: "ready", short: "Take maintenance back", long: "The cluster looks at what runs there and acts again.", example: "  takt node ready n1"},
	}
}

func newNodeCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "node",
		Short:   "Take nodes out of service and back",
		Long:    "Acts on one node, this one unless named.",
		Example: "  takt node list\n  takt node standby n1",
	}
	for _, v := range nodeVerbs() {
		cmd.AddCommand(newNodeVerbCommand(g, v))
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "list",
		Short:   "List nodes and their state",
		Example: "  takt node list\n  takt node list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := g.client().Status(cmd.Context())
			if err != nil {
				return err
			}
			if g.json() {
				return printJSON(cmd, s.Nodes)
			}
			renderNodeTable(cmd.OutOrStdout(), s, painterFor(cmd.OutOrStdout()))
			return nil
		},
	})
	return cmd
}

func newNodeVerbCommand(g *globals, v verbHelp) *cobra.Command {
	var w waiting
	var force bool
	cmd := &cobra.Command{
		Use:     v.verb + " [NODE]",
		Short:   v.short,
		Long:    v.long,
		Example: v.example,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := nodeArg(cmd, g, args)
			if err != nil {
				return err
			}
			o, err := g.client().Node(cmd.Context(), name, v.verb, w.verb(cmd, "", force))
			return finishChange(cmd, g, &w, o, err)
		},
		ValidArgsFunction: complete(g, 1, nodeNames),
	}
	w.flags(cmd, 60*time.Second)
	cmd.Flags().BoolVar(&force, "force", false, "do it although the cluster advises against it")
	return cmd
}

// nodeArg returns the named node, or the one whose daemon answers.
func nodeArg(cmd *cobra.Command, g *globals, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	s, err := g.client().Status(cmd.Context())
	if err != nil {
		return "", err
	}
	if s.Node == "" {
		host, _ := os.Hostname()
		return "", errs.E(cmd.CommandPath(), errs.Invalid, host, "Name the node.", errors.New("the daemon does not say which node it is"))
	}
	return s.Node, nil
}

func nodeNames(s *api.Status) []string {
	var names []string
	for _, n := range s.Nodes {
		names = append(names, n.Name)
	}
	return names
}
