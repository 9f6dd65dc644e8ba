package scheduler

// connectionState is what can be done across the connection of a remote node.
type connectionState uint8

const (
	connectionUnknown connectionState = iota // not up, but may come up
	connectionAlive
	connectionResting // between two hosts
	connectionFailed  // only fencing helps
	connectionStopped
)

func (w *working) connectionState(n *node) connectionState {
	c := n.connection
	host, _, _ := w.activeNode(c)
	if c.next == Stopped || c.chosen == nil {
		switch {
		case host != nil && host.unclean:
			return connectionFailed
		case !c.failed:
			return connectionStopped
		case c.next == Stopped && c.reconnect > 0 && n.remoteFenced && !n.shutdownRequested():
			return connectionUnknown // the next attempt will tell
		}
		return connectionFailed
	}
	switch {
	case host == nil:
		return connectionUnknown
	case host.unclean, !host.online:
		return connectionResting
	case len(c.running) > 1 && c.migrationSource != nil && c.migrationTarget != nil:
		return connectionResting
	}
	return connectionAlive
}

// remoteFailed reports a remote node whose connection failed and cannot be
// made again from another node: it is lost until it is fenced.
func (w *working) remoteFailed(n *node) bool {
	return n.isRemote() && n.connection != nil && w.connectionState(n) == connectionFailed
}

// orderRemoteConnections puts actions on remote nodes and guests after their
// connection, and fences what cannot be reached.
func (w *working) orderRemoteConnections() {
	if !w.haveRemote {
		return
	}
	for i := len(w.actions) - 1; i >= 0; i-- {
		a := w.actions[i]
		if a.rsc == nil {
			continue
		}
		if a.rsc.isRemoteConn && a.task == taskClearFailcount {
			w.addOrdering(ordering{first: a.rsc, firstAction: a, then: a.rsc, thenTask: taskStart, effect: onlyOrder})
			continue
		}
		if a.node == nil || a.node.kind != remoteNode || a.is(pseudo) || a.node.connection == nil {
			continue
		}
		if a.task == taskStart {
			w.stopAfterConnection(a)
		}
		if a.node.connection.container != nil {
			w.orderByContainer(a)
		} else {
			w.orderByConnection(a)
		}
	}
}

// stopAfterConnection: what moves to a remote node is stopped elsewhere only
// when the connection is up: if that fails, it is left where it runs.
func (w *working) stopAfterConnection(start *action) {
	for _, a := range start.rsc.actions {
		if a.node != start.node && a.task == taskStop {
			w.addOrdering(ordering{first: start.node.connection, firstTask: taskStart, then: a.rsc, thenAction: a, effect: onlyOrder})
		}
	}
}

func (w *working) afterStart(first *resource, a *action, e effect) {
	w.addOrdering(ordering{first: first, firstTask: taskStart, then: a.rsc, thenAction: a, effect: preserve | thenNeedsFirst | e})
}

func (w *working) beforeStop(a *action, then *resource, e effect) {
	w.addOrdering(ordering{first: a.rsc, firstAction: a, then: then, thenTask: taskStop, effect: preserve | e})
}

// remoteTask: migrations concern a connection as stops do.
func remoteTask(a *action) string {
	if a.task == taskMigrateTo || a.task == taskMigrateFrom {
		return taskStop
	}
	return a.task
}

func (w *working) orderByConnection(a *action) {
	c, state := a.node.connection, w.connectionState(a.node)
	switch remoteTask(a) {
	case taskStart, taskPromote:
		if state == connectionFailed {
			w.afterStart(c, a, firstForcesThen)
		} else {
			w.afterStart(c, a, 0)
		}
	case taskStop:
		switch {
		case state == connectionAlive:
			w.beforeStop(a, c, thenForcesFirst)
		case state == connectionFailed:
			w.fenceNode(a.node, "resources run on "+a.node.name+", and its connection cannot be made again", false)
		case c.next == Stopped:
			w.beforeStop(a, c, thenForcesFirst)
		default:
			w.afterStart(c, a, 0)
		}
	case taskDemote:
		if state == connectionResting || state == connectionUnknown {
			w.afterStart(c, a, 0)
		}
	default:
		w.orderOthersByConnection(a, c, state)
	}
}

func (w *working) orderOthersByConnection(a *action, c *resource, state connectionState) {
	if a.interval != 0 {
		w.afterStart(c, a, firstForcesThen)
		return
	}
	if a.task == taskMonitor && state == connectionFailed {
		w.fenceNode(a.node, "nobody knows what runs on "+a.node.name+", and its connection cannot be made again", false)
	}
	if host, _, _ := w.activeNode(c); host != nil && state == connectionStopped {
		w.beforeStop(a, c, thenNeedsFirst)
	} else {
		w.afterStart(c, a, 0)
	}
}

func (w *working) orderByContainer(a *action) {
	c := a.node.connection
	if c.container.failed {
		w.fenceNode(a.node, "its container "+c.container.id+" failed", false)
	}
	switch remoteTask(a) {
	case taskStart, taskPromote:
		w.afterStart(c.container, a, firstForcesThen)
		w.afterStart(c, a, 0)
	case taskStop, taskDemote:
		if !c.container.failed { // else they are implied by its stop
			w.beforeStop(a, c, 0)
		}
	default:
		switch {
		case a.interval == 0:
			w.afterStart(c, a, 0)
		case a.task != taskCancel: // begins anew whenever the connection does
			w.afterStart(c, a, firstForcesThen)
		}
	}
}
