package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/agent/classes"
	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/verify"
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

// deviceNames completes the name of a fence device.
func deviceNames(g *globals) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		if f, err := g.client().Fence(ctx); err == nil && len(args) == 0 {
			for _, d := range f.Devices {
				names = append(names, d.ID)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// fenceAgents completes what takt fence add takes: a name of one's own, and an agent.
func fenceAgents(_ *cobra.Command, args []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
	if len(args) == 1 {
		registry := classes.NewRegistry(classes.Options{Fence: fence.Options{Folders: fenceFolders()}})
		defer registry.Close()
		for _, id := range ofClass(registry.List(), "stonith") {
			names = append(names, id.Type)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// optionNames completes the options of the cluster, to be followed by their values.
func optionNames(_ *cobra.Command, _ []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
	for _, name := range verify.ClusterOptions() {
		names = append(names, name+"=")
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// setOptions completes the options that are set.
func setOptions(g *globals) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		if xml, err := g.client().CIB(ctx, api.CIBQuery{}); err == nil {
			if root, err := cib.ParseString(xml); err == nil {
				for _, pair := range optionPairs(root) {
					names = append(names, pair.Attr("name"))
				}
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
