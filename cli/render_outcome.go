package cli

import (
	"fmt"
	"io"

	"github.com/takt-ha/takt/api"
)

// renderOutcome writes the answer to a change.
func renderOutcome(w io.Writer, o *api.Outcome, p painter) {
	fmt.Fprintln(w, clean(o.Text))
	list := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(w, "%s\n", p.paint(bold, title))
		for _, l := range lines {
			fmt.Fprintf(w, "  %s\n", clean(l))
		}
	}
	list("Configuration", o.Changes)
	list("Actions", o.Actions)
	for _, text := range o.Warnings {
		fmt.Fprintln(w, p.paint(warn, "! "+clean(text)))
	}
}
