package schedtest

import (
	"fmt"
	"strconv"

	"github.com/takt-ha/takt/cluster/cib"
)

// makeGuest puts a node into a primitive.
func (g *generator) makeGuest(r *resource) {
	m := &member{kind: "guest", name: g.id("guest")}
	m.id = m.name
	m.stateAttrs = []string{"remote_node", "true", "crm-debug-origin", "takt"}
	r.meta = append(r.meta, pair{"remote-node", m.name})
	r.guest = m
	g.decorate(m)
	g.nodes = append(g.nodes, m)
}

// addRemote adds the connection of a remote node.
func (g *generator) addRemote() {
	r := &resource{id: g.id("remote"), kind: "primitive", class: "ocf", provider: "pacemaker", typ: "remote"}
	r.ops = []operation{{name: "monitor", interval: "30s", ms: 30_000}}
	if g.percent(30) {
		r.meta = g.some(100, []pair{{"reconnect_interval", "60s"}})
		r.params, r.meta = r.meta, nil
	}
	m := &member{kind: "remote", id: r.id, name: r.id}
	m.stateAttrs = []string{"remote_node", "true", "crm-debug-origin", "takt"}
	if g.percent(20) {
		m.stateAttrs = append(m.stateAttrs, "node_fenced", "0")
	}
	r.guest = m
	g.decorate(m)
	g.nodes = append(g.nodes, m)
	g.all = append(g.all, r)
	g.top = append(g.top, r)
}

// bundle makes a bundle, most often with a primitive in it.
func (g *generator) bundle() *resource {
	r := g.newResource("bundle", "b", nil)
	r.engine = g.pick("docker", "podman")
	r.max, r.perNode = g.between(1, 3), g.between(1, 2)
	if r.ips = g.percent(60); !r.ips && g.percent(95) {
		r.perNode = 1 // a port of the host serves one
	}
	r.promotable = g.has(Promotable) && g.percent(50)
	r.meta = g.commonMeta(r.promotable)
	if g.percent(80) {
		child := g.primitive(r)
		child.class, child.provider, child.template = "ocf", "pacemaker", ""
		if child.typ == "exampled" {
			child.typ = "Dummy"
		}
		r.kids = []*resource{child}
	}
	return r
}

func (r *resource) bundleElements() []*cib.Node {
	c := cib.NewNode(r.engine, "image", "pcmk:test", "replicas", strconv.Itoa(r.max))
	if r.perNode > 1 {
		c = c.WithAttr("replicas-per-host", strconv.Itoa(r.perNode))
	}
	if r.promotable {
		c = c.WithAttr("promoted-max", "1")
	}
	if r.ips {
		return []*cib.Node{c, cib.NewNode("network", "ip-range-start", "192.168.122.131", "host-interface", "eth0", "host-netmask", "24")}
	}
	return []*cib.Node{c, cib.NewNode("network", "control-port", "3121")}
}

// replica names what a replica of a bundle consists of.
func (r *resource) replica(i int) (container, ip, node string) {
	return fmt.Sprintf("%s-%s-%d", r.id, r.engine, i), fmt.Sprintf("%s-ip-192.168.122.%d", r.id, 131+i), fmt.Sprintf("%s-%d", r.id, i)
}

// hostName stands in a parameter for the node where the resource runs.
const hostName = "#host"

// parts are the resources that a replica consists of, beside what runs in it.
func (r *resource) parts(i int) []*resource {
	container, ip, name := r.replica(i)
	address, dial, logs := "192.168.122."+strconv.Itoa(131+i), "3121:3121", "/var/log/pacemaker/bundles/"+name
	var hosts, self, restart string
	if r.ips {
		dial, self = address+":"+dial, " -h "+name
		for j := range r.max {
			hosts += fmt.Sprintf(" --add-host=%s-%d:192.168.122.%d", r.id, j, 131+j)
		}
	}
	if r.engine == "docker" {
		restart = " --restart=no"
	}
	run := restart + self + " -e PCMK_stderr=1 -e PCMK_remote_port=3121"
	params := []pair{{"allow_pull", "true"}, {"force_kill", "false"}, {"image", "pcmk:test"}, {"monitor_cmd", "/bin/true"}, {"reuse", "false"}}
	if len(r.kids) > 0 {
		run += " -v /etc/pacemaker/authkey:/etc/pacemaker/authkey -v " + logs + ":/var/log -p " + dial
		params = append(params, pair{"run_cmd", "/usr/sbin/pacemaker-remoted"}, pair{"mount_points", logs})
	} else {
		params = append(params, pair{"mount_points", ""})
	}
	params = append(params, pair{"run_opts", run + " " + hosts})
	list := []*resource{implied(container, "heartbeat", r.engine, 60_000, params)}
	if r.ips {
		list = append(list, implied(ip, "heartbeat", "IPaddr2", 60_000, []pair{{"ip", address}, {"cidr_netmask", "24"}, {"nic", "eth0"}}))
	}
	if len(r.kids) > 0 {
		if !r.ips {
			address = hostName
		}
		list = append(list, implied(name, "pacemaker", "remote", 30_000, []pair{{"addr", address}, {"port", "3121"}}))
	}
	return list
}

// implied is a resource that no element of the configuration names.
func implied(id, provider, typ string, interval int64, params []pair) *resource {
	monitor := operation{name: "monitor", ms: interval}
	if typ == "remote" {
		monitor.timeout = "30s"
	}
	return &resource{id: id, class: "ocf", provider: provider, typ: typ, params: params, ops: []operation{monitor}}
}

// memberNodes are the nodes of the cluster itself.
func (g *generator) memberNodes() []*member {
	var list []*member
	for _, m := range g.nodes {
		if m.kind == "member" {
			list = append(list, m)
		}
	}
	return list
}
