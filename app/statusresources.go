package app

import (
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// resourceView puts together what the configuration names, where things are,
// and what the scheduler makes of it.
type resourceView struct {
	root      *cib.Node
	t         *scheduler.Transition
	byName    map[string]*scheduler.Allocation
	placement scheduler.Placement // where things are now, and in which role
}

// statusResources builds the tree of resources. Below a clone stand its
// instances, below a bundle what it consists of; instances that are nowhere
// and belong nowhere (more than there are nodes) are left out.
func statusResources(root *cib.Node, t *scheduler.Transition, now time.Time) []api.ResourceStatus {
	v := &resourceView{root: root, t: t, byName: map[string]*scheduler.Allocation{}, placement: scheduler.Placements(root, now)}
	for i := range t.Allocations {
		v.byName[t.Allocations[i].Resource] = &t.Allocations[i]
	}
	var list []api.ResourceStatus
	for res := range root.Path("configuration", "resources").Elements {
		if res.Name() != "template" {
			list = append(list, v.resource(res, ""))
		}
	}
	return append(list, v.orphans()...)
}

// resource describes one element; suffix is the number of the instance that it
// is part of (":1"), "" outside clones.
func (v *resourceView) resource(res *cib.Node, suffix string) api.ResourceStatus {
	r := api.ResourceStatus{ID: res.ID() + suffix, Managed: !metaIs(res, "is-managed", "false"), Disabled: metaIs(res, "target-role", "Stopped"), Nodes: []string{}}
	switch res.Name() {
	case "primitive":
		v.primitive(&r, res.ID(), suffix)
		r.Agent = agent.ID{Class: res.Attr("class"), Provider: res.Attr("provider"), Type: res.Attr("type")}.String()
		return r
	case "clone", "master":
		r.Members = v.instances(res)
	case "bundle":
		r.Members = v.bundled(res)
		v.sumUp(&r)
		r.Nodes = hosts(r.Members, r.Nodes)
		return r
	default:
		for c := range res.Elements {
			if isResource(c) {
				r.Members = append(r.Members, v.resource(c, suffix))
			}
		}
	}
	v.sumUp(&r)
	return r
}

// primitive describes one primitive, or one instance of it.
func (v *resourceView) primitive(r *api.ResourceStatus, id, suffix string) {
	r.Failures = failCount(v.root, id)
	r.Role = string(scheduler.Stopped)
	al := v.byName[id+suffix]
	if al == nil {
		return
	}
	r.Nodes = append(r.Nodes, al.From...)
	if len(al.From) > 0 {
		r.Role = string(v.role(al, id))
	}
	if al.Blocked || len(al.From) != 1 || al.From[0] != al.Node || strings.Contains(al.Reason, " waits to run on ") {
		r.Why = al.Reason
	}
	r.Since = since(v.root, id, r.Nodes)
}

// role is what an instance is now: where several share a name and a node, what
// it will be.
func (v *resourceView) role(al *scheduler.Allocation, id string) scheduler.Role {
	at := v.placement[al.Resource]
	if len(at) == 0 {
		at = v.placement[id]
	}
	switch role := at[al.From[0]]; {
	case role == "":
		return scheduler.Started
	case strings.Contains(string(role), "+"):
		return al.Role
	default:
		return role
	}
}

// instances are those of a clone that are, or shall be, somewhere.
func (v *resourceView) instances(res *cib.Node) []api.ResourceStatus {
	var list []api.ResourceStatus
	for c := range res.Elements {
		if !isResource(c) {
			continue
		}
		for _, suffix := range v.numbers(c) {
			list = append(list, v.resource(c, suffix))
		}
	}
	return list
}

// numbers are the instances of a cloned resource that are worth a line.
func (v *resourceView) numbers(child *cib.Node) []string {
	var list []string
	ids := primitives(child)
	for i := range v.t.Allocations {
		al := &v.t.Allocations[i]
		id := baseName(al.Resource)
		suffix := al.Resource[len(id):]
		if suffix != "" && slices.Contains(ids, id) && (len(al.From) > 0 || al.Node != "" || al.Blocked) && !slices.Contains(list, suffix) {
			list = append(list, suffix)
		}
	}
	return list
}

// bundled are the parts of a bundle, as the scheduler made them: addresses,
// containers, connections, and what runs inside.
func (v *resourceView) bundled(res *cib.Node) []api.ResourceStatus {
	inside := primitives(res)
	var list []api.ResourceStatus
	for i := range v.t.Allocations {
		al := &v.t.Allocations[i]
		id := baseName(al.Resource)
		if !strings.HasPrefix(al.Resource, res.ID()+"-") && !slices.Contains(inside, id) || findTop(v.root, id) {
			continue
		}
		r := api.ResourceStatus{ID: al.Resource, Managed: !metaIs(res, "is-managed", "false"), Nodes: []string{}}
		v.primitive(&r, id, al.Resource[len(id):])
		list = append(list, r)
	}
	return list
}

// hosts are the nodes of a bundle's parts, without those that it is itself.
func hosts(parts []api.ResourceStatus, nodes []string) []string {
	return slices.DeleteFunc(nodes, func(n string) bool {
		return slices.ContainsFunc(parts, func(r api.ResourceStatus) bool { return r.ID == n })
	})
}

// findTop reports a resource of that name outside of everything else.
func findTop(root *cib.Node, id string) bool {
	for c := range root.Path("configuration", "resources").Elements {
		if c.ID() == id {
			return true
		}
	}
	return false
}

// sumUp describes a collection by its members.
func (v *resourceView) sumUp(r *api.ResourceStatus) {
	r.Role = string(scheduler.Stopped)
	running := 0
	counted := map[string]bool{}
	for _, m := range r.Members {
		r.Nodes = union(r.Nodes, m.Nodes)
		if id := baseName(m.ID); !counted[id] {
			counted[id] = true
			r.Failures += m.Failures
		}
		if len(m.Nodes) > 0 {
			running++
		}
	}
	switch {
	case running == len(r.Members) && running > 0:
		r.Role = string(scheduler.Started)
	case running > 0:
		r.Role = "Partly started"
	}
}

// orphans lists what still runs and is not configured any more: its stop is
// under way, or has failed.
func (v *resourceView) orphans() []api.ResourceStatus {
	var list []api.ResourceStatus
	for i := range v.t.Allocations {
		al := &v.t.Allocations[i]
		if len(al.From) == 0 || findResource(v.root, baseName(al.Resource)) != nil || v.implied(al.Resource) {
			continue
		}
		list = append(list, api.ResourceStatus{
			ID: al.Resource, Role: string(scheduler.Started), Nodes: al.From, Managed: true,
			Failures: failCount(v.root, al.Resource), Why: "it is not configured any more; " + al.Reason,
		})
	}
	return list
}

// implied reports what a bundle, or a guest's virtual machine, consists of.
func (v *resourceView) implied(name string) bool {
	for c := range v.root.Path("configuration", "resources").Elements {
		if c.Name() == "bundle" && strings.HasPrefix(name, c.ID()+"-") {
			return true
		}
	}
	return isGuest(v.root.Path("configuration", "resources"), name)
}

// isGuest reports whether a resource says that it is the guest node of that name.
func isGuest(n *cib.Node, name string) bool {
	for c := range n.Elements {
		if c.Name() == "nvpair" && c.Attr("name") == "remote-node" && c.Attr("value") == name || c.Name() != "operations" && isGuest(c, name) {
			return true
		}
	}
	return false
}

func isResource(n *cib.Node) bool {
	switch n.Name() {
	case "primitive", "group", "clone", "master", "bundle":
		return true
	}
	return false
}

// baseName is the name of a resource without the number of its instance.
func baseName(id string) string {
	base, number, ok := strings.Cut(id, ":")
	if ok && number != "" && strings.Trim(number, "0123456789") == "" {
		return base
	}
	return id
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}
