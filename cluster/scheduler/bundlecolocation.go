package scheduler

// applyColocation places a dependent with the containers of a bundle, or with
// those whose inside is in the role that it asks for. A bundle as a dependent
// never gets here: its containers follow in its stead.
func (bundleMethods) applyColocation(w *working, dependent, primary *resource, k *colocation, _ bool) {
	if !primary.assigned {
		return
	}
	if k.dependent.variant > group {
		w.colocateWithNeighbour(dependent, primary, k)
		return
	}
	if k.score < Infinity {
		for _, p := range primary.bundle.replicas {
			p.container.methods.applyColocation(w, dependent, p.container, k, false)
		}
		return
	}
	var on []place
	for _, p := range primary.bundle.replicas {
		at := p.container.methods.locations(p.container, afterwards)
		if len(at) == 0 || p.container.isBlocked() {
			continue
		}
		if k.primaryRole == Promoted && (p.child == nil || p.child.next != Promoted) {
			continue
		}
		on = append(on, p.container.placeOn(at[0]))
	}
	w.keepOnly(dependent, on, k, func() string {
		return dependent.id + " must be where a container of " + primary.id + " is (" + k.words() + ")"
	})
}

// applyLocation: where a bundle may be is where its containers and their
// addresses may be; what is about roles concerns the inside.
func (bundleMethods) applyLocation(w *working, r *resource, l *location) {
	applyOwnLocation(r, l, true)
	for _, p := range r.bundle.replicas {
		p.container.methods.applyLocation(w, p.container, l)
		if p.ip != nil {
			p.ip.methods.applyLocation(w, p.ip, l)
		}
	}
	if inside := r.bundle.child; inside != nil && (l.role == Promoted || l.role == Unpromoted) {
		inside.methods.applyLocation(w, inside, l)
		inside.located = append([]*location{l}, inside.located...)
	}
}
