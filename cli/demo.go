package cli

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/lab/demo"
)

// newDemoCommand is `takt demo`: a cluster that fails over, on this machine.
func newDemoCommand() *cobra.Command {
	var o demo.Options
	var script bool
	var crashes int
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a cluster that fails over, on this one machine",
		Long: "Runs three nodes and a client in namespaces, with a replicated volume, and where that can\n" +
			"be written a service address and a small web service that counts visits on the volume.\n" +
			"Shows what the client gets while you crash nodes and cut links. With --script it does so by itself, prints each step's outage, and exits with\n" +
			"an error if a promise was broken; with --crashes N it takes the power from the node that is primary\n" +
			"N times in a row instead, a line each. Nothing is left behind.",
		Example: "  takt demo\n  takt demo --script --profile fast\n  takt demo --script --crashes 20",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if crashes < 0 || crashes > 0 && !script {
				return usage(cmd, errors.New("--crashes: want a number, and --script with it"))
			}
			if o.Out = cmd.OutOrStdout(); wantJSON(cmd) {
				o.Out = cmd.ErrOrStderr()
			}
			s, err := demo.Open(cmd.Context(), o)
			if err != nil {
				return err
			}
			if crashes > 0 {
				err = runCrashes(cmd, s, crashes)
			} else if script {
				err = runScript(cmd, s, o.Profile)
			} else {
				err = runLive(cmd, s)
			}
			return errors.Join(err, s.Close())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&script, "script", false, "play all failures without a person")
	f.IntVar(&crashes, "crashes", 0, "with --script: crash the node that is primary so many times in a row, and compare the replicas")
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
		err = errBroken()
	}
	return err
}

func errBroken() error {
	return errs.E("demo", errs.Other, "", "Keep the logs with --dir, and see takt events.", errors.New("a promise was broken"))
}

func runCrashes(cmd *cobra.Command, s *demo.Session, times int) error {
	all, err := s.Crashes(cmd.Context(), times)
	if wantJSON(cmd) {
		err = errors.Join(printJSON(cmd, all), err)
	} else if len(all) > 0 {
		_, _ = io.WriteString(cmd.OutOrStdout(), "\n"+demo.SumUp(all))
	}
	if n := len(all); err == nil && (n < times || len(all[n-1].Broken) > 0) {
		err = errBroken()
	}
	return err
}
