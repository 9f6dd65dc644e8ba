package schedtest

import (
	"strconv"

	"github.com/takt-ha/takt/cluster/cib"
)

// member is a node: of the cluster, remote, or in a container (guest).
type member struct {
	id, name, kind string // kind: member, remote, guest
	online         bool   // resources can be seen on it
	gone           bool   // it has no node_state
	stateAttrs     []string
	attributes     []pair // permanent
	capacity       []pair
	transient      []pair
	history        []*cib.Node // lrm_resource
}

func (g *generator) makeNodes() {
	for i := range g.between(1, max(2, min(g.size, 5))) {
		m := &member{id: strconv.Itoa(i + 1), kind: "member"}
		m.name = "n" + m.id
		g.memberState(m, i == 0)
		g.decorate(m)
		g.nodes = append(g.nodes, m)
	}
}

// memberState decides how a cluster node is: the first one is online, it is the
// one that asks.
func (g *generator) memberState(m *member, first bool) {
	state := "online"
	if !first {
		state = g.pick("online", "online", "online", "online", "online", "online", "online", "down")
		if g.has(Fencing) || g.has(Quorum) {
			state = g.pick("online", "online", "online", "down", "lost", "crashed", "joining", "unseen", "left")
		}
	}
	values := map[string][]string{
		"online":  {"true", "online", "member", "member"},
		"down":    {"false", "offline", "down", "down"},
		"lost":    {"false", "offline", "down", "member"},
		"crashed": {"true", "offline", "down", "member"},
		"joining": {"true", "online", g.pick("down", "pending", "banned"), g.pick("member", "down")},
		"left":    {"false", "offline", "member", g.pick("member", "down")},
	}[state]
	m.gone = values == nil
	if values == nil {
		return
	}
	m.online = state == "online"
	m.stateAttrs = []string{"in_ccm", values[0], "crmd", values[1], "crm-debug-origin", "takt", "join", values[2], "expected", values[3]}
}

// decorate gives a node attributes.
func (g *generator) decorate(m *member) {
	maybe := func(list *[]pair, f Features, p int, name string, values ...string) {
		if g.with(f, p) {
			*list = append(*list, pair{name, g.pick(values...)})
		}
	}
	maybe(&m.attributes, Standby, 15, "standby", "on", "off", "true")
	maybe(&m.transient, Standby, 10, "standby", "on")
	maybe(&m.attributes, Unmanaged, 20, "maintenance", "true", "false")
	maybe(&m.attributes, NodeAttributes, 70, "rack", "r1", "r2")
	maybe(&m.attributes, Rules, 50, "rack", "r1", "r2")
	maybe(&m.attributes, NodeAttributes, 30, "site", "r1", "r2")
	maybe(&m.transient, Rules, 50, "ping", "0", "100", "1000")
	maybe(&m.transient, Health, 60, g.pick("#health-cpu", "#health-disk"), "red", "yellow", "green", "10", "-10")
	maybe(&m.attributes, Health, 15, "#health-smart", "red", "yellow", "green")
	if m.kind == "member" {
		maybe(&m.transient, Shutdown, 20, "shutdown", "0", g.ago(30), g.ago(3000))
		maybe(&m.transient, Fencing, 5, "terminate", "true", "0", "1")
		maybe(&m.transient, Unfencing, 85, "#node-unfenced", g.ago(1000), g.ago(1000), g.ago(1000), "0")
	}
	maybe(&m.capacity, Utilization, 90, "cpu", "1", "2", "4", "8")
	maybe(&m.capacity, Utilization, 60, "memory", "512", "1024", "2048")
}

func (m *member) config(g *generator) *cib.Node {
	n := cib.NewNode("node", "id", m.id, "uname", m.name)
	if m.kind != "member" {
		n = n.WithAttr("type", "remote")
	}
	return add(n, g.pairs("instance_attributes", "nodes-"+m.id, unique(m.attributes)), g.pairs("utilization", "nodes-"+m.id+"-utilization", unique(m.capacity)))
}

// state makes the node_state, nil where the node was never seen.
func (m *member) state(g *generator) *cib.Node {
	if m.gone || m.kind != "member" && len(m.history) == 0 && len(m.transient) == 0 {
		return nil
	}
	n := cib.NewNode("node_state", append([]string{"id", m.id, "uname", m.name}, m.stateAttrs...)...)
	if set := g.pairs("instance_attributes", "status-"+m.id, unique(m.transient)); set != nil {
		n = n.WithChild(cib.NewNode("transient_attributes", "id", m.id).WithChild(set))
	}
	return n.WithChild(cib.NewNode("lrm", "id", m.id).WithChild(cib.NewNode("lrm_resources").WithChild(m.history...)))
}

// unique keeps the first pair of each name.
func unique(list []pair) []pair {
	var kept []pair
	seen := map[string]bool{}
	for _, p := range list {
		if !seen[p.name] {
			kept = append(kept, p)
		}
		seen[p.name] = true
	}
	return kept
}

func (g *generator) anyNode() *member { return g.nodes[g.r.IntN(len(g.nodes))] }
