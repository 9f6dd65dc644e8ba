package scheduler

import "strings"

// fenceNode marks a node as one that has to be fenced (a guest: its container
// has to be recovered; a remote node: reset), because of why.
func (w *working) fenceNode(n *node, why string, priorityDelay bool) {
	switch {
	case n.isGuest():
		// The node itself stays clean: resources may run there once its container
		// has been recovered.
		if vm := n.connection.container; !vm.failed && vm.managed {
			n.remoteReset = true
			vm.failed, vm.stopWanted = true, true
			vm.failure = why
		}
	case n.isDanglingGuest():
		n.connection.failed, n.connection.stopWanted = true, true
	case n.isRemote():
		if n.connection == nil || n.connection.managed {
			n.remoteReset = true
		}
		n.markUnclean(why)
		w.fenceAction(n, "", true, why, false)
	case !n.unclean:
		n.markUnclean(why)
		w.fenceAction(n, "", true, why, priorityDelay)
	}
}

// markUnclean keeps the first reason.
func (n *node) markUnclean(why string) {
	if !n.unclean || n.uncleanWhy == "" {
		n.uncleanWhy = why
	}
	n.unclean = true
}

// isDanglingGuest reports a guest whose virtual machine is not configured any
// more: fencing it was done when that stopped.
func (n *node) isDanglingGuest() bool {
	c := n.connection
	return c != nil && c.container == nil && c.orphanFiller
}

// canFence reports whether fencing the node is possible at all now; without
// quorum only what is in this partition.
func (w *working) canFence(n *node) bool { return w.canFenceWithin(n, len(w.nodes)) }

// canFenceWithin is canFence as long as no more guests are in each other than
// depth. Histories that contradict each other let a guest run inside of itself:
// that is nowhere where it could be ended.
func (w *working) canFenceWithin(n *node, depth int) bool {
	if n != nil && n.isGuest() {
		for _, host := range n.connection.container.running {
			if !host.online && (depth == 0 || !w.canFenceWithin(host, depth-1)) {
				return false
			}
		}
		return true
	}
	if !w.options.fencing || !w.haveFencing {
		return false
	}
	return w.options.quorate || w.options.noQuorum == quorumIgnore || n != nil && n.online
}

// available reports whether resources may be placed on the node; with a table
// only if its score there is not negative; with considerGuest a guest only if
// its container can run.
func (w *working) available(n *node, t table, considerGuest bool) bool {
	if n == nil || !n.online || n.shutdown || n.unclean || n.standby || n.maintenance {
		return false
	}
	if t != nil && t.get(n).score < 0 {
		return false
	}
	if considerGuest && n.isGuest() {
		vm := n.connection.container
		return len(vm.methods.locations(vm, afterwards)) > 0
	}
	return true
}

// whyUnavailable says in words why nothing may be placed on the node.
func (n *node) whyUnavailable() string {
	switch {
	case n.unclean:
		why := firstOf(n.uncleanWhy, "its state was never seen")
		if rest, same := strings.CutPrefix(why, n.name+" "); same {
			why = "it " + rest
		}
		return n.name + " has to be fenced (" + why + ")"
	case !n.online:
		return n.name + " is offline"
	case n.shutdown:
		return n.name + " is shutting down"
	case n.pending:
		return n.name + " is still joining"
	case n.standby && n.standbyOnFail:
		return n.name + " is in standby because of a failure (on-fail=standby)"
	case n.standby:
		return n.name + " is in standby"
	case n.maintenance:
		return n.name + " is in maintenance"
	}
	return ""
}
