package schedtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// cloned is what the configuration says of a clone.
type cloned struct {
	id                      string
	unique, promotable      bool
	max, perNode            int
	promotedMax, promotedOn int
	primitives              []string
}

// learnClone notes a clone of a primitive; the instances of a unique one are as
// good as primitives. Of groups a clone may run more than it should: what is
// placed once of a group stays where it is.
func (j *judge) learnClone(r *cib.Node) {
	setting := func(names ...string) string {
		for _, name := range names {
			if v := metaValue(r, name); v != "" {
				return v
			}
		}
		return ""
	}
	count := func(otherwise int, names ...string) int {
		if n, err := strconv.Atoi(setting(names...)); err == nil {
			return n
		}
		return otherwise
	}
	k := cloned{id: r.ID(), max: count(1<<30, "clone-max"), perNode: 1,
		promotedMax: count(1, "promoted-max", "master-max"), promotedOn: count(1, "promoted-node-max", "master-node-max")}
	k.unique, _ = cib.ParseBool(setting("globally-unique"))
	k.promotable, _ = cib.ParseBool(setting("promotable"))
	k.promotable = k.promotable || r.Name() == "master"
	if k.unique {
		k.perNode = count(1, "clone-node-max")
	}
	for p := range r.Elements {
		switch p.Name() {
		case "primitive":
			k.primitives = append(k.primitives, p.ID())
		}
	}
	j.clones = append(j.clones, k)
}

// learnInstances counts instances that have names of their own among what must
// not run twice: those of unique clones, and what bundles imply for each replica.
func (j *judge) learnInstances() {
	names := map[string]bool{}
	for _, a := range j.e.Actions {
		names[a.Resource] = true
	}
	for name := range j.e.Before.Placement {
		names[name] = true
	}
	for name := range names {
		base, number, numbered := strings.Cut(name, ":")
		_, err := strconv.Atoi(number)
		isInstance := numbered && err == nil && slices.ContainsFunc(j.clones, func(k cloned) bool { return k.unique && slices.Contains(k.primitives, base) })
		if isInstance || j.ofBundle(name) {
			j.plain[name] = true
		}
	}
}

// ofBundle reports the container or address of a replica.
func (j *judge) ofBundle(name string) bool {
	for _, b := range j.bundles {
		rest, ok := strings.CutPrefix(name, b+"-")
		kind, _, _ := strings.Cut(rest, "-")
		if ok && slices.Contains([]string{"docker", "podman", "rkt", "ip"}, kind) {
			return true
		}
	}
	return false
}

// tooMany looks at what a transition brings up: no more instances than there may
// be, on a node and in all, and no more of them promoted.
func (j *judge) tooMany() []string {
	var list []string
	for _, k := range j.clones {
		for _, p := range k.primitives {
			list = append(list, j.judgeInstances(k, p)...)
		}
	}
	return list
}

func (j *judge) judgeInstances(k cloned, base string) []string {
	var list []string
	active, promoted := crowd{}, crowd{}
	for name, on := range j.e.Before.Placement {
		for node, role := range on {
			if instanceOf(name, base) {
				active.set(node, name, true)
				promoted.set(node, name, strings.Contains(string(role), string(scheduler.Promoted)))
			}
		}
	}
	started, raised := map[string]bool{}, map[string]bool{}
	for _, a := range j.inSequence(base) {
		switch a.Task {
		case "stonith":
			active[a.Node], promoted[a.Node] = nil, nil
		case "stop":
			active.set(a.Node, a.Resource, false)
		case "demote":
			promoted.set(a.Node, a.Resource, false)
		case "start": // again, if an earlier one has not ended yet
			active.set(a.Node, a.Resource, true)
			started[a.Node] = true
		case "promote":
			promoted.set(a.Node, a.Resource, true)
			raised[a.Node] = true
		}
	}
	for _, node := range slices.Sorted(maps.Keys(started)) {
		if n := len(active[node]); n > k.perNode {
			list = append(list, fmt.Sprintf("%d instances of %s (%s) run on %s, where %d may", n, k.id, base, node, k.perNode))
		}
	}
	for _, node := range slices.Sorted(maps.Keys(raised)) {
		if n := len(promoted[node]); n > k.promotedOn {
			list = append(list, fmt.Sprintf("%d instances of %s (%s) are promoted on %s, where %d may be", n, k.id, base, node, k.promotedOn))
		}
	}
	if n := active.size(); len(started) > 0 && n > k.max {
		list = append(list, fmt.Sprintf("%d instances of %s (%s) run, and %d may", n, k.id, base, k.max))
	}
	if n := promoted.size(); len(raised) > 0 && n > k.promotedMax {
		list = append(list, fmt.Sprintf("%d instances of %s (%s) are promoted, and %d may be", n, k.id, base, k.promotedMax))
	}
	return list
}

// inSequence are the actions that bear on what instances are, those that end
// something first.
func (j *judge) inSequence(base string) []Action {
	var down, up []Action
	for _, a := range j.e.Actions {
		switch {
		case a.Stuck || a.Interval != 0:
		case a.Task == "stonith" && a.Detail != "on":
			down = append(down, a)
		case a.Kind != scheduler.Resource || !instanceOf(a.Resource, base):
		case a.Task == "stop" || a.Task == "demote":
			down = append(down, a)
		case a.Task == "start" || a.Task == "promote":
			up = append(up, a)
		}
	}
	return append(down, up...)
}

// crowd are the names of instances on each node.
type crowd map[string]map[string]bool

func (c crowd) set(node, name string, is bool) {
	switch {
	case !is:
		delete(c[node], name)
	case c[node] == nil:
		c[node] = map[string]bool{name: true}
	default:
		c[node][name] = true
	}
}

func (c crowd) size() int {
	n := 0
	for _, names := range c {
		n += len(names)
	}
	return n
}

func instanceOf(name, base string) bool {
	rest, ok := strings.CutPrefix(name, base)
	return ok && (rest == "" || rest[0] == ':')
}
