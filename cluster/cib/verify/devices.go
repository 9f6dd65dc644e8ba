package verify

import (
	"maps"
	"slices"
	"strings"

	"github.com/takt-ha/takt/agent/fence/hostmap"
	"github.com/takt-ha/takt/cluster/cib"
)

// device is a fence device as far as a document alone tells.
type device struct {
	at     *cib.Node
	agent  string
	params map[string]string
	hosts  []hostmap.Entry // whom it fences by its own words
}

// devices checks which nodes the fence devices are for.
func (c *checker) devices() {
	var seen []device
	for _, n := range c.order {
		if n.Name() != "primitive" || c.class(n) != "stonith" {
			continue
		}
		d := c.device(n)
		for _, other := range seen {
			c.samePlug(d, other)
		}
		seen = append(seen, d)
	}
}

// device reads one and checks it by itself.
func (c *checker) device(n *cib.Node) device {
	d := device{at: n, agent: n.Attr("type"), params: c.view.Pairs(n, "instance_attributes", nil)}
	if t := c.templates[n.Attr("template")]; t != nil {
		d.agent = t.Attr("type")
		own := d.params
		d.params = c.view.Pairs(t, "instance_attributes", nil)
		maps.Copy(d.params, own)
	}
	entries, err := hostmap.Parse(d.params["pcmk_host_map"])
	if err != nil {
		c.fail(n, "", "Write node1:plug1;node2:plug2.", "pcmk_host_map of %s cannot be read: %v", n.ID(), err)
	}
	for i, e := range entries {
		c.knownHost(n, "pcmk_host_map", e.Node)
		for _, other := range entries[:i] {
			if plug := hostmap.Shared(e.Plug, other.Plug); plug != "" {
				c.fail(n, "", "Give each node its own plug.", "pcmk_host_map of %s has the nodes %s and %s on one plug (%s): fencing one would switch off the other", n.ID(), other.Node, e.Node, plug)
			}
		}
	}
	for _, name := range hostmap.ParseList(d.params["pcmk_host_list"]) {
		c.knownHost(n, "pcmk_host_list", name)
		if !slices.ContainsFunc(entries, func(e hostmap.Entry) bool { return strings.EqualFold(e.Node, name) }) {
			entries = append(entries, hostmap.Entry{Node: name, Plug: name})
		}
	}
	d.hosts = entries
	return d
}

func (c *checker) knownHost(n *cib.Node, param, name string) {
	if !c.isNode(name) {
		c.warn(n, "", c.didYouMean(name, c.nodeNames(), "Remove it if the node is gone."), "%s of %s names %q, and there is no such node: the device is not used", param, n.ID(), name)
	}
}

// samePlug warns of two nodes on one plug by two devices of one switch.
func (c *checker) samePlug(d, other device) {
	if d.agent != other.agent || !maps.Equal(where(d.params), where(other.params)) {
		return
	}
	for _, x := range d.hosts {
		for _, y := range other.hosts {
			if plug := hostmap.Shared(x.Plug, y.Plug); plug != "" && !strings.EqualFold(x.Node, y.Node) {
				c.warn(d.at, "", "Give each node its own plug.", "%s has the node %s on the plug (%s) on which %s has %s: fencing one would switch off the other, so neither device is used",
					d.at.ID(), x.Node, plug, other.at.ID(), y.Node)
			}
		}
	}
}

// where are the parameters that say which switch is meant: all that are its agent's.
func where(params map[string]string) map[string]string {
	own := maps.Clone(params)
	maps.DeleteFunc(own, func(name, _ string) bool { return strings.HasPrefix(name, "pcmk_") || name == "priority" })
	return own
}
