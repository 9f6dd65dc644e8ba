package scheduler

import "strings"

// updateOrdered of a clone changes its own action and those of its instances;
// an interleaved one's instances only heed what is on their own node.
func (cloneMethods) updateOrdered(w *working, first, then *action, n *node, flags, filter actionFlags, e effect) changed {
	return w.updateCollection(first, then, n, flags, filter, e)
}

// updateOrdered of a bundle is that of a clone of containers.
func (bundleMethods) updateOrdered(w *working, first, then *action, n *node, flags, filter actionFlags, e effect) changed {
	return w.updateCollection(first, then, n, flags, filter, e)
}

func (w *working) updateCollection(first, then *action, n *node, flags, filter actionFlags, e effect) (done changed) {
	if interleaved(first, then) {
		for _, c := range then.rsc.instances() {
			done |= w.updateInterleaved(first, then, c, n, filter, e)
		}
		return done
	}
	if then.rsc == nil {
		return 0
	}
	done = w.updateActions(first, then, flags, filter, e)
	for _, c := range then.rsc.instances() {
		a := c.latest(then.task, n)
		if a == nil || c.methods.actionFlags(w, a, n)&runnable == 0 {
			continue
		}
		its := c.methods.updateOrdered(w, first, a, n, flags, filter, e)
		done |= its
		if its&changedThen == 0 {
			continue
		}
		for i := len(a.after) - 1; i >= 0; i-- {
			w.update(a.after[i].action)
		}
	}
	return done
}

// interleaved reports whether an ordering of two collections only counts for
// instances on the same node. On the way down the one that goes first decides:
// it is the one that depends.
func interleaved(first, then *action) bool {
	if first.rsc == nil || then.rsc == nil || first.rsc == then.rsc || first.rsc.variant < clone || then.rsc.variant < clone {
		return false
	}
	r := then.rsc
	if endsIn(then.key, taskStop) || endsIn(then.key, taskDemote) {
		r = first.rsc
	}
	return truth(r.metaOf("interleave"))
}

// endsIn reports whether a key is of a task, or of a notification about it.
func endsIn(key, task string) bool { return key == task || strings.HasSuffix(key, "_"+task) }

// updateInterleaved ties the action of one instance to that of its neighbour.
func (w *working) updateInterleaved(first, then *action, c *resource, n *node, filter actionFlags, e effect) (done changed) {
	current := endsIn(first.key, taskStopped) || endsIn(first.key, taskDemoted)
	neighbour := w.compatibleInstance(c, first.rsc, "", current)
	if neighbour == nil {
		// With nobody there to go with it must not start.
		if !current && e&(thenNeedsFirst|firstForcesThen) != 0 && w.assignTo(c, nil, true) {
			c.waits = "no instance of " + first.rsc.id + " is left that it could follow"
			done |= changedThen
		}
		return done
	}
	a, b := firstOfPair(first, neighbour, n), thenOfPair(then, c, n)
	if a == nil || b == nil {
		return 0
	}
	if w.order(a, b, e) {
		done |= changedFirst | changedThen
	}
	return done | c.methods.updateOrdered(w, a, b, n, neighbour.methods.actionFlags(w, a, n), filter, e)
}

// firstOfPair is the action of an instance for which a collection's stands. When
// a bundle stops it is what runs inside that others wait for.
func firstOfPair(first *action, c *resource, n *node) *action {
	if inside := c.inside(first.rsc); inside != nil && strings.Contains(first.task, taskStop) {
		c = inside
	}
	return c.latest(first.instanceTask(), n)
}

// thenOfPair is the same for the other end: only what is inside a bundle's
// container has roles.
func thenOfPair(then *action, c *resource, n *node) *action {
	if inside := c.inside(then.rsc); inside != nil && strings.Contains(then.task, "mote") {
		c = inside
	}
	return c.latest(then.task, n)
}

// inside is what runs inside a container of a bundle, nil if it is none.
func (r *resource) inside(b *resource) *resource {
	if b.variant == bundle && r.replica != nil && r.replica.container == r {
		return r.replica.child
	}
	return nil
}
