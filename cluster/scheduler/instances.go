package scheduler

import (
	"maps"
	"strconv"
	"strings"
)

// unpackClone makes a clone with its instances. It may clone one primitive or
// one group.
func (w *working) unpackClone(r *resource) bool {
	c := &cloneData{
		max:        atLeast(r.meta, 0, max(1, len(w.nodes)), "clone-max"),
		nodeMax:    atLeast(r.meta, 0, 1, "clone-node-max"),
		ordered:    truth(r.meta["ordered"]),
		promotable: r.promotable,
	}
	r.clone = c
	if c.max > len(w.nodes) {
		c.max = w.boundInstances(r, "clone-max", c.max, max(maxInstances, len(w.nodes)))
	}
	if r.promotable {
		c.promotedMax = atLeast(r.meta, 0, 1, "promoted-max", "master-max")
		c.promotedNodeMax = atLeast(r.meta, 0, 1, "promoted-node-max", "master-node-max")
	}
	if !r.unique && c.nodeMax > 1 {
		w.warn("clone " + r.id + ": clone-node-max=" + strconv.Itoa(c.nodeMax) +
			" is taken as 1, because instances that are all alike can run only once on a node; set globally-unique=true if they differ")
		c.nodeMax = 1
	}
	for xml := range r.xml.Elements {
		if xml.Name() == "primitive" || xml.Name() == "group" {
			c.child = xml
			break
		}
	}
	if c.child == nil {
		w.warn("clone " + r.id + " has nothing to clone")
		return false
	}
	// What is in a clone inherits that instances are a little sticky, so that
	// they are not shuffled about for nothing, and whether they differ.
	r.setMetaDefault("resource-stickiness", "1")
	r.setMetaDefault("globally-unique", strconv.FormatBool(r.unique))
	// One at least, so that instances found running have where to belong.
	// The first may turn out to be of a kind that needs fewer.
	for c.total < max(1, c.max) {
		if c.total > 0 && w.total > maxResources {
			c.max = w.boundInstances(r, "clone-max", c.max, c.total)
			break
		}
		if w.addInstance(r, false) == nil {
			return false
		}
	}
	return true
}

// What a configuration can ask for at most: numbers beyond are mistakes, and
// would leave the cluster without an answer.
const (
	maxInstances = 1000    // of one clone, where there are not more nodes
	maxReplicas  = 200     // of one bundle
	maxResources = 100_000 // with all instances; then each clone gets one
)

// boundInstances is how many instances of what is wanted are made.
func (w *working) boundInstances(r *resource, name string, wanted, limit int) int {
	if wanted <= limit {
		return wanted
	}
	w.warn(r.id + ": " + name + "=" + strconv.Itoa(wanted) + " is taken as " + strconv.Itoa(limit) + ", because there cannot be so many: write a smaller number")
	return limit
}

// addInstance makes one more instance of a clone (for an orphan, or because
// there are more than thought). More than clone-max are orphans.
func (w *working) addInstance(c *resource, orphan bool) *resource {
	i := w.newResource(c.clone.child, c, c.clone.total)
	if i == nil {
		return nil
	}
	if orphan || c.clone.total >= c.clone.max {
		i.markOrphan()
	}
	c.clone.total++
	c.children = append(c.children, i)
	return i
}

func (r *resource) markOrphan() {
	r.orphan = true
	for _, c := range r.children {
		c.markOrphan()
	}
}

// forceAnonymous: the agent of member cannot tell instances apart, so no node
// runs more than one, although globally-unique asks for it.
func (w *working) forceAnonymous(c, member *resource) {
	w.warn("clone " + c.id + ": globally-unique is ignored, because agents of the class " + member.standard +
		" (" + member.id + ") cannot tell instances apart")
	c.clone.nodeMax = 1
	c.clone.max = min(c.clone.max, len(w.nodes))
}

func (r *resource) clearUnique() {
	r.unique = false
	for _, c := range r.children {
		c.clearUnique()
	}
}

// setMetaDefault adds a meta attribute that is not set. Others may share the
// map, so it is replaced.
func (r *resource) setMetaDefault(name, value string) {
	if _, there := r.meta[name]; !there {
		r.setMeta(name, value)
	}
}

func (r *resource) setMeta(name, value string) {
	m := maps.Clone(r.meta)
	if m == nil {
		m = map[string]string{}
	}
	m[name] = value
	r.meta = m
}

// atLeast reads a number under the first of the names that is set: def if none
// is, least where it is smaller or none.
func atLeast(meta map[string]string, least, def int, names ...string) int {
	for _, name := range names {
		if v, ok := meta[name]; ok {
			return numberAtLeast(v, least)
		}
	}
	return def
}

func numberAtLeast(s string, least int) int {
	return max(least, leadingInteger(s))
}

// leadingInteger reads the number that a text begins with, as the field's tools
// do; 0 if there is none.
func leadingInteger(s string) int {
	s = strings.TrimSpace(s)
	end := leadingDigits(s)
	if end == 0 && len(s) > 1 && (s[0] == '-' || s[0] == '+') {
		end = 1 + leadingDigits(s[1:])
	}
	n, _ := strconv.Atoi(s[:end])
	return n
}
