package scheduler

import (
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// Placement is where each resource is: resource → node → role. Instances that
// have no name of their own share one entry; where two of them are on a node in
// different roles, both stand there ("Promoted+Unpromoted").
type Placement map[string]map[string]Role

// Placements reads from the status section where resources are. Resources that
// are nowhere have an empty entry; those that are not configured any more have
// one while they are somewhere.
func Placements(root *cib.Node, now time.Time) Placement {
	return readSituation(root, now).placements(false)
}

// NodeStates reads from the status section what nodes are: "online" or
// "offline", followed by those of "unclean", "pending", "standby" and
// "maintenance" that they are, too.
func NodeStates(root *cib.Node, now time.Time) map[string]string {
	return readSituation(root, now).nodeStates()
}

// Situation is Placements and NodeStates at once. Where a role is about to be
// left or reached by an operation that has not ended, pending puts the name of
// the change there ("Starting").
func Situation(root *cib.Node, now time.Time, pending bool) (Placement, map[string]string) {
	w := readSituation(root, now)
	return w.placements(pending), w.nodeStates()
}

func readSituation(root *cib.Node, now time.Time) *working {
	w := newWorking(root, now)
	w.unpack()
	return w
}

func (w *working) placements(pending bool) Placement {
	p := Placement{}
	for _, r := range w.resources {
		if r.orphan && !r.methods.active(r, true) || r.isUnseen() {
			continue
		}
		for m := range r.primitives {
			m.addPlacement(p, pending)
		}
	}
	return p
}

// isUnseen reports a collection that is active in parts that nobody manages, on
// nodes that are lost: it counts as being nowhere, and is left out.
func (r *resource) isUnseen() bool {
	return len(r.children) > 0 && len(r.running) == 0 && r.methods.active(r, false)
}

func (r *resource) addPlacement(p Placement, pending bool) {
	name := r.id
	if !r.unique {
		name = r.base
	}
	at := p[name]
	if at == nil {
		at = make(map[string]Role, len(r.running))
		p[name] = at
	}
	for _, n := range r.running {
		at[n.name] = joinRoles(at[n.name], r.shownRole(pending))
	}
}

// shownRole is the role as people see it.
func (r *resource) shownRole(pending bool) Role {
	switch {
	case pending && changing[r.pendingTask] != "":
		return changing[r.pendingTask]
	case r.role == Started && r.outermost(false).promotable:
		return Unpromoted
	}
	return r.role
}

var changing = map[string]Role{taskStart: "Starting", taskStop: "Stopping", taskMigrateTo: "Migrating", taskMigrateFrom: "Migrating",
	taskPromote: "Promoting", taskDemote: "Demoting"}

func joinRoles(a, b Role) Role {
	switch {
	case a == "" || strings.Contains("+"+string(b)+"+", "+"+string(a)+"+"):
		return b
	case strings.Contains("+"+string(a)+"+", "+"+string(b)+"+"):
		return a
	}
	return min(a, b) + "+" + max(a, b)
}

func (w *working) nodeStates() map[string]string {
	states := make(map[string]string, len(w.nodes))
	for _, n := range w.nodes {
		words := []string{"offline"}
		if n.online {
			words[0] = "online"
		}
		for _, flag := range []struct {
			is   bool
			word string
		}{{n.unclean, "unclean"}, {n.pending, "pending"}, {n.standby, "standby"}, {n.maintenance, "maintenance"}} {
			if flag.is {
				words = append(words, flag.word)
			}
		}
		states[n.name] = strings.Join(words, " ")
	}
	return states
}
