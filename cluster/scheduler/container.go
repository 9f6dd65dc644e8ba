package scheduler

import (
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// mount is a directory of the host that a container sees.
type mount struct {
	source, target, options string
	perReplica              bool // a directory of its own for each, below source
}

type mounts []mount

func (m mounts) hasLog() bool {
	for _, e := range m {
		if e.target == "/var/log" {
			return true
		}
	}
	return false
}

// readBundle reads a bundle's element; nil if it names no container runtime.
func (w *working) readBundle(r *resource) *bundleSpec {
	s := &bundleSpec{addHost: true}
	var runtime *cib.Node
	for _, s.agent = range []string{"docker", "rkt", "podman"} {
		if runtime = r.xml.Child(s.agent); runtime != nil {
			break
		}
	}
	if runtime == nil {
		w.warn("bundle " + r.id + " is ignored: it names no container runtime; add a docker or podman element")
		return nil
	}
	promoted, ok := runtime.Lookup("promoted-max")
	if !ok {
		promoted = runtime.Attr("masters")
	}
	s.promotedMax = numberAtLeast(promoted, 0)
	if n, ok := runtime.Lookup("replicas"); ok || s.promotedMax == 0 {
		s.replicas = numberAtLeast(n, 1)
	} else {
		s.replicas = s.promotedMax
	}
	s.perHost = numberAtLeast(runtime.Attr("replicas-per-host"), 1)
	s.command, s.options = runtime.Attr("run-command"), runtime.Attr("options")
	s.image, s.network = runtime.Attr("image"), runtime.Attr("network")
	w.readBundleNetwork(s, r.xml.Child("network"))
	w.readBundleStorage(s, r.xml.Child("storage"))
	return s
}

func (w *working) readBundleNetwork(s *bundleSpec, n *cib.Node) {
	s.firstAddress, s.netmask, s.nic = n.Attr("ip-range-start"), n.Attr("host-netmask"), n.Attr("host-interface")
	s.controlPort = n.Attr("control-port")
	if v, ok := cib.ParseBool(n.Attr("add-host")); ok {
		s.addHost = v
	}
	for p := range n.Elements {
		outside, inside := p.Attr("port"), p.Attr("internal-port")
		if _, ok := p.Lookup("port"); !ok {
			outside, inside = p.Attr("range"), ""
		}
		if outside == "" {
			w.warn("port mapping " + p.ID() + " is ignored: it has neither port nor range")
			continue
		}
		s.ports = append(s.ports, [2]string{outside, firstOf(inside, outside)})
	}
}

func (w *working) readBundleStorage(s *bundleSpec, n *cib.Node) {
	for e := range n.Elements {
		m := mount{target: e.Attr("target-dir"), options: e.Attr("options")}
		var shared bool
		if m.source, shared = e.Lookup("source-dir"); !shared {
			m.source, m.perReplica = e.Attr("source-dir-root"), true
		}
		if m.source == "" || m.target == "" {
			w.warn("storage mapping " + e.ID() + " is ignored: it needs a source and a target directory")
			continue
		}
		s.mounts = append(s.mounts, m)
	}
}

// addHostEntry tells all containers the address of one.
func (s *bundleSpec) addHostEntry(prefix string, number int, address string) {
	name := prefix + "-" + strconv.Itoa(number)
	switch {
	case s.agent == "rkt":
		s.hosts += " --hosts-entry=" + address + "=" + name
	case s.addHost:
		s.hosts += " --add-host=" + name + ":" + address
	}
}

// containerElement is the container of a replica as a primitive. Its options
// come word for word as they always did: another text would restart it.
func (s *bundleSpec) containerElement(prefix string, p *replica) *cib.Node {
	name := prefix + "-" + strconv.Itoa(p.number)
	id := xmlID(prefix + "-" + s.agent + "-" + strconv.Itoa(p.number))
	set := prefix + "-attributes-" + strconv.Itoa(p.number)
	command := s.command
	if command == "" && p.child != nil {
		command = "/usr/sbin/pacemaker-remoted"
	}
	params := pairSet("instance_attributes", set, "image", s.image, "allow_pull", "true", "force_kill", "false", "reuse", "false",
		"run_opts", s.runOptions(name, p), "run_cmd", command, "monitor_cmd", "/bin/true")
	var own []string
	for _, m := range s.mounts {
		if m.perReplica {
			own = append(own, m.source+"/"+name)
		}
	}
	// The agent is told even where there are none.
	points := cib.NewNode("nvpair", "id", set+"-mount_points", "name", "mount_points").WithAttr("value", strings.Join(own, ","))
	return implicitElement(id, s.agent, params.WithChild(points))
}

// runOptions are the options of the container runtime.
func (s *bundleSpec) runOptions(name string, p *replica) string {
	rkt := s.agent == "rkt"
	hostname, env := " -h ", " -e "
	if rkt {
		hostname, env = " --hostname=", " --environment="
	}
	var b strings.Builder
	if s.agent == "docker" {
		b.WriteString(" --restart=no")
	}
	if s.firstAddress != "" {
		b.WriteString(hostname + name)
	}
	b.WriteString(env + "PCMK_stderr=1")
	if s.network != "" {
		b.WriteString(" --net=" + s.network)
	}
	b.WriteString(env + "PCMK_remote_port=" + firstOf(s.controlPort, remotePort))
	for i, m := range s.mounts {
		if m.perReplica {
			m.source += "/" + name
		}
		b.WriteString(m.option(rkt, i))
	}
	for _, port := range s.ports {
		b.WriteString(s.portOption(port[0], port[1], p.address))
	}
	if s.options != "" {
		b.WriteString(" " + s.options)
	}
	b.WriteString(" " + s.hosts)
	return b.String()
}

func (m mount) option(rkt bool, number int) string {
	if rkt {
		options := ""
		if m.options != "" {
			options = "," + m.options
		}
		volume := "vol" + strconv.Itoa(number)
		return " --volume " + volume + ",kind=host,source=" + m.source + options + " --mount volume=" + volume + ",target=" + m.target
	}
	options := ""
	if m.options != "" {
		options = ":" + m.options
	}
	return " -v " + m.source + ":" + m.target + options
}

func (s *bundleSpec) portOption(outside, inside, address string) string {
	if address != "" {
		address += ":"
	}
	switch {
	case s.agent == "rkt":
		return " --port=" + inside + ":" + address + outside
	case address == "" && s.network == "host":
		return "" // the host's ports are the container's
	}
	return " -p " + address + outside + ":" + inside
}
