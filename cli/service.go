package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/identity"
)

const (
	unitFile    = "/etc/systemd/system/takt.service"
	unitName    = "takt.service"
	systemdRuns = "/run/systemd/system" // sd_booted(3)
)

// retire takes back an identity whose making failed halfway.
func retire(p Paths) error { return identity.Retire(p.Dir, p.State, time.Now()) }

// daemonArgs are the arguments of takt daemon for these paths: those that differ
// from the defaults.
func daemonArgs(p Paths) []string {
	args := []string{"daemon"}
	add := func(flag, value, standard string) {
		if value != "" && value != standard {
			args = append(args, flag, value)
		}
	}
	add("--dir", p.Dir, identity.DefaultDir)
	add("--state", p.State, identity.DefaultState)
	add("--run", p.Run, "/run/takt")
	add("--socket", p.Socket, api.DefaultSocket)
	return args
}

// unit is the systemd service. KillMode=process and the absence of a RuntimeDirectory
// keep services, the pulse and their sockets alive while the daemon restarts; the
// limits let the pulse, and nothing else, ask for real time and locked memory.
func unit(executable string, p Paths) string {
	words := make([]string, 0, 8)
	for _, w := range append([]string{executable}, daemonArgs(p)...) {
		words = append(words, quoteUnit(w))
	}
	return `[Unit]
Description=Takt high availability
Documentation=man:takt(1)
Wants=network-online.target
After=network-online.target time-sync.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=` + strings.Join(words, " ") + `
Restart=on-failure
RestartSec=200ms
KillMode=process
TimeoutStartSec=60s
TimeoutStopSec=90s
LimitRTPRIO=99
LimitMEMLOCK=infinity
TasksMax=infinity
Delegate=yes

[Install]
WantedBy=multi-user.target
`
}

// quoteUnit quotes a word for ExecStart= (systemd.service(5), command lines).
func quoteUnit(w string) string {
	w = strings.NewReplacer("%", "%%", "$", "$$").Replace(w)
	if strings.ContainsAny(w, " \t\"'\\;") {
		return strconv.Quote(w)
	}
	return w
}

// installService writes, enables and starts the unit where systemd runs and
// reports whether it did. It starts nothing where it does not run.
func installService(ctx context.Context, log io.Writer, p Paths) (bool, error) {
	if fi, err := os.Stat(systemdRuns); err != nil || !fi.IsDir() {
		return false, nil
	}
	executable, err := os.Executable()
	if err != nil {
		return false, errs.E("install service", errs.Other, unitName, "", err)
	}
	if executable, err = filepath.EvalSymlinks(executable); err != nil {
		return false, errs.E("install service", errs.Other, unitName, "", err)
	}
	fmt.Fprintf(log, "writing %s\n", unitFile)
	if err := os.WriteFile(unitFile, []byte(unit(executable, p)), 0o644); err != nil {
		kind := errs.Other
		if errors.Is(err, fs.ErrPermission) {
			kind = errs.Permission
		}
		return false, errs.E("install service", kind, unitFile, "The cluster is made; as root run \"takt daemon\".", err)
	}
	if err := systemctl(ctx, "daemon-reload"); err != nil {
		return false, err
	}
	return true, systemctl(ctx, "enable", "--now", unitName)
}

func systemctl(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		about := unitName
		if last := args[len(args)-1]; strings.HasSuffix(last, ".service") {
			about = last
		}
		return errs.E("run systemctl", errs.Other, strings.Join(args, " "), "See \"journalctl -u "+strings.TrimSuffix(about, ".service")+"\".",
			fmt.Errorf("%w: %s", err, clean(strings.TrimSpace(string(out)))))
	}
	return nil
}
