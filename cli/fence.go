package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
)

// newFenceCommand is `takt fence`: how nodes are switched off, so that what they ran
// can be started elsewhere.
func newFenceCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fence",
		Short: "Switch nodes off safely: devices, tests, history",
		Long: "A node that does not answer may still run its services. Only when it is proven off\n" +
			"are they started elsewhere: by a fence device, by its own watchdog, or by a person\n" +
			"who has looked (takt fence confirm).",
		Example: "  takt fence list\n  takt fence add ilo-n1 fence_ipmilan ip=192.0.2.11 username=takt password=- --node n1\n  takt fence test n1",
	}
	cmd.AddCommand(newFenceListCommand(g), newFenceAddCommand(g), newFenceRemoveCommand(g), newFenceHistoryCommand(g), newFenceDiskCommand(g))
	for _, v := range fenceVerbs() {
		cmd.AddCommand(newFenceVerbCommand(g, v))
	}
	return cmd
}

// fenceVerb describes one of api.FenceVerbs. ask is what a person has to agree to;
// "" needs no agreement.
type fenceVerb struct {
	verb, short, long, example, ask string
	force                           string // help of --force, "" = the verb has none
}

func fenceVerbs() []fenceVerb {
	return []fenceVerb{
		{"status", "Ask a node's devices whether it is on", "Nothing is switched.", "  takt fence status n2", "", ""},
		{"test", "Show that a node can be fenced", "Asks every device of the node from every member. With --force the node is really\nswitched off and on again, by each of its devices: only that proves it. Do it when its\nservices may move. The date of the last test stands in takt fence list and takt status.",
			"  takt fence test n2\n  takt fence test n2 --force", "", "switch the node off and on again"},
		{"reboot", "Switch a node off, and on again", "What it runs starts elsewhere once it is proven off.", "  takt fence reboot n2", "Node %s loses its power at once, with all that it runs.", ""},
		{"off", "Switch a node off", "It stays off until takt fence on.", "  takt fence off n2", "Node %s loses its power at once, with all that it runs.", ""},
		{"on", "Switch a node on", "", "  takt fence on n2", "", ""},
		{"confirm", "Say that a node is off, because you have looked", "Use this when no device can say so: its power supply is dead, its plug is pulled. What\nit ran starts elsewhere at once. If the node runs after all, everything runs twice and\nyour data is at risk. A node that is still heard is not believed to be off.",
			"  takt fence confirm n2", "Node %s is really off, and stays off until somebody switches it on by hand?", ""},
	}
}

func newFenceVerbCommand(g *globals, v fenceVerb) *cobra.Command {
	var yes, force bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:     v.verb + " NODE",
		Short:   v.short,
		Long:    v.long,
		Example: v.example,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ask := v.ask
			if v.verb == "test" && force {
				ask = "Node %s is switched off and on again, with all that it runs."
			}
			if ask != "" && !yes {
				if err := agree(cmd, fmt.Sprintf(ask, args[0])); err != nil {
					return err
				}
			}
			return fenceNode(cmd, g, args[0], v.verb, api.FenceVerb{Force: force, User: cmd.CommandPath()}, limit)
		},
		ValidArgsFunction: complete(g, 1, nodeNames),
	}
	if v.ask != "" || v.force != "" {
		cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	}
	if v.force != "" {
		cmd.Flags().BoolVar(&force, "force", false, v.force)
	}
	cmd.Flags().DurationVar(&limit, "wait", 10*time.Minute, "wait at most so long for the end; it goes on all the same")
	return cmd
}

// agree asks a person. Without a terminal there is nobody to ask.
func agree(cmd *cobra.Command, question string) error {
	if !isTerminal(cmd.InOrStdin()) {
		return errs.E(cmd.CommandPath(), errs.Invalid, "", "Say --yes if you mean it.", errors.New(question+" There is no terminal to ask on"))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s\nType yes to go on: ", question)
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "yes" {
		return errs.E(cmd.CommandPath(), errs.Conflict, "", "", errors.New("nothing was done"))
	}
	return nil
}

// fenceNode asks for it, and shows what happens meanwhile.
func fenceNode(cmd *cobra.Command, g *globals, node, verb string, v api.FenceVerb, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), limit)
	defer cancel()
	done := make(chan struct{})
	if g.json() {
		close(done)
	} else {
		go func() { defer close(done); followFencing(ctx, cmd, g, node) }()
	}
	o, err := g.client().FenceNode(ctx, node, verb, v)
	cancel()
	<-done
	if err != nil {
		return err
	}
	if g.json() {
		return printJSON(cmd, o)
	}
	renderOutcome(cmd.OutOrStdout(), o, painterFor(cmd.OutOrStdout()))
	return nil
}

// followFencing prints the events about the fencing of a node until ctx ends. They
// only say how far it is: where they cannot be had the answer comes all the same.
func followFencing(ctx context.Context, cmd *cobra.Command, g *globals, node string) {
	out := cmd.ErrOrStderr()
	began := time.Now()
	_ = g.client().Events(ctx, api.EventQuery{Follow: true, AllNodes: true, Limit: 1}, func(e api.Event) error {
		if e.Kind == "fencing" && e.On == node && !e.Time.Before(began) {
			fmt.Fprintf(out, "%7.1f s  %s\n", e.Time.Sub(began).Seconds(), clean(e.Text))
		}
		return nil
	})
}

func newFenceListCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List fence devices, and what fences each node",
		Long:    "A device counts as tested when it has switched a node off, or said so on takt fence test.",
		Example: "  takt fence list\n  takt fence list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := g.client().Fence(cmd.Context())
			if err != nil {
				return err
			}
			if g.json() {
				return printJSON(cmd, f)
			}
			renderFence(cmd.OutOrStdout(), f, painterFor(cmd.OutOrStdout()), time.Local)
			return nil
		},
	}
}

func newFenceHistoryCommand(g *globals) *cobra.Command {
	var steps bool
	cmd := &cobra.Command{
		Use:     "history [NODE]",
		Short:   "Show who was fenced, when, why and by what",
		Example: "  takt fence history\n  takt fence history n2 --steps",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := g.client().Fence(cmd.Context())
			if err != nil {
				return err
			}
			list := f.History
			if len(args) == 1 {
				list = nil
				for _, e := range f.History {
					if e.Target == args[0] {
						list = append(list, e)
					}
				}
			}
			if g.json() {
				return printJSON(cmd, list)
			}
			renderFenceHistory(cmd.OutOrStdout(), list, steps, painterFor(cmd.OutOrStdout()), time.Local)
			return nil
		},
		ValidArgsFunction: complete(g, 1, nodeNames),
	}
	cmd.Flags().BoolVar(&steps, "steps", false, "each command of each device, too")
	return cmd
}
