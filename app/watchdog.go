package app

import (
	"context"
	"fmt"
	"time"

	fenceagents "github.com/takt-ha/takt/agent/fence/native"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/link"
	"github.com/takt-ha/takt/cluster/node"
)

// watchdogAgent is the fence agent whose device is each node's own watchdog.
const watchdogAgent = fenceagents.Prefix + "watchdog"

// watchdogOf returns the watchdog that a CIB wants on every node, nil: none. What
// cannot be read, or is shorter than the dead time, is none: the device's findings
// say so, and the heartbeats must not fail for it.
func watchdogOf(root *cib.Node, now time.Time) *link.Watchdog {
	p, deadtime := readFencePlan(root, now), time.Duration(node.TimingOf(root).Deadtime)*time.Millisecond
	for _, d := range p.Primitives {
		if d.Type != watchdogAgent || p.Devices[d.ID].Disabled != "" {
			continue
		}
		if device, timeout, err := fenceagents.WatchdogParams(d.Params); err == nil && timeout >= deadtime {
			return &link.Watchdog{Device: device, Timeout: int(timeout.Milliseconds())}
		}
	}
	return nil
}

// ownWatchdog is what the heartbeats say of this node's watchdog, for the agent
// that monitors it.
func (a *App) ownWatchdog() fenceagents.WatchdogState {
	ctx, done := context.WithTimeout(a.ctx, 5*time.Second)
	defer done()
	state := fenceagents.WatchdogState{Deadtime: time.Duration(node.TimingOf(a.root()).Deadtime) * time.Millisecond}
	st, err := a.pulse.Status(ctx)
	if err != nil {
		state.Problem = "the heartbeats do not answer: " + err.Error()
		return state
	}
	if w := st.Watchdog; w != nil {
		state.Device, state.Armed, state.Timeout, state.Problem = w.Device, w.Armed, time.Duration(w.Timeout)*time.Millisecond, w.Error
	}
	return state
}

// watchdogWords says how the answering node's watchdog is, "" without one.
func watchdogWords(w *link.WatchdogStatus) string {
	switch {
	case w == nil:
		return ""
	case w.Error != "":
		return "not usable: " + w.Error
	case !w.Armed:
		return "not armed yet"
	case w.Unfit != "":
		return "bites: " + w.Unfit
	}
	return fmt.Sprintf("armed, %v", time.Duration(w.Timeout)*time.Millisecond)
}
