package verify

import (
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// options checks the names of all options, and those values that are not wrong
// in themselves but where they stand.
func (c *checker) options() {
	c.every(func(n *cib.Node) {
		what, names := c.namesFor(n)
		if names == nil {
			return
		}
		seen := map[string]bool{}
		for pair := range n.Elements {
			name := pair.Attr("name")
			if pair.Name() != "nvpair" || name == "" {
				continue
			}
			if !known(names, name) {
				remedy := c.didYouMean(name, names, elsewhere)
				if remedy == elsewhere && agentsOwn(n) {
					continue
				}
				c.warn(pair, "name", remedy, "%s %s is not known: the cluster ignores it", what, name)
			}
			if seen[name] {
				c.warn(pair, "", "Remove one of the two.", "%s is given twice in the same set: the first value counts", name)
			}
			seen[name] = true
		}
	})
	c.clusterOptions()
}

// elsewhere is the remedy for a name that resembles no other.
const elsewhere = "Remove it, unless something of your own reads it."

// agentsOwn reports whether a set is one that agents keep for themselves among
// the cluster's options, as those of databases do: any but the usual one.
func agentsOwn(set *cib.Node) bool {
	return set.Name() == "cluster_property_set" && set.ID() != "cib-bootstrap-options"
}

// namesFor returns what a set of options is called, and the names it may have.
func (c *checker) namesFor(set *cib.Node) (what string, names []string) {
	parent := c.parents[set].Name()
	switch {
	case set.Name() == "cluster_property_set":
		return "cluster option", clusterOptionNames
	case set.Name() != "meta_attributes" || parent == "alert" || parent == "recipient":
		return "", nil
	case parent == "op" || parent == "op_defaults":
		return "operation attribute", operationMetaNames
	}
	return "meta attribute", resourceMetaNames
}

// optionPairs yields the nvpairs of that name among the cluster options.
func (c *checker) optionPairs(name string) []*cib.Node {
	var list []*cib.Node
	for set := range c.root.Path("configuration", "crm_config").Elements {
		for pair := range set.Elements {
			if pair.Name() == "nvpair" && pair.Attr("name") == name {
				list = append(list, pair)
			}
		}
	}
	return list
}

// integerOptions are the cluster options that are whole numbers.
var integerOptions = [...]string{"batch-limit", "migration-limit", "pe-error-series-max", "pe-input-series-max", "pe-warn-series-max", "stonith-max-attempts"}

func (c *checker) clusterOptions() {
	for _, name := range integerOptions {
		for _, pair := range c.optionPairs(name) {
			if _, err := strconv.Atoi(pair.Attr("value")); err != nil {
				c.warn(pair, "value", "Write a whole number.", "%s cannot be %q: the default is used", name, pair.Attr("value"))
			}
		}
	}
	for _, pair := range c.optionPairs("have-watchdog") {
		if _, ok := cib.ParseBool(pair.Attr("value")); !ok {
			c.warn(pair, "value", "Leave it to the cluster.", "have-watchdog cannot be %q: the default is used", pair.Attr("value"))
		}
	}
	for _, pair := range c.optionPairs("no-quorum-policy") {
		if v := pair.Attr("value"); (v == "suicide" || v == "fence") && !c.fencingEnabled() {
			c.warn(pair, "value", "Enable fencing, or choose another policy.", "no-quorum-policy=%s is stop: fencing is disabled", v)
		}
	}
	for _, pair := range c.optionPairs("remove-after-stop") {
		if yes, _ := cib.ParseBool(pair.Attr("value")); yes {
			c.warn(pair, "value", "Remove it.", "remove-after-stop is deprecated, and was never needed")
		}
	}
}

// fencing checks that the cluster can do what it is told to, and the levels.
func (c *checker) fencing() {
	if c.root.Child("configuration") == nil {
		return
	}
	devices, any := map[string]bool{}, false
	for _, n := range c.order {
		if n.Name() == "primitive" && c.class(n) == "stonith" {
			devices[n.ID()], any = true, true
		}
	}
	watchdog, _ := cib.ParseBool(c.option("have-watchdog"))
	if !any && c.fencingEnabled() && !(watchdog && c.option("stonith-watchdog-timeout") != "" && c.option("stonith-watchdog-timeout") != "0") {
		c.warn(c.root.Child("configuration"), "", "Add a fence device; without one a failed node's resources are not recovered. For a test alone, set stonith-enabled=false.",
			"fencing is enabled, but there is no fence device: no resource is started")
	}
	for level := range c.root.Path("configuration", "fencing-topology").Elements {
		c.fencingLevel(level, devices)
	}
}

func (c *checker) fencingLevel(level *cib.Node, devices map[string]bool) {
	switch index, err := strconv.Atoi(level.Attr("index")); {
	case err == nil && index < 1:
		c.fail(level, "index", "Count levels from 1.", "a fencing level cannot have the index %d", index)
	case err == nil && index > 9:
		c.warn(level, "index", "Count levels from 1 to 9.", "fencing level %d is ignored", index)
	}
	for device := range strings.SplitSeq(level.Attr("devices"), ",") {
		device = strings.TrimSpace(device)
		switch {
		case devices[device]:
		case c.resources[device] != nil:
			c.warn(level, "devices", "Name resources of class stonith.", "%s is no fence device: this level fails", device)
		default:
			c.warn(level, "devices", c.didYouMean(device, keys(devices), "Add it, or name another."), "there is no fence device %q: this level fails", device)
		}
	}
	if target := level.Attr("target"); target != "" && !c.isNode(target) {
		c.warn(level, "target", c.didYouMean(target, c.nodeNames(), "Remove the level if the node is gone."), "there is no node %q", target)
	}
}
