package fence

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence/hostmap"
)

// HostCheck is how a device knows which nodes it can fence (pcmk_host_check).
type HostCheck string

// The ways.
const (
	StaticList  HostCheck = "static-list"  // from pcmk_host_list and pcmk_host_map
	DynamicList HostCheck = "dynamic-list" // the agent's list action is asked
	StatusCheck HostCheck = "status"       // the agent's status action with the node's plug is asked
	NoCheck     HostCheck = "none"         // every node
)

// Primitive is a stonith resource as the CIB holds it.
type Primitive struct {
	ID     string // the resource's id
	Type   string // the fence agent, as in fence_ipmilan
	Params Params // its instance attributes
}

// Call says how one action is called (pcmk_ACTION_action, _timeout, _retries).
type Call struct {
	Action  string        // what the agent is asked for instead; "" is the action itself
	Timeout time.Duration // for all tries together; 0 is the default
	Tries   int           // how often it is tried at most; 0 is the default
}

// Config is the configuration of a device.
type Config struct {
	ID           string
	Agent        string
	Params       Params                   // the agent's own; may hold secrets
	HostMap      []HostPlug               // plugs of nodes that are not named as their plug
	HostList     []string                 // further nodes, each the name of its plug
	HostCheck    HostCheck                // "" lets the device choose
	HostArgument string                   // the agent's parameter for the plug; "" lets the device choose, "none" is none
	DelayBase    time.Duration            // before off and reboot, for nodes that DelayFor does not name
	DelayFor     map[string]time.Duration // by node in lower case
	DelayMax     time.Duration            // up to which a random delay is added; 0 adds none
	ActionLimit  int                      // actions at the same time; < 0 for any number
	Calls        map[string]Call          // by action
	// SkipVerify takes success of off on the agent's word although it has a
	// status (takt_verify=false): for agents whose status is known to be wrong.
	SkipVerify bool
}

// clusterParams are instance attributes of a stonith primitive that are the
// cluster's and not handed to the agent, besides pcmk_*.
var clusterParams = []string{"priority", "stonith-timeout", "crm_feature_set", "provides", "takt_verify"}

// pcmkActions are those that have pcmk_ACTION_*.
var pcmkActions = []string{Reboot, Off, On, List, Monitor, Status}

// pcmkNames are all options that start with pcmk_.
func pcmkNames() []string {
	names := []string{"pcmk_host_argument", "pcmk_host_map", "pcmk_host_list", "pcmk_host_check", "pcmk_delay_max", "pcmk_delay_base", "pcmk_action_limit"}
	for _, a := range pcmkActions {
		names = append(names, "pcmk_"+a+"_action", "pcmk_"+a+"_timeout", "pcmk_"+a+"_retries")
	}
	return names
}

// ParseConfig reads a primitive. What is wrong is in the findings, sorted by
// parameter; with an Error among them the configuration is not to be used.
func ParseConfig(p Primitive) (Config, []Finding) {
	c := Config{ID: p.ID, Agent: p.Type, Params: Params{}, ActionLimit: 1, Calls: map[string]Call{}}
	var findings []Finding
	names := make([]string, 0, len(p.Params))
	for name := range p.Params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		severity, err := c.set(name, p.Params[name])
		if err != nil {
			findings = append(findings, Finding{severity, p.ID, name, err.Error()})
		}
	}
	if c.DelayMax > 0 && c.DelayBase > c.DelayMax {
		findings = append(findings, Finding{Warning, p.ID, "pcmk_delay_base", fmt.Sprintf("%s is longer than pcmk_delay_max=%s, which wins", c.DelayBase, c.DelayMax)})
	}
	return c, findings
}

// set takes one instance attribute in. The severity counts only with an error.
func (c *Config) set(name, value string) (severity Severity, err error) {
	severity = Error
	switch name {
	case "pcmk_host_argument":
		c.HostArgument = value
	case "pcmk_host_map":
		c.HostMap, err = hostmap.Parse(value)
	case "pcmk_host_list":
		c.HostList = hostmap.ParseList(value)
	case "pcmk_host_check":
		c.HostCheck = HostCheck(value)
		if value != "" && !slices.Contains([]HostCheck{StaticList, DynamicList, StatusCheck, NoCheck}, c.HostCheck) {
			err = fmt.Errorf("%q: want static-list, dynamic-list, status or none", value)
		}
	case "pcmk_delay_base":
		c.DelayBase, c.DelayFor, err = parseDelays(value)
	case "pcmk_delay_max":
		c.DelayMax, err = agent.ParseDuration(value)
	case "pcmk_action_limit":
		c.ActionLimit, err = strconv.Atoi(value)
		if err != nil || c.ActionLimit < -1 {
			err = fmt.Errorf("%q: want how many actions the device may do at once, -1 for any number", value)
		} else if c.ActionLimit == 0 {
			c.ActionLimit = 1
		}
	case "takt_verify":
		verify, ok := agent.ParseBool(value)
		if !ok {
			err = fmt.Errorf("%q: want true or false", value)
		}
		c.SkipVerify = !verify
	case "action":
		return Warning, fmt.Errorf("the cluster chooses the action; remove it, or use pcmk_reboot_action or stonith-action")
	default:
		return c.setOther(name, value)
	}
	return severity, err
}

func (c *Config) setOther(name, value string) (Severity, error) {
	if strings.HasPrefix(name, "pcmk_") {
		return c.setCall(name, value)
	}
	if slices.Contains(clusterParams, name) || strings.HasPrefix(name, "CRM_meta_") {
		return Warning, nil
	}
	if strings.ContainsAny(value, "\n\r\x00") {
		return Error, fmt.Errorf("the value holds a line break or a NUL, which the agent would read as another parameter; remove it")
	}
	c.Params[name] = value
	return Warning, nil
}

// setCall reads pcmk_ACTION_action, pcmk_ACTION_timeout and pcmk_ACTION_retries.
func (c *Config) setCall(name, value string) (Severity, error) {
	action, what, _ := strings.Cut(strings.TrimPrefix(name, "pcmk_"), "_")
	if !slices.Contains(pcmkNames(), name) {
		return Warning, fmt.Errorf("there is no such option%s", didYouMean(name, pcmkNames()))
	}
	call := c.Calls[action]
	var err error
	switch what {
	case "action":
		if call.Action = value; strings.ContainsAny(value, "\n\r\x00") {
			err = fmt.Errorf("%q: want one action of the agent", value)
		}
	case "timeout":
		if call.Timeout, err = agent.ParseDuration(value); err == nil && call.Timeout == 0 {
			err = fmt.Errorf("%q: nothing can be done in no time; want a time such as 60s", value)
		}
	case "retries":
		if call.Tries, err = strconv.Atoi(value); err != nil || call.Tries < 0 || call.Tries > 1000 {
			call.Tries, err = 0, fmt.Errorf("%q: want how often it is tried at most, 1 to 1000", value)
		}
	}
	c.Calls[action] = call
	return Error, err
}

// plug returns the plug that the configuration gives a node, and whether it
// names the node at all.
func (c *Config) plug(node string) (plug string, named bool) {
	for _, h := range c.HostMap {
		if strings.EqualFold(h.Node, node) {
			return h.Plug, true
		}
	}
	for _, name := range c.HostList {
		if strings.EqualFold(name, node) {
			return node, true
		}
	}
	return node, false
}

// hosts are the nodes that the configuration names, each with its plug: those
// of the map, then those of the list that the map lacks.
func (c *Config) hosts() []HostPlug {
	hosts := slices.Clone(c.HostMap)
	for _, node := range c.HostList {
		if !slices.ContainsFunc(hosts, func(h HostPlug) bool { return strings.EqualFold(h.Node, node) }) {
			hosts = append(hosts, HostPlug{Node: node, Plug: node})
		}
	}
	return hosts
}

// Delay returns how long to wait before fencing the node: the base delay, and
// a random part that keeps the sum below DelayMax. random returns a number
// from 0 to below n, as rand.Int64N does. Do does not wait by itself.
func (c *Config) Delay(node string, random func(n int64) int64) time.Duration {
	base := c.DelayBase
	if d, ok := c.DelayFor[strings.ToLower(node)]; ok {
		base = d
	}
	switch {
	case c.DelayMax <= 0:
		return base
	case base >= c.DelayMax:
		return c.DelayMax
	}
	return base + time.Duration(random(int64(c.DelayMax-base)))
}
