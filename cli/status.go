package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
)

func newStatusCommand(g *globals) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the cluster on one screen",
		Long: "Shows quorum, nodes, links, resources, failures with the agent's own words, what is\n" +
			"in flight, and what a person should look at. It asks this node's daemon alone and\n" +
			"works without quorum.",
		Example: "  takt status\n  takt status -o json\n  takt status --wait 30s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := askStatus(cmd.Context(), g.client(), wait)
			if s != nil {
				if err := showStatus(cmd, g, s); err != nil {
					return err
				}
			}
			return err
		},
	}
	cmd.Flags().DurationVarP(&wait, "wait", "w", 0, "wait at most so long until the cluster is quorate and nothing is pending")
	return cmd
}

func showStatus(cmd *cobra.Command, g *globals, s *api.Status) error {
	if g.json() {
		return printJSON(cmd, s)
	}
	renderStatus(cmd.OutOrStdout(), s, painterFor(cmd.OutOrStdout()), time.Local)
	return nil
}

// statuser is the one question that waiting and watching ask.
type statuser interface {
	Status(ctx context.Context) (*api.Status, error)
}

// How often a wait asks, and how many times in a row the cluster must look
// settled: between a change and its transition nothing is pending for a moment.
const (
	pollEvery    = 100 * time.Millisecond
	settledTwice = 2
)

// askStatus asks once or, with a wait, until the cluster has settled. When the
// time is over it returns the last answer with an error of kind Timeout.
func askStatus(ctx context.Context, c statuser, wait time.Duration) (*api.Status, error) {
	if wait <= 0 {
		return c.Status(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last *api.Status
	why := "the daemon has not answered"
	for calm := 0; ; {
		s, err := c.Status(ctx)
		switch {
		case err == nil:
			last, why = s, unsettled(s)
		case ctx.Err() == nil && errs.KindOf(err) != errs.Unavailable:
			return nil, err
		}
		if calm++; err != nil || why != "" {
			calm = 0
		}
		if calm >= settledTwice {
			return s, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return last, errs.E("wait for the cluster", errs.Timeout, "", "See \"takt events\".", errors.New(why+" within "+wait.String()))
		}
	}
}

// unsettled says why a cluster has not settled, "" if it has.
func unsettled(s *api.Status) string {
	switch {
	case !s.Quorum.Quorate:
		return "no quorum"
	case s.Coordinator == "":
		return "no coordinator"
	case len(s.Pending) > 0:
		p := s.Pending[0]
		return fmt.Sprintf("%s of %s on %s has not ended", p.Action, p.Resource, p.Node)
	}
	for _, n := range s.Nodes {
		if n.State == "joining" || n.State == "leaving" {
			return fmt.Sprintf("node %s is still %s", n.Name, n.State)
		}
	}
	return ""
}
