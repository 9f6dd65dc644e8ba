package scheduler

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/cib/rule"
)

// mergedMeta is what the meta attributes of a resource come to: its own XML
// attributes (as very old configurations have them), its own sets, the sets of
// what it is in, rsc_defaults, and at last what else those that it is in have.
// Instances of a clone share one result: replace it, never change it.
func (w *working) mergedMeta(r *resource) map[string]string {
	key := firstInstance(r.parent)
	if m, ok := r.def.meta[key]; ok {
		return m
	}
	m := map[string]string{}
	addMissing := func(pairs rule.Pairs) {
		for _, p := range pairs {
			if _, there := m[p.Name]; !there {
				m[p.Name] = p.Value
			}
		}
	}
	addMissing(w.ownMeta(r.def))
	if r.parent != nil {
		c := w.ruleContext(nil)
		c.Agent = &r.def.agent
		var fixed rule.Pairs
		for p := r.parent; p != nil; p = p.parent {
			fixed = c.Merge(fixed, p.xml, "meta_attributes", rule.Options{})
		}
		w.recheckAt(c.Change)
		addMissing(fixed)
	}
	addMissing(w.resourceDefaults(r.def.agent))
	if r.parent != nil {
		for name, value := range r.parent.meta {
			if _, there := m[name]; !there {
				m[name] = value
			}
		}
	}
	if r.def.meta == nil {
		r.def.meta = map[*resource]map[string]string{}
	}
	r.def.meta[key] = m
	return m
}

// firstInstance stands for all instances of a clone: what is inside of them has
// the same meta attributes.
func firstInstance(r *resource) *resource {
	if r != nil && r.parent != nil && r.parent.variant == clone && len(r.parent.children) > 0 {
		return r.parent.children[0]
	}
	return r
}

func (w *working) ownMeta(d *definition) rule.Pairs {
	if d.ownRead {
		return d.own
	}
	var pairs rule.Pairs
	for _, a := range d.xml.Attrs() {
		switch {
		case strings.EqualFold(a.Value, "#default"):
		case a.Name == "id" || a.Name == "class" || a.Name == "provider" || a.Name == "type" || a.Name == "description":
		default:
			pairs = pairs.Set(a.Name, a.Value)
		}
	}
	c := w.ruleContext(nil)
	c.Agent = &d.agent
	pairs = c.Merge(pairs, d.xml, "meta_attributes", rule.Options{})
	if d.xml.Name() == "master" {
		pairs = pairs.Set("promotable", "true")
	}
	w.recheckAt(c.Change)
	d.own, d.ownRead = pairs, true
	return pairs
}

// resourceDefaults are the meta attributes of rsc_defaults for an agent, and
// what the cluster options of old say that rsc_defaults replaced.
func (w *working) resourceDefaults(agent rule.Agent) rule.Pairs {
	owner := w.root.Path("configuration", "rsc_defaults")
	if w.defaults == nil {
		w.defaults = map[rule.Agent]rule.Pairs{}
		w.defaultsByAgent = rule.Depends(w.view, owner, "meta_attributes")&rule.OnAgent != 0
	}
	if !w.defaultsByAgent {
		agent = rule.Agent{}
	}
	if pairs, ok := w.defaults[agent]; ok {
		return pairs
	}
	c := w.ruleContext(nil)
	c.Agent = &agent
	pairs := c.Merge(nil, owner, "meta_attributes", rule.Options{})
	w.recheckAt(c.Change)
	w.defaults[agent] = pairs
	return pairs
}

// ruleContext is what rules are asked in, on a node or (nil) on none.
func (w *working) ruleContext(n *node) rule.Context {
	c := rule.Context{View: w.view, Now: w.now}
	if n != nil {
		c.Attr = func(name string) (string, bool) { v, ok := n.attrs[name]; return v, ok }
	}
	return c
}

// metaOf is a merged meta attribute: the first of the names that is set.
func (r *resource) metaOf(names ...string) string {
	for _, name := range names {
		if v := r.meta[name]; v != "" {
			return v
		}
	}
	return ""
}

// metaFlag reads a boolean that is def where it is not set; anything that is
// not true is false.
func (r *resource) metaFlag(name string, def bool) bool {
	v, ok := r.meta[name]
	if !ok {
		return def
	}
	return truth(v)
}

// metaUnlessDefault is a meta attribute whose value "default" means nothing.
func (r *resource) metaUnlessDefault(name string) (string, bool) {
	v, ok := r.meta[name]
	return v, ok && !strings.EqualFold(v, "default")
}

func readScore(s string) Score {
	n, _ := cib.ParseScore(s)
	return Score(n)
}

// readMeta takes the settings from the merged meta attributes. The outermost
// resource was read before those that it holds.
func (w *working) readMeta(r *resource) {
	remote := isRemoteConnection(r.xml)
	guest := remote && r.meta["container"] != ""
	r.isRemoteConn = remote
	r.priority = int(readScore(r.meta["priority"]))
	r.critical = r.metaFlag("critical", true)
	r.notify = truth(r.meta["notify"])
	// Where a remote node is reached from may change without stopping what it runs.
	r.migratable = r.metaFlag("allow-migrate", remote && !guest)
	w.readManagement(r)
	if r.outermost(false).variant == clone {
		r.unique, r.promotable = truth(r.meta["globally-unique"]), truth(r.meta["promotable"])
	} else {
		r.unique = true
	}
	r.restartType = strings.EqualFold(r.meta["restart-type"], "restart")
	r.multiple = readMultipleActive(r.meta["multiple-active"])
	r.threshold = int(Infinity)
	if v, ok := r.metaUnlessDefault("migration-threshold"); ok {
		if r.threshold = int(readScore(v)); r.threshold < 0 {
			r.threshold = 1
		}
	}
	if v, ok := r.metaUnlessDefault("resource-stickiness"); ok {
		r.stickiness = readScore(v)
	}
	if agentIsFenceDevice(r.standard) {
		r.fenceDevice, w.haveFencing = true, true
	}
	r.requires = w.readRequires(r, r.meta["requires"])
	r.failureTimeout = wholeSeconds(milliseconds(r.meta["failure-timeout"], 0))
	if remote && !guest {
		// A connection that failed is not tried again before its failure is
		// forgotten, so the pause between attempts is the life of the failure.
		if v := w.paramsOf(r, nil)["reconnect_interval"]; v != "" {
			r.reconnect = milliseconds(v, 0)
			r.failureTimeout = wholeSeconds(r.reconnect)
		}
	}
	w.readTargetRole(r)
}

func wholeSeconds(ms int64) int64 { return ms / 1000 * 1000 }

// readManagement: maintenance beats is-managed, and that of the cluster beats all.
func (w *working) readManagement(r *resource) {
	r.managed = !w.options.maintenance
	if v, ok := r.metaUnlessDefault("is-managed"); ok {
		r.managed = truth(v)
	}
	if truth(r.meta["maintenance"]) || w.options.maintenance {
		r.managed, r.maintenance = false, true
	}
}

func readMultipleActive(s string) multipleActive {
	switch strings.ToLower(s) {
	case "stop_only":
		return stopOnly
	case "block":
		return leaveBlocked
	case "stop_unexpected":
		return stopUnexpected
	}
	return stopStart
}

// readRequires: what nothing is said about needs all that the cluster has.
func (w *working) readRequires(r *resource, s string) requirement {
	switch strings.ToLower(s) {
	case "nothing":
		return needsNothing
	case "quorum":
		return needsQuorum
	case "fencing":
		if !w.options.fencing {
			w.warn("resource " + r.id + " requires fencing, but stonith-enabled is false")
		}
		return needsFencing
	case "unfencing":
		switch {
		case r.fenceDevice:
			w.warn("resource " + r.id + " is a fence device and cannot require unfencing; requires is taken as quorum")
			return needsQuorum
		case !w.options.fencing:
			w.warn("resource " + r.id + " requires unfencing, but stonith-enabled is false; requires is taken as quorum")
			return needsQuorum
		}
		return needsUnfencing
	}
	switch {
	case r.fenceDevice || isRemoteConnection(r.xml):
		return needsQuorum
	case w.haveUnfence:
		return w.readRequires(r, "unfencing")
	case w.options.fencing:
		return needsFencing
	case w.options.noQuorum == quorumIgnore:
		return needsNothing
	}
	return needsQuorum
}

// readTargetRole: Started and Promoted are what is wanted anyway.
func (w *working) readTargetRole(r *resource) {
	s, ok := r.metaUnlessDefault("target-role")
	if !ok || strings.EqualFold(s, "started") {
		return
	}
	role := readRole(s)
	switch {
	case role == "":
		w.warn("resource " + r.id + ": target-role=" + s + " is not a role; write Started, Stopped, Promoted or Unpromoted")
	case role == Stopped:
		r.next, r.wanted = Stopped, Stopped
	case !r.outermost(false).promotable:
		w.warn("resource " + r.id + " is not in a promotable clone, so target-role=" + s + " makes no sense")
	case role == Unpromoted:
		r.next, r.wanted = Unpromoted, Unpromoted
	}
}
