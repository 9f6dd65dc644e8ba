package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/daemon"
)

func newVolumeUpCommand(v *volumes) *cobra.Command {
	var plain bool
	w := &awaiting{until: inStep}
	cmd := &cobra.Command{
		Use:   "up NAME...|all",
		Short: "Start the process of a volume: it attaches its disk and connects",
		Long: "The volume is described by NAME.toml or, without one, by the resource NAME in drbd.conf or drbd.d.\n" +
			"The command ends when the volume can be spoken to; with --wait when its data is in step with all peers.\n" +
			"\"all\" passes over those that are up; the name of a resource of drbd.conf with several volumes stands for all of them.",
		Example:           "  takt volume up r0\n  takt volume up all\n  takt volume up r0 --wait --timeout 5m",
		Args:              nameArgs(false),
		ValidArgsFunction: v.completeVolumes(true, false),
	}
	cmd.Flags().BoolVar(&plain, "plain", false, "a resource of drbd.conf without shared-secret: no encryption between the nodes, as DRBD had it")
	w = w.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		names, err := v.chosen(args)
		if err != nil {
			return err
		}
		return each(cmd, names, func(name string) error {
			err := v.start(cmd, name, plain)
			if args[0] == "all" && errs.KindOf(err) == errs.Exists {
				err = nil // "all" is about those that are not up
			}
			if err != nil || !w.on {
				return err
			}
			c := v.client(name)
			defer c.Close()
			_, err = v.await(cmd, c, name, "", w)
			return err
		})
	}
	return cmd
}

// start runs the volume's process in the background and returns when it can be spoken to.
func (v *volumes) start(cmd *cobra.Command, name string, plain bool) error {
	f, err := v.find(name)
	if err != nil {
		return err
	}
	if err := mayBePlain(f, plain); err != nil {
		return err
	}
	if words := exposed(f); words != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), words)
	}
	if v.cluster == "" && v.managed(name) {
		return systemctl(cmd.Context(), "start", volumeUnitName(name))
	}
	return v.spawn(name, plain)
}

// exposed warns of a file whose secret others than its owner can read.
func exposed(f found) string {
	fi, err := os.Stat(f.from)
	if err != nil || f.drbd || f.Net.Secret == "" || fi.Mode()&0o077 == 0 {
		return ""
	}
	return fmt.Sprintf("%s holds the secret of the encryption, and its mode is %04o: chmod 600 %s", f.from, fi.Mode().Perm(), f.from)
}

// mayBePlain refuses to go without encryption where nobody has said so: a configuration of DRBD without a
// secret says nothing. What stays on this machine needs none.
func mayBePlain(f found, plain bool) error {
	if !f.noSecret || plain || onLoopback(f.Config) {
		return nil
	}
	return errs.E("start volume", errs.Invalid, f.Name, "Set one on all nodes: net { shared-secret \"…\"; }. Or go without encryption, as DRBD did, with --plain.",
		fmt.Errorf("%s: the resource has no shared-secret, so nothing could be encrypted", f.from))
}

// onLoopback says whether all nodes are on this machine.
func onLoopback(c volume.Config) bool {
	for _, n := range c.Nodes {
		host, _, err := net.SplitHostPort(n.Address)
		if ip := net.ParseIP(host); err == nil && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// spawn starts the process, apart from this one.
func (v *volumes) spawn(name string, plain bool) error {
	args := []string{"volume", "run", name}
	if v.dir != "" {
		args = append(args, "--dir", v.dir)
	}
	if v.node != "" {
		args = append(args, "--node", v.node)
	}
	if v.cluster != "" {
		args = append(args, "--cluster", v.cluster)
	}
	if plain {
		args = append(args, "--plain")
	}
	paths := v.paths(name)
	said, cmd, err := background(args, paths.Log)
	if err != nil {
		return errs.E("start volume", errs.Permission, name, "", err)
	}
	if said == "ok" {
		return cmd.Process.Release()
	}
	kind, text, hint := errs.Unavailable, "its process ended at once", ""
	report, up := strings.CutPrefix(said, "up\n")
	if lines := strings.SplitN(report, "\n", 3); len(lines) == 3 {
		kind, hint, text = errs.ParseKind(lines[0]), lines[1], lines[2]
	}
	if up {
		_ = cmd.Process.Release() // it runs
		return errs.E("attach the disk of volume", kind, name, strings.TrimSpace(hint+" It is up without its disk; \"takt volume attach "+name+"\" when that is mended."), errors.New(strings.TrimPrefix(text, "attach the disk of volume "+name+": ")))
	}
	_ = cmd.Wait() // what it said counts more than how it ended
	if hint == "" {
		hint = "Its log: " + paths.Log
	}
	return errs.E("start volume", kind, name, hint, errors.New(strings.TrimPrefix(text, "start volume "+name+": ")))
}

func newVolumeRunCommand(v *volumes) *cobra.Command {
	var plain bool
	cmd := &cobra.Command{
		Use:               "run NAME",
		Short:             "Be the process of a volume, in the foreground",
		Long:              "What \"up\" starts in the background. Under systemd it says when it is ready, and its words go to the\njournal. SIGHUP is \"adjust\"; SIGTERM ends it, as a crash would but in order: \"down\" is better.",
		Example:           "  takt volume run r0",
		Args:              oneName,
		ValidArgsFunction: v.completeVolumes(false, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			tell := readyPipe()
			f, err := v.find(args[0])
			if err == nil {
				err = mayBePlain(f, plain)
			}
			if err == nil {
				err = daemon.Run(ctx, v.daemonOptions(cmd, f), func(lacks error) {
					if lacks == nil {
						tell("ok")
					} else {
						tell("up\n" + errorLines(lacks))
					}
				})
			}
			if err != nil {
				tell(errorLines(err))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&plain, "plain", false, "a resource of drbd.conf without shared-secret: no encryption between the nodes")
	return cmd
}

func (v *volumes) daemonOptions(cmd *cobra.Command, f found) daemon.Options {
	o := daemon.Options{
		Config: f.Config, Paths: v.paths(f.Name), Log: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), logOptions())),
		Beside: v.paths,
		Reload: func() (volume.Config, error) { return v.load(f.Name) },
	}
	if v.cluster != "" {
		o.Cluster = api.NewClient(v.cluster)
	}
	return o
}
