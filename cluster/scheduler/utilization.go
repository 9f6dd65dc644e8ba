package scheduler

import (
	"sort"
)

// consume takes what a resource needs from the node's free capacity (sign −1)
// or gives it back. Only what the node names is counted.
func (n *node) consume(need map[string]int, sign int) {
	for name, amount := range need {
		if _, ok := n.utilization[name]; ok {
			n.utilization[name] += sign * amount
		}
	}
}

// capacity bounds what a document says so far that sums cannot overflow.
func capacity(n int) int { return max(-1<<31, min(n, 1<<31)) }

// compareCapacities is negative if a has more free capacity than b: more of more things.
func compareCapacities(a, b *node) int {
	result := 0
	add := func(x, y int) {
		switch {
		case x > y:
			result--
		case x < y:
			result++
		}
	}
	for name, x := range a.utilization {
		add(x, b.utilization[name])
	}
	for name, y := range b.utilization {
		if _, both := a.utilization[name]; !both {
			add(0, y)
		}
	}
	return result
}

// fits reports whether a node has room for a need.
func (n *node) fits(need map[string]int) bool {
	for name, amount := range need {
		if amount > n.utilization[name] {
			return false
		}
	}
	return true
}

// banTooSmall forbids the nodes that have no room for the resource and all that
// has to be with it; if there is none with so much room, for the resource alone.
// Then it returns the node with the most room.
func (w *working) banTooSmall(r *resource) *node {
	if !w.utilization {
		return nil
	}
	together := r.methods.colocatedResources(w, r, nil, nil)
	if !containsResource(together, r) {
		together = append(together, r)
	}
	sum := map[string]int{}
	for _, other := range together {
		if !other.assigned {
			other.methods.addUtilization(w, other, r, together, sum)
		}
	}
	var roomiest *node
	any := false
	for _, n := range w.nodes {
		if !r.allowed.get(n).present || !w.available(n, r.allowed, false) {
			continue
		}
		any = any || n.fits(sum)
		if roomiest == nil || compareCapacities(n, roomiest) < 0 {
			roomiest = n
		}
	}
	need, whose := sum, r.id+" and what has to be with it"
	if !any {
		need, whose = r.utilization, r.id
	}
	for _, n := range w.nodes {
		if r.allowed.get(n).present && w.available(n, r.allowed, false) && !n.fits(need) {
			r.prefer(n, -Infinity, TermUtilization, "", func() string { return n.name + " has too little capacity left for " + whose })
		}
	}
	if any {
		return nil
	}
	return roomiest
}

func containsResource(list []*resource, r *resource) bool {
	for _, other := range list {
		if other == r {
			return true
		}
	}
	return false
}

func (primitiveMethods) addUtilization(_ *working, r, _ *resource, _ []*resource, sum map[string]int) {
	if r.assigned {
		return
	}
	for name, amount := range r.utilization {
		sum[name] += amount
	}
}

// addUtilization of a group: of all members if they will be together, else of the first.
func (groupMethods) addUtilization(w *working, r, orig *resource, all []*resource, sum map[string]int) {
	if r.assigned {
		return
	}
	for i, m := range r.children {
		if i > 0 && !r.group.colocated && !r.inClone() {
			break
		}
		if !m.assigned && !containsResource(all, m) {
			m.methods.addUtilization(w, m, orig, all, sum)
		}
	}
}

func (r *resource) inClone() bool { return r.parent != nil && r.parent.variant == clone }

// addUtilization of a clone: of the instances concerned, else of one.
func (cloneMethods) addUtilization(w *working, r, orig *resource, all []*resource, sum map[string]int) {
	if r.assigned {
		return
	}
	counted := false
	for _, c := range r.children {
		if containsResource(all, c) {
			counted = true
			break
		}
		for _, m := range c.children {
			if containsResource(all, m) {
				c.methods.addUtilization(w, c, orig, all, sum)
				counted = true
				break
			}
		}
	}
	if !counted && len(r.children) > 0 {
		r.children[0].methods.addUtilization(w, r.children[0], orig, all, sum)
	}
}

// addUtilization of a bundle: of one container; only that can have any.
func (bundleMethods) addUtilization(w *working, r, orig *resource, all []*resource, sum map[string]int) {
	if r.assigned || len(r.bundle.replicas) == 0 {
		return
	}
	if c := r.bundle.replicas[0].container; c != nil {
		c.methods.addUtilization(w, c, orig, all, sum)
	}
}

func (primitiveMethods) colocatedResources(w *working, r, orig *resource, list []*resource) []*resource {
	return w.collectColocated(r, orig, list)
}

func (cloneMethods) colocatedResources(w *working, r, orig *resource, list []*resource) []*resource {
	return w.collectColocated(r, orig, list)
}

func (bundleMethods) colocatedResources(w *working, r, orig *resource, list []*resource) []*resource {
	return w.collectColocated(r, orig, list)
}

// colocatedResources of a group: those of its members, as far as they will be
// together, and those of the group as a whole.
func (groupMethods) colocatedResources(w *working, r, orig *resource, list []*resource) []*resource {
	if orig == nil {
		orig = r
	}
	for i, m := range r.children {
		if i > 0 && !r.group.colocated && !r.inClone() {
			break
		}
		list = m.methods.colocatedResources(w, m, orig, list)
	}
	return w.collectColocated(r, orig, list)
}

// collectColocated follows mandatory colocations in both directions.
func (w *working) collectColocated(r, orig *resource, list []*resource) []*resource {
	if orig == nil {
		orig = r
	}
	if containsResource(list, r) {
		return list
	}
	list = append(list, r)
	for _, k := range r.with {
		if k.primary != orig && k.score == Infinity && w.colocationAffects(r, k.primary, k, true) == colocationLocation {
			list = k.primary.methods.colocatedResources(w, k.primary, orig, list)
		}
	}
	for _, k := range r.withMe {
		if k.dependent == orig || r.variant == clone && k.dependent.variant != clone {
			continue
		}
		if k.score == Infinity && w.colocationAffects(k.dependent, r, k, true) == colocationLocation {
			list = k.dependent.methods.colocatedResources(w, k.dependent, orig, list)
		}
	}
	return list
}

// sortForPlacement: where capacity counts, what is important, and then what has
// much to lose is placed first.
func (w *working) sortForPlacement() {
	nodes := w.sortedNodes(presentEverywhere(w.nodes), nil)
	scores := map[*resource]table{}
	for _, r := range w.resources {
		var t table
		w.addWishes(r, &t, "", 1, addInit|addFollowed)
		scores[r] = t
	}
	sort.SliceStable(w.resources, func(i, j int) bool {
		a, b := w.resources[i], w.resources[j]
		if a.priority != b.priority {
			return a.priority > b.priority
		}
		if x, y := w.currentScore(a, scores[a]), w.currentScore(b, scores[b]); x != y {
			return x > y
		}
		for _, n := range nodes {
			if x, y := scoreIn(scores[a], n), scoreIn(scores[b], n); x != y {
				return x > y
			}
		}
		return false
	})
}

func presentEverywhere(nodes []*node) table {
	var t table
	for _, n := range nodes {
		t.at(n).present = true
	}
	return t
}

func (w *working) currentScore(r *resource, t table) Score {
	if n, _, _ := w.activeNode(r); n != nil {
		return scoreIn(t, n)
	}
	return -Infinity
}

func scoreIn(t table, n *node) Score {
	if a := t.get(n); a.present {
		return a.score
	}
	return -Infinity
}
