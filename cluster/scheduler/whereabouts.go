package scheduler

import "slices"

func (primitiveMethods) state(r *resource, current bool) Role {
	if current {
		return r.role
	}
	return r.next
}

func (groupMethods) state(r *resource, current bool) Role { return highestRole(r, current) }
func (cloneMethods) state(r *resource, current bool) Role { return highestRole(r, current) }

// A bundle's containers have roles of their own; the bundle has none.
func (bundleMethods) state(r *resource, current bool) Role { return "" }

func highestRole(r *resource, current bool) Role {
	var highest Role
	for _, c := range r.children {
		if role := c.methods.state(c, current); role.rank() > highest.rank() {
			highest = role
		}
	}
	return highest
}

// active: what runs on an offline node is not active, unless it is unmanaged or
// nobody knows what the node does.
func (primitiveMethods) active(r *resource, all bool) bool {
	for _, n := range r.running {
		if n.unclean || n.online || !r.managed {
			return true
		}
	}
	return false
}

func (groupMethods) active(r *resource, all bool) bool {
	some, every := false, true
	for _, c := range r.children {
		if c.methods.active(c, all) {
			some = true
		} else {
			every = false
		}
	}
	return some && (!all || every)
}

func (cloneMethods) active(r *resource, all bool) bool {
	for _, c := range r.children {
		if c.methods.active(c, all) != all {
			return !all
		}
	}
	return all
}

func (bundleMethods) active(r *resource, all bool) bool {
	for _, p := range r.bundle.replicas {
		for _, c := range []*resource{p.ip, p.child, p.container, p.remote} {
			if c != nil && c.methods.active(c, all) != all {
				return !all
			}
		}
	}
	return all
}

func (primitiveMethods) locations(r *resource, at when) []*node { return r.appendLocations(nil, at) }
func (groupMethods) locations(r *resource, at when) []*node     { return r.appendLocations(nil, at) }
func (cloneMethods) locations(r *resource, at when) []*node     { return r.appendLocations(nil, at) }
func (bundleMethods) locations(r *resource, at when) []*node    { return r.appendLocations(nil, at) }

// appendLocations adds the nodes of a resource to a list, each once.
func (r *resource) appendLocations(list []*node, at when) []*node {
	for _, c := range r.children {
		list = c.appendLocations(list, at)
	}
	if len(r.children) > 0 {
		return list
	}
	if at != afterwards {
		for _, n := range r.running {
			if !slices.Contains(list, n) {
				list = append(list, n)
			}
		}
	}
	if at != atPresent && r.chosen != nil && !slices.Contains(list, r.chosen) {
		list = append(list, r.chosen)
	}
	return list
}
