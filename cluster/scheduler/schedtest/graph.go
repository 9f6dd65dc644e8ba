package schedtest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// readGraph turns a transition graph in XML into actions and their order.
func readGraph(text []byte) (*Expectation, error) {
	root, err := parseOutput(text, "<transition_graph")
	if err != nil {
		return nil, err
	}
	e := &Expectation{}
	index := map[string]int{}
	for synapse := range root.Elements {
		for a := range synapse.Child("action_set").Elements {
			if _, twice := index[a.ID()]; twice {
				return nil, fmt.Errorf("crm_simulate: the action number %s twice", a.ID())
			}
			index[a.ID()] = len(e.Actions)
			e.Actions = append(e.Actions, graphAction(a))
		}
	}
	for synapse := range root.Elements {
		for a := range synapse.Child("action_set").Elements {
			for trigger := range synapse.Child("inputs").Elements {
				for in := range trigger.Elements {
					if before, ok := index[in.ID()]; ok {
						e.Order = append(e.Order, [2]int{before, index[a.ID()]})
					}
				}
			}
		}
	}
	return e, nil
}

var (
	keyInterval = regexp.MustCompile(`_(\d+)$`)
	notifyKey   = regexp.MustCompile(`^(.+)_((?:confirmed-)?(?:pre|post))_notify_([a-z_]+)_\d+$`)
)

func graphAction(n *cib.Node) Action {
	task, key, meta := n.Attr("operation"), n.Attr("operation_key"), n.Child("attributes")
	kind := map[string]scheduler.Kind{"rsc_op": scheduler.Resource, "pseudo_event": scheduler.Pseudo, "crm_event": scheduler.Cluster}[n.Name()]
	a := Action{Kind: kind, Task: task, Node: n.Attr("on_node")}
	if prim := n.Child("primitive"); prim != nil {
		a.Resource = prim.ID()
	} else if kind == scheduler.Pseudo && task != "stonith" {
		a.Resource = pseudoResource(task, key)
	}
	a.Notify = notifyEnvironment(func(yield func(string, string) bool) {
		for _, attr := range meta.Attrs() {
			if !yield(strings.TrimPrefix(attr.Name, "CRM_meta_"), attr.Value) {
				return
			}
		}
	})
	if kind == scheduler.Resource {
		ms, ok := meta.Lookup("CRM_meta_interval")
		if m := keyInterval.FindStringSubmatch(key); !ok && m != nil {
			ms = m[1]
		}
		a.Interval, _ = strconv.ParseInt(ms, 10, 64)
	}
	switch task {
	case "stonith":
		if a.Detail = meta.Attr("CRM_meta_stonith_action"); a.Detail == "" {
			a.Detail = key[strings.LastIndexByte(key, '-')+1:]
		}
	case "notify", "notified":
		phase, op := meta.Attr("CRM_meta_notify_type"), meta.Attr("CRM_meta_notify_operation")
		if m := notifyKey.FindStringSubmatch(key); (phase == "" || op == "") && m != nil {
			phase, op = m[2], m[3]
		}
		if phase != "" && op != "" {
			a.Detail = phase + "-" + op
		}
	}
	return a
}

// pseudoResource is what a pseudo action is named after.
func pseudoResource(task, key string) string {
	if m := notifyKey.FindStringSubmatch(key); m != nil {
		return m[1]
	}
	if at := strings.LastIndex(key, "_"+task+"_"); at >= 0 {
		return key[:at]
	}
	return ""
}

// readStatus adds where things run afterwards, and the scores.
func readStatus(e *Expectation, text []byte) error {
	root, err := parseOutput(text, "<pacemaker-result")
	if err != nil {
		return err
	}
	e.Before.Placement, e.After.Placement = scheduler.Placement{}, scheduler.Placement{}
	addPlacement(e.Before.Placement, root.Path("cluster_status", "resources"))
	addPlacement(e.After.Placement, root.Path("revised_cluster_status", "resources"))
	e.Scores = []string{}
	for n := range root.Child("allocations").Elements {
		node := n.Attr("node")
		switch n.Name() {
		case "node_weight":
			e.Scores = append(e.Scores, fmt.Sprintf("%s: %s allocation score on %s: %s", n.Attr("function"), n.ID(), node, n.Attr("score")))
		case "promotion_score":
			if node == "" {
				node = "none"
			}
			e.Scores = append(e.Scores, fmt.Sprintf("%s promotion score on %s: %s", n.ID(), node, n.Attr("score")))
		}
	}
	return nil
}

// addPlacement adds all resources below n; where an instance that has no number
// is in two roles on one node, both are named.
func addPlacement(p scheduler.Placement, n *cib.Node) {
	for c := range n.Elements {
		if c.Name() == "resource" {
			where := p[c.ID()]
			if where == nil {
				where = map[string]scheduler.Role{}
				p[c.ID()] = where
			}
			for at := range c.Elements {
				if at.Name() == "node" {
					where[at.Attr("name")] = joinRoles(where[at.Attr("name")], scheduler.Role(c.Attr("role")))
				}
			}
		}
		addPlacement(p, c)
	}
}

func joinRoles(a, b scheduler.Role) scheduler.Role {
	switch {
	case a == "" || a == b:
		return b
	case strings.Contains(string(a), string(b)):
		return a
	case a < b:
		return a + "+" + b
	}
	return b + "+" + a
}
