package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
)

// newClusterCommand is `takt cluster`: what only a person may decide.
func newClusterCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cluster",
		Short:   "Decide what only a person may decide",
		Example: "  takt cluster force\n  takt cluster acknowledge",
	}
	cmd.AddCommand(newForceCommand(g), newAcknowledgeCommand(g))
	return cmd
}

func newForceCommand(g *globals) *cobra.Command {
	var yes, look bool
	cmd := &cobra.Command{
		Use:   "force",
		Short: "Make this node the cluster, without the others' votes",
		Long: "For when the others are gone for good, or will not be back in time. First it says what\n" +
			"could be lost, and what could run twice; then it asks. If all others are proven off the\n" +
			"cluster goes on by itself and this is never needed: see takt status for what it waits for.",
		Example: "  takt cluster force --look\n  takt cluster force",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := g.client().Force(cmd.Context(), api.Force{User: cmd.CommandPath()})
			if err != nil {
				return err
			}
			if look {
				return printForcing(cmd, g, f)
			}
			if !g.json() {
				if err := printForcing(cmd, g, f); err != nil {
					return err
				}
			}
			if !yes {
				if err := agree(cmd, "Nobody can take this back."); err != nil {
					return err
				}
			}
			if f, err = g.client().Force(cmd.Context(), api.Force{Seen: f.Seen, User: cmd.CommandPath()}); err != nil {
				return err
			}
			if !f.Done {
				return errs.E(cmd.CommandPath(), errs.Conflict, "", "Look again and decide anew.", errors.New("the situation has changed meanwhile: "+f.Text))
			}
			return printForcing(cmd, g, f)
		},
	}
	cmd.Flags().BoolVar(&look, "look", false, "say what it would cost, and do nothing")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func printForcing(cmd *cobra.Command, g *globals, f *api.Forcing) error {
	if g.json() {
		return printJSON(cmd, f)
	}
	out := cmd.OutOrStdout()
	p := painterFor(out)
	fmt.Fprintln(out, clean(f.Text))
	for _, risk := range f.Risks {
		fmt.Fprintf(out, "  %s\n", p.paint(bad, "! "+clean(risk)))
	}
	return nil
}

func newAcknowledgeCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "acknowledge",
		Short:   "Say that you have seen which changes this node lost to another history",
		Long:    "takt status then warns no more. The file with the changes stays.",
		Example: "  takt cluster acknowledge",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := g.client().Acknowledge(cmd.Context(), api.Verb{User: cmd.CommandPath()})
			if err != nil {
				return err
			}
			if g.json() {
				return printJSON(cmd, o)
			}
			renderOutcome(cmd.OutOrStdout(), o, painterFor(cmd.OutOrStdout()))
			return nil
		},
	}
}
