package scheduler

import (
	"maps"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib/rule"
)

// agentParams are the parameters that the agent is called with: the
// operation's own instance attributes, then those of the resource. The result
// may be shared: do not change it.
func (w *working) agentParams(a *action) map[string]string {
	params := a.params
	if params == nil {
		params = w.callParams(a.rsc, a.node)
	}
	owned := false
	set := func(name, value string) {
		if !owned {
			params, owned = maps.Clone(params), true
		}
		params[name] = value
	}
	if a.op != nil && a.op.xml.Child("instance_attributes") != nil && a.node != nil {
		c := w.ruleContext(a.node)
		for _, p := range c.Merge(nil, a.op.xml, "instance_attributes", rule.Options{}) {
			set(p.Name, p.Value)
		}
		w.recheckAt(c.Change)
	}
	if ip := a.rsc.meta["external-ip"]; ip != "" {
		set("pcmk_external_ip", ip)
	}
	return params
}

// callParams are the parameters of a resource as its agent gets them on a node.
// The connection to a container without an address of its own goes to the node
// where the container is or will be.
func (w *working) callParams(r *resource, n *node) map[string]string {
	params := w.paramsOf(r, n)
	if params["addr"] != "#uname" || r.replica == nil || r.replica.remote != r {
		return params
	}
	host := r.replica.container.chosen
	if host == nil {
		host = r.replica.container.current()
	}
	if host == nil {
		return params
	}
	params = maps.Clone(params)
	params["addr"] = host.name
	return params
}

// sharedMeta is what the agent is told beside its parameters on every node:
// the operation's settings, and what it has to know of the clone, container and
// guest that the resource belongs to.
func (a *action) sharedMeta() map[string]string {
	m := map[string]string{}
	if a.settings != nil {
		for name, value := range a.settings.meta {
			if !strings.ContainsAny(name, "#:") {
				m[strings.ReplaceAll(name, "-", "_")] = value
			}
		}
	}
	r := a.rsc
	if r.number >= 0 {
		m["clone"] = strconv.Itoa(r.number)
	}
	if guest := r.meta["remote-node"]; guest != "" {
		m["remote_node"] = guest
	}
	for p := r; p != nil; p = p.parent {
		if p.container != nil {
			m["container"] = p.container.id
		}
		if p.variant == clone {
			p.addCloneMeta(m)
		}
	}
	return m
}

func (r *resource) addCloneMeta(m map[string]string) {
	m["globally_unique"], m["notify"] = strconv.FormatBool(r.unique), strconv.FormatBool(r.notify)
	m["clone_max"], m["clone_node_max"] = strconv.Itoa(r.clone.max), strconv.Itoa(r.clone.nodeMax)
	if r.clone.promotable {
		max, nodeMax := strconv.Itoa(r.clone.promotedMax), strconv.Itoa(r.clone.promotedNodeMax)
		m["promoted_max"], m["promoted_node_max"] = max, nodeMax
		m["master_max"], m["master_node_max"] = max, nodeMax // what agents of old read
	}
}

// hostMeta tells an agent on a guest what its host is, and whether attributes
// are those of the host: what goes down does so where the container is, what
// comes up where it will be. nil where there is no host.
func (a *action) hostMeta() map[string]string {
	if a.node == nil || !a.node.isGuest() {
		return nil
	}
	task := a.task
	if task == taskNotify || task == taskNotified {
		task = firstOf(a.meta["notify_operation"], a.meta["operation"])
	}
	container := a.node.connection.container
	var host *node
	switch task {
	case taskStop, taskStopped, taskDemote, taskDemoted:
		host = container.current()
	case taskStart, taskStarted, taskMonitor, taskPromote, taskPromoted:
		host = container.chosen
	}
	if host == nil {
		return nil
	}
	m := map[string]string{"physical_host": host.name}
	if target, ok := a.rsc.meta["container-attribute-target"]; ok {
		m["container_attribute_target"] = target
	}
	return m
}
