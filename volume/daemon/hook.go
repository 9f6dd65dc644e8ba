package daemon

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/internal/command"
	"github.com/takt-ha/takt/volume"
)

// How long a handler may take, and how much time it has to end when that is over.
const (
	hookLimit = 5 * time.Minute
	hookGrace = 5 * time.Second
)

// hook runs a handler as drbd.conf(5) describes it, by the shell, and returns its exit
// code; -1 if there is none, it could not be run, or it was ended because it took too long: then it
// and everything that it started are gone. It is called outside of the data path.
func (d *Daemon) hook(ctx context.Context, name string, peer volume.NodeID, env map[string]string) int {
	line := d.config().Hooks[name]
	if line == "" {
		return -1
	}
	began := time.Now()
	got := command.Run(ctx, command.Spec{Path: "/bin/sh", Args: []string{"-c", line}, Env: hookEnvironment(name, env), Timeout: hookLimit, Grace: hookGrace, Limit: 4096})
	log := d.o.Log.With("handler", name, "peer", d.node(peer).Name, "took", time.Since(began).Round(time.Millisecond), "said", strings.TrimSpace(got.Output))
	switch {
	case got.Err != nil:
		log.Error("a handler could not be run", "error", got.Err)
	case got.TimedOut:
		log.Error("a handler took too long and was ended", "limit", hookLimit)
	case got.Cancelled:
		log.Warn("a handler was ended, since the volume ends")
	case got.Signal != 0:
		log.Error("a handler was ended by a signal", "signal", got.Signal.String())
	case got.Exit != 0:
		log.Warn("a handler ended", "exit", got.Exit)
	default:
		log.Info("a handler ended", "exit", 0)
	}
	if got.Err != nil || got.TimedOut || got.Cancelled || got.Signal != 0 {
		return -1
	}
	return got.Exit
}

// hookEnvironment is the whole environment of a handler: what the machine knows, and a PATH with the
// folders of system tools. As with DRBD the handler's own name is in DRBD_HANDLER.
func hookEnvironment(name string, env map[string]string) []string {
	out := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DRBD_HANDLER=" + name}
	for _, k := range slices.Sorted(maps.Keys(env)) {
		out = append(out, k+"="+env[k])
	}
	return out
}
