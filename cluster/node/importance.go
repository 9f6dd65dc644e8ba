package node

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/quorum"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// importance compares what runs on this side of a cut with what runs on the other:
// each active resource counts with its priority, and one more where it is
// promoted, as for priority-fencing-delay in Pacemaker. It is looked at only where that
// option is set.
func (m *Machine) importance() int {
	if m.knows.priority <= 0 || m.place == quorum.Quorate {
		return 0
	}
	here := map[string]bool{m.cfg.Name: true}
	for id, p := range m.peers {
		here[m.knows.names[id]] = p.Alive
	}
	root := m.log.State.Root
	placed := scheduler.Placements(root, m.now)
	sum := 0
	for _, id := range slices.Sorted(maps.Keys(placed)) {
		priority := priorityOf(root, id)
		for node, role := range placed[id] {
			count := priority
			if strings.Contains(string(role), "Promoted") {
				count++
			}
			if here[node] {
				sum += count
			} else {
				sum -= count
			}
		}
	}
	return sum
}

// priorityOf is a resource's priority: its own, its group's or clone's, or the
// default of all.
func priorityOf(root *cib.Node, id string) int {
	value := ""
	var walk func(n *cib.Node, inherited string)
	walk = func(n *cib.Node, inherited string) {
		for c := range n.Elements {
			own := metaOf(c, "priority")
			if own == "" {
				own = inherited
			}
			if c.ID() == id {
				value = own
			}
			switch c.Name() {
			case "group", "clone", "master", "bundle": // instances keep the name of their primitive here
				walk(c, own)
			}
		}
	}
	walk(root.Path("configuration", "resources"), metaOf(root.Path("configuration", "rsc_defaults"), "priority"))
	n, _ := strconv.Atoi(value)
	return n
}

// metaOf returns a meta attribute that an element sets, "" if it does not.
func metaOf(n *cib.Node, name string) string {
	for set := range n.Elements {
		if set.Name() != "meta_attributes" {
			continue
		}
		for nv := range set.Elements {
			if nv.Attr("name") == name {
				return nv.Attr("value")
			}
		}
	}
	return ""
}
