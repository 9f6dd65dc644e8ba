package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/config"
	"github.com/takt-ha/takt/director/daemon"
	"github.com/takt-ha/takt/director/ipvs"
	"github.com/takt-ha/takt/director/nat"
	"github.com/takt-ha/takt/importer/keepalived"
	"github.com/takt-ha/takt/internal/errs"
)

// directors are the flags of commands about directors that run.
type directors struct {
	*globals
	dir, name, log, id string
}

func (d *directors) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.dir, "dir", "/run/takt", "where its socket is")
	cmd.Flags().StringVar(&d.name, "name", "default", "of the director, where several run on this machine")
	_ = cmd.MarkFlagDirname("dir") // of a flag that is there
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if !directorName.MatchString(d.name) {
			return usage(cmd, fmt.Errorf("--name %q: want a letter, then at most 30 letters, digits and dashes", d.name))
		}
		return nil
	}
}

func (d *directors) client() *daemon.Client { return daemon.NewClient(d.dir, d.name) }

// directorName becomes part of file names and of the names of tables in the kernel.
var directorName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]{0,30}$`)

func newDirectorRunCommand(g *globals) *cobra.Command {
	d := &directors{globals: g}
	cmd := &cobra.Command{
		Use:   "run [FILE]",
		Short: "Be a director, until SIGTERM",
		Long: "Reads a configuration in keepalived's language, holds its addresses by VRRP, checks its real\n" +
			"servers and has the kernel forward. Without FILE it is /etc/takt/director.conf, or else\n" +
			"/etc/keepalived/keepalived.conf. SIGHUP reads it again: what has not changed is left alone, and a\n" +
			"configuration with an error is refused as a whole. When it is killed, forwarding goes on.",
		Example: "  takt director check && takt director run\n  takt director run /etc/keepalived/keepalived.conf\n  takt director run --name inner inner.conf",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tell := readyPipe()
			err := d.run(cmd, args, func() { tell("ok") })
			if err != nil {
				tell(errorLines(err))
			}
			return err
		},
	}
	d.flags(cmd)
	d.configFlag(cmd)
	return cmd
}

// configFlag is as that of director check: what it accepts is what runs.
func (d *directors) configFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&d.id, "config-id", "i", "", "what lines that begin with @ are compared with (default: the host name up to its first dot)")
	cmd.ValidArgsFunction = files
}

func (d *directors) run(cmd *cobra.Command, args []string, ready func()) error {
	path, err := config.Find(strings.Join(args, ""))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), logOptions()))
	debug.SetGCPercent(50) // most of the heap is the configuration, and there is little garbage: collecting sooner costs nothing that shows
	return daemon.Run(ctx, d.options(path, log), reload, func() {
		log.Info("the director runs", "configuration", path, "name", d.name)
		ready()
	})
}

func newDirectorStartCommand(g *globals) *cobra.Command {
	d := &directors{globals: g}
	cmd := &cobra.Command{
		Use:     "start [FILE]",
		Short:   "Start a director in the background",
		Long:    "What \"run\" does in the foreground. The command ends when the director works. Its words go to\n/var/log/takt/director-NAME.log.",
		Example: "  takt director start /etc/keepalived/keepalived.conf",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := config.Find(strings.Join(args, ""))
			if err != nil {
				return err
			}
			return d.start(path)
		},
	}
	d.flags(cmd)
	d.configFlag(cmd)
	cmd.Flags().StringVar(&d.log, "log", "", "where its words go (default: /var/log/takt/director-NAME.log)")
	return cmd
}

func (d *directors) start(path string) error {
	log := d.log
	if log == "" {
		log = "/var/log/takt/director-" + d.name + ".log"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	args := []string{"director", "run", "--name", d.name, "--dir", d.dir}
	if d.id != "" {
		args = append(args, "--config-id", d.id)
	}
	said, cmd, err := background(append(args, "--", path), log)
	if err != nil {
		return errs.E("start", errs.Permission, "director "+d.name, "", err)
	}
	if said == "ok" {
		return cmd.Process.Release()
	}
	_ = cmd.Wait() // what it said counts more than how it ended
	lines := strings.SplitN(said, "\n", 3)
	if len(lines) < 3 {
		return errs.E("start", errs.Unavailable, "director "+d.name, "Its log: "+log, errors.New("its process ended at once"))
	}
	return errs.E("start", errs.ParseKind(lines[0]), "director "+d.name, lines[1], errors.New(strings.TrimPrefix(lines[2], "start director "+d.name+": ")))
}

func newDirectorStopCommand(g *globals) *cobra.Command {
	return directorVerb(g, &cobra.Command{
		Use:     "stop",
		Short:   "Stop a director: its addresses go to the others at once, and it forwards no more",
		Example: "  takt director stop",
	}, (*daemon.Client).Stop)
}

// directorVerb completes a command that asks a director that runs for one thing.
func directorVerb(g *globals, cmd *cobra.Command, ask func(*daemon.Client, context.Context) error) *cobra.Command {
	d := &directors{globals: g}
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return ask(d.client(), cmd.Context()) }
	d.flags(cmd)
	return cmd
}

func (d *directors) options(path string, log *slog.Logger) daemon.Options {
	return daemon.Options{Name: d.name, Dir: d.dir, Log: log, Ways: forwarders(d.name, d.dir),
		Load: func() (*director.Config, error) { return loadDirector(path, d.id, log) }}
}

// forwarders are the ways of forwarding, the best first.
func forwarders(name, dir string) []daemon.Named {
	return []daemon.Named{{Name: "IPVS", Forwarder: ipvs.New(name, dir)}, {Name: "nftables", Forwarder: nat.New(name)}}
}

// loadDirector reads a configuration for a director that is to run: errors refuse it, warnings are told.
func loadDirector(path, id string, log *slog.Logger) (*director.Config, error) {
	r, err := config.Load(path, config.Options{ID: id})
	if err != nil {
		return nil, err
	}
	wrong, first := 0, ""
	for _, f := range r.Findings {
		switch f.Severity {
		case keepalived.Error:
			if wrong++; wrong == 1 {
				first = f.Pos.String() + ": " + f.Words
			}
			log.Error(f.Words, "at", f.Pos.String())
		case keepalived.Warning:
			log.Warn(f.Words, "at", f.Pos.String())
		}
	}
	if wrong > 0 || r.Config == nil {
		return nil, errs.E("read configuration", errs.Invalid, path, "See all of them: takt director check "+path, fmt.Errorf("%s, the first: %s", count(wrong, "error"), first))
	}
	return r.Config, nil
}

func newDirectorReloadCommand(g *globals) *cobra.Command {
	return directorVerb(g, &cobra.Command{
		Use:     "reload",
		Short:   "Make a director read its configuration again",
		Long:    "What has not changed is left alone: connections stay. A configuration with an error is refused as a\nwhole, and the old one stays in force.",
		Example: "  takt director reload",
	}, (*daemon.Client).Reload)
}
