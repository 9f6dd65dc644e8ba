package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib/verify"
)

// newCIBVerifyCommand returns the command that lists all that is wrong with a CIB.
func newCIBVerifyCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "verify [FILE|-]",
		Short: "List everything that is wrong with a configuration",
		Long: "Looks at a whole <cib>, of a file, of standard input (-) or else of the running\n" +
			"cluster, for what is wrong and for what will not do what was meant: constraints in a\n" +
			"circle or with what does not exist, contradictions, misspelled options, rules that are\n" +
			"never true, operations that are ignored. Each finding comes with its place and remedy.\n" +
			"\n" +
			"What a cluster would refuse is an error; what it runs nevertheless, with a default or\n" +
			"by ignoring it, is a warning. A document of an old schema is read as it is upgraded.\n" +
			"The exit status is 1 if there are errors. With a file no daemon is needed.",
		Example: "  takt cib verify\n  takt cib verify cib.xml\n  takt cib query | takt cib verify -o json -",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, source, err := verifiedSource(cmd, g, args)
			if err != nil {
				return err
			}
			r := verify.Source(data)
			if g.json() {
				err = printJSON(cmd, r)
			} else {
				writeReport(cmd.OutOrStdout(), source, r)
			}
			if err == nil && !r.Valid() {
				return exitStatus(1)
			}
			return err
		},
	}
}

// verifiedSource is what is verified: a file, standard input, or the running cluster's CIB.
func verifiedSource(cmd *cobra.Command, g *globals, args []string) (data []byte, source string, err error) {
	if len(args) == 0 {
		xml, err := g.client().CIB(cmd.Context(), api.CIBQuery{})
		return []byte(xml), "the running CIB", err
	}
	data, _, err = readInput(cmd, args[0])
	if source = args[0]; source == "-" {
		source = "standard input"
	}
	return data, source, err
}

// writeReport prints a finding as "file:line: severity: message", then where
// it is and what would be right.
func writeReport(w io.Writer, source string, r verify.Report) {
	p := painterFor(w)
	for _, text := range r.Upgraded {
		fmt.Fprintf(w, "%s: %s: %s\n", clean(source), p.paint(dim, "upgraded"), clean(text))
	}
	for _, f := range r.Findings {
		place, s := source, warn
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d", source, f.Line)
		}
		if f.Severity == verify.Error {
			s = bad
		}
		fmt.Fprintf(w, "%s: %s: %s\n", clean(place), p.paint(s, string(f.Severity)), clean(f.Message))
		fmt.Fprintf(w, "    %s\n    %s\n", p.paint(dim, clean(f.Path)), clean(f.Remedy))
	}
	fmt.Fprintln(w, verdict(source, r))
}

// verdict sums a report up in a line.
func verdict(source string, r verify.Report) string {
	if r.Errors+r.Warnings == 0 {
		return clean(source) + ": nothing is wrong"
	}
	return fmt.Sprintf("%s: %s, %s", clean(source), counted(r.Errors, "error"), counted(r.Warnings, "warning"))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
