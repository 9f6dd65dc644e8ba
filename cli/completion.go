package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
)

// completeWithin bounds a completion: a person waits at the prompt.
const completeWithin = 300 * time.Millisecond

// complete completes the first argument from the cluster's status, and a second
// one with a node; without a daemon it offers nothing.
func complete(g *globals, limit int, first func(*api.Status) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= limit {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		s, err := g.client().Status(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		if len(args) == 0 {
			return first(s), cobra.ShellCompDirectiveNoFileComp
		}
		return nodeNames(s), cobra.ShellCompDirectiveNoFileComp
	}
}

// resourceNames lists groups and their members.
func resourceNames(s *api.Status) []string {
	var names []string
	var walk func([]api.ResourceStatus)
	walk = func(rs []api.ResourceStatus) {
		for _, r := range rs {
			names = append(names, r.ID)
			walk(r.Members)
		}
	}
	walk(s.Resources)
	return names
}
