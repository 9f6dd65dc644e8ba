package schedtest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// Violations says in words what a transition does that none may do, whatever
// the configuration: wait for itself, run a unique resource twice, start
// something before what it needs, act on a node that is not there.
func Violations(root *cib.Node, e *Expectation) []string {
	j := newJudge(root, e)
	if j.cyclic {
		return []string{"some actions wait for themselves"}
	}
	var list []string
	list = append(list, j.twice()...)
	list = append(list, j.tooMany()...)
	list = append(list, j.tooEarly()...)
	return append(list, j.nowhere()...)
}

// judge holds a transition with what the configuration says of it.
type judge struct {
	root    *cib.Node
	e       *Expectation
	plain   map[string]bool // primitives, and members of groups, that are in no clone and no bundle
	loose   map[string]bool // those of them that may run twice while nodes are lost: fence devices, remote connections
	hasty   bool            // something may start before nodes are fenced, as its requires says
	host    map[string]bool // primitives with a node in them: what they need may itself run in there
	top     map[string]string
	offline map[string]bool // cluster nodes
	clones  []cloned
	bundles []string
	after   []bitset // index of an action → those that come after it
	cyclic  bool
}

func newJudge(root *cib.Node, e *Expectation) *judge {
	j := &judge{root: root, e: e, plain: map[string]bool{}, loose: map[string]bool{}, host: map[string]bool{}, top: map[string]string{}, offline: map[string]bool{}}
	for n := range root.Path("configuration", "nodes").Elements {
		if n.Attr("type") != "remote" {
			j.offline[n.Attr("uname")] = true
		}
	}
	for r := range root.Path("configuration", "resources").Elements {
		j.learn(r, r.ID())
		j.hasty = j.hasty || waivesFencing(r)
	}
	j.learnInstances()
	for s := range root.Child("status").Elements {
		if s.Attr("crmd") == "online" && s.Attr("in_ccm") == "true" {
			delete(j.offline, s.Attr("uname"))
		}
	}
	number := make([]int, len(e.Actions))
	for i := range number {
		number[i] = i
	}
	j.after, j.cyclic = closure(e.successors(), number, len(number))
	return j
}

func (j *judge) learn(r *cib.Node, top string) {
	j.top[r.ID()] = top
	switch r.Name() {
	case "primitive":
		j.plain[r.ID()] = true
		j.host[r.ID()] = metaValue(r, "remote-node") != ""
		j.loose[r.ID()] = r.Attr("class") == "stonith" || r.Attr("provider") == "pacemaker" && r.Attr("type") == "remote"
	case "clone", "master":
		j.learnClone(r)
	case "bundle":
		j.bundles = append(j.bundles, r.ID())
	case "group":
		for c := range r.Elements {
			if c.Name() == "primitive" {
				j.learn(c, top)
			}
		}
	}
}

// waivesFencing reports whether something in r requires less than fencing.
func waivesFencing(r *cib.Node) bool {
	if r.Attr("name") == "requires" && (r.Attr("value") == "nothing" || r.Attr("value") == "quorum") {
		return true
	}
	for c := range r.Elements {
		if waivesFencing(c) {
			return true
		}
	}
	return false
}

// find lists the indices of the real actions of a task on a resource.
func (j *judge) find(resource, task string) []int {
	var list []int
	for i, a := range j.e.Actions {
		if a.Kind == scheduler.Resource && a.Resource == resource && a.Task == task && a.Interval == 0 && !a.Stuck {
			list = append(list, i)
		}
	}
	return list
}

func (j *judge) twice() []string {
	var list []string
	for i, a := range j.e.Actions {
		if a.Kind != scheduler.Resource || a.Task != "start" || a.Stuck || !j.plain[a.Resource] {
			continue
		}
		if n := len(j.find(a.Resource, "start")); n > 1 {
			list = append(list, fmt.Sprintf("%s is started %d times", a.Resource, n))
		}
		for s, stop := range j.e.Actions {
			if stop.Kind != scheduler.Resource || stop.Resource != a.Resource || stop.Task != "stop" {
				continue
			}
			if !j.after[s].has(i) {
				list = append(list, fmt.Sprintf("%s may start on %s before it has stopped on %s", a.Resource, a.Node, j.e.Actions[s].Node))
			}
		}
		for _, node := range slices.Sorted(maps.Keys(j.e.Before.Placement[a.Resource])) {
			if node != a.Node && !j.loose[a.Resource] && !j.hasty && !j.leftBefore(a.Resource, node, i) {
				list = append(list, fmt.Sprintf("%s starts on %s, and nothing has ended it on %s", a.Resource, a.Node, node))
			}
		}
	}
	return list
}

// leftBefore reports whether, before action i, a resource is stopped on a node,
// or the node is fenced and the stop implied.
func (j *judge) leftBefore(resource, node string, i int) bool {
	for k, a := range j.e.Actions {
		ends := a.Task == "stop" && a.Resource == resource || a.Task == "stonith" && a.Detail != "on"
		if ends && a.Node == node && j.after[k].has(i) {
			return true
		}
	}
	return false
}

// tooEarly looks at plain mandatory orders of two starts; those that lie on a
// circle of orders say nothing.
func (j *judge) tooEarly() []string {
	var list []string
	for c := range j.root.Path("configuration", "constraints").Elements {
		first, then := c.Attr("first"), c.Attr("then")
		if c.Name() != "rsc_order" || !mandatory(c) || !j.plain[first] || !j.plain[then] || j.host[then] || j.leads(then, first) {
			continue
		}
		for _, t := range j.find(then, "start") {
			ok := len(j.e.Before.Placement[first]) > 0
			for _, f := range j.find(first, "start") {
				ok = j.after[f].has(t)
			}
			if !ok {
				list = append(list, fmt.Sprintf("%s starts without %s before it", then, first))
			}
		}
	}
	return list
}

func mandatory(order *cib.Node) bool {
	kind, score := order.Attr("kind"), order.Attr("score")
	starts := func(name string) bool { a := order.Attr(name); return a == "" || a == "start" }
	return (kind == "" && (score == "" || score == "INFINITY") || kind == "Mandatory") && starts("first-action") && starts("then-action")
}

// leads reports whether orders lead from one resource to another, seen coarsely:
// a group is one thing, and so is whatever stands in one set or tag.
func (j *judge) leads(from, to string) bool {
	seen, todo := map[string]bool{}, []string{j.name(from)}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		if at == j.name(to) {
			return true
		}
		if seen[at] {
			continue
		}
		seen[at] = true
		for c := range j.root.Path("configuration", "constraints").Elements {
			switch {
			case c.Name() != "rsc_order":
			case c.Child("resource_set") != nil:
				return true // sets are not looked into
			case j.plain[c.Attr("first")] && j.plain[c.Attr("then")]:
				if j.name(c.Attr("first")) == at {
					todo = append(todo, j.name(c.Attr("then")))
				}
			default:
				return true
			}
		}
	}
	return false
}

func (j *judge) name(id string) string { return j.top[id] }

func (j *judge) nowhere() []string {
	var list []string
	for _, a := range j.e.Actions {
		if a.Kind == scheduler.Resource && j.offline[a.Node] {
			list = append(list, fmt.Sprintf("%s, where %s is not online", a, a.Node))
		}
	}
	return list
}
