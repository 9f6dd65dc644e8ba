package scheduler

import (
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// nodeHistory is one child of the status section, with the histories in it and
// whose they are.
type nodeHistory struct {
	state   *cib.Node
	entries []*cib.Node // what is in lrm_resources
	parts   []partID    // of each; 0: of nothing that is configured
}

// unread are attributes of a document that say nothing about the cluster.
var unread = []string{"num_updates", "epoch", "admin_epoch", "cib-last-written", "update-origin", "update-client", "update-user"}

// changed finds the parts of which something changed since the last call, and
// reads the histories; ok is false if anything else changed.
func (m *Memo) changed(root *cib.Node, now time.Time) (stale map[partID]bool, states []nodeHistory, ok bool) {
	if root.Child("configuration") != m.division.config || !sameHead(root, m.root) {
		return nil, nil, false
	}
	if m.states == nil {
		m.states = []nodeHistory{}
		for s := range m.root.Child("status").Elements {
			m.states = append(m.states, m.division.history(s, nil))
		}
	}
	features, known := root.Lookup("crm_feature_set")
	c := change{division: m.division, stale: map[partID]bool{}, byOperation: known && !olderFeatures(features, "3.0.13")}
	for s := range root.Child("status").Elements {
		at := len(states)
		if at == len(m.states) {
			return nil, nil, false
		}
		if old := &m.states[at]; s == old.state {
			states = append(states, *old)
		} else {
			states = append(states, m.division.history(s, old))
			if !c.compare(old, &states[at]) {
				return nil, nil, false
			}
		}
	}
	if len(states) != len(m.states) {
		return nil, nil, false
	}
	for i := range m.pieces {
		if p := &m.pieces[i]; !p.until.IsZero() && !now.Before(p.until) {
			c.stale[p.part] = true
		}
	}
	return c.stale, states, true
}

// sameHead reports whether two documents have the same attributes, as far as they are read.
func sameHead(a, b *cib.Node) bool {
	read := func(n *cib.Node) []cib.Attr {
		return slices.DeleteFunc(slices.Clone(n.Attrs()), func(a cib.Attr) bool { return slices.Contains(unread, a.Name) })
	}
	return slices.Equal(read(a), read(b))
}

// history reads the histories of a node's state. Most are those of old, if that is given.
func (d *division) history(state *cib.Node, old *nodeHistory) nodeHistory {
	h := nodeHistory{state: state, entries: slices.Collect(state.Path("lrm", "lrm_resources").Elements)}
	h.parts = make([]partID, len(h.entries))
	for i, e := range h.entries {
		if old != nil && i < len(old.entries) && old.entries[i] == e {
			h.parts[i] = old.parts[i]
		} else {
			h.parts[i] = d.partOf(e.ID())
		}
	}
	return h
}

// change collects the parts that changed.
type change struct {
	division    *division
	stale       map[partID]bool
	byOperation bool // failures are counted by operation
}

// compare compares two versions of a child of the status section; false if
// more differs than histories and fail counts.
func (c *change) compare(old, now *nodeHistory) bool {
	a, b := old.state, now.state
	if a.Name() != "node_state" {
		return cib.Equal(a, b)
	}
	lists := func(n *cib.Node) (lrm, list *cib.Node) { return n.Child("lrm"), n.Path("lrm", "lrm_resources") }
	lrmA, listA := lists(a)
	lrmB, listB := lists(b)
	if !sameBut(a, b, "lrm", "transient_attributes") || !sameBut(lrmA, lrmB, "lrm_resources") || !sameBut(listA, listB, "lrm_resource") {
		return false
	}
	return c.compareEntries(old, now) && c.compareAttrs(a.Child("transient_attributes"), b.Child("transient_attributes"))
}

// sameBut reports whether two elements are the same but for children of these names.
func sameBut(a, b *cib.Node, names ...string) bool {
	rest := func(n *cib.Node) []*cib.Node {
		var list []*cib.Node
		for c := range n.Elements {
			if !slices.Contains(names, c.Name()) {
				list = append(list, c)
			}
		}
		return list
	}
	return (a == nil) == (b == nil) && slices.Equal(a.Attrs(), b.Attrs()) && slices.EqualFunc(rest(a), rest(b), cib.Equal)
}

// compareEntries compares the histories of resources: what is the same stands at
// the same place, or before the first or after the last that changed.
func (c *change) compareEntries(old, now *nodeHistory) bool {
	from, behindOld, behindNow := 0, len(old.entries), len(now.entries)
	if behindOld != behindNow {
		for from < min(behindOld, behindNow) && cib.Equal(old.entries[from], now.entries[from]) {
			from++
		}
		for from < min(behindOld, behindNow) && cib.Equal(old.entries[behindOld-1], now.entries[behindNow-1]) {
			behindOld, behindNow = behindOld-1, behindNow-1
		}
	}
	for i := from; i < max(behindOld, behindNow); i++ {
		if behindOld == behindNow && cib.Equal(old.entries[i], now.entries[i]) {
			continue
		}
		if i < behindOld && !c.add(old.parts[i]) || i < behindNow && !c.add(now.parts[i]) {
			return false
		}
	}
	return true
}

func (c *change) add(part partID) bool {
	c.stale[part] = true
	return part != 0
}

// compareAttrs compares a node's transient attributes, of which those that count
// failures may change.
func (c *change) compareAttrs(a, b *cib.Node) bool {
	if cib.Equal(a, b) {
		return true
	}
	before, ok := plainPairs(a)
	after, ok2 := plainPairs(b)
	if !ok || !ok2 || !c.byOperation || c.division.failuresMatter {
		return false
	}
	for name, value := range before {
		if v, there := after[name]; (!there || v != value) && !c.addFailure(name) {
			return false
		}
	}
	for name := range after {
		if _, there := before[name]; !there && !c.addFailure(name) {
			return false
		}
	}
	return true
}

// addFailure adds the part of the resource whose failures an attribute counts.
func (c *change) addFailure(attribute string) bool {
	name, ok := strings.CutPrefix(attribute, failCountPrefix)
	if !ok {
		if name, ok = strings.CutPrefix(attribute, lastFailurePrefix); !ok {
			return false
		}
	}
	name, ok = cutOperation(name)
	return ok && c.add(c.division.partOf(name))
}

// plainPairs are transient attributes that stand in one set without rules and
// references; ok is false if there is more to them.
func plainPairs(attrs *cib.Node) (pairs map[string]string, ok bool) {
	pairs = map[string]string{}
	sets := 0
	for set := range attrs.Elements {
		sets++
		if _, ref := set.Lookup("id-ref"); ref || sets > 1 || set.Name() != "instance_attributes" {
			return nil, false
		}
		for pair := range set.Elements {
			value, there := pair.Lookup("value")
			_, ref := pair.Lookup("id-ref")
			_, twice := pairs[pair.Attr("name")]
			if pair.Name() != "nvpair" || ref || twice || !there {
				return nil, false
			}
			pairs[pair.Attr("name")] = value
		}
	}
	return pairs, true
}
