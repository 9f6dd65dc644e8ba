package scheduler

import (
	"slices"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// unpackResources reads the configured resources: templates, groups, clones
// with their instances, bundles with all that they imply.
func (w *working) unpackResources() {
	resources := w.root.Path("configuration", "resources")
	w.haveUnfence = mentionsUnfencing(resources) || mentionsUnfencing(w.root.Path("configuration", "rsc_defaults"))
	for xml := range resources.Elements {
		w.addTopLevel(xml)
	}
	for _, xml := range w.guestConnections(resources) {
		w.addTopLevel(xml)
	}
	for _, r := range w.resources {
		w.findContainer(r)
	}
	// The important come first wherever resources are gone through.
	slices.SortStableFunc(w.resources, func(a, b *resource) int { return b.priority - a.priority })
	if w.options.fencing && !w.haveFencing {
		w.warn("no resource is started, because stonith-enabled is true and no fence device is configured: configure one, or set stonith-enabled=false")
	}
}

func (w *working) addTopLevel(xml *cib.Node) {
	if variantOf(xml.Name()) == 0 {
		return // a template
	}
	if r := w.newResource(xml, nil, noInstance); r != nil {
		w.resources = append(w.resources, r)
	} else {
		w.warn(xml.Name() + " " + xml.ID() + " is ignored, because its configuration is invalid")
	}
}

// noInstance is the number of what is in no clone.
const noInstance = -1

// newResource makes a resource, and what is below it, from its element; number
// is that of the instance of a clone that it is or is part of. nil if the
// configuration makes no sense. Of two with one name only the first is known by
// it: the second's history is the first's, so that nobody could say where it
// runs, and it must not be started.
func (w *working) newResource(xml *cib.Node, parent *resource, number int) *resource {
	if other := w.byID[instanceID(xml.ID(), number)]; other != nil && !other.orphan {
		w.warn("there is more than one resource " + other.id + ": all but the first are ignored; give them names of their own")
		return nil
	}
	return w.makeResource(xml, parent, number)
}

func instanceID(id string, number int) string {
	if number < 0 {
		return id
	}
	return id + ":" + strconv.Itoa(number)
}

func (w *working) makeResource(xml *cib.Node, parent *resource, number int) *resource {
	def := w.define(xml)
	if def == nil {
		return nil
	}
	r := &resource{
		id: instanceID(xml.ID(), number), base: xml.ID(), xml: def.xml, def: def, number: number, parent: parent,
		variant: def.variant, methods: variantMethods[def.variant],
		standard: def.agent.Standard, provider: def.agent.Provider, agentType: def.agent.Type, template: def.template,
		role: Stopped,
	}
	w.total++
	r.meta = w.mergedMeta(r)
	w.readMeta(r)
	r.ops = def.operations(w)
	if !w.unpackVariant(r) {
		w.forget(r)
		return nil
	}
	w.allowInitially(r)
	r.utilization = w.readUtilization(r)
	if w.byID[r.id] == nil {
		w.byID[r.id] = r
	}
	return r
}

// forget takes back what was made for a resource that makes no sense.
func (w *working) forget(r *resource) {
	if w.byID[r.id] == r {
		delete(w.byID, r.id)
	}
	for _, c := range r.children {
		w.forget(c)
	}
	if r.bundle != nil && r.bundle.child != nil {
		w.forget(r.bundle.child)
	}
}

var variantMethods = [...]methods{
	primitive: primitiveMethods{}, group: groupMethods{}, clone: cloneMethods{}, bundle: bundleMethods{},
}

func (w *working) unpackVariant(r *resource) bool {
	switch r.variant {
	case primitive:
		return w.unpackPrimitive(r)
	case group:
		return w.unpackGroup(r)
	case clone:
		return w.unpackClone(r)
	}
	return w.unpackBundle(r)
}

// unpackPrimitive checks that what clones it can do so with its agent.
func (w *working) unpackPrimitive(r *resource) bool {
	top := r.outermost(false)
	if top.variant != clone {
		return true
	}
	if r.unique && !agentCanBeUnique(r.standard) {
		w.forceAnonymous(top, r)
		// What is unpacked later still finds the meta attribute: only instances
		// that are there already, and this one, become anonymous.
		top.clearUnique()
		r.clearUnique()
	}
	if top.promotable && !agentCanBePromoted(r.standard) {
		w.warn("resource " + r.id + " cannot be promoted: agents of the class " + r.standard + " cannot")
		return false
	}
	return true
}

// unpackGroup reads the members; one that is invalid is left out.
func (w *working) unpackGroup(r *resource) bool {
	r.group = &groupData{ordered: r.metaFlag("ordered", true), colocated: r.metaFlag("collocated", true)}
	for xml := range r.xml.Elements {
		if xml.Name() != "primitive" {
			continue
		}
		if m := w.newResource(xml, r, r.number); m != nil {
			r.children = append(r.children, m)
		}
	}
	if len(r.children) == 0 {
		w.warn("group " + r.id + " has no members")
	}
	return true
}

// allowInitially allows every node that there is by now: all of them in an
// opt-out cluster, and for a guest's connection in any.
func (w *working) allowInitially(r *resource) {
	guest := r.isRemoteConn && r.meta["container"] != ""
	if !w.options.symmetric && !guest {
		return
	}
	r.allowed = make(table, w.nodeCount)
	for _, n := range w.nodes {
		w.allowNode(r, n, w.options.symmetric)
	}
}

// allowNode allows a node to a resource and to what is in it. What is in it was
// allowed before, when it was made itself: its score does not change by that.
func (w *working) allowNode(r *resource, n *node, byDefault bool) {
	if byDefault && (r.exclusive || n.discover == discoverNever) {
		return
	}
	if a := r.allowed.at(n); !a.present {
		*a = allowance{present: true, score: n.weight, discover: n.discover}
	}
}

// mentionsUnfencing reports whether a meta attribute says that something
// provides or requires unfencing.
func mentionsUnfencing(n *cib.Node) bool {
	for c := range n.Elements {
		if n.Name() == "meta_attributes" && c.Name() == "nvpair" && c.Attr("value") == "unfencing" {
			if name := c.Attr("name"); name == "provides" || name == "requires" {
				return true
			}
		}
		if mentionsUnfencing(c) {
			return true
		}
	}
	return false
}

// findContainer finds what the primitives that say so (meta attribute
// container) run in.
func (w *working) findContainer(r *resource) {
	if len(r.children) > 0 {
		for _, c := range r.children {
			w.findContainer(c)
		}
		return
	}
	name := r.meta["container"]
	if name == "" || strings.EqualFold(name, r.id) {
		return
	}
	if c := w.byID[name]; c != nil {
		w.putInto(r, c)
	} else {
		w.warn("resource " + r.id + ": there is no container " + name)
	}
}

// putInto makes a resource one that runs in a container. Nothing runs in what
// runs in itself.
func (w *working) putInto(r, container *resource) {
	for c := container; c != nil; c = c.container {
		if c == r || isAncestor(c, r) {
			w.warn("resource " + r.id + " cannot run in the container " + container.id + ", which is in " + r.id + " itself: the meta attribute container is ignored")
			return
		}
	}
	r.container = container
	container.fillers = append(container.fillers, r)
}

// guestConnections are the resources that connect to guests: each virtual
// machine that names one (meta attribute remote-node) implies its connection.
func (w *working) guestConnections(resources *cib.Node) []*cib.Node {
	var list []*cib.Node
	for xml := range resources.Elements {
		switch xml.Name() {
		case "primitive":
			if !isRemoteConnection(xml) {
				list = w.appendGuest(list, xml)
			}
		case "group":
			for p := range xml.Elements {
				list = w.appendGuest(list, p)
			}
		}
	}
	return list
}

func (w *working) appendGuest(list []*cib.Node, xml *cib.Node) []*cib.Node {
	c := connection{container: xml.ID(), startTimeout: "60s"}
	for set := range xml.Elements {
		if set.Name() != "meta_attributes" {
			continue
		}
		for pair := range set.Elements {
			c.setting(pair.Attr("name"), pair.Attr("value"))
		}
	}
	if c.name == "" {
		return list
	}
	return append(list, c.element())
}

// connection is what an implicit connection to a guest is made from.
type connection struct {
	name, container     string
	address, port       string
	migratable, managed string
	startTimeout        string
}

// setting takes a meta attribute of the virtual machine.
func (c *connection) setting(name, value string) {
	switch strings.ToLower(name) {
	case "remote-node":
		c.name = value
	case "remote-addr":
		c.address = value
	case "remote-port":
		c.port = value
	case "remote-connect-timeout":
		c.startTimeout = value
	case "remote-allow-migrate":
		c.migratable = value
	case "is-managed":
		c.managed = value
	}
}

// element is the primitive that the connection is.
func (c *connection) element() *cib.Node {
	meta := pairSet("meta_attributes", c.name+"-meta_attributes",
		"internal-rsc", "true", "container", c.container, "allow-migrate", c.migratable, "is-managed", c.managed)
	ops := cib.NewNode("operations").WithChild(opElement(c.name, "monitor", "30s", "30s"))
	if c.startTimeout != "" {
		ops = ops.WithChild(opElement(c.name, "start", "0", c.startTimeout))
	}
	r := cib.NewNode("primitive", "id", c.name, "class", "ocf", "provider", "pacemaker", "type", "remote").WithChild(meta)
	if c.address != "" || c.port != "" {
		r = r.WithChild(pairSet("instance_attributes", c.name+"-instance_attributes", "addr", c.address, "port", c.port))
	}
	return r.WithChild(ops)
}

// pairSet is an attribute set of names and values; what has no value is left out.
func pairSet(element, id string, pairs ...string) *cib.Node {
	var list []*cib.Node
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, cib.NewNode("nvpair", "id", id+"-"+pairs[i], "name", pairs[i], "value", pairs[i+1]))
		}
	}
	return cib.NewNode(element, "id", id).WithChild(list...)
}

func opElement(rsc, name, interval, timeout string) *cib.Node {
	return cib.NewNode("op", "id", rsc+"-"+name+"-"+interval, "name", name, "interval", interval, "timeout", timeout)
}
