// Package explain says in words why the scheduler decided as it did: why a
// resource runs where it runs, why not on another node, why nowhere, what it
// waits for and what would have to change. It invents nothing: each sentence
// comes from a term of the allocation, an action or an ordering of a Transition.
package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/internal/errs"
)

// Answer explains a resource, or all that a group, clone or bundle holds.
type Answer struct {
	Resource  string     `json:"resource"`
	Node      string     `json:"node,omitempty"` // the node that was asked about
	Nodes     []string   `json:"nodes"`          // all nodes, in the order of the configuration
	Instances []Instance `json:"instances"`
	Actions   []Step     `json:"actions,omitempty"` // what will happen, in an order in which it can
}

// Instance explains one primitive or one instance of it.
type Instance struct {
	Resource string         `json:"resource"`
	Node     string         `json:"node,omitempty"` // where it will be; "" nowhere
	Role     scheduler.Role `json:"role"`
	From     []string       `json:"from,omitempty"` // where it is
	Blocked  bool           `json:"blocked,omitempty"`
	// Says is the explanation, the deciding sentence first.
	Says []string `json:"says"`
	// Deciding is the term that made the difference; nil where none did.
	Deciding *scheduler.Term `json:"deciding,omitempty"`
	Against  string          `json:"against,omitempty"` // the node with which the chosen one was compared
	WaitsFor []string        `json:"waits_for,omitempty"`
	Change   []string        `json:"change,omitempty"` // what would make it otherwise
	// Scores and Terms are those of the allocation, for programs and --scores.
	Scores map[string]scheduler.Score `json:"scores"`
	Terms  []scheduler.Term           `json:"terms"`
}

// Step is one action about the resource.
type Step struct {
	Task     string `json:"task"` // start, stop, monitor, …
	Resource string `json:"resource"`
	Node     string `json:"node,omitempty"`
	Interval int64  `json:"interval_ms"`
	Words    string `json:"words"` // "start web on n1"
	Reason   string `json:"reason"`
}

// Explain answers for a resource of root, from the transition computed of it.
// node, if not empty, asks why (or why not) there. Who is promoted and why is
// only told of a transition with ScoreLines. It fails with errs.NotFound
// if there is no such resource or node.
func Explain(root *cib.Node, t *scheduler.Transition, resource, node string) (*Answer, error) {
	q := &question{t: t, node: node, nodes: nodeNames(root, t), promotions: promotions(t)}
	if node != "" && !slices.Contains(q.nodes, node) {
		return nil, errs.E("explain", errs.NotFound, "node "+node, "The nodes are "+strings.Join(q.nodes, ", ")+".", fmt.Errorf("there is no such node"))
	}
	list := instances(root, t, resource)
	if len(list) == 0 {
		return nil, unknown(root, t, resource)
	}
	a := &Answer{Resource: resource, Node: node, Nodes: q.nodes}
	for _, al := range concerned(list, node) {
		a.Instances = append(a.Instances, q.explain(al))
	}
	a.Actions = steps(t, list, resource)
	return a, nil
}

// concerned leaves, where a node is asked about, of the instances of a clone
// those that are on it; if none is, all of them could be.
func concerned(list []*scheduler.Allocation, node string) []*scheduler.Allocation {
	here := map[string]bool{}
	for _, a := range list {
		if a.Node == node && node != "" {
			here[base(a.Resource)] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(list), func(a *scheduler.Allocation) bool { return here[base(a.Resource)] && a.Node != node })
}

func unknown(root *cib.Node, t *scheduler.Transition, resource string) error {
	if cib.Find(root, resource) != nil {
		return errs.E("explain", errs.NotFound, resource, "Name a resource, group, clone or bundle that the scheduler places.",
			fmt.Errorf("it holds nothing that could run"))
	}
	var names []string
	for i := range t.Allocations {
		if name := base(t.Allocations[i].Resource); !slices.Contains(names, name) && len(names) < 20 {
			names = append(names, name)
		}
	}
	hint := "No resource is configured."
	if len(names) > 0 {
		hint = "There are " + strings.Join(names, ", ") + "."
	}
	return errs.E("explain", errs.NotFound, resource, hint, fmt.Errorf("there is no such resource"))
}

// instances are the allocations of a resource and of all that it holds.
func instances(root *cib.Node, t *scheduler.Transition, resource string) []*scheduler.Allocation {
	held := map[string]bool{}
	element := cib.Find(root.Path("configuration", "resources"), resource)
	primitives(element, held)
	var list []*scheduler.Allocation
	for i := range t.Allocations {
		a := &t.Allocations[i]
		implied := element.Name() == "bundle" && strings.HasPrefix(a.Resource, resource+"-")
		if a.Resource == resource || base(a.Resource) == resource || held[base(a.Resource)] || implied {
			list = append(list, a)
		}
	}
	return list
}

func primitives(n *cib.Node, held map[string]bool) {
	if n.Name() == "primitive" {
		held[n.ID()] = true
	}
	for c := range n.Elements {
		switch c.Name() {
		case "primitive", "group", "clone", "master":
			primitives(c, held)
		}
	}
}

// base is the name of a resource without the number of its instance.
func base(resource string) string {
	b, number, numbered := strings.Cut(resource, ":")
	if numbered && number != "" && strings.Trim(number, "0123456789") == "" {
		return b
	}
	return resource
}

// nodeNames lists all nodes, those of the configuration first.
func nodeNames(root *cib.Node, t *scheduler.Transition) []string {
	var names, more []string
	for n := range root.Path("configuration", "nodes").Elements {
		if name := n.Attr("uname"); name != "" {
			names = append(names, name)
		}
	}
	for i := range t.Allocations {
		for n := range t.Allocations[i].Scores {
			if !slices.Contains(names, n) && !slices.Contains(more, n) {
				more = append(more, n)
			}
		}
	}
	slices.Sort(more)
	return append(names, more...)
}
