package schedtest

import (
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// agent is what the history has to know of a primitive.
type agent struct {
	id, class, provider, typ string
	params                   []pair
	ops                      []operation
	instances                int  // of a unique clone; 0: the name has no number
	quiet                    bool // never looked for where it was not started
	container                string
}

// operation reads the words after op: op monitor 10s role=Promoted on-fail=block.
func (b *builder) operation(owner string, args []string) *cib.Node {
	n := cib.NewNode("op", "id", b.id(owner+"-"+args[0]), "name", args[0])
	rest := args[1:]
	interval := "0"
	if len(rest) > 0 && !strings.Contains(rest[0], "=") {
		interval, rest = rest[0], rest[1:]
	}
	n = n.WithAttr("interval", interval)
	for _, a := range rest {
		k, v := keyValue(a)
		n = n.WithAttr(k, v)
	}
	return n
}

// resource makes the element of a resource and of what is indented below it;
// unique is how many instances a unique clone around it has, "" if there is none.
func (b *builder) resource(l *line, unique string) *cib.Node {
	kind, id := l.words[0], l.words[1]
	var meta, params, util []pair
	n := cib.NewNode(map[string]string{"promotable": "clone"}[kind], "id", id)
	if kind != "promotable" {
		n = cib.NewNode(kind, "id", id)
	} else {
		meta = append(meta, pair{"promotable", "true"})
	}
	class := "ocf:pacemaker:Dummy"
	bundle := map[string]string{}
	for _, w := range l.words[2:] {
		k, v, isPair := strings.Cut(w, "=")
		name, plain := strings.CutPrefix(k, "param.")
		capacity, isCapacity := strings.CutPrefix(k, "util.")
		switch {
		case strings.HasPrefix(w, "@"):
			n = n.WithAttr("template", w[1:])
			class = ""
		case kind == "bundle" && (!isPair || k == "replicas" || k == "replicas-per-host" || k == "promoted-max"):
			bundle[k] = v
		case !isPair:
			class = w
		case plain:
			params = append(params, pair{name, v})
		case isCapacity:
			util = append(util, pair{capacity, v})
		default:
			meta = append(meta, pair{k, v})
		}
	}
	if kind == "primitive" || kind == "template" {
		n = withAgent(n, class)
	}
	if kind == "bundle" {
		n = b.bundle(n, bundle, len(l.kids) > 0)
	}
	g := &generator{}
	n = add(n, g.pairs("meta_attributes", id+"-meta", meta), g.pairs("instance_attributes", id+"-params", params), g.pairs("utilization", id+"-util", util))
	if metaValue(n, "globally-unique") == "true" {
		if unique = metaValue(n, "clone-max"); unique == "" {
			unique = "nodes"
		}
	}
	n = b.below(n, l, unique)
	if kind == "bundle" {
		b.inside(n)
	}
	if kind == "primitive" || kind == "template" {
		b.register(n, unique)
	}
	if kind == "primitive" && metaValue(n, "remote-node") != "" {
		b.guest(n)
	}
	return n
}

func withAgent(n *cib.Node, class string) *cib.Node {
	if part := strings.Split(class, ":"); len(part) == 3 {
		return n.WithAttr("class", part[0]).WithAttr("provider", part[1]).WithAttr("type", part[2])
	} else if len(part) == 2 {
		return n.WithAttr("class", part[0]).WithAttr("type", part[1])
	}
	return n
}

// below adds what is indented below a resource.
func (b *builder) below(n *cib.Node, l *line, unique string) *cib.Node {
	var ops []*cib.Node
	for _, k := range l.kids {
		switch k.words[0] {
		case "op":
			op := b.operation(n.ID(), k.words[1:])
			for _, inner := range k.kids {
				op = op.WithChild(b.element(inner))
			}
			ops = append(ops, op)
		case "<":
			n = n.WithChild(b.element(k))
		default:
			n = n.WithChild(b.resource(k, unique))
		}
	}
	if len(ops) > 0 {
		n = n.WithChild(cib.NewNode("operations").WithChild(ops...))
	}
	return n
}

// element reads XML.
func (b *builder) element(l *line) *cib.Node {
	n, err := cib.Parse([]byte(l.text))
	if err != nil {
		fail("%v", err)
	}
	return b.withIDs(n)
}

// register remembers what the history has to know of the primitives in n.
func (b *builder) register(n *cib.Node, unique string) {
	if n.Name() != "primitive" && n.Name() != "template" {
		for c := range n.Elements {
			b.register(c, unique)
		}
		return
	}
	a := &agent{id: n.ID(), class: n.Attr("class"), provider: n.Attr("provider"), typ: n.Attr("type")}
	if t := b.agents[n.Attr("template")]; t != nil {
		a.class, a.provider, a.typ, a.params, a.ops = t.class, t.provider, t.typ, t.params, t.ops
	}
	var own []pair
	for set := range n.Elements {
		for p := range set.Elements {
			switch {
			case set.Name() == "instance_attributes" && p.Name() == "nvpair" && p.Attr("name") != "":
				own = append(own, pair{p.Attr("name"), p.Attr("value")})
			case set.Name() == "operations":
				a.ops = append(a.ops, operation{name: p.Attr("name"), ms: milliseconds(p.Attr("interval")), role: p.Attr("role"), timeout: p.Attr("timeout")})
			}
		}
	}
	a.params = append(own, a.params...)
	if unique != "" {
		if a.instances, _ = strconv.Atoi(unique); a.instances == 0 {
			a.instances = len(b.hosts)
		}
	}
	a.quiet = n.Name() == "template"
	b.remember(a)
}

func (b *builder) remember(a *agent) {
	b.agents[a.id] = a
	b.order = append(b.order, a.id)
}

// guest registers the connection to the node that a resource makes.
func (b *builder) guest(n *cib.Node) {
	b.remember(&agent{id: metaValue(n, "remote-node"), class: "ocf", provider: "pacemaker", typ: "remote", container: n.ID(),
		ops: []operation{{name: "monitor", ms: 30_000, timeout: "30s"}}})
}

// bundle completes the element, and registers the parts of all replicas.
func (b *builder) bundle(n *cib.Node, words map[string]string, application bool) *cib.Node {
	r := &resource{id: n.ID(), engine: "podman", max: 1, perNode: 1}
	for k, v := range words {
		count, _ := strconv.Atoi(v)
		switch k {
		case "docker", "podman", "rkt":
			r.engine = k
		case "ips":
			r.ips = true
		case "replicas":
			r.max = count
		case "replicas-per-host":
			r.perNode = count
		case "promoted-max":
			r.promotable = true
		default:
			fail("a bundle has no %s", k)
		}
	}
	if application {
		r.kids = []*resource{{}}
	}
	for i := range r.max {
		for _, p := range r.parts(i) {
			b.remember(&agent{id: p.id, class: p.class, provider: p.provider, typ: p.typ, params: p.params, ops: p.ops})
		}
	}
	elements := r.bundleElements()
	if v := words["promoted-max"]; v != "" {
		elements[0] = elements[0].WithAttr("promoted-max", v)
	}
	if !r.ips && !application {
		elements = elements[:1]
	}
	return n.WithChild(elements...)
}

// inside marks what runs in a bundle: no other node looks for it.
func (b *builder) inside(n *cib.Node) {
	for c := range n.Elements {
		if a := b.agents[c.ID()]; a != nil && c.Name() == "primitive" {
			a.quiet = true
		}
	}
}

// milliseconds reads an interval.
func milliseconds(s string) int64 {
	d, err := cib.Duration(s)
	if err != nil {
		return 0
	}
	return d.Milliseconds()
}
