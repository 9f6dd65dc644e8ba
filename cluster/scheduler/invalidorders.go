package scheduler

// disableInvalid takes back orderings that contradict what things are: between a
// container and what runs inside, and of capacity where two migrations would
// wait for each other.
func (w *working) disableInvalid() {
	for i := len(w.actions) - 1; i >= 0; i-- {
		a := w.actions[i]
		for k := len(a.before) - 1; k >= 0; k-- {
			in := &a.before[k]
			switch {
			case in.effect&preserve == 0 && in.action.rsc != nil && isContainerOf(a.rsc, in.action.node):
				w.warn("order: " + in.action.rsc.id + " cannot come before " + a.rsc.id + ", which it runs in")
				in.effect = 0
			case in.effect == load && a.rsc != nil && a.task == taskMigrateTo:
				w.searches++
				if w.waitsForItself(a, a, in) {
					in.effect = 0
				}
			}
		}
	}
}

// isContainerOf reports whether a resource is the container that a guest node is.
func isContainerOf(r *resource, guest *node) bool {
	return r != nil && guest != nil && len(r.fillers) > 0 && guest.connection != nil && guest.connection.container == r
}

// waitsForItself reports whether a, through the predecessor in, comes before start.
func (w *working) waitsForItself(start, a *action, in *edge) bool {
	if in.action.seen == w.searches || !w.counts(a, in) {
		return false
	}
	if in.action == start {
		return true
	}
	in.action.seen = w.searches
	for k := len(in.action.before) - 1; k >= 0; k-- {
		if w.waitsForItself(start, in.action, &in.action.before[k]) {
			return true
		}
	}
	return false
}
