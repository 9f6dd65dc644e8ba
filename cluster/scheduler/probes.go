package scheduler

// scheduleProbes finds out what runs where, on every node that can say, for
// every resource of which that is not known.
func (w *working) scheduleProbes() {
	if !w.options.probes {
		return
	}
	for _, n := range w.nodes {
		switch {
		case !n.online:
			if w.remoteFailed(n) {
				w.fenceNode(n, "the connection to "+n.name+" cannot be made again", false)
			}
		case n.unclean || n.noDiscovery:
		case n.asksReprobe():
			w.askReprobe(n)
		default:
			w.probeAll(w.resources, n)
		}
	}
}

// asksReprobe is for documents of the time when each node probed everything by
// itself, and noted whether it had.
func (n *node) asksReprobe() bool {
	probed, ok := n.attrs["probe_complete"]
	return ok && !truth(probed)
}

func (w *working) askReprobe(n *node) {
	a := w.keyedAction(nil, taskReprobe+"-"+n.name, taskReprobe, 0, n, false)
	a.reason = n.name + " has not yet looked at what runs there"
	a.setMeta("op_no_wait", "true")
}

const taskReprobe = "probe_again"

// probeAll probes resources on a node, and reports whether there was anything to probe.
func (w *working) probeAll(list []*resource, n *node) bool {
	any := false
	for _, r := range list {
		if r.methods.createProbe(w, r, n) {
			any = true
		}
	}
	return any
}

// createProbe probes a primitive on a node, if what it is there is not known
// and may matter.
func (primitiveMethods) createProbe(w *working, r *resource, n *node) bool {
	if !w.mayProbe(r, n) || n.isGuest() && w.guestWillBeEmpty(r, n) {
		return false
	}
	probe := w.action(r, taskMonitor, 0, n, false)
	probe.clear(optional)
	probe.reason = firstOf(probe.reason, "it is not known yet whether it runs there")
	w.orderUnfencing(r, n, probe, onlyOrder)
	if !r.runs(n) {
		probe.target = exitNotRunning
	} else if r.role == Promoted {
		probe.target = exitPromoted
	}
	w.orderProbe(r, probe)
	return true
}

// orderProbe puts a start or reload after the probe. Of a clone all instances
// wait: which of them the probe finds is not known before.
func (w *working) orderProbe(r *resource, probe *action) {
	top := r.outermost(false)
	if top.variant != clone {
		top = r
	}
	e := onlyOrder
	if !probe.is(runnable) && len(r.running) == 0 {
		// What cannot be probed cannot be started, but what is active already need
		// not stop for it.
		e |= thenNeedsFirst
	}
	w.orderActionTask(probe, top, taskStart, e)
	if r.reloading {
		w.orderActionTask(probe, top, taskReload, onlyOrder)
	}
}

// mayProbe reports whether a primitive can be on a node at all, and it is not
// known whether it is.
func (w *working) mayProbe(r *resource, n *node) bool {
	switch {
	case n.isRemoteOrGuest() && (r.standard == "stonith" || r.isRemoteConn || n.isGuest() && w.guestIn(r) != nil):
		return false
	case r.container != nil && !r.isRemoteConn, r.orphan, r.isKnown(n):
		return false
	}
	allowed := r.allowed.get(n)
	if (r.exclusive || r.outermost(false).exclusive) && (!allowed.present || allowed.discover != discoverExclusive) {
		return false
	}
	if !allowed.present {
		return n.discover != discoverNever // it would have been allowed there if it might be there
	}
	return allowed.discover != discoverNever
}

// guestIn is the connection to the guest node that a resource is the virtual
// machine or container of, nil if it is none.
func (w *working) guestIn(r *resource) *resource {
	if !w.haveRemote {
		return nil
	}
	for _, f := range r.fillers {
		if f.isRemoteConn {
			return f
		}
	}
	return nil
}

// guestWillBeEmpty reports a guest node that need not be probed, because its
// container does not run, or will not run on; a start there waits for that.
func (w *working) guestWillBeEmpty(r *resource, n *node) bool {
	vm, top := n.connection.container, r.outermost(false)
	switch {
	case vm.role == Stopped:
		if vm.chosen != nil && !vm.isKnown(vm.chosen) {
			w.orderTasks(vm, taskMonitor, top, taskStart, onlyOrder)
		}
	case w.guestWillStop(n, vm):
		w.orderTasks(vm, taskStop, top, taskStart, onlyOrder)
	default:
		return false
	}
	return true
}

// guestWillStop tells, before actions are made, whether a container will be stopped.
func (w *working) guestWillStop(n *node, vm *resource) bool {
	return n.remoteReset || n.unclean || vm.failed || vm.next == Stopped ||
		vm.role.rank() > Stopped.rank() && vm.chosen != nil && !vm.runs(vm.chosen)
}
