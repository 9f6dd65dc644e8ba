package verify

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// resource checks one resource or template, not what is in it.
func (c *checker) resource(n *cib.Node) {
	switch n.Name() {
	case "primitive", "template":
		c.container(n)
		c.agent(n)
		c.operations(n)
		c.utilization(n)
	case "clone", "master":
		c.clone(n)
	case "bundle":
		c.bundle(n)
	}
	if n.Name() != "template" {
		c.metaValues(n)
	}
}

// agent checks that class and provider fit.
func (c *checker) agent(n *cib.Node) {
	class := n.Attr("class")
	_, provided := n.Lookup("provider")
	switch {
	case class == "ocf" && !provided:
		c.fail(n, "", `Add provider="heartbeat", or whose agent it is.`, "%s is of class ocf and has no provider", n.ID())
	case class != "ocf" && class != "" && provided:
		c.fail(n, "provider", "Remove it.", "%s has a provider, which only class ocf has", n.ID())
	}
}

// utilization warns of capacities and loads that are no whole numbers.
func (c *checker) utilization(n *cib.Node) {
	for set := range n.Elements {
		if set.Name() != "utilization" {
			continue
		}
		for pair := range set.Elements {
			if pair.Name() != "nvpair" || pair.Attr("id-ref") != "" {
				continue
			}
			if _, err := strconv.Atoi(strings.TrimSpace(pair.Attr("value"))); err != nil {
				c.warn(pair, "value", "Write a whole number.", "utilization %s cannot be %q: it counts as 0", pair.Attr("name"), pair.Attr("value"))
			}
		}
	}
}

// What the scheduler makes at most of one clone (if there are not more nodes) and
// of one bundle.
const (
	maxInstances = 1000
	maxReplicas  = 200
)

// container checks that what runs in a container does not hold that itself.
func (c *checker) container(n *cib.Node) {
	at := n.ID()
	for range len(c.resources) {
		r := c.resources[at]
		if r == nil {
			return
		}
		if at = c.meta(r)["container"]; at == "" || at == r.ID() {
			return
		}
		if at == n.ID() {
			c.fail(n, "", "Remove the meta attribute container of one of them.", "%s is in a container that is in %s itself", n.ID(), n.ID())
			return
		}
	}
}

// metaValues warns of values that have no effect on this resource.
func (c *checker) metaValues(n *cib.Node) {
	meta := c.meta(n)
	switch role := meta["target-role"]; strings.ToLower(role) {
	case "master", "promoted", "slave", "unpromoted":
		if !c.promotable(n) {
			c.warn(n, "", "Write Started or Stopped.", "target-role=%s of %s is ignored: only promotable clones have roles", role, n.ID())
		}
	}
	if needs := meta["requires"]; (needs == "fencing" || needs == "unfencing") && !c.fencingEnabled() && c.class(n) != "stonith" {
		c.warn(n, "", "Enable fencing, or remove it.", "requires=%s of %s is quorum: fencing is disabled", needs, n.ID())
	}
	if limit, err := strconv.Atoi(meta["migration-threshold"]); err == nil && limit < 0 {
		c.warn(n, "", "Write a number from 0; INFINITY never moves a resource away.", "migration-threshold of %s cannot be %d: the default is used", n.ID(), limit)
	}
}

// clone checks whether what is in a clone can be cloned this way.
func (c *checker) clone(n *cib.Node) {
	meta := c.meta(n)
	unique, _ := cib.ParseBool(meta["globally-unique"])
	if most, err := strconv.Atoi(meta["clone-max"]); (err == nil || errors.Is(err, strconv.ErrRange)) && most > max(maxInstances, len(c.nodes)) {
		c.fail(n, "", "Write a smaller number.", "clone-max=%s of %s is taken as %d: there cannot be so many", meta["clone-max"], n.ID(), maxInstances)
	}
	for _, p := range c.primitivesIn(n) {
		class := c.class(p)
		switch {
		case class == "" || class == "ocf":
		case c.promotable(n):
			c.warn(n, "", "Remove promotable, or use an agent of class ocf.", "%s is ignored: %s is of class %s, which cannot be promoted", n.ID(), p.ID(), class)
		case unique:
			c.warn(n, "", "Remove globally-unique, or use an agent of class ocf.", "globally-unique of %s is ignored: %s is of class %s, whose instances are all the same", n.ID(), p.ID(), class)
		}
	}
}

// primitivesIn returns the primitives of a resource, in document order.
func (c *checker) primitivesIn(n *cib.Node) []*cib.Node {
	if n.Name() == "primitive" {
		return []*cib.Node{n}
	}
	var list []*cib.Node
	for child := range n.Elements {
		switch child.Name() {
		case "primitive", "group", "clone", "master", "bundle":
			list = append(list, c.primitivesIn(child)...)
		}
	}
	return list
}

// bundle checks that a primitive in containers can be reached.
func (c *checker) bundle(n *cib.Node) {
	network, primitive := n.Child("network"), n.Child("primitive")
	ip, port := network.Attr("ip-range-start"), network.Attr("control-port")
	if primitive != nil && ip == "" && port == "" {
		c.warn(n, "", "Add <network ip-range-start=…/> or <network control-port=…/>.", "bundle %s is ignored: %s in it cannot be reached", n.ID(), primitive.ID())
	}
	for container := range n.Elements {
		switch container.Name() {
		case "docker", "podman", "rkt":
		default:
			continue
		}
		if container.Name() == "rkt" {
			c.warn(container, "", "Write <podman>.", "rkt containers are no longer maintained")
		}
		if perHost, err := strconv.Atoi(container.Attr("replicas-per-host")); err == nil && perHost > 1 && ip == "" && port != "" {
			c.warn(container, "replicas-per-host", "Give an ip-range-start, or one replica per host.", "replicas-per-host of %s is 1: all replicas have the control-port %s", n.ID(), port)
		}
		replicas, err := strconv.Atoi(container.Attr("replicas"))
		if (err == nil || errors.Is(err, strconv.ErrRange)) && replicas > maxReplicas {
			c.fail(container, "replicas", "Write a smaller number.", "replicas=%s of %s is taken as %d: there cannot be so many", container.Attr("replicas"), n.ID(), maxReplicas)
		}
		if err == nil && replicas < 1 {
			c.warn(container, "replicas", "Write a number from 1.", "replicas of %s cannot be %d: the default is used", n.ID(), replicas)
		}
	}
	if primitive != nil && c.class(primitive) == "stonith" {
		c.warn(primitive, "", "Take it out of the bundle.", "fence device %s is in a bundle", primitive.ID())
	}
}

// operations checks the operations of a primitive or template together.
func (c *checker) operations(n *cib.Node) {
	seen := map[string]*cib.Node{}
	for ops := range n.Elements {
		if ops.Name() != "operations" {
			continue
		}
		for op := range ops.Elements {
			if op.Name() == "op" {
				c.operation(n, op)
				c.operationTwice(op, seen)
			}
		}
	}
}

// operationTwice warns of a second recurring operation that cannot be told
// from the first by name and interval.
func (c *checker) operationTwice(op *cib.Node, seen map[string]*cib.Node) {
	every, err := cib.Duration(op.Attr("interval"))
	if err != nil || every == 0 {
		return
	}
	key := fmt.Sprint(op.Attr("name"), " ", every)
	if first := seen[key]; first != nil {
		c.warn(op, "interval", "Give it another interval: a second more is enough.", "%s is ignored: %s is a %s every %s, too", op.ID(), first.ID(), op.Attr("name"), every)
		return
	}
	seen[key] = op
}

// stopOnFail are the values of on-fail that a stop can have.
var stopOnFail = []string{"", "ignore", "block", "fence", "restart", "nothing", "restart-container"}

func (c *checker) operation(rsc, op *cib.Node) {
	attr := func(name string) string {
		if v, there := op.Lookup(name); there {
			return v
		}
		return c.view.Pairs(op, "meta_attributes", nil)[name]
	}
	name, onFail, role := op.Attr("name"), attr("on-fail"), attr("role")
	every, err := cib.Duration(op.Attr("interval"))
	recurring := err == nil && every > 0
	switch name {
	case "start", "stop", "promote", "demote", "migrate_to", "migrate_from":
		if recurring {
			c.warn(op, "interval", `Write interval="0".`, "%s is ignored: a %s cannot recur", op.ID(), name)
		}
	}
	promoted := role == "Promoted" || role == "Master"
	switch {
	case name == "stop" && !slices.Contains(stopOnFail, onFail):
		c.warn(op, "on-fail", "Write fence, block or ignore.", "on-fail=%s is not allowed for a stop: the default is used", onFail)
	case onFail == "demote" && name != "promote" && !(name == "monitor" && promoted && recurring):
		c.warn(op, "on-fail", "Only a promotion, and a recurring monitor of the promoted role, can be answered with a demotion.", "on-fail=demote is not allowed for %s: the default is used", name)
	case onFail == "fence" && !c.fencingEnabled():
		c.warn(op, "on-fail", "Enable fencing, or choose another reaction.", "on-fail=fence of %s has no effect: fencing is disabled", op.ID())
	}
	if promoted && rsc.Name() == "primitive" && !c.promotable(rsc) {
		c.warn(op, "role", "Remove the role, or make a promotable clone of it.", "%s never runs: %s is never promoted", op.ID(), rsc.ID())
	}
}
