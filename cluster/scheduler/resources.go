package scheduler

import (
	"maps"
	"sort"
	"strconv"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// unpackResources reads the configured resources.
func (w *working) unpackResources() {
	w.resources = map[string]*resource{}
	for n := range w.root.Path("configuration", "resources").Elements {
		if r := w.unpackResource(n, nil); r != nil {
			w.top = append(w.top, r)
		}
	}
	sort.SliceStable(w.top, func(i, j int) bool { return w.top[i].priority > w.top[j].priority })
	w.flatten()
}

func (w *working) flatten() {
	w.flat = w.flat[:0]
	for _, r := range w.top {
		for p := range r.primitives {
			w.flat = append(w.flat, p)
		}
	}
}

func (w *working) unpackResource(n *cib.Node, parent *resource) *resource {
	id := n.ID()
	switch n.Name() {
	case "primitive", "group":
	case "template", "":
		return nil
	default:
		w.warn("resource " + id + ": " + n.Name() + " is not scheduled yet: it is left alone")
		return nil
	}
	if id == "" || w.resources[id] != nil {
		w.warn("a " + n.Name() + " without an id of its own is ignored: give it a unique id")
		return nil
	}
	r := w.newResource(id, n, parent)
	w.resources[id] = r
	if n.Name() == "group" {
		r.variant = group
		for c := range n.Elements {
			if c.Name() != "primitive" {
				continue
			}
			if child := w.unpackResource(c, r); child != nil {
				r.children = append(r.children, child)
			}
		}
	}
	w.unpackMeta(r)
	return r
}

func (w *working) newResource(id string, n *cib.Node, parent *resource) *resource {
	r := &resource{id: id, xml: n, parent: parent, role: Stopped, next: Stopped,
		scores: make([]Score, len(w.nodes)), allowed: make([]bool, len(w.nodes)), known: make([]bool, len(w.nodes))}
	if ref := n.Attr("template"); ref != "" {
		r.template = w.view.ByID(ref)
		if r.template.Name() != "template" {
			w.warn("resource " + id + ": there is no template " + ref)
			r.template = nil
		}
	}
	for i := range r.allowed {
		r.allowed[i] = w.options.symmetric
	}
	class, provider, typ := r.agentAttr("class"), r.agentAttr("provider"), r.agentAttr("type")
	r.class = class
	if r.agent = class + ":" + typ; provider != "" {
		r.agent = class + ":" + provider + ":" + typ
	}
	return r
}

func (r *resource) agentAttr(name string) string {
	return firstOf(r.xml.Attr(name), r.template.Attr(name))
}

// context is what rules in the resource's own sets see.
func (r *resource) context(m *member) ruleContext {
	return ruleContext{node: m, inRsc: true, class: r.class, provider: r.agentAttr("provider"), typ: r.agentAttr("type")}
}

// pairs merges the resource's own sets with its template's and with defaults.
func (w *working) pairs(r *resource, tag string, ctx ruleContext, defaults *cib.Node) map[string]string {
	match := func(set *cib.Node) bool { return w.setApplies(set, ctx) }
	merged := map[string]string{}
	if defaults != nil {
		maps.Copy(merged, w.view.Pairs(defaults, "meta_attributes", match))
	}
	if r.template != nil {
		maps.Copy(merged, w.view.Pairs(r.template, tag, match))
	}
	maps.Copy(merged, w.view.Pairs(r.xml, tag, match))
	return merged
}

// params are the instance attributes for a node.
func (w *working) params(r *resource, m *member) map[string]string {
	return w.pairs(r, "instance_attributes", r.context(m), nil)
}

// unpackMeta reads the meta attributes; a group's members inherit the group's.
func (w *working) unpackMeta(r *resource) {
	r.meta = w.pairs(r, "meta_attributes", r.context(nil), w.root.Path("configuration", "rsc_defaults"))
	for _, name := range []string{"target-role", "is-managed", "restart-type", "multiple-active"} {
		if v, ok := r.xml.Lookup(name); ok {
			r.meta[name] = v
		}
	}
	own := w.pairs(r, "meta_attributes", r.context(nil), nil)
	if r.parent != nil {
		for name, v := range w.pairs(r.parent, "meta_attributes", r.parent.context(nil), nil) {
			if _, dup := own[name]; !dup {
				r.meta[name] = v
			}
		}
	}
	get := func(names ...string) string {
		for _, n := range names {
			if v := r.meta[n]; v != "" {
				return v
			}
		}
		return ""
	}
	w.applyMeta(r, get)
	for _, c := range r.children {
		w.unpackMeta(c)
	}
	if r.variant == primitive {
		w.unpackOps(r)
	}
}

func (w *working) applyMeta(r *resource, get func(...string) string) {
	priority, _ := cib.ParseScore(get("priority"))
	r.priority = priority
	stick, ok := cib.ParseScore(firstOf(get("resource-stickiness", "resource_stickiness"), w.options.all["default-resource-stickiness"], w.options.all["default_resource_stickiness"]))
	if r.stickiness = 0; ok {
		r.stickiness = Score(stick)
	}
	threshold, _ := cib.ParseScore(get("migration-threshold", "resource_failure_stickiness"))
	if r.threshold = threshold; threshold >= int(Infinity) || threshold < 0 {
		r.threshold = int(Infinity)
	}
	if get("migration-threshold") == "" {
		r.threshold = int(Infinity)
	}
	r.failTimeout = time.Duration(milliseconds(get("failure-timeout"), 0)) * time.Millisecond
	r.multiple = firstOf(get("multiple-active", "multiple_active"), "stop_start")
	r.targetRole = readRole(get("target-role", "target_role"))
	r.ordered = get("ordered") == "" || truth(get("ordered"))
	r.colocated = get("collocated") == "" || truth(get("collocated"))
	r.managed = get("is-managed", "is_managed") == "" || truth(get("is-managed", "is_managed"))
	if v, ok := cib.ParseBool(w.options.all["is-managed-default"]); ok && get("is-managed", "is_managed") == "" {
		r.managed = v
	}
	r.maintenance = w.options.maintenance || truth(get("maintenance"))
	if r.maintenance {
		r.managed = false
	}
}

func readRole(s string) Role {
	switch s {
	case "Stopped", "stopped":
		return Stopped
	case "Started", "started":
		return Started
	case "Promoted", "Master", "promoted", "master":
		return Promoted
	case "Unpromoted", "Slave", "unpromoted", "slave":
		return Unpromoted
	}
	return ""
}

// wants is the role that the configuration asks for.
func (r *resource) wants() Role {
	if r.targetRole == Stopped {
		return Stopped
	}
	return Started
}

// adoptOrphan makes a resource of history that has no configuration any more.
func (w *working) adoptOrphan(lrm *cib.Node) *resource {
	r := w.newResource(lrm.ID(), lrm, nil)
	r.orphan = true
	r.meta = map[string]string{}
	w.applyMeta(r, func(...string) string { return "" })
	if !w.options.stopOrphans {
		r.managed = false
	}
	r.targetRole = Stopped
	if w.resources[r.id] != nil {
		return nil
	}
	w.resources[r.id] = r
	w.top = append(w.top, r)
	return r
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
