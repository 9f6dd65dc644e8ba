package fence

import (
	"fmt"
	"slices"
	"strings"

	"github.com/takt-ha/takt/agent/fence/hostmap"
)

// hosts checks the nodes that the configuration names.
func (c *checker) hosts(nodes []string) {
	known := func(node string) bool {
		return slices.ContainsFunc(nodes, func(n string) bool { return strings.EqualFold(n, node) })
	}
	for _, h := range c.d.cfg.HostMap {
		if nodes != nil && !known(h.Node) {
			c.report(Error, "pcmk_host_map", "there is no node %s%s", h.Node, didYouMean(h.Node, nodes))
		}
		for _, plug := range strings.Split(h.Plug, ",") {
			if node, _, ok := strings.Cut(plug, ":"); ok && known(node) {
				c.report(Error, "pcmk_host_map", "%s is one plug of node %s; the entries are separated by ;, as in node1:1;node2:2", plug, h.Node)
			}
		}
	}
	for _, node := range c.d.cfg.HostList {
		if nodes != nil && !known(node) {
			c.report(Error, "pcmk_host_list", "there is no node %s%s", node, didYouMean(node, nodes))
		}
	}
	for _, node := range sorted(c.d.cfg.DelayFor) {
		if nodes != nil && !known(node) {
			c.report(Warning, "pcmk_delay_base", "there is no node %s%s", node, didYouMean(node, nodes))
		}
	}
	for i, a := range c.d.cfg.HostMap {
		for _, b := range c.d.cfg.HostMap[i+1:] {
			if plug := hostmap.Shared(a.Plug, b.Plug); plug != "" {
				c.report(Error, "pcmk_host_map", "the nodes %s and %s are both on plug %s: fencing one would switch off the other", a.Node, b.Node, plug)
			}
		}
	}
}

// addressing finds devices that hit the same machine whichever node they are asked for.
func (c *checker) addressing(nodes []string) {
	if c.d.addresses() {
		return
	}
	const remedy = "make one device for each node, with pcmk_host_list naming that node alone, or name the agent's parameter for the machine in pcmk_host_argument"
	switch names := c.d.cfg.hosts(); {
	case len(names) > 1:
		c.report(Error, "pcmk_host_list", "nothing tells %s which machine is meant, so %s and %s are on one plug; %s", c.d.cfg.Agent, names[0].Node, names[1].Node, remedy)
	case len(names) == 0 && c.d.cfg.HostCheck == "":
		c.report(Error, "pcmk_host_list", "nothing tells %s which machine is meant, and nothing says which node it is; %s", c.d.cfg.Agent, remedy)
	case len(names) == 0 && len(nodes) > 1:
		c.report(Warning, "pcmk_host_check", "nothing tells %s which machine is meant, so this device hits the same one for every node; %s", c.d.cfg.Agent, remedy)
	}
}

// CheckTogether finds nodes that hang on one plug of the same switch through
// different devices, which no device can see alone.
func CheckTogether(devices []*Device) []Finding {
	var findings []Finding
	for i, a := range devices {
		for _, b := range devices[i+1:] {
			if !a.sameSwitch(b) {
				continue
			}
			for _, x := range a.cfg.hosts() {
				for _, y := range b.cfg.hosts() {
					plug := hostmap.Shared(a.effectivePlug(x), b.effectivePlug(y))
					if strings.EqualFold(x.Node, y.Node) || plug == "" {
						continue
					}
					findings = append(findings, a.clash(x.Node, plug, y.Node, b), b.clash(y.Node, plug, x.Node, a))
				}
			}
		}
	}
	return findings
}

func (d *Device) clash(node, plug, other string, by *Device) Finding {
	return Finding{Error, d.cfg.ID, "", fmt.Sprintf("the node %s is on the same plug (%s) as the node %s is by the device %s: fencing one would switch off the other", node, plug, other, by.cfg.ID)}
}

// effectivePlug is where the device's agent really goes for a node: a plug that
// the parameters fix wins, and without any the switch itself is the plug.
func (d *Device) effectivePlug(h HostPlug) string {
	if fixed := d.fixedPlug(); fixed != "" {
		return fixed
	}
	if !d.addresses() {
		return "the only one"
	}
	return h.Plug
}

// sameSwitch says whether two devices have the same agent with the same
// parameters but for the plug; those that change how, not where, do not count.
func (d *Device) sameSwitch(o *Device) bool {
	return d.cfg.Agent == o.cfg.Agent && slices.Equal(d.where(), o.where())
}

// where is what says which switch is meant, under the parameters' present names.
func (d *Device) where() []string {
	var list []string
	for name, value := range d.cfg.Params {
		p := d.meta.Parameter(name)
		if p != nil && p.Deprecated {
			if alias := d.meta.Alias(name); alias != "" {
				name = alias
			}
		}
		how := name == "plug" || name == "port" || name == d.cfg.HostArgument || name == "delay" || name == "method" || name == "verbose" ||
			Secret(name) || strings.HasPrefix(name, "debug") || strings.HasSuffix(name, "_timeout") || strings.HasSuffix(name, "_wait") || strings.HasPrefix(name, "retry")
		if !how {
			list = append(list, name+"="+value)
		}
	}
	slices.Sort(list)
	return list
}
