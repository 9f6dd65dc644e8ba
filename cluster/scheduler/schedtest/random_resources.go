package schedtest

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/takt-ha/takt/cluster/cib"
)

// resource is an element of <resources> in the making.
type resource struct {
	id, kind             string // kind: primitive, group, clone, master, bundle
	parent               *resource
	kids                 []*resource
	class, provider, typ string
	template             string
	meta, params, use    []pair
	ops                  []operation
	unique, promotable   bool
	max, perNode         int     // instances of a clone, replicas of a bundle
	engine               string  // of a bundle: docker, podman
	ips                  bool    // a bundle's replicas have addresses
	guest                *member // the node inside of this primitive
}

// operation is a configured <op>.
type operation struct {
	name, interval, timeout, role, onFail string
	ms                                    int64
	disabled                              bool
}

func (g *generator) makeResources() {
	n := g.between(1, g.size)
	for len(g.all) < n {
		g.top = append(g.top, g.anyResource())
	}
	if g.with(Remotes, 70) {
		g.addRemote()
	}
	if g.has(Fencing) {
		g.top = append(g.top, g.fenceDevice())
	}
	g.r.Shuffle(len(g.top), func(i, j int) { g.top[i], g.top[j] = g.top[j], g.top[i] })
	if g.has(Tags) {
		for range g.between(1, 2) {
			g.tagged = append(g.tagged, g.tag())
			g.tags = append(g.tags, g.tagged[len(g.tagged)-1].ID())
		}
	}
}

// tag makes a tag for one to three resources of which none is part of another.
func (g *generator) tag() *cib.Node {
	t := cib.NewNode("tag", "id", g.id("tag"))
	used := map[string]bool{}
	for _, i := range g.r.Perm(len(g.all))[:g.between(1, min(3, len(g.all)))] {
		if id := g.all[i].id; !g.coveredBy(id, used) {
			maps.Copy(used, g.cover(id))
			t = t.WithChild(cib.NewNode("obj_ref", "id", id))
		}
	}
	return t
}

func (g *generator) anyResource() *resource {
	switch {
	case g.with(Bundles, 30):
		return g.bundle()
	case g.with(Promotable, 40):
		return g.clone(true)
	case g.with(Clones, 35) || g.with(UniqueClones, 35):
		return g.clone(false)
	case g.with(Groups, 35):
		return g.group(nil)
	}
	r := g.primitive(nil)
	if g.with(Guests, 30) {
		g.makeGuest(r)
	}
	return r
}

func (g *generator) newResource(kind, prefix string, parent *resource) *resource {
	r := &resource{id: g.id(prefix), kind: kind, parent: parent}
	g.all = append(g.all, r)
	return r
}

func (g *generator) group(parent *resource) *resource {
	r := g.newResource("group", "g", parent)
	if parent == nil {
		r.meta = g.commonMeta(false)
	}
	if g.with(Options, 10) {
		r.meta = append(r.meta, pair{g.pick("ordered", "collocated"), "false"})
	}
	for range g.between(1, 4) {
		r.kids = append(r.kids, g.primitive(r))
	}
	return r
}

func (g *generator) clone(promotable bool) *resource {
	r := g.newResource("clone", "c", nil)
	r.promotable = promotable
	r.unique = g.with(UniqueClones, 50)
	r.max, r.perNode = len(g.memberNodes()), 1
	r.meta = g.commonMeta(promotable)
	maybe := func(p int, name string, values ...string) string {
		if !g.percent(p) {
			return ""
		}
		v := g.pick(values...)
		r.meta = append(r.meta, pair{name, v})
		return v
	}
	if v := maybe(40, "clone-max", "1", "2", "3", "4"); v != "" {
		r.max, _ = strconv.Atoi(v)
	}
	if r.unique {
		r.meta = append(r.meta, pair{"globally-unique", "true"})
		if v := maybe(50, "clone-node-max", "1", "2", "3"); v != "" {
			r.perNode, _ = strconv.Atoi(v)
		}
	}
	maybe(40, "interleave", "true", "true", "false")
	maybe(20, "ordered", "true")
	maybe(12, "clone-min", "1", "2")
	if g.with(Notify, 70) {
		r.meta = append(r.meta, pair{"notify", "true"})
	}
	if promotable {
		if r.kind = g.pick("clone", "clone", "clone", "master"); r.kind == "clone" {
			r.meta = append(r.meta, pair{"promotable", "true"})
		}
		maybe(30, g.pick("promoted-max", "master-max"), "1", "2", "0")
		maybe(10, g.pick("promoted-node-max", "master-node-max"), "1", "2")
	}
	if g.with(Groups, 40) {
		r.kids = []*resource{g.group(r)}
	} else {
		r.kids = []*resource{g.primitive(r)}
	}
	return r
}

func (g *generator) fenceDevice() *resource {
	r := &resource{id: g.id("fence"), kind: "primitive", class: "stonith", typ: "fence_xvm"}
	if g.with(Unfencing, 60) {
		r.meta = []pair{{"provides", "unfencing"}}
	}
	if g.percent(50) {
		r.params = []pair{{"pcmk_host_list", "n1 n2"}}
	}
	g.all = append(g.all, r)
	return r
}

func (r *resource) element(g *generator) *cib.Node {
	n := cib.NewNode(r.kind, "id", r.id)
	params, ops := r.params, r.ops
	switch {
	case r.template != "":
		n = n.WithAttr("template", r.template)
		params = nil
		if t := g.templateElement(r.template); t.Child("operations") != nil {
			ops = nil
		}
	case r.kind == "primitive" || r.kind == "template":
		n = cib.NewNode(r.kind, "id", r.id, "class", r.class, "provider", r.provider, "type", r.typ)
	}
	n = add(n, g.pairs("meta_attributes", r.id+"-meta", r.meta), g.pairs("instance_attributes", r.id+"-params", params))
	n = add(n, g.furtherMeta(r), g.pairs("utilization", r.id+"-use", r.use))
	if r.kind == "bundle" {
		n = n.WithChild(r.bundleElements()...)
	}
	if len(ops) > 0 {
		list := cib.NewNode("operations")
		for i, op := range ops {
			list = list.WithChild(op.element(fmt.Sprintf("%s-op-%d", r.id, i)))
		}
		n = n.WithChild(list)
	}
	for _, k := range r.kids {
		n = n.WithChild(k.element(g))
	}
	return n
}

// furtherMeta is a second set of meta attributes, now and then: one that only
// counts while a rule holds, or that of another resource.
func (g *generator) furtherMeta(r *resource) *cib.Node {
	if g.with(Templates, 15) {
		for _, other := range g.all {
			if other != r && len(other.meta) > 0 && other.guest == nil && other.kind == r.kind && r.guest == nil && r.kind == "primitive" {
				return cib.NewNode("meta_attributes", "id-ref", other.id+"-meta")
			}
		}
	}
	if !g.with(Rules, 12) {
		return nil
	}
	list := []pair{{"resource-stickiness", "50"}, {"priority", "7"}, {"target-role", "Stopped"}, {"is-managed", "false"}}
	at := g.r.IntN(len(list))
	set := g.pairs("meta_attributes", r.id+"-meta2", list[at:at+1])
	if g.percent(40) {
		set = set.WithAttr("score", g.pick("10", "-10", "INFINITY"))
	}
	return set.WithChild(cib.NewNode("rule", "id", g.id("rule-")).WithChild(g.dateExpression()))
}

func (g *generator) templateElement(id string) *cib.Node {
	for _, t := range g.extra {
		if t.ID() == id {
			return t
		}
	}
	return nil
}

func (o operation) element(id string) *cib.Node {
	n := cib.NewNode("op", "id", id, "name", o.name, "interval", o.interval, "timeout", o.timeout, "role", o.role, "on-fail", o.onFail)
	if o.disabled {
		n = n.WithAttr("enabled", "false")
	}
	return n
}
