package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/lab/demo"
)

// newDemoCommand is `takt demo`: a cluster that fails over, on this machine.
func newDemoCommand() *cobra.Command {
	var o demo.Options
	var script bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a cluster that fails over, on this one machine",
		Long: "Runs three nodes and a client in namespaces, with a replicated volume, and where that can\n" +
			"be written a service address and a small web service that counts visits on the volume.\n" +
			"Shows what the client gets while you crash nodes and cut links. With --script it does so by itself, prints each step's outage, and exits with\n" +
			"an error if a promise was broken. Nothing is left behind.",
		Example: "  takt demo\n  takt demo --script --profile fast",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Out = cmd.OutOrStdout(); wantJSON(cmd) {
				o.Out = cmd.ErrOrStderr()
			}
			s, err := demo.Open(cmd.Context(), o)
			if err != nil {
				return err
			}
			if script {
				err = runScript(cmd, s, o.Profile)
			} else {
				err = runLive(cmd, s)
			}
			return errors.Join(err, s.Close())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&script, "script", false, "play all failures without a person")
	f.StringVar(&o.Profile, "profile", "default", "default or fast")
	f.StringVar(&o.Dir, "dir", "", "laboratory folder, whose logs are kept (default: a temporary one)")
	return cmd
}

func runLive(cmd *cobra.Command, s *demo.Session) error {
	in, out := cmd.InOrStdin(), cmd.OutOrStdout()
	if isTerminal(in) && isTerminal(out) {
		return s.Live(cmd.Context(), in, out)
	}
	return s.Plain(cmd.Context(), in, out)
}

func runScript(cmd *cobra.Command, s *demo.Session, profile string) error {
	results, err := s.Script(cmd.Context(), profile)
	if wantJSON(cmd) {
		if printErr := printJSON(cmd, results); printErr != nil {
			return printErr
		}
	} else if len(results) > 0 {
		_, _ = io.WriteString(cmd.OutOrStdout(), "\n"+demo.Table(results))
	}
	if err == nil && demo.Broken(results, profile) {
		err = errs.E("demo", errs.Other, "", "Keep the logs with --dir, and see takt events.", fmt.Errorf("a promise was broken"))
	}
	return err
}
