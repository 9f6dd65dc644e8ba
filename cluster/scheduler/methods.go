package scheduler

// methods is what the variants of a resource do differently. Each variant is
// one type without fields: primitiveMethods, groupMethods, cloneMethods,
// bundleMethods.
type methods interface {
	// assign gives the resource its node (prefer, if it may be there) and returns it.
	assign(w *working, r *resource, prefer *node) *node
	// createActions makes the actions that bring the resource from its role to its next one.
	createActions(w *working, r *resource)
	// createProbe makes a probe on a node if one is needed, and reports whether it did.
	createProbe(w *working, r *resource, n *node) bool
	// orderInternally makes the orderings between the resource's own actions.
	orderInternally(w *working, r *resource)
	// applyColocation applies a colocation to the dependent's scores (forDependent)
	// or hands it on to the primary's children.
	applyColocation(w *working, dependent, primary *resource, k *colocation, forDependent bool)
	// applyLocation applies a location constraint to the resource and its children.
	applyLocation(w *working, r *resource, l *location)
	// actionFlags are the flags of an action as others see it: a collection's sum up its children's.
	actionFlags(w *working, a *action, n *node) actionFlags
	// updateOrdered applies an ordering between two actions to both.
	updateOrdered(w *working, first, then *action, n *node, flags, filter actionFlags, e effect) changed
	// state is the role of the resource: now, or (current false) after the transition.
	state(r *resource, current bool) Role
	// active reports whether the resource is active: all of it, or any part.
	active(r *resource, all bool) bool
	// locations are the nodes where it is: now (current), or where it will be, or both.
	locations(r *resource, at when) []*node
	// addUtilization adds to sum what the resource will need on the node where it goes.
	addUtilization(w *working, r, orig *resource, all []*resource, sum map[string]int)
	// colocatedResources collects what has to be on the same node.
	colocatedResources(w *working, r, orig *resource, list []*resource) []*resource
	// lockToNode keeps the resource for a node that was shut down cleanly.
	lockToNode(w *working, r *resource)
}

// when says which locations are asked for.
type when uint8

const (
	atPresent when = iota
	afterwards
	atAnyTime
)

// changed says which end of an ordering was changed by it.
type changed uint8

const (
	changedFirst changed = 1 << iota
	changedThen
	changedDisabled // the ordering has nothing to say
)

// colocatedFlags tune addWishes.
type colocatedFlags uint8

const (
	addInit         colocatedFlags = 1 << iota // start with the resource's own scores
	addFollowed                                // go to what the resource depends on, not to what depends on it
	addPositiveOnly                            // no score becomes negative by it
	addActive                                  // give up what would leave no node
)

type (
	primitiveMethods struct{}
	groupMethods     struct{}
	cloneMethods     struct{}
	bundleMethods    struct{}
)
