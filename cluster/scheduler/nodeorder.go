package scheduler

import (
	"sort"
	"strconv"
	"strings"
)

// sortedNodes are the nodes of a table from best to worst for a resource that
// is active on active (nil: nowhere): score, then (as placement-strategy says)
// free capacity and number of resources, then where it is, then name.
func (w *working) sortedNodes(t table, active *node) []*node {
	nodes := make([]*node, 0, len(w.nodes))
	for _, n := range w.nodes {
		if t.get(n).present {
			nodes = append(nodes, n)
		}
	}
	score := func(n *node) Score {
		if !w.available(n, nil, false) {
			return -Infinity
		}
		return t.get(n).score
	}
	sort.SliceStable(nodes, func(i, j int) bool {
		a, b := nodes[i], nodes[j]
		if x, y := score(a), score(b); x != y {
			return x > y
		}
		return w.prefersNode(a, b, active)
	})
	return nodes
}

// prefersNode decides between nodes with equal scores.
func (w *working) prefersNode(a, b, active *node) bool {
	if w.options.placement != "minimal" {
		if w.options.placement == "balanced" {
			if c := compareCapacities(a, b); c != 0 {
				return c < 0
			}
		}
		if a.load != b.load {
			return a.load < b.load
		}
		if active != nil && (a == active) != (b == active) {
			return a == active
		}
	}
	return strings.Compare(a.name, b.name) < 0
}

// showScores adds a resource's scores, and those of all below it, to the lines
// of scores, if they are wanted.
func (w *working) showScores(r *resource, stage string, t table) {
	if !w.wantScores || r.orphan {
		return
	}
	for _, n := range w.nodes {
		if a := t.get(n); a.present {
			w.scoreLines = append(w.scoreLines, stage+": "+r.id+" allocation score on "+n.name+": "+shown(a.score))
		}
	}
	for _, c := range r.children {
		w.showScores(c, stage, c.allowed)
	}
}

func (w *working) showPromotion(r *resource) {
	if !w.wantScores {
		return
	}
	where := "none"
	if at := r.methods.locations(r, afterwards); len(at) > 0 {
		where = at[0].name
	}
	w.scoreLines = append(w.scoreLines, r.id+" promotion score on "+where+": "+shown(r.sortIndex))
}

func shown(s Score) string {
	if s.infinite() {
		return s.String()
	}
	return strconv.Itoa(int(s))
}
