package native

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence"
	dog "github.com/takt-ha/takt/internal/watchdog"
)

// WatchdogState is what a node knows of its own watchdog.
type WatchdogState struct {
	Device  string        // what is petted; "": none is configured
	Armed   bool          // it counts now
	Timeout time.Duration // the one in force
	Problem string        // why it could not be armed, in words; "" if nothing is wrong
	// What the time-out has to suffice for; zero: not known.
	Deadtime time.Duration // until silence is a loss
	Stop     time.Duration // the longest time that stopping everything may take here
}

// watchdogDevice is where a machine has its watchdog, unless told otherwise.
const watchdogDevice = "/dev/watchdog"

// watchdogTimeout is for how long it is petted at a time, unless told otherwise.
const watchdogTimeout = 5 * time.Second

// watchdogKind is fence_takt_watchdog: a node that lost the others is reset by its
// own watchdog, and they know that it was when twice the time-out has passed.
type watchdogKind struct {
	state func() WatchdogState // nil: a program of its own
	node  string
	// For tests: the root of /sys, and who has a device open.
	sys    string
	holder func(device string) string
}

// WatchdogParams reads the watchdog that a primitive of fence_takt_watchdog
// configures: the device and the time-out to pet it with.
func WatchdogParams(params map[string]string) (device string, timeout time.Duration, err error) {
	device, timeout = watchdogDevice, watchdogTimeout
	if v := params["device"]; v != "" {
		device = v
	}
	if v := params["timeout"]; v != "" {
		timeout, err = agent.ParseDuration(v)
	}
	switch {
	case err != nil:
		return "", 0, fmt.Errorf("timeout: %w", err)
	case timeout < time.Second:
		return "", 0, fmt.Errorf("timeout: %s is too short for a watchdog; want 1s or more", timeout)
	case !filepath.IsAbs(device):
		return "", 0, fmt.Errorf("device: %q is no path such as %s", device, watchdogDevice)
	}
	return device, timeout, nil
}

func watchdog(opts Options) *kind {
	w := &watchdogKind{state: opts.Watchdog, node: opts.Node, sys: "/", holder: dog.Holder}
	meta := describe("watchdog", "Lets each node's own watchdog reset it",
		"A watchdog is a timer that resets the machine unless it is petted. It is petted only while the node is quorate and healthy, so a node that lost the others, or hangs, is reset by its own watchdog. "+
			"The others wait for twice its time-out and then know. Nobody can command it: off and reboot of this agent always fail, and the cluster waits instead. monitor says whether this node's watchdog is armed.",
		[]string{fence.Off, fence.Reboot, fence.Monitor},
		fence.Parameter{Name: "device", Type: "string", Default: watchdogDevice, ShortDesc: "the watchdog of each node: a device, or a unix socket that behaves as one"},
		fence.Parameter{Name: "timeout", Type: "second", Default: "5s", ShortDesc: "without petting for so long the node resets"})
	meta.Waits = true
	return &kind{meta: meta, run: w.run, check: w.check, inspect: w.inspect}
}

func (w *watchdogKind) run(ctx context.Context, c call) (string, error) {
	switch c.action {
	case fence.ValidateAll:
		_, _, err := WatchdogParams(c.params)
		return "", err
	case fence.Monitor:
		return "", w.monitor(ctx, c.params)
	}
	return "", fmt.Errorf("nobody can command the watchdog of %s: it resets %s by itself once it is not quorate any more, and the cluster waits for twice its time-out", c.plug, c.plug)
}

// settle is how long monitor waits for a watchdog that is being armed: that is
// done when the node is quorate for the first time, and so can have begun just now.
const settle = 3 * time.Second

func (w *watchdogKind) monitor(ctx context.Context, params fence.Params) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	for {
		err := w.armed(params)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(settle / 30):
		}
	}
}

// armed returns why this node's watchdog does not do what the parameters say.
func (w *watchdogKind) armed(params fence.Params) error {
	device, timeout, err := WatchdogParams(params)
	if err != nil {
		return err
	}
	if found := w.findings(device, timeout); fence.Errors(found) != "" {
		return errors.New(fence.Errors(found))
	}
	if w.state == nil {
		return w.counts(device)
	}
	switch s := w.state(); {
	case s.Device == "":
		return fmt.Errorf("this node pets no watchdog")
	case s.Device != device:
		return fmt.Errorf("this node pets the watchdog %s, and the device is to be %s", s.Device, device)
	case !s.Armed:
		return fmt.Errorf("the watchdog %s is not armed; that is done when the node is quorate for the first time", device)
	case s.Timeout > timeout:
		return fmt.Errorf("the time-out of the watchdog %s is %s, longer than the %s that are configured: others would think too soon that this node was reset", device, s.Timeout, timeout)
	}
	return nil
}

// counts asks the kernel, where no daemon can be asked.
func (w *watchdogKind) counts(device string) error {
	if state := w.attribute(device, "state"); state == "inactive" {
		return fmt.Errorf("the watchdog %s is not armed", device)
	}
	return nil
}

func (w *watchdogKind) check(cfg fence.Config, _ []string) []fence.Finding {
	if _, _, err := WatchdogParams(cfg.Params); err != nil {
		return []fence.Finding{{Severity: fence.Error, Device: cfg.ID, Text: err.Error()}}
	}
	return nil
}

func (w *watchdogKind) inspect(_ context.Context, cfg fence.Config) []fence.Finding {
	device, timeout, err := WatchdogParams(cfg.Params)
	if err != nil {
		return nil // check has said it
	}
	found := w.findings(device, timeout)
	for i := range found {
		found[i].Device = cfg.ID
	}
	return found
}

// findings is what is wrong with the watchdog of this node.
func (w *watchdogKind) findings(device string, timeout time.Duration) []fence.Finding {
	facts := WatchdogFacts{Device: device, Timeout: timeout}
	info, err := os.Stat(device)
	switch {
	case err != nil:
		facts.Missing = true
	case info.Mode()&(os.ModeCharDevice|os.ModeSocket) == 0:
		facts.Alien = true
	}
	if max := w.attribute(device, "max_timeout"); max != "" && max != "0" {
		facts.Max, _ = time.ParseDuration(max + "s")
	}
	var s WatchdogState
	if w.state != nil {
		s = w.state()
	}
	facts.Deadtime, facts.Stop, facts.Problem = s.Deadtime, s.Stop, s.Problem
	if !s.Armed && w.attribute(device, "state") != "inactive" {
		facts.Holder = others(w.holder(device))
	}
	return facts.Findings()
}

// attribute reads what the kernel says of a watchdog (sysfs-class-watchdog); "" if
// it says nothing.
func (w *watchdogKind) attribute(device, name string) string {
	base := filepath.Base(device)
	if base == "watchdog" {
		base = "watchdog0"
	}
	data, err := os.ReadFile(filepath.Join(w.sys, "sys/class/watchdog", base, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
