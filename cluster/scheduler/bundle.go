package scheduler

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// remotePort is where the cluster's daemon in a container listens by default.
const remotePort = "3121"

// bundleSpec is what a bundle element says.
type bundleSpec struct {
	agent                          string // docker, podman, rkt
	image, command, options        string
	network                        string // of the container runtime
	firstAddress, netmask, nic     string
	controlPort                    string
	addHost                        bool
	ports                          [][2]string // outside, inside
	mounts                         mounts
	replicas, perHost, promotedMax int
	hosts                          string // options that tell each container the addresses of all
}

// unpackBundle makes what a bundle implies: for each replica a container, an
// address if it has one, and with a primitive inside a connection to the
// container and an instance of the clone that the primitive becomes.
func (w *working) unpackBundle(r *resource) bool {
	s := w.readBundle(r)
	if s == nil {
		return false
	}
	s.replicas = w.boundInstances(r, "replicas", s.replicas, maxReplicas)
	b := &bundleData{max: s.replicas, perHost: s.perHost, promotedMax: s.promotedMax, agent: s.agent}
	r.bundle = b
	if s.perHost == 1 {
		r.unique = false
	}
	app := r.xml.Child("primitive")
	b.networked = s.firstAddress != "" || s.controlPort != ""
	if app != nil && s.firstAddress == "" && s.controlPort != "" && s.perHost > 1 {
		w.warn("bundle " + r.id + ": control-port needs replicas-per-host=1, which it is taken as")
		s.perHost, b.perHost = 1, 1
	}
	if app != nil && !b.networked {
		w.warn("bundle " + r.id + ": " + app.ID() + " cannot be controlled in its containers without ip-range-start or control-port")
		return false
	}
	if app != nil && !w.unpackBundled(r, s, app) {
		return false
	}
	w.makeReplicas(r, s)
	for _, p := range b.replicas {
		if !w.unpackReplica(r, s, p) {
			return false
		}
	}
	if b.child != nil {
		r.children = append(r.children, b.child)
	}
	return true
}

// unpackBundled makes the clone that the primitive of a bundle becomes. Its
// name says master, if it can be promoted, for the sake of old histories.
func (w *working) unpackBundled(r *resource, s *bundleSpec, app *cib.Node) bool {
	kind := "clone"
	pairs := []string{"ordered", "true", "clone-max", strconv.Itoa(s.replicas), "clone-node-max", strconv.Itoa(s.perHost),
		"globally-unique", strconv.FormatBool(s.perHost > 1)}
	if s.promotedMax > 0 {
		kind = "master"
		pairs = append(pairs, "promotable", "true", "promoted-max", strconv.Itoa(s.promotedMax))
	}
	xml := cib.NewNode("clone", "id", r.id+"-"+kind).
		WithChild(pairSet("meta_attributes", r.id+"-clone-meta", pairs...), app)
	c := w.newResource(xml, r, noInstance)
	if c == nil {
		return false
	}
	r.bundle.child = c
	s.mounts = append(s.mounts, mount{source: "/etc/pacemaker/authkey", target: "/etc/pacemaker/authkey"})
	if !s.mounts.hasLog() {
		s.mounts = append(s.mounts, mount{source: "/var/log/pacemaker/bundles", target: "/var/log", perReplica: true})
	}
	port := firstOf(s.controlPort, remotePort)
	s.ports = append(s.ports, [2]string{port, port})
	return true
}

// makeReplicas gives each replica its number, address and instance.
func (w *working) makeReplicas(r *resource, s *bundleSpec) {
	b := r.bundle
	count := s.replicas
	if b.child != nil {
		count = len(b.child.children)
	}
	address := s.firstAddress
	for i := range count {
		p := &replica{number: i, bundle: r, address: address}
		if address != "" {
			s.addHostEntry(r.id, i, address)
			address = nextAddress(address)
		}
		if b.child != nil {
			p.child = b.child.children[i]
			p.child.exclusive = true
			b.child.notify = b.child.notify || p.child.notify
			if target := p.child.meta["container-attribute-target"]; target != "" {
				r.setMeta("container-attribute-target", target)
				b.child.setMeta("container-attribute-target", target)
			}
		}
		b.replicas = append(b.replicas, p)
	}
}

// nextAddress is the IPv4 address after one, without broadcast addresses; ""
// at the end of what can be counted.
func nextAddress(s string) string {
	var a [4]int
	if n, _ := fmt.Sscanf(s, "%d.%d.%d.%d", &a[0], &a[1], &a[2], &a[3]); n != 4 || a[2] > 253 {
		return ""
	}
	if a[3]++; a[3] > 254 {
		a[2], a[3] = a[2]+1, 1
	}
	return fmt.Sprintf("%d.%d.%d.%d", a[0], a[1], a[2], a[3])
}

// unpackReplica makes the resources of one replica.
func (w *working) unpackReplica(r *resource, s *bundleSpec, p *replica) bool {
	if p.container = w.addImplicit(r, p, s.containerElement(r.id, p)); p.container == nil {
		return false
	}
	if p.address != "" {
		if p.ip = w.addImplicit(r, p, s.addressElement(r.id, p)); p.ip == nil {
			return false
		}
	}
	if p.child == nil {
		return true
	}
	p.child.replica = p
	if !w.connectReplica(r, s, p) {
		return false
	}
	if p.address != "" {
		p.child.setMetaDefault("external-ip", p.address)
	}
	// What the primitive needs, its container takes.
	p.container.utilization, p.child.utilization = p.child.utilization, p.container.utilization
	return true
}

func (w *working) addImplicit(r *resource, p *replica, xml *cib.Node) *resource {
	i := w.newResource(xml, r, noInstance)
	if i != nil {
		i.replica = p
		r.children = append(r.children, i)
	}
	return i
}

// connectReplica makes the guest node that a container is, and the connection to
// it. Nothing runs there but what belongs there.
func (w *working) connectReplica(r *resource, s *bundleSpec, p *replica) bool {
	name := r.id + "-" + strconv.Itoa(p.number)
	if w.byID[name] != nil {
		name = "pcmk-internal-" + p.child.id + "-remote-" + strconv.Itoa(p.number)
	}
	n := w.nodeByName[name]
	if n == nil {
		n = w.newNode(name, name, remoteNode)
	}
	n.weight, n.discover = -Infinity, discoverNever
	for _, other := range w.resources {
		other.forbidNode(n)
	}
	p.node = n
	p.child.allowed = nil
	*p.child.allowed.at(n) = allowance{present: true, score: 500, discover: discoverExclusive}
	*p.child.parent.allowed.at(n) = allowance{present: true, score: -Infinity, discover: discoverExclusive}
	c := connection{name: name, container: p.container.id, address: firstOf(p.address, "#uname"), port: firstOf(s.controlPort, remotePort)}
	if p.remote = w.addImplicit(r, p, c.element()); p.remote == nil {
		return false
	}
	for _, m := range w.nodes {
		if a := p.remote.allowed.get(m); a.present && m.isRemoteOrGuest() {
			p.remote.allowed.at(m).score = -Infinity
		}
	}
	n.connection = p.remote
	p.remote.container, p.remote.followsContainer = p.container, true
	n.attrs["#kind"] = "container"
	return true
}

// forbidNode takes back that a node was allowed by default.
func (r *resource) forbidNode(n *node) {
	if r.allowed.get(n).present {
		a := r.allowed.at(n)
		a.score, a.discover = -Infinity, discoverNever
	}
	for _, c := range r.children {
		c.forbidNode(n)
	}
}

// addressElement is the address of a replica as a primitive.
func (s *bundleSpec) addressElement(prefix string, p *replica) *cib.Node {
	id := xmlID(prefix + "-ip-" + p.address)
	return implicitElement(id, "IPaddr2", pairSet("instance_attributes", prefix+"-attributes-"+strconv.Itoa(p.number),
		"ip", p.address, "nic", s.nic, "cidr_netmask", firstOf(s.netmask, "32")))
}

func implicitElement(id, agent string, params *cib.Node) *cib.Node {
	return cib.NewNode("primitive", "id", id, "class", "ocf", "provider", "heartbeat", "type", agent).
		WithChild(params, cib.NewNode("operations").WithChild(opElement(id, "monitor", "60s", "")))
}

// xmlID makes a name fit to be an XML id.
func xmlID(s string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(":#", c) {
			return '.'
		}
		return c
	}, s)
}
