package cli

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume/daemon"
)

func newVolumeUpCommand(v *volumes) *cobra.Command {
	return &cobra.Command{
		Use:     "up [NAME...]",
		Short:   "Start the process of a volume: it attaches its disk and connects",
		Example: "  takt volume up r0\n  takt volume up all",
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := v.chosen(args)
			for _, name := range names {
				if err == nil {
					err = v.start(name)
				}
			}
			return err
		},
	}
}

// start runs the volume's process in the background and returns when it can be spoken to.
func (v *volumes) start(name string) error {
	if _, err := v.load(name); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"volume", "run", name}
	if v.dir != "" {
		args = append(args, "--dir", v.dir)
	}
	if v.node != "" {
		args = append(args, "--node", v.node)
	}
	paths := v.paths(name)
	if err := os.MkdirAll(filepath.Dir(paths.Log), 0o755); err != nil {
		return errs.E("start volume", errs.Permission, name, "", err)
	}
	log, err := os.OpenFile(paths.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return errs.E("start volume", errs.Permission, name, "", err)
	}
	defer log.Close()
	ready, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{tell}
	cmd.Env = append(os.Environ(), readyVariable+"=3")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	tell.Close()
	if err != nil {
		return errs.E("start volume", errs.Other, name, "", err)
	}
	// The child writes "ok" or its error, and closes.
	var said bytes.Buffer
	_, err = said.ReadFrom(ready)
	if err == nil && said.String() == "ok" {
		return cmd.Process.Release()
	}
	cmd.Wait()
	text, hint, _ := strings.Cut(said.String(), "\n")
	if text == "" {
		text = "it ended at once"
	}
	if hint == "" {
		hint = "Its log: " + paths.Log
	}
	return errs.E("start volume", errs.Unavailable, name, hint, errors.New(text))
}

// readyVariable names the descriptor on which the process says how its start went.
const readyVariable = "TAKT_READY_FD"

func newVolumeRunCommand(v *volumes) *cobra.Command {
	return &cobra.Command{
		Use:     "run NAME",
		Short:   "Be the process of a volume, in the foreground",
		Example: "  takt volume run r0",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			tell := readyPipe()
			c, err := v.load(args[0])
			if err == nil {
				log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
				err = daemon.Run(ctx, daemon.Options{Config: c, Paths: v.paths(args[0]), Log: log}, func() { tell("ok") })
			}
			if err != nil {
				tell(err.Error() + "\n" + errs.HintOf(err))
			}
			return err
		},
	}
}

// readyPipe returns what tells the parent, once, how the start went.
func readyPipe() func(string) {
	if os.Getenv(readyVariable) != "3" {
		return func(string) {}
	}
	f := os.NewFile(3, "ready")
	return func(text string) {
		fmt.Fprint(f, text)
		f.Close()
	}
}
