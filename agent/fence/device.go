package fence

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/internal/errs"
)

// Settings are the times of a device that its configuration leaves open. The
// zero value means the defaults.
type Settings struct {
	Timeout time.Duration // of an action with all its tries and their verification; 60 s (stonith-timeout)
	Verify  time.Duration // how long status may still say on after off has succeeded; 10 s
	Poll    time.Duration // between two questions for the status; 500 ms
	Pause   time.Duration // before another try; 1 s
	// Fresh is how long what a switch has listed is taken as it is; 60 s. Older
	// lists are used, too, but not for what they alone know, and are asked for anew
	// in the background.
	Fresh time.Duration
	Bound time.Duration // after which the cluster gives a fencing up; 5 min
}

const defaultTries = 2

func (s *Settings) defaults() {
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{{&s.Timeout, time.Minute}, {&s.Verify, 10 * time.Second}, {&s.Poll, 500 * time.Millisecond}, {&s.Pause, time.Second}, {&s.Fresh, time.Minute}, {&s.Bound, 5 * time.Minute}} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
}

// Device is one configured switch. Its methods may be called at the same time;
// they wait for each other as pcmk_action_limit says, so there must be one
// Device value for one switch.
type Device struct {
	cfg      Config
	agent    Agent
	meta     *Metadata
	settings Settings
	secrets  redactor
	slots    chan struct{} // holds a token for each action under way; nil for any number
	listing  listing

	background *background // of the registry; nil: the list is only asked for when it is needed
}

// New puts a device together. It judges nothing: see Check, and Registry.Devices for all at once.
func New(cfg Config, a Agent, meta *Metadata, settings Settings) *Device {
	settings.defaults()
	d := &Device{cfg: cfg, agent: a, meta: meta, settings: settings, secrets: newRedactor(cfg.Params)}
	if cfg.ActionLimit >= 0 {
		d.slots = make(chan struct{}, max(1, cfg.ActionLimit))
	}
	return d
}

// ID is the primitive's id.
func (d *Device) ID() string { return d.cfg.ID }

// Config returns the configuration; it may hold secrets, and is not to be changed.
func (d *Device) Config() Config { return d.cfg }

// Metadata returns the agent's description.
func (d *Device) Metadata() *Metadata { return d.meta }

// hostArgument is the agent's parameter for the plug, "" if there is none.
func (d *Device) hostArgument() string {
	switch d.cfg.HostArgument {
	case "none":
		return ""
	case "":
		return d.meta.PlugParameter()
	}
	return d.cfg.HostArgument
}

// fixedPlug is the plug that the parameters give for every node, "" if they do not.
func (d *Device) fixedPlug() string {
	arg := d.hostArgument()
	for _, name := range []string{arg, d.meta.Alias(arg)} {
		if value := d.cfg.Params[name]; name != "" && value != "" && value != "dynamic" {
			return value
		}
	}
	return ""
}

// addresses says whether the agent learns which of several machines is meant:
// by a parameter for the plug that is not fixed, or by the name of the node.
// Agents of switches for one machine take a plug only as the switch's address;
// pcmk_host_argument overrules this judgement.
func (d *Device) addresses() bool {
	if d.meta.Parameter("nodename") != nil || d.heuristic() {
		return true
	}
	if d.hostArgument() == "" || d.fixedPlug() != "" {
		return false
	}
	if p := d.meta.Parameter(d.hostArgument()); d.cfg.HostArgument == "" && p != nil && !p.Required && d.meta.Parameter("port_as_ip") != nil && !d.supports(List) {
		return truth(d.cfg.Params["port_as_ip"])
	}
	return true
}

// heuristic says whether the agent is one of those that fence nobody, but
// decide whether the devices after them on a fencing level may.
func (d *Device) heuristic() bool { return strings.HasPrefix(d.cfg.Agent, "fence_heuristics_") }

// command is what the agent is asked for an action: the configured one, or for
// old agents of network switches enable and disable.
func (d *Device) command(action string) string {
	if custom := d.cfg.Calls[action].Action; custom != "" {
		return custom
	}
	old := map[string]string{On: "enable", Off: "disable"}[action]
	if old != "" && !d.meta.Supports(action) && d.meta.Supports(old) {
		return old
	}
	return action
}

// Supports says whether the device can do an action, by whatever name its agent has for it.
func (d *Device) Supports(action string) bool { return d.meta.Supports(d.command(action)) }

func (d *Device) supports(action string) bool { return d.Supports(action) }

func (d *Device) timeout(action string) time.Duration {
	if t := d.cfg.Calls[action].Timeout; t > 0 {
		return t
	}
	return d.settings.Timeout
}

func (d *Device) tries(action string) int {
	if n := d.cfg.Calls[action].Tries; n > 0 {
		return n
	}
	return defaultTries
}

// HostCheck is how the device knows its nodes: as configured; else by its
// lists if there are any, else the best that the agent can.
func (d *Device) HostCheck() HostCheck {
	switch {
	case d.cfg.HostCheck != "":
		return d.cfg.HostCheck
	case len(d.cfg.HostMap)+len(d.cfg.HostList) > 0:
		return StaticList
	case d.supports(List):
		return DynamicList
	case d.supports(Status):
		return StatusCheck
	}
	return NoCheck
}

// acquire waits for a turn at the switch; call the result when done.
func (d *Device) acquire(ctx context.Context) (release func(), err error) {
	if d.slots == nil {
		return func() {}, nil
	}
	select {
	case d.slots <- struct{}{}:
		return func() { <-d.slots }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("the device was busy with other actions all the time (pcmk_action_limit=%d): %w", d.cfg.ActionLimit, ctx.Err())
	}
}

// call asks the agent once. The time left in ctx bounds it, besides timeout.
func (d *Device) call(ctx context.Context, action string, t Target, timeout time.Duration) Answer {
	params := Params{}
	for name, value := range d.cfg.Params {
		params[name] = value
	}
	if t.Node != "" {
		params["nodename"] = t.Node
		if arg := d.hostArgument(); arg != "" && d.fixedPlug() == "" {
			delete(params, d.meta.Alias(arg)) // may hold "dynamic"
			params[arg] = t.Plug
		}
	}
	return d.secrets.answer(d.agent.Call(ctx, Request{Action: action, Params: params, Timeout: timeout}))
}

// Target is a node as a device sees it.
type Target struct {
	Node string    `json:"node"`
	Plug string    `json:"plug"` // what the agent is asked to switch
	Can  bool      `json:"can"`  // the device can fence the node
	How  HostCheck `json:"how"`  // how this is known
	Why  string    `json:"why"`  // in words, mostly if it cannot
}

// Targets says whether the device can fence the node, and as which plug. An
// error means that nobody can tell now: the switch did not answer.
func (d *Device) Targets(ctx context.Context, node string) (Target, error) {
	if t, ok := d.remembered(node); ok {
		return t, nil
	}
	release, err := d.acquire(ctx)
	if err != nil {
		return Target{Node: node}, d.unknown(node, err)
	}
	defer release()
	t, err := d.locate(ctx, node, false)
	if err != nil || t.How != StatusCheck || !t.Can {
		return t, err
	}
	ans := d.call(ctx, d.command(Status), t, d.timeout(Status))
	switch {
	case ans.Power() != PowerUnknown:
		t.Why = "its status is " + string(ans.Power())
	case ans.Status == agent.Done:
		t.Can, t.Why = false, "the device cannot tell the status of plug "+t.Plug+": "+failure(ans).Error()
	default:
		return Target{Node: node, How: StatusCheck}, d.unknown(node, failure(ans))
	}
	return t, nil
}

// unlocated is the node with the plug that the configuration gives it.
func (d *Device) unlocated(node string) Target {
	t := Target{Node: node, How: d.HostCheck()}
	t.Plug, _ = d.cfg.plug(node)
	if fixed := d.fixedPlug(); fixed != "" {
		t.Plug = fixed
	}
	return t
}

// locate is Targets without the question for the status. strict is for actions:
// what only an old list knows is asked for anew.
func (d *Device) locate(ctx context.Context, node string, strict bool) (Target, error) {
	t := d.unlocated(node)
	switch {
	case node == "" || strings.ContainsAny(node, "\n\r\x00"):
		return t, errs.E("find plug of node", errs.Invalid, fmt.Sprintf("%q", node), "Give the name of a node.", nil)
	case t.How == StaticList:
		_, t.Can = d.cfg.plug(node)
		if t.Why = "pcmk_host_list or pcmk_host_map names it"; !t.Can {
			t.Why = "neither pcmk_host_list nor pcmk_host_map names it"
		}
	case d.cfg.HostCheck == "" && !d.addresses():
		t.Why = "nothing tells " + d.cfg.Agent + " which machine is meant; say with pcmk_host_list which node it is"
	case t.How == DynamicList:
		return d.find(ctx, t, strict)
	case t.How == NoCheck:
		t.Can, t.Why = true, "nothing restricts the device's nodes"
	default:
		t.Can = true
	}
	return t, nil
}

func (d *Device) unknown(node string, err error) error {
	return errs.E("ask fence device", errs.Unavailable, d.cfg.ID+" for node "+node,
		"See that the device answers: its address, login and network.", err)
}
