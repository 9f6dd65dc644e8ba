package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
)

const volumeUnitFile = "/etc/systemd/system/takt-volume@.service"

// volumeUnit is the template of systemd for the process of a volume, takt-volume@NAME.service. Its words go to the
// journal. A volume that fails is started anew; one that was taken down stays down. KillMode=mixed lets the process end
// itself and its handlers, which a signal to all of them would cut short.
func volumeUnit(executable string) string {
	return `[Unit]
Description=Takt volume %i
Documentation=man:takt-volume(1)
Wants=network-online.target
After=network-online.target
Before=takt.service
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=` + quoteUnit(executable) + ` volume run %i
ExecReload=` + quoteUnit(executable) + ` volume adjust %i
Restart=on-failure
RestartSec=1s
KillMode=mixed
TimeoutStartSec=60s
TimeoutStopSec=60s
OOMScoreAdjust=-900
LimitNOFILE=65536
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`
}

func volumeUnitName(name string) string { return "takt-volume@" + name + ".service" }

func systemdIsThere() bool {
	fi, err := os.Stat(systemdRuns)
	return err == nil && fi.IsDir()
}

// managed says whether systemd starts this volume: then "up" leaves it to it, so that it is watched over.
func (v *volumes) managed(name string) bool {
	if v.dir != "" || !systemdIsThere() {
		return false
	}
	_, err := os.Lstat(filepath.Join("/etc/systemd/system/multi-user.target.wants", volumeUnitName(name)))
	return err == nil
}

func newVolumeEnableCommand(v *volumes) *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:   "enable NAME...|all",
		Short: "Let systemd start a volume at boot and watch over its process",
		Long: "Writes the template takt-volume@.service and enables it for the volume, which is not started now.\n" +
			"What the volume's process says is in the journal: journalctl -u takt-volume@NAME. In a cluster the\n" +
			"cluster starts its volumes: do not enable those.",
		Example:           "  takt volume enable r0\n  takt volume enable --show   # prints the template",
		Args:              nameArgs(true),
		ValidArgsFunction: v.completeVolumes(true, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			self, err := os.Executable()
			if err == nil {
				self, err = filepath.EvalSymlinks(self)
			}
			if err != nil {
				return errs.E("enable volume", errs.Other, "", "", err)
			}
			if show {
				fmt.Fprint(cmd.OutOrStdout(), volumeUnit(self))
				return nil
			}
			if err := v.wantsSystemd(cmd, args); err != nil {
				return err
			}
			names, err := v.chosen(args)
			if err != nil {
				return err
			}
			if err := os.WriteFile(volumeUnitFile, []byte(volumeUnit(self)), 0o644); err != nil {
				kind := errs.Other
				if errors.Is(err, fs.ErrPermission) {
					kind = errs.Permission
				}
				return errs.E("enable volume", kind, volumeUnitFile, "", err)
			}
			if err := systemctl(cmd.Context(), "daemon-reload"); err != nil {
				return err
			}
			return each(cmd, names, func(name string) error {
				if _, err := v.load(name); err != nil {
					return err
				}
				return systemctl(cmd.Context(), "enable", volumeUnitName(name))
			})
		},
	}
	cmd.Flags().BoolVar(&show, "show", false, "print the template and do nothing")
	return cmd
}

func newVolumeDisableCommand(v *volumes) *cobra.Command {
	return &cobra.Command{
		Use:               "disable NAME...|all",
		Short:             "Let systemd start a volume no more",
		Long:              "A volume that is up stays up.",
		Example:           "  takt volume disable r0",
		Args:              nameArgs(false),
		ValidArgsFunction: v.completeVolumes(true, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := v.wantsSystemd(cmd, args); err != nil {
				return err
			}
			names, err := v.chosen(args)
			if err != nil {
				return err
			}
			return each(cmd, names, func(name string) error { return systemctl(cmd.Context(), "disable", volumeUnitName(name)) })
		},
	}
}

// wantsSystemd refuses what systemd cannot do here.
func (v *volumes) wantsSystemd(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return usage(cmd, errors.New("name a volume, or \"all\""))
	case v.dir != "" || v.node != "":
		return usage(cmd, errors.New("--dir and --node are not for volumes that systemd starts"))
	case !systemdIsThere():
		return errs.E(cmd.CommandPath(), errs.Unavailable, "", "\"takt volume up\" starts a volume; let your own boot scripts call it.", errors.New("systemd does not run here"))
	}
	return nil
}
