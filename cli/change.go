package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
)

// waiting are the flags of commands that wait for the cluster to settle.
type waiting struct {
	wait   time.Duration
	noWait bool
}

func (w *waiting) flags(cmd *cobra.Command, standard time.Duration) {
	cmd.Flags().DurationVar(&w.wait, "wait", standard, "wait at most so long until the cluster has settled")
	cmd.Flags().BoolVar(&w.noWait, "no-wait", false, "return once the change is recorded")
}

func (w *waiting) millis() int64 {
	if w.noWait {
		return 0
	}
	return w.wait.Milliseconds()
}

// verb builds a request; the history names the command that sent it.
func (w *waiting) verb(cmd *cobra.Command, node string, force bool) api.Verb {
	return api.Verb{Node: node, Wait: w.millis(), Force: force, User: cmd.CommandPath()}
}

// finishChange prints the answer to a change. A cluster that did not settle in
// time is an error, because a script would go on as if the change had happened.
func finishChange(cmd *cobra.Command, g *globals, w *waiting, o *api.Outcome, err error) error {
	if err != nil {
		return err
	}
	if g.json() {
		if err := printJSON(cmd, o); err != nil {
			return err
		}
	} else {
		renderOutcome(cmd.OutOrStdout(), o, painterFor(cmd.OutOrStdout()))
	}
	if w.millis() > 0 && !o.Settled {
		return errs.E(cmd.CommandPath(), errs.Timeout, "", "See what is pending with \"takt status\", and why with \"takt events\".",
			errors.New("recorded, but the cluster has not settled within "+fmt.Sprint(w.wait)))
	}
	return nil
}
