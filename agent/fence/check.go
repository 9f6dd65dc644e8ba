package fence

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/agent"
)

// Severity says what a finding means for a device.
type Severity string

// The severities.
const (
	Warning Severity = "warning" // it works, but perhaps not as meant
	Error   Severity = "error"   // the device is not to be used like this
)

// Finding is one thing that is wrong with the configuration of a device.
type Finding struct {
	Severity Severity `json:"severity"`
	Device   string   `json:"device"`          // the primitive's id
	Param    string   `json:"param,omitempty"` // the instance attribute
	Text     string   `json:"text"`            // what, and what to do; no secrets
}

// String returns the finding as one line.
func (f Finding) String() string {
	parts := slices.DeleteFunc([]string{f.Device, f.Param, f.Text}, func(s string) bool { return s == "" })
	return strings.Join(parts, ": ") // an agent that is asked by itself has no device's name
}

// Usable says whether none of the findings is an error.
func Usable(findings []Finding) bool {
	return !slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Error })
}

// Errors returns those findings that are errors as one line, "" if there are none.
func Errors(findings []Finding) string {
	var wrong []string
	for _, f := range findings {
		if f.Severity == Error {
			wrong = append(wrong, f.String())
		}
	}
	return strings.Join(wrong, "; ")
}

// checker collects the findings about one device.
type checker struct {
	d        *Device
	findings []Finding
}

func (c *checker) report(s Severity, param, format string, args ...any) {
	c.findings = append(c.findings, Finding{s, c.d.cfg.ID, param, fmt.Sprintf(format, args...)})
}

// Check compares the device's configuration with its agent's description and,
// if nodes is not nil, with the nodes of the cluster.
func (d *Device) Check(nodes []string) []Finding {
	c := &checker{d: d}
	c.params()
	c.required()
	c.actions()
	c.hosts(nodes)
	c.addressing(nodes)
	if a, ok := d.agent.(Checker); ok {
		c.findings = append(c.findings, a.Check(d.cfg, nodes)...)
	}
	return c.findings
}

// Inspect says what stands in the device's way on this node, as far as its agent
// can find out without switching anything. Other nodes may be better off.
func (d *Device) Inspect(ctx context.Context) []Finding {
	a, ok := d.agent.(Inspector)
	if !ok {
		return nil
	}
	return a.Inspect(ctx, d.cfg)
}

func (c *checker) params() {
	for _, name := range sorted(c.d.cfg.Params) {
		p, value := c.d.meta.Parameter(name), c.d.cfg.Params[name]
		if p == nil {
			if name != c.d.hostArgument() && name != "nodename" {
				c.report(Warning, name, "%s knows no such parameter%s", c.d.cfg.Agent, didYouMean(name, c.d.parameterNames()))
			}
			continue
		}
		if alias := c.d.meta.Alias(name); p.Deprecated && alias != "" {
			if other, both := c.d.cfg.Params[alias]; both && other != value {
				c.report(Error, name, "it is the old name of %s, which is set to something else; remove one of them", alias)
			}
		}
		if want := p.wants(value); want != "" {
			shown := strconv.Quote(value)
			if Secret(name) {
				shown = Redacted
			}
			c.report(Error, name, "%s: want %s", shown, want)
		}
	}
}

func (d *Device) parameterNames() []string {
	var names []string
	for i := range d.meta.Parameters {
		names = append(names, d.meta.Parameters[i].Name)
	}
	return append(names, append(pcmkNames(), clusterParams...)...)
}

// wants returns what a value of the parameter must be if this one is not, else "".
func (p *Parameter) wants(value string) string {
	switch p.Type {
	case "integer":
		if _, err := strconv.ParseInt(value, 10, 64); err != nil && value != "" {
			return "an integer"
		}
	case "second":
		if _, err := agent.ParseDuration(value); err != nil && value != "" && value != "-1" {
			return "a number of seconds"
		}
	case "boolean":
		if _, ok := agent.ParseBool(value); !ok {
			return "true or false"
		}
	case "select":
		if len(p.Options) > 0 && !slices.Contains(p.Options, value) {
			return "one of " + strings.Join(p.Options, ", ")
		}
	}
	return ""
}

func (c *checker) required() {
	for i := range c.d.meta.Parameters {
		p := &c.d.meta.Parameters[i]
		alias := c.d.meta.Alias(p.Name)
		given := c.d.cfg.Params[p.Name] != "" || alias != "" && c.d.cfg.Params[alias] != ""
		// A deprecated name is required only through its new one.
		if !p.Required || given || p.Default != "" || p.Deprecated && alias != "" || p.Name == "action" || p.Name == "nodename" {
			continue
		}
		if arg := c.d.hostArgument(); arg != "" && (p.Name == arg || alias == arg) {
			continue
		}
		hint := p.ShortDesc
		if hint == "" {
			hint = "set a value"
		}
		c.report(Error, p.Name, "%s requires it: %s", c.d.cfg.Agent, hint)
	}
}

func (c *checker) actions() {
	for _, action := range pcmkActions {
		if custom := c.d.cfg.Calls[action].Action; custom != "" && !c.d.meta.Supports(custom) {
			c.report(Error, "pcmk_"+action+"_action", "%s has no action %s%s", c.d.cfg.Agent, custom, didYouMean(custom, c.d.meta.Actions))
		}
	}
	for check, action := range map[HostCheck]string{DynamicList: List, StatusCheck: Status} {
		if c.d.cfg.HostCheck == check && !c.d.supports(action) {
			c.report(Error, "pcmk_host_check", "%s has no action %s; use pcmk_host_list or pcmk_host_map", c.d.cfg.Agent, action)
		}
	}
	if c.d.cfg.HostCheck == StaticList && len(c.d.cfg.hosts()) == 0 {
		c.report(Error, "pcmk_host_check", "static-list needs pcmk_host_list or pcmk_host_map; this device fences nobody")
	}
	for _, action := range []string{Off, Reboot} {
		if t, bound := c.d.cfg.Calls[action].Timeout, c.d.settings.Bound; t > bound {
			c.report(Warning, "pcmk_"+action+"_timeout", "%s is longer than the %s after which the cluster gives up: what ran on the machine would wait, although the device may still succeed", t, bound)
		}
	}
	if c.d.heuristic() || c.d.meta.Waits {
		return
	}
	if !c.d.supports(Status) {
		c.report(Warning, "", "%s has no action status: whether a machine is really off cannot be verified", c.d.cfg.Agent)
	} else if c.d.cfg.SkipVerify {
		c.report(Warning, "takt_verify", "whether a machine is really off is not verified")
	}
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
