package schedtest

import (
	"fmt"
	"slices"

	"github.com/takt-ha/takt/cluster/cib"
)

// makeHistory lets resources run somewhere, as a cluster would have it, and
// then disturbs that: what ran where it should is what has to be told from what
// did not.
func (g *generator) makeHistory() {
	order := slices.Clone(g.top)
	// What makes nodes comes before what runs on them.
	slices.SortStableFunc(order, func(a, b *resource) int { return nodeMaker(b) - nodeMaker(a) })
	for _, r := range order {
		switch r.kind {
		case "primitive":
			g.placePrimitive(r)
		case "group":
			g.placeGroup(r)
		case "bundle":
			g.placeBundle(r)
		default:
			g.placeClone(r)
		}
	}
	if g.has(Orphans) {
		g.orphans()
	}
	for _, r := range g.all {
		if r.promotable && r.kind != "bundle" {
			g.promotionScores(r)
		}
	}
}

func nodeMaker(r *resource) int {
	if r.guest != nil {
		return 1
	}
	return 0
}

// hosts are the nodes that may hold a history of the resource.
func (g *generator) hosts(r *resource) []*member {
	var list []*member
	for _, m := range g.nodes {
		mayRun := m.kind == "member" || m.kind != "replica" && r.guest == nil && r.class != "stonith"
		if mayRun && !m.gone && (m.online || g.percent(40)) {
			list = append(list, m)
		}
	}
	return list
}

// choose picks the node where something runs: nil is nowhere.
func (g *generator) choose(hosts []*member) *member {
	if len(hosts) == 0 || g.percent(30) {
		return nil
	}
	m := hosts[g.r.IntN(len(hosts))]
	if !m.online && g.percent(60) {
		return nil
	}
	return m
}

func (g *generator) placePrimitive(r *resource) {
	hosts := g.hosts(r)
	at := g.choose(hosts)
	second := at
	if g.with(MultipleActive, 25) {
		second = g.choose(hosts)
	}
	if at != nil && second == at && g.with(Migration, 35) && len(hosts) > 1 {
		g.migration(r, hosts)
		return
	}
	for _, m := range hosts {
		g.note(m, r, r.id, m == at || m == second, false)
	}
	if r.guest != nil && at != nil {
		g.placeGuest(r, at)
	}
}

// placeGuest lets the node in a container, or behind a connection, be online.
func (g *generator) placeGuest(r *resource, at *member) {
	r.guest.online = at.online && g.percent(90)
	if r.guest.kind != "guest" {
		return
	}
	connection := implied(r.guest.name, "pacemaker", "remote", 30_000, nil)
	if r.guest.online {
		g.remember(at, connection, connection.id, g.activeOps(at, connection, connection.id, false), "container", r.id)
	}
}

func (g *generator) placeGroup(r *resource) {
	hosts := g.hosts(r)
	at := g.choose(hosts)
	running := len(r.kids)
	if g.percent(20) {
		running = g.between(0, len(r.kids))
	}
	for i, k := range r.kids {
		place := at
		if g.percent(5) {
			place = g.choose(hosts)
		}
		for _, m := range hosts {
			g.note(m, k, k.id, m == place && i < running, false)
		}
	}
}

func (g *generator) placeClone(r *resource) {
	kids := r.kids
	if kids[0].kind == "group" {
		kids = kids[0].kids
	}
	if r.unique {
		for i := range min(r.max, 6) {
			hosts := g.hosts(r)
			at := g.choose(hosts)
			promoted := r.promotable && i == 0 && g.percent(60)
			for _, m := range hosts {
				for _, k := range kids {
					if m == at || !g.has(Probes) || g.percent(30) {
						g.note(m, k, fmt.Sprintf("%s:%d", k.id, i), m == at, promoted)
					}
				}
			}
		}
		return
	}
	left, promoted := r.max, r.promotable && g.percent(50)
	for _, m := range g.hosts(r) {
		active := left > 0 && m.online && g.percent(75) || g.percent(3)
		running := len(kids)
		if g.percent(10) {
			running = g.between(0, len(kids))
		}
		for i, k := range kids {
			g.note(m, k, k.id, active && i < running, active && promoted)
		}
		if active {
			left--
			promoted = promoted && g.percent(10)
		}
	}
}

func (g *generator) placeBundle(r *resource) {
	promoted := r.promotable && g.percent(50)
	for i := range r.max {
		_, _, name := r.replica(i)
		parts := r.parts(i)
		hosts := g.memberHosts()
		at := g.choose(hosts)
		for _, m := range hosts {
			for _, part := range parts {
				if part.typ != "remote" || m == at {
					g.note(m, part, part.id, m == at, false)
				}
			}
		}
		if at != nil && at.online && len(r.kids) > 0 {
			inside := &member{id: name, name: name, kind: "replica", online: true, stateAttrs: []string{"remote_node", "true", "crm-debug-origin", "takt"}}
			g.nodes = append(g.nodes, inside)
			g.note(inside, r.kids[0], r.kids[0].id, g.percent(85), promoted)
			promoted = false
			if r.promotable && g.percent(80) {
				inside.transient = append(inside.transient, pair{"master-" + r.kids[0].id, g.pick("10", "5", "1", "-1")})
			}
		}
	}
}

func (g *generator) memberHosts() []*member {
	var list []*member
	for _, m := range g.memberNodes() {
		if !m.gone && m.online {
			list = append(list, m)
		}
	}
	return list
}

func (g *generator) promotionScores(r *resource) {
	kids := r.kids
	if kids[0].kind == "group" {
		kids = kids[0].kids
	}
	for _, k := range kids {
		for _, m := range g.nodes {
			name := "master-" + k.id
			if r.unique {
				name += ":" + g.pick("0", "1")
			}
			if g.percent(75) {
				m.transient = append(m.transient, pair{name, g.pick("10", "10", "5", "5", "100", "1", "0", "-1", "-INFINITY", "INFINITY")})
			}
		}
	}
}

// orphans are resources and instances that only the history knows.
func (g *generator) orphans() {
	for range g.between(1, 2) {
		r := &resource{id: g.id("gone"), class: "ocf", provider: "pacemaker", typ: g.pick("Dummy", "Dummy", "Stateful"), ops: []operation{{name: "monitor", ms: 10_000}}}
		id := r.id
		if clone := g.all[g.r.IntN(len(g.all))]; clone.kind == "clone" && clone.kids[0].kind == "primitive" && g.percent(60) {
			r, id = clone.kids[0], clone.kids[0].id+":7"
		}
		for _, m := range g.hosts(r) {
			if g.percent(60) {
				g.note(m, r, id, g.percent(60), false)
			}
		}
	}
}

// remember adds an lrm_resource to a node; pairs are further attributes.
func (g *generator) remember(m *member, r *resource, id string, ops []*cib.Node, pairs ...string) {
	n := cib.NewNode("lrm_resource", append([]string{"id", id, "class", r.class, "provider", r.provider, "type", r.typ}, pairs...)...)
	if g.with(Shutdown, 8) {
		n = n.WithAttr("shutdown-lock", g.ago(g.between(10, 1000)))
	}
	m.history = append(m.history, n.WithChild(ops...))
}
