// Package systemd runs systemd units as agents, over D-Bus
// (org.freedesktop.systemd1(5)). A start or stop is done when systemd says
// that its job is; a failing unit is noticed from its PropertiesChanged signal.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
)

// Bus is what the agents need of systemd.
type Bus interface {
	// Job starts, stops or reloads a unit and waits for the job's result,
	// "done" if all went well.
	Job(ctx context.Context, action, unit string) (result string, err error)
	// State returns LoadState, ActiveState and SubState.
	State(ctx context.Context, unit string) (load, active, sub string, err error)
	// Changes calls changed after each change of the unit, until ctx ends.
	Changes(ctx context.Context, unit string, changed func()) error
	// Services returns the names of the service units that could be run.
	Services(ctx context.Context) ([]string, error)
}

// ErrNoSystemd says that systemd cannot be reached on this machine.
var ErrNoSystemd = errors.New("systemd cannot be reached over D-Bus")

// Class finds units.
type Class struct {
	dial   func(ctx context.Context) (Bus, error)
	booted func() bool // whether systemd runs this machine
	mu     sync.Mutex
	bus    Bus // guarded by mu; nil until it was first needed
}

// New returns the class on the system's bus; the connection is made when it is
// first needed, and again after it was lost.
func New() *Class { return NewWith(dialSystem) }

// NewWith returns the class on the bus that dial gives.
func NewWith(dial func(ctx context.Context) (Bus, error)) *Class {
	return &Class{dial: dial, booted: systemdRuns}
}

func (c *Class) connect(ctx context.Context) (Bus, error) {
	c.mu.Lock()
	bus := c.bus
	c.mu.Unlock()
	if bus != nil {
		return bus, nil
	}
	bus, err := c.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSystemd, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bus == nil {
		c.bus = bus
	}
	return c.bus, nil
}

// drop forgets a connection that failed, so that the next operation makes one.
func (c *Class) drop(bus Bus) {
	c.mu.Lock()
	if c.bus == bus {
		c.bus = nil
	}
	c.mu.Unlock()
	if closer, ok := bus.(interface{ Close() }); ok {
		closer.Close()
	}
}

// Unit gives the full name of a unit: .service where there is no suffix.
func Unit(name string) string {
	for _, suffix := range []string{".service", ".socket", ".target", ".mount", ".timer", ".path", ".swap", ".slice", ".scope"} {
		if strings.HasSuffix(name, suffix) {
			return name
		}
	}
	return name + ".service"
}

// Installed says whether systemd knows the unit. On a machine that systemd runs,
// a bus that does not answer is an error: the unit may be there all the same, and
// run.
func (c *Class) Installed(ctx context.Context, name string) (bool, error) {
	bus, err := c.connect(ctx)
	if err != nil && !c.booted() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	load, _, _, err := bus.State(ctx, Unit(name))
	if err != nil {
		c.drop(bus)
		return false, fmt.Errorf("%w: %w", ErrNoSystemd, err)
	}
	return load != "not-found", nil
}

// systemdRuns tells whether systemd runs this machine (sd_booted(3)).
func systemdRuns() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// List returns the names of the services, without their suffix, sorted.
func (c *Class) List(ctx context.Context) []string {
	bus, err := c.connect(ctx)
	if err != nil {
		return nil
	}
	names, err := bus.Services(ctx)
	if err != nil {
		c.drop(bus)
		return nil
	}
	for i := range names {
		names[i] = strings.TrimSuffix(names[i], ".service")
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Agent returns the agent of a unit.
func (c *Class) Agent(name string) *Agent { return &Agent{class: c, unit: Unit(name)} }

// Agent is one unit. It implements agent.Watcher.
type Agent struct {
	class *Class
	unit  string
}

// Run runs one operation. A unit has no parameters.
func (a *Agent) Run(ctx context.Context, inv agent.Invocation) agent.Result {
	if inv.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, inv.Timeout)
		defer cancel()
	}
	res := agent.Result{Started: time.Now(), Code: agent.Unknown}
	bus, err := a.class.connect(ctx)
	if err != nil {
		res.Status, res.Code, res.Reason = agent.NotInstalled, agent.ErrInstalled, err.Error()
		return res
	}
	err = a.operate(ctx, bus, inv.Action, &res)
	res.Duration = time.Since(res.Started)
	switch {
	case err == nil:
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		res.Code, res.Status, res.Reason = agent.Unknown, agent.TimedOut, "systemd has not ended the job of "+a.unit+" in time"
	case ctx.Err() != nil:
		res.Code, res.Status, res.Reason = agent.Unknown, agent.Cancelled, "taken back before it ended"
	default:
		a.class.drop(bus)
		res.Code, res.Status, res.Reason = agent.Unknown, agent.Errored, err.Error()
	}
	return res
}

func (a *Agent) operate(ctx context.Context, bus Bus, action string, res *agent.Result) error {
	load, active, sub, err := bus.State(ctx, a.unit)
	if err != nil {
		return err
	}
	switch action {
	case agent.Monitor:
		active, sub, err = a.settled(ctx, bus, active, sub)
		res.Code, res.Reason = code(load, active, sub)
		return err
	case agent.Start, agent.Stop, agent.Reload:
	default:
		res.Status, res.Code, res.Reason = agent.NotSupported, agent.ErrUnimplement, "a unit has no action "+action
		return nil
	}
	if load == "not-found" && action == agent.Stop {
		res.Code = agent.OK // what does not exist does not run
		return nil
	}
	if load != "loaded" {
		res.Status, res.Code, res.Reason = agent.NotInstalled, agent.ErrInstalled, fmt.Sprintf("unit %s is %s", a.unit, load)
		return nil
	}
	result, err := bus.Job(ctx, action, a.unit)
	if err != nil {
		return err
	}
	return a.confirm(ctx, bus, action, result, res)
}

// confirm believes no job's result alone: the unit's state is looked at.
func (a *Agent) confirm(ctx context.Context, bus Bus, action, result string, res *agent.Result) error {
	_, active, sub, err := bus.State(ctx, a.unit)
	if err != nil {
		return err
	}
	up := active == "active" || active == "reloading"
	down := active == "inactive" || active == "failed"
	switch {
	case action == agent.Stop && down, action != agent.Stop && up && result == "done":
		res.Code = agent.OK
	default:
		res.Code, res.Reason = agent.ErrGeneric, fmt.Sprintf("the job's result is %q and unit %s is %s (%s); see journalctl -u %s", result, a.unit, active, sub, a.unit)
	}
	return nil
}

// settled waits while the unit is on its way up or down.
func (a *Agent) settled(ctx context.Context, bus Bus, active, sub string) (string, string, error) {
	for pause := 20 * time.Millisecond; active == "activating" || active == "deactivating"; pause = min(2*pause, time.Second) {
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return active, sub, ctx.Err()
		case <-t.C:
		}
		var err error
		if _, active, sub, err = bus.State(ctx, a.unit); err != nil {
			return active, sub, err
		}
	}
	return active, sub, nil
}

// code gives the OCF code of a unit's state. A failed unit has no process: it
// is not running.
func code(load, active, sub string) (agent.Code, string) {
	switch active {
	case "active", "reloading", "refreshing":
		return agent.OK, ""
	case "failed":
		return agent.NotRunning, "the unit has failed (" + sub + ")"
	case "inactive", "":
		return agent.NotRunning, ""
	}
	return agent.ErrGeneric, fmt.Sprintf("the unit is %s (%s, %s)", active, sub, load)
}

// Watch implements agent.Watcher.
func (a *Agent) Watch(ctx context.Context, _ agent.Invocation) string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for pause := 100 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, 30*time.Second) {
		reason := ""
		if bus, err := a.class.connect(ctx); err == nil {
			err = bus.Changes(ctx, a.unit, func() {
				_, active, sub, err := bus.State(ctx, a.unit)
				if err == nil && (active == "failed" || active == "inactive") {
					reason = fmt.Sprintf("unit %s is %s (%s)", a.unit, active, sub)
					cancel()
				}
			})
			if err != nil && ctx.Err() == nil {
				a.class.drop(bus)
			}
		}
		if reason != "" {
			return reason
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	return ""
}

// Metadata describes the unit.
func (a *Agent) Metadata(ctx context.Context) (*agent.Metadata, error) {
	bus, err := a.class.connect(ctx)
	if err != nil {
		return nil, errs.E("read meta-data of", errs.Unavailable, "systemd:"+a.unit, "This class needs a machine that runs systemd.", err)
	}
	load, _, _, err := bus.State(ctx, a.unit)
	if err == nil && load == "not-found" {
		return nil, errs.E("read meta-data of", errs.NotFound, "systemd:"+a.unit, "Install the package that holds the unit.", nil)
	}
	if err != nil {
		return nil, errs.E("read meta-data of", errs.Unavailable, "systemd:"+a.unit, "", err)
	}
	m := &agent.Metadata{Name: strings.TrimSuffix(a.unit, ".service"), Version: "1.0", API: "1.1", ShortDesc: "systemd unit " + a.unit,
		LongDesc: "A unit has no parameters. Disable it (systemctl disable): the cluster alone is to start it."}
	for _, name := range []string{agent.Start, agent.Stop, agent.Monitor, agent.Reload} {
		action := agent.Action{Name: name, Timeout: 100 * time.Second}
		if name == agent.Monitor {
			action.Interval = 60 * time.Second
		}
		m.Actions = append(m.Actions, action)
	}
	return m, nil
}
