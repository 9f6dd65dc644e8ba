package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/explain"
)

// explainFlags are the flags of takt explain.
type explainFlags struct {
	cibSource
	node   string
	scores bool
}

// newExplainCommand returns the command that says why a resource is where it is.
func newExplainCommand(g *globals) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain RESOURCE [--node NODE]",
		Short: "Say in words why a resource runs where it runs, or does not",
		Long: "Says why a resource (or what a group, clone or bundle holds) runs where it runs, why not\n" +
			"on another node, why nowhere, what it waits for and what would have to change; and what\n" +
			"will happen to it, and why. The deciding reason comes first.",
		Example: "  takt explain web\n  takt explain web --node n1\n  takt explain web --scores\n  takt cib query > now.xml && takt explain web --xml-file now.xml",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runExplain(cmd, g, f, args[0]) },

		ValidArgsFunction: complete(g, 1, resourceNames),
	}
	cmd.Flags().StringVarP(&f.node, "node", "n", "", "the node to ask about: why there, or why not")
	f.addFlags(cmd)
	cmd.Flags().BoolVarP(&f.scores, "scores", "s", false, "show the scores on each node, and what they are made of")
	return cmd
}

func runExplain(cmd *cobra.Command, g *globals, f explainFlags, resource string) error {
	root, now, err := f.read(cmd, g)
	if err != nil {
		return err
	}
	if f.file == "" {
		if err := sayStale(cmd, g); err != nil {
			return err
		}
	}
	t := scheduler.ScheduleWith(root, now, f.options(true))
	answer, err := explain.Explain(root, t, resource, f.node)
	if err != nil {
		return err
	}
	if g.json() {
		return printJSON(cmd, answer)
	}
	out := cmd.OutOrStdout()
	p := painterFor(out)
	renderAnswer(out, answer, p)
	if f.scores {
		renderScores(out, answer, p)
	}
	if !t.Recheck.IsZero() {
		fmt.Fprintf(out, "\n%s\n", p.paint(dim, "Time alone may change this at "+t.Recheck.UTC().Format(time.RFC3339)+"."))
	}
	return nil
}

// sayStale warns, aside from the answer, that a node without quorum knows no more
// than what was when it had one.
func sayStale(cmd *cobra.Command, g *globals) error {
	s, err := g.client().Status(cmd.Context())
	if err == nil && !s.Quorum.Quorate {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s is not quorate: this is what it knew before, and nothing will happen until it is. See takt status.\n", s.Node)
	}
	return err
}

// manyInstances is from where on only the deciding sentence of each is shown.
const manyInstances = 4

func renderAnswer(w io.Writer, a *explain.Answer, p painter) {
	short := len(a.Instances) >= manyInstances
	for _, i := range a.Instances {
		for n, text := range i.Says {
			switch {
			case n == 0 && short && i.Node == "" && len(i.Says) > 1: // the nodes' reasons are what decides
				fmt.Fprintf(w, "%s\n", p.paint(headStyle(i), clean(text+": "+strings.Join(i.Says[1:min(len(i.Says), 4)], "; "))))
			case n == 0:
				fmt.Fprintf(w, "%s\n", p.paint(headStyle(i), clean(text)))
			case !short:
				fmt.Fprintf(w, "  %s\n", clean(text))
			}
		}
		if !short {
			renderChange(w, i, p)
		}
	}
	if short {
		fmt.Fprintf(w, "%s\n", p.paint(dim, "More about one of them: takt explain "+clean(a.Instances[0].Resource)))
	}
	if len(a.Actions) == 0 {
		return
	}
	section(w, p, "What will happen")
	t := &table{painter: p, indent: "  "}
	for i := 0; i < len(a.Actions); i++ {
		s := a.Actions[i]
		words, reason := s.Words, s.Reason
		for ; i+1 < len(a.Actions) && alike(s, a.Actions[i+1]); i++ {
			words += ", " + a.Actions[i+1].Node
			if a.Actions[i+1].Reason != s.Reason {
				reason = "what it does there is not known"
			}
		}
		t.add(cell{clean(words), plain}, cell{clean(reason), dim})
	}
	t.write(w)
}

// alike reports whether two steps are probes of one resource, which fit on a line.
func alike(a, b explain.Step) bool {
	return a.Task == "monitor" && a.Interval == 0 && b.Task == a.Task && b.Interval == 0 && a.Resource == b.Resource
}

func headStyle(i explain.Instance) style {
	switch {
	case i.Blocked:
		return bad
	case i.Node == "" && i.Role == scheduler.Stopped:
		return warn
	}
	return bold
}

func renderChange(w io.Writer, i explain.Instance, p painter) {
	for n, text := range i.Change {
		lead := "to change that: "
		if n > 0 {
			lead = "            and: "
		}
		fmt.Fprintf(w, "  %s%s\n", p.paint(dim, lead), clean(text))
	}
}

// renderScores writes the table resource × node, and below it the terms.
func renderScores(w io.Writer, a *explain.Answer, p painter) {
	nodes := slices.DeleteFunc(slices.Clone(a.Nodes), func(n string) bool {
		return !slices.ContainsFunc(a.Instances, func(i explain.Instance) bool { _, has := i.Scores[n]; return has })
	})
	section(w, p, "Scores")
	t := &table{painter: p, indent: "  "}
	head := []cell{{"", plain}}
	for _, n := range nodes {
		head = append(head, cell{clean(n), bold})
	}
	t.add(append(head, cell{})...)
	for _, i := range a.Instances {
		row := []cell{{clean(i.Resource), plain}}
		for _, n := range nodes {
			row = append(row, scoreCell(i, n))
		}
		t.add(append(row, cell{})...)
	}
	t.write(w)
	if len(a.Instances) >= manyInstances {
		return
	}
	for _, i := range a.Instances {
		section(w, p, "What the scores of "+clean(i.Resource)+" are made of")
		t := &table{painter: p, indent: "  "}
		for _, term := range i.Terms {
			score := term.Score.String()
			t.add(cell{clean(term.Node), plain}, cell{strings.Repeat(" ", max(0, 9-len(score))) + score, plain}, cell{clean(term.Why), dim})
		}
		t.write(w)
	}
}

// scoreCell is one score; the chosen node's is marked.
func scoreCell(i explain.Instance, node string) cell {
	s, known := i.Scores[node]
	switch {
	case !known:
		return cell{"-", dim}
	case node == i.Node:
		return cell{s.String() + " *", good}
	case s <= -scheduler.Infinity:
		return cell{s.String(), dim}
	}
	return cell{s.String(), plain}
}
