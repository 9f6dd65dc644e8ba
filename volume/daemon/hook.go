package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/volume"
)

// hookLimit ends a handler that hangs.
const hookLimit = 5 * time.Minute

// hook runs a handler as drbd.conf(5) describes it, by the shell, and returns its exit
// code; -1 if there is none or it could not be run.
func (d *Daemon) hook(ctx context.Context, name string, peer volume.NodeID, env map[string]string) int {
	command := d.o.Config.Hooks[name]
	if command == "" {
		return -1
	}
	ctx, stop := context.WithTimeout(ctx, hookLimit)
	defer stop()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.CombinedOutput()
	code := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		code = -1
	}
	d.o.Log.Info("a handler ended", "handler", name, "peer", d.node(peer).Name, "exit", code, "said", strings.TrimSpace(string(out[:min(len(out), 4096)])))
	return code
}

// owned gives a socket the owner and mode of "user:group:mode"; empty: root alone.
func owned(path, mode string) error {
	if mode == "" {
		return os.Chmod(path, 0o600)
	}
	parts := strings.Split(mode, ":")
	if len(parts) != 3 {
		return fmt.Errorf("mode = %q: want USER:GROUP:MODE, as in root:disk:0660", mode)
	}
	bits, err := strconv.ParseUint(parts[2], 8, 9)
	if err != nil {
		return fmt.Errorf("mode = %q: %q is no octal mode", mode, parts[2])
	}
	u, err := user.Lookup(parts[0])
	if err != nil {
		return err
	}
	g, err := user.LookupGroup(parts[1])
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(g.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		return err
	}
	return os.Chmod(path, os.FileMode(bits))
}
