package scheduler

import "strconv"

// tie is a node that had the same score as the chosen one, and the rule by
// which it came off second.
type tie struct {
	node *node
	why  string
}

// keepTies notes why the chosen one of equal nodes was taken.
func (w *working) keepTies(r *resource, chosen, offered, current *node, nodes []*node) {
	if chosen == nil || !w.available(chosen, r.allowed, false) {
		return
	}
	score := r.allowed.get(chosen).score
	for _, n := range nodes {
		if n != chosen && r.allowed.get(n).score == score && w.available(n, nil, false) {
			r.ties = append(r.ties, tie{n, w.tieWords(r, chosen, n, offered, current)})
		}
	}
}

// tieWords follows the rules of prefersNode.
func (w *working) tieWords(r *resource, chosen, other, offered, current *node) string {
	switch {
	case chosen == current && (chosen == offered || r.mayStay() && r.allowed.get(chosen).score > 0):
		return "it runs there already"
	case chosen == offered && w.utilization:
		return chosen.name + " has the most free capacity"
	case chosen == offered:
		return "it is on its way there"
	case w.options.placement == "minimal":
		return chosen.name + " comes first by name (placement-strategy minimal)"
	case w.options.placement == "balanced" && compareCapacities(chosen, other) != 0:
		return chosen.name + " has more free capacity"
	case chosen.load != other.load:
		return chosen.name + " has fewer resources so far (" + strconv.Itoa(chosen.load) + ", not " + strconv.Itoa(other.load) + ")"
	case chosen == current:
		return "it runs there already"
	}
	return chosen.name + " comes first by name"
}
