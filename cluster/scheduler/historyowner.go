package scheduler

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// baseName is a resource's name without the number of an instance.
func baseName(id string) string {
	digits := strings.TrimRight(id, "0123456789")
	if len(digits) < len(id) && strings.HasSuffix(digits, ":") {
		return digits[:len(digits)-1]
	}
	return id
}

// ownerOf finds the primitive that an entry of a node's history belongs to; nil
// if it is an orphan. Entries of anonymous instances bear the name of what is
// cloned: they belong to whichever instance is on that node.
func (w *working) ownerOf(n *node, id string) *resource {
	r := w.byID[id]
	if r == nil {
		// There is always a first instance, even if clone-max is 0.
		if r = w.byID[baseName(id)+":0"]; r == nil || r.unique {
			return nil
		}
	}
	if r.variant != primitive {
		return nil
	}
	if top := r.outermost(false); top.variant == clone && !top.unique {
		if top.isBundled() {
			r = top.parent.replicaOn(n)
		} else {
			r = w.anonymousInstance(n, top, baseName(id))
		}
	}
	if r != nil && !strings.EqualFold(id, r.id) && !strings.EqualFold(id, r.recorded) {
		r.recorded = id
	}
	return r
}

// isBundled reports whether the resource belongs to a bundle.
func (r *resource) isBundled() bool {
	top := r.outermost(true)
	return top != r && top.variant == bundle
}

// replicaOn is what runs inside the replica of a bundle that the guest node is.
func (r *resource) replicaOn(n *node) *resource {
	for _, p := range r.bundle.replicas {
		if p.node == n {
			return p.child
		}
	}
	return nil
}

// anonymousInstance finds the instance of a clone, or the member base of one,
// that a node's history means: the one that is there, or one that is nowhere
// yet, or else a surplus one.
func (w *working) anonymousInstance(n *node, top *resource, base string) *resource {
	var found, free *resource
	relic := false
	for _, c := range top.children {
		switch at := c.whereabouts(); {
		case at == n:
			// A second entry of the same member on one node is a relic of the time
			// when the instances were unique: it gets no number that others can have.
			if found = c.member(base); found != nil && len(found.running) > 0 {
				found, relic = nil, true
			}
		case at == nil && free == nil && !relic && !c.blocked:
			if free = c.member(base); free != nil && free.pendingNode != nil && free.pendingNode != n {
				free = nil
			}
		}
		if found != nil {
			break
		}
	}
	if found == nil && !relic {
		found = free
	}
	if found != nil && !found.requires.includesFencing() && (!n.online || n.unclean) && !n.isGuest() && top.clone.max != len(w.nodes) {
		// It need not wait for fencing, so the number may be used elsewhere at once.
		found = nil
	}
	if found == nil {
		return w.surplusInstance(top, base)
	}
	return found
}

func (w *working) surplusInstance(top *resource, base string) *resource {
	c := w.addInstance(top, false)
	if c == nil {
		return nil
	}
	return c.member(base)
}

// whereabouts is the node where an instance, or any part of it, is active or
// about to be.
func (r *resource) whereabouts() *node {
	for _, c := range r.children {
		if n := c.whereabouts(); n != nil {
			return n
		}
	}
	if len(r.children) > 0 {
		return nil
	}
	if len(r.running) > 0 {
		return r.running[0]
	}
	return r.pendingNode
}

// member is the part of an instance that has the name, or the instance itself.
func (r *resource) member(base string) *resource {
	if r.base == base || r.id == base {
		return r
	}
	for _, c := range r.children {
		if m := c.member(base); m != nil {
			return m
		}
	}
	return nil
}

// orphanOf makes a resource of an entry whose resource is not configured (any
// more). It is stopped, unless the cluster leaves orphans alone.
func (w *working) orphanOf(entry *cib.Node) *resource {
	xml := cib.NewNode("primitive")
	for _, a := range entry.Attrs() {
		xml = xml.WithAttr(a.Name, a.Value)
	}
	r := w.makeResource(xml, nil, noInstance) // a group of the same name may be configured
	if r == nil {
		return nil
	}
	if isRemoteConnection(xml) {
		w.orphanConnection(r)
	}
	_, r.orphanFiller = entry.Lookup("container")
	r.orphan = true
	w.resources = append(w.resources, r)
	if !w.options.stopOrphans {
		r.managed = false
		return r
	}
	for _, n := range w.nodes {
		r.prefer(n, -Infinity, TermGone, "", func() string { return r.id + " is not configured any more" })
	}
	return r
}

// orphanConnection: the node leaves with its connection.
func (w *working) orphanConnection(r *resource) {
	n := w.nodeByName[r.id]
	if n == nil {
		if n = w.newNode(r.id, r.id, remoteNode); n == nil {
			return
		}
	}
	w.linkRemoteNode(r, n)
	n.shutdown = true
}

// adoptFillers gives orphans that ran inside of a container their container back.
func (w *working) adoptFillers(entries *cib.Node) {
	for entry := range entries.Elements {
		name := entry.Attr("container")
		if entry.Name() != "lrm_resource" || name == "" {
			continue
		}
		container, r := w.byID[name], w.byID[entry.ID()]
		if container == nil || r == nil || !r.orphanFiller || r.container != nil {
			continue
		}
		w.putInto(r, container)
	}
}
