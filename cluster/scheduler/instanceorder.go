package scheduler

import (
	"strings"
)

// sortInstances brings a clone's instances into the order in which they are
// placed: what runs well comes before what does not, and that before what does
// not run.
func (w *working) sortInstances(list []*resource) {
	mergeSort(list, w.compareInstances)
}

func (w *working) compareInstances(a, b *resource) int {
	nodeA, countA, _ := w.activeNode(a)
	nodeB, countB, _ := w.activeNode(b)
	if countA > 0 && countB > 0 && countA != countB {
		return countA - countB
	}
	allowedA, allowedB := a.admits(&nodeA), b.admits(&nodeB)
	if c := firstTrue(allowedA, allowedB); c != 0 {
		return c
	}
	if a.priority != b.priority {
		return b.priority - a.priority
	}
	if nodeA == nil && nodeB == nil {
		return 0
	}
	if c := firstTrue(nodeA != nil, nodeB != nil); c != 0 {
		return c
	}
	if c := firstTrue(w.available(nodeA, nil, false), w.available(nodeB, nil, false)); c != 0 {
		return c
	}
	x, y := a.parentAllowance(nodeA), b.parentAllowance(nodeB)
	if !x.present && !y.present {
		return 0
	}
	if c := firstTrue(x.present, y.present); c != 0 {
		return c
	}
	if x.count != y.count {
		return int(x.count - y.count)
	}
	if c := firstTrue(!a.anyFailed(), !b.anyFailed()); c != 0 {
		return c
	}
	if c := w.compareByColocation(a, b, nodeA, nodeB); c != 0 {
		return c
	}
	return strings.Compare(a.id, b.id)
}

// firstTrue puts what is true before what is not.
func firstTrue(a, b bool) int {
	switch {
	case a && !b:
		return -1
	case b && !a:
		return 1
	}
	return 0
}

// admits reports whether the resource may be on the node; if not, *n becomes nil.
func (r *resource) admits(n **node) bool {
	if *n == nil {
		return true
	}
	if a := r.allowed.get(*n); !a.present || a.score < 0 {
		*n = nil
		return false
	}
	return true
}

func (r *resource) parentAllowance(n *node) allowance {
	if r.parent != nil {
		return r.parent.allowed.get(n)
	}
	return r.allowed.get(n)
}

func (r *resource) anyFailed() bool {
	if r.failed {
		return true
	}
	for _, c := range r.children {
		if c.anyFailed() {
			return true
		}
	}
	return false
}

// compareByColocation prefers the instance whose node suits those that the
// clone is colocated with.
func (w *working) compareByColocation(a, b *resource, nodeA, nodeB *node) int {
	x, y := w.colocationScores(a, nodeA), w.colocationScores(b, nodeB)
	if s, t := x.get(nodeA).score, y.get(nodeB).score; s != t {
		return int(t - s)
	}
	listA, listB := w.sortedNodes(x, nil), w.sortedNodes(y, nil)
	for i := range min(len(listA), len(listB)) {
		if s, t := x.get(listA[i]).score, y.get(listB[i]).score; s != t {
			return int(t - s)
		}
	}
	return len(listB) - len(listA)
}

// colocationScores are what a clone's colocations say about an instance's node.
func (w *working) colocationScores(c *resource, n *node) table {
	var t table
	*t.at(n) = allowance{present: true, score: n.weight} // which tells nodes that are about to leave
	if c.parent == nil {
		return t
	}
	for _, k := range c.parent.with {
		w.addWishes(k.primary, &t, k.attribute, float64(k.score)/float64(Infinity), 0)
	}
	for _, k := range c.parent.withMe {
		if k.hasInfluence(c) {
			w.addWishes(k.dependent, &t, k.attribute, float64(k.score)/float64(Infinity), addPositiveOnly)
		}
	}
	return t
}
