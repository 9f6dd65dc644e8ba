package cli

import (
	"fmt"
	"io"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/internal/errs"
)

// simulateFlags are the flags of takt simulate.
type simulateFlags struct {
	file, now, as string
	scores        bool
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
	cmd.Flags().StringVarP(&f.file, "xml-file", "x", "", "the CIB to read; - is standard input (default: the running cluster's)")
	cmd.Flags().StringVarP(&f.now, "now", "t", "", "the time at which rules and expiries are judged: epoch seconds or an ISO 8601 date (default: the CIB's execution-date, else now)")
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
	root, err := simulatedCIB(cmd, g, f.file)
	if err != nil {
		return err
	}
	now, err := simulatedTime(root, f.now)
	if err != nil {
		return usage(cmd, err)
	}
	out := cmd.OutOrStdout()
	options := scheduler.Options{Sanitized: f.file != "", Scores: f.scores}
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

// simulatedCIB is the file's CIB, without a file the running cluster's.
func simulatedCIB(cmd *cobra.Command, g *globals, file string) (*cib.Node, error) {
	if file != "" {
		return readCIB(cmd.InOrStdin(), file)
	}
	xml, err := g.client().CIB(cmd.Context(), "")
	if err != nil {
		return nil, err
	}
	root, err := cib.ParseString(xml)
	if err != nil {
		return nil, errs.E("simulate", errs.Corrupt, "the running CIB", "", err)
	}
	return root, nil
}

func readCIB(stdin io.Reader, name string) (*cib.Node, error) {
	text, err := readText(stdin, name)
	if err != nil {
		return nil, errs.E("simulate", errs.NotFound, name, "name a file that holds a CIB, as \"takt cib query\" prints it", err)
	}
	root, err := cib.ParseString(text)
	if err != nil {
		return nil, errs.E("simulate", errs.Invalid, name, "mend the file and try again", err)
	}
	root, _ = cib.Upgrade(root) // what it meant to whom it was written for
	return root, nil
}

// readText reads a file, or standard input where that is named "-".
func readText(stdin io.Reader, name string) (string, error) {
	var text strings.Builder
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			text.Grow(int(min(info.Size(), cib.MaxSize+1)))
		}
		stdin = f
	}
	_, err := io.Copy(&text, stdin)
	return text.String(), err
}

// warnings prints what the configuration check says. A CIB of another cluster
// may have findings and can be simulated nevertheless.
func warnings(w io.Writer, root *cib.Node) {
	if err := cib.Validate(root); err != nil {
		fmt.Fprintln(w, "warning:", clean(err.Error()))
	}
}

// simulatedTime is the time asked for, else when the CIB says that it is from, else now.
func simulatedTime(root *cib.Node, text string) (time.Time, error) {
	if text == "" {
		text = root.Attr("execution-date")
	}
	if text == "" {
		return time.Now(), nil
	}
	return rule.ParseMoment(text)
}

// writeTransition prints the actions in an order in which they can happen.
func writeTransition(w io.Writer, t *scheduler.Transition, scores bool) {
	if t.Empty() {
		fmt.Fprintln(w, "Nothing has to be done.")
	} else {
		fmt.Fprintln(w, "What would happen:")
	}
	step := 0
	list := slices.DeleteFunc(sequence(t), func(a scheduler.Action) bool { return a.Kind == scheduler.Pseudo })
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

// sequence sorts the actions so that each comes after those it waits for; among
// those that could be next, the first in the transition.
func sequence(t *scheduler.Transition) []scheduler.Action {
	waits := make([]int, len(t.Actions))
	after := make([][]scheduler.ActionID, len(t.Actions))
	for _, o := range t.Order {
		waits[o.After]++
		after[o.Before] = append(after[o.Before], o.After)
	}
	var ready []scheduler.ActionID
	for i, n := range waits {
		if n == 0 {
			ready = append(ready, scheduler.ActionID(i))
		}
	}
	list := make([]scheduler.Action, 0, len(t.Actions))
	for i := 0; i < len(ready); i++ {
		list = append(list, t.Actions[ready[i]])
		next := after[ready[i]]
		slices.Sort(next)
		for _, id := range next {
			if waits[id]--; waits[id] == 0 {
				ready = append(ready, id)
			}
		}
	}
	return list
}
