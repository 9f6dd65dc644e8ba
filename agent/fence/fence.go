// Package fence switches machines off and on through fence agents, and proves
// where it can that they are off.
//
// An Agent is the driver of one kind of power switch: a program `fence_*`
// (Program) that speaks the published fence agent API, or Go code of Takt's own
// with the same interface. A Device is one configured switch: an agent, its
// parameters, and which node hangs on which of its plugs. Registry finds agents
// by name and makes devices from the stonith primitives of a CIB:
//
//	registry := fence.NewRegistry(fence.Options{})
//	devices, findings := registry.Devices(ctx, primitives, nodes)
//	target, err := devices[0].Targets(ctx, "node2")
//	result := devices[0].Do(ctx, fence.Off, "node2")
//
// The fence agent API in short: the agent reads name=value lines from standard
// input, the line action=... among them, and exits with 0 for success; for
// status 0 means on and 2 means off. Everything else is failure.
//
// An exit status of 0 is what an agent claims, not what it has done. Do
// therefore asks the agent's status after off, and a machine that is not off
// then has not been fenced, whatever the agent said. Result.Proof tells which
// of the two a success rests on.
package fence

import (
	"context"
	"time"

	"github.com/takt-ha/takt/agent"
)

// The actions of the fence agent API.
const (
	On          = "on"
	Off         = "off"
	Reboot      = "reboot"
	Status      = "status"
	Monitor     = "monitor"
	List        = "list"
	MetaData    = "metadata"
	ValidateAll = "validate-all"
)

// Power is whether a plug gives current, as a status action tells it.
type Power string

// The states of a plug.
const (
	PowerUnknown Power = "unknown"
	PowerOn      Power = "on"
	PowerOff     Power = "off"
)

// The exit statuses of the fence agent API. Off by status is the one that is
// not a failure and not 0.
const (
	exitOK  agent.Code = 0
	exitOff agent.Code = 2
)

// Request asks an agent for one action.
type Request struct {
	Action  string        // one of the actions above, or one of the agent's own
	Params  Params        // without action; may hold secrets
	Timeout time.Duration // > 0; when it has passed, the action is ended and has failed
}

// Answer is how an action ended. Its texts hold no secret of the request.
type Answer struct {
	agent.Result        // Code is the exit status, Status how it ended apart from that
	Stdout       string // standard output alone, for list
}

// OK says whether the agent claims success.
func (a Answer) OK() bool { return a.Status == agent.Done && a.Code == exitOK }

// Power reads the answer of a status action.
func (a Answer) Power() Power {
	switch {
	case a.Status != agent.Done:
		return PowerUnknown
	case a.Code == exitOK:
		return PowerOn
	case a.Code == exitOff:
		return PowerOff
	}
	return PowerUnknown
}

// Agent drives one kind of fence device. Program is the one that runs
// programs; an agent inside Takt implements the same and is handed to
// NewRegistry. Call may run several times at once, for different plugs.
type Agent interface {
	// Name is fence_ and the kind, as the type of the primitive names it.
	Name() string
	// Metadata returns the agent's description. What it announces decides how
	// devices use it: which parameter takes the plug, whether status can verify.
	Metadata(ctx context.Context) (*Metadata, error)
	// Call runs one action to its end. It returns soon after ctx or the
	// request's time-out ends and leaves no process behind. What could not be
	// run is an Answer whose Status is not Done.
	Call(ctx context.Context, req Request) Answer
}

// Checker is an Agent that looks at a configuration beyond what its metadata
// says of single parameters. Check does no I/O.
type Checker interface {
	Check(cfg Config, nodes []string) []Finding
}

// Inspector is an Agent that can look for what stands in its way on this node:
// a missing device, a program that is not installed. Inspect switches nothing
// and returns soon after ctx ends.
type Inspector interface {
	Inspect(ctx context.Context, cfg Config) []Finding
}
