package scheduler

import (
	"github.com/takt-ha/takt/cluster/cib/rule"
)

// paramsOf are the instance attributes of a resource for a node (nil: none in
// particular). The result is shared: do not change it.
func (w *working) paramsOf(r *resource, n *node) map[string]string {
	if n != nil && w.paramsDependOn(r)&rule.OnNode == 0 {
		n = nil
	}
	if m, ok := r.params[n]; ok {
		return m
	}
	if first := r.firstAlike(); first != r {
		return w.paramsOf(first, n)
	}
	c := w.ruleContext(n)
	var pairs rule.Pairs
	for p := r; p != nil; p = p.parent {
		pairs = c.Merge(pairs, p.xml, "instance_attributes", rule.Options{})
	}
	pairs = c.Merge(pairs, w.root.Path("configuration", "rsc_defaults"), "instance_attributes", rule.Options{})
	w.recheckAt(c.Change)
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		m[p.Name] = p.Value
	}
	if r.params == nil {
		r.params = map[*node]map[string]string{}
	}
	r.params[n] = m
	return m
}

// firstAlike is the first instance's counterpart of what is in a clone: their
// parameters are the same.
func (r *resource) firstAlike() *resource {
	switch {
	case r.parent == nil:
		return r
	case r.parent.variant == clone && len(r.parent.children) > 0:
		return r.parent.children[0]
	case r.parent.variant == group && r.parent.parent != nil && len(r.parent.parent.children) > 0:
		first := r.parent.parent.children[0]
		for i, m := range r.parent.children {
			if m == r && i < len(first.children) {
				return first.children[i]
			}
		}
	}
	return r
}

// paramsDependOn says what the instance attributes of a resource depend on.
func (w *working) paramsDependOn(r *resource) rule.Dependence {
	if !w.defaultParamsKnown {
		w.defaultParams = rule.Depends(w.view, w.root.Path("configuration", "rsc_defaults"), "instance_attributes")
		w.defaultParamsKnown = true
	}
	all := w.defaultParams
	for p := r; p != nil; p = p.parent {
		if !p.def.paramsOk {
			p.def.params, p.def.paramsOk = rule.Depends(w.view, p.xml, "instance_attributes"), true
		}
		all |= p.def.params
	}
	return all
}

// readUtilization reads what a resource needs of a node's capacities.
func (w *working) readUtilization(r *resource) map[string]int {
	c := rule.Context{View: w.view}
	pairs := c.Merge(nil, r.xml, "utilization", rule.Options{})
	if len(pairs) == 0 {
		return nil
	}
	m := make(map[string]int, len(pairs))
	for _, p := range pairs {
		m[p.Name] = capacity(leadingInteger(p.Value))
	}
	return m
}
