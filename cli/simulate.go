package cli

import (
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// simulateFlags are the flags of takt simulate.
type simulateFlags struct {
	cibSource
	as     string
	scores bool
}

// newSimulateCommand returns the command that shows what the scheduler would do.
func newSimulateCommand(g *globals) *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate [--xml-file FILE]",
		Short: "Show what the cluster would do with a configuration and state",
		Long: "Reads a whole CIB, from a file or else from the running cluster, and shows what the\n" +
			"scheduler would decide: each action with its reason, in an order in which they could\n" +
			"happen. Nothing is changed; with a file no daemon is needed.",
		Example: "  takt simulate --scores\n  takt cib query > now.xml && takt simulate --xml-file now.xml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runSimulation(cmd, g, f) },
	}
	f.addFlags(cmd)
	cmd.Flags().StringVar(&f.as, "output-as", "", "takt-json: actions, order and placement as the comparison tools read them")
	cmd.Flags().BoolVarP(&f.scores, "scores", "s", false, "show the score of each resource on each node")
	return cmd
}

func runSimulation(cmd *cobra.Command, g *globals, f simulateFlags) error {
	if f.as != "" && f.as != "takt-json" {
		return usage(cmd, fmt.Errorf("--output-as %q: want takt-json", f.as))
	}
	// One computation and the end: little of what it makes is garbage before that.
	defer debug.SetGCPercent(debug.SetGCPercent(300))
	root, now, err := f.read(cmd, g)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	options := f.options(f.scores)
	if f.as == "takt-json" {
		return simulateJSON(out, root, now, options)
	}
	t := scheduler.ScheduleWith(root, now, options)
	warnings(cmd.ErrOrStderr(), root)
	if g.json() {
		return printJSON(cmd, t)
	}
	writeTransition(out, t, f.scores)
	return nil
}

// warnings prints what the configuration check says. A CIB of another cluster
// may have findings and can be simulated nevertheless.
func warnings(w io.Writer, root *cib.Node) {
	if err := cib.Validate(root); err != nil {
		fmt.Fprintln(w, "warning:", clean(err.Error()))
	}
}

// writeTransition prints the actions in an order in which they can happen.
func writeTransition(w io.Writer, t *scheduler.Transition, scores bool) {
	if t.Empty() {
		fmt.Fprintln(w, "Nothing has to be done.")
	} else {
		fmt.Fprintln(w, "What would happen:")
	}
	step := 0
	list := slices.DeleteFunc(t.InOrder(), func(a scheduler.Action) bool { return a.Kind == scheduler.Pseudo })
	width := 40
	for _, a := range list {
		width = min(60, max(width, len(actionWords(a))))
	}
	for _, a := range list {
		step++
		fmt.Fprintf(w, "%4d. %-*s %s\n", step, width, clean(actionWords(a)), clean(a.Reason))
	}
	fmt.Fprintln(w, "\nWhere resources would be:")
	idle := map[string]bool{}
	for _, a := range t.Allocations {
		if surplus := surplusWords(a); surplus != "" && !scores {
			if !idle[surplus] {
				fmt.Fprintf(w, "  %s\n", clean(surplus))
			}
			idle[surplus] = true
			continue
		}
		fmt.Fprintf(w, "  %s\n", clean(a.Reason))
		if scores {
			writeScores(w, a)
		}
	}
	if !t.Recheck.IsZero() {
		fmt.Fprintf(w, "\nThe answer may change at %s.\n", t.Recheck.UTC().Format(time.RFC3339))
	}
	for _, text := range t.Warnings {
		fmt.Fprintln(w, "warning:", clean(text))
	}
}

// surplusWords is what is true of all instances of a clone that run nowhere and
// will run nowhere, for one line; "" for anything else.
func surplusWords(a scheduler.Allocation) string {
	base, number, ok := strings.Cut(a.Resource, ":")
	if !ok || strings.Trim(number, "0123456789") != "" || a.Node != "" || len(a.From) > 0 || a.Blocked {
		return ""
	}
	return "further instances of " + strings.ReplaceAll(strings.ReplaceAll(a.Reason, a.Resource+" runs nowhere", base+" run nowhere"), a.Resource, base)
}

func actionWords(a scheduler.Action) string {
	task := a.Task
	switch {
	case task == "monitor" && a.Interval > 0:
		task = "monitor every " + (time.Duration(a.Interval) * time.Millisecond).String()
	case task == "monitor":
		task = "probe"
	}
	return strings.Join(strings.Fields(task+" "+a.Resource+" on "+a.Node), " ")
}

func writeScores(w io.Writer, a scheduler.Allocation) {
	for _, node := range slices.Sorted(maps.Keys(a.Scores)) {
		fmt.Fprintf(w, "    %-16s %10s\n", clean(node), a.Scores[node])
		for _, term := range a.Terms {
			if term.Node == node {
				fmt.Fprintf(w, "      %10s  %s\n", term.Score, clean(term.Why))
			}
		}
	}
}
