package scheduler

import (
	"strconv"

	"github.com/takt-ha/takt/cluster/cib"
)

// unpackStatus reads the status section: tickets, states of nodes, and with
// unpackNodeHistory what ran where; in the order that lets remote nodes come
// after what connects them.
func (w *working) unpackStatus() {
	status := w.root.Child("status")
	for s := range status.Elements {
		switch s.Name() {
		case "tickets":
			w.unpackTickets(s)
		case "node_state":
			w.unpackNodeState(s)
		}
	}
	for w.unpackHistories(status, false) {
	}
	w.unpackHistories(status, w.options.fencing)
	for _, container := range w.stops {
		if n, _, _ := w.activeNode(container); n != nil {
			w.stopAction(container, n, false)
		}
	}
	for _, n := range w.nodes {
		if n.kind != remoteNode {
			continue
		}
		if n.shutdown && n.connection != nil {
			n.connection.next = Stopped
		}
		if !n.unpackedHistory {
			w.unpackRemoteState(n)
		}
	}
}

func (w *working) nodeOf(state *cib.Node) *node {
	if n := w.nodeByID[state.ID()]; n != nil {
		return n
	}
	return w.nodeByName[state.Attr("uname")]
}

func (w *working) unpackNodeState(s *cib.Node) {
	n := w.nodeOf(s)
	if n == nil {
		return
	}
	n.state = s
	if n.kind == remoteNode {
		// Whether it is online follows from its connection's history; that it was
		// fenced plays a role before.
		n.remoteFenced = atoi(s.Attr("node_fenced")) != 0 // the time when
		return
	}
	w.addNodeAttrs(n, s.Child("transient_attributes"), true)
	n.standby = n.standby || truth(n.attrs["standby"])
	n.maintenance = n.maintenance || truth(n.attrs["maintenance"])
	n.unclean, n.unseen = false, false
	n.shutdown = n.shutdownRequested()
	n.expectedUp = !n.shutdown && s.Attr("expected") == "member"
	if w.options.fencing {
		n.online = w.onlineWithFencing(n, s)
	} else {
		n.online = w.onlineWithoutFencing(n, s)
	}
	if !n.online || n.shutdown {
		n.weight = -Infinity
	}
	if n.online && !w.options.quorate && w.options.noQuorum == quorumFence {
		w.fenceNode(n, "the cluster does not have quorum", false)
	}
}

func (n *node) shutdownRequested() bool {
	v, ok := n.attrs["shutdown"]
	return ok && v != "0"
}

func (w *working) onlineWithoutFencing(n *node, s *cib.Node) bool {
	switch {
	case !present(s.Attr("in_ccm")):
		return false
	case onlinePeer(s):
		return s.Attr("join") == "member"
	case n.expectedUp:
		w.fenceNode(n, n.name+" is down unexpectedly", false)
	}
	return false
}

// onlineWithFencing: a node that should be there but is not has to be fenced.
func (w *working) onlineWithFencing(n *node, s *cib.Node) bool {
	membership, seen := s.Lookup("in_ccm")
	inCluster, peer, join := present(membership), onlinePeer(s), s.Attr("join")
	terminate := wantsTermination(n.attrs["terminate"])
	switch {
	case n.shutdown: // a dead peer cannot be shut down
		return peer
	case !seen:
		w.fenceNode(n, n.name+" has not been seen by the cluster", false)
	case join == "banned":
		w.fenceNode(n, n.name+" was refused as a member", false)
	case !terminate && firstOf(s.Attr("expected"), "down") == "down":
		if inCluster || peer {
			n.standby, n.pending = true, true
		}
	case terminate && join == "down" && !inCluster && !peer: // it was just fenced
		return false
	case !inCluster:
		w.fenceNode(n, n.name+" is not part of the cluster any more", true)
	case !peer:
		w.fenceNode(n, "the cluster's daemon on "+n.name+" is gone", false)
	case terminate:
		w.fenceNode(n, "somebody asked for the fencing of "+n.name, false)
	case join == "member":
	case join == "pending", join == "down":
		n.standby, n.pending = true, true
	default:
		w.fenceNode(n, n.name+" is in an unknown state of joining ("+join+")", false)
	}
	return inCluster
}

// wantsTermination reads the node attribute terminate: a boolean or a time.
func wantsTermination(s string) bool {
	return truth(s) || s != "" && s[0] >= '1' && s[0] <= '9'
}

// present reads in_ccm: a boolean, or in newer feature sets a time.
func present(s string) bool {
	if v, ok := cib.ParseBool(s); ok {
		return v
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && n > 1
}

func onlinePeer(s *cib.Node) bool { return s.Attr("crmd") == "online" || present(s.Attr("crmd")) }

// unpackHistories goes through the histories of nodes that can be judged now,
// and reports whether there were any: others may depend on them. With all it
// takes those that are left.
func (w *working) unpackHistories(status *cib.Node, all bool) bool {
	again := false
	for s := range status.Elements {
		if s.Name() != "node_state" || s.ID() == "" || s.Attr("uname") == "" {
			continue
		}
		n := w.nodeOf(s)
		if n == nil || n.unpackedHistory || !all && !w.historyIsDue(n) {
			continue
		}
		n.unpackedHistory = true
		n.state = s
		if n.kind == remoteNode {
			w.unpackRemoteState(n)
			w.unpackRemoteAttrs(n, s)
		}
		w.unpackNodeHistory(n)
		again = true
	}
	return again
}

// historyIsDue: what ran on a guest or remote node is only known once its
// connection (and container) is known to be up. Without fencing and shutdown
// locks, what an offline node did does not matter.
func (w *working) historyIsDue(n *node) bool {
	c := n.connection
	switch {
	case n.isGuest():
		return c.role == Started && c.container.role == Started
	case n.kind == remoteNode:
		return c != nil && (w.options.shutdownLock || c.role == Started)
	}
	return w.options.fencing || w.options.shutdownLock || n.online
}

// unpackRemoteState decides from the connection's history whether a remote or
// guest node is online.
func (w *working) unpackRemoteState(n *node) {
	c := n.connection
	if c == nil {
		n.online = false
		return
	}
	var host *node
	if c.container != nil && len(c.running) == 1 {
		host = c.running[0]
	}
	if c.role == Started {
		n.online = true
		n.shutdown = n.shutdown || c.next == Stopped
	}
	switch {
	case c.container != nil && c.container.failed:
		n.online, n.remoteReset = false, true
	case c.failed:
		n.online = false
	case c.role == Stopped, c.container != nil && c.container.role == Stopped:
		n.online, n.remoteReset = false, false
	case host != nil && !host.online && host.unclean:
		n.online, n.remoteReset = false, true
	}
}

func (w *working) unpackRemoteAttrs(n *node, s *cib.Node) {
	if !n.remoteReset {
		n.unclean, n.unseen = false, false
	}
	w.addNodeAttrs(n, s.Child("transient_attributes"), true)
	n.shutdown = n.shutdown || n.shutdownRequested()
	n.standby = n.standby || truth(n.attrs["standby"])
	if truth(n.attrs["maintenance"]) || n.connection != nil && !n.connection.managed {
		n.maintenance = true
	}
	if d, ok := n.attrs["resource-discovery-enabled"]; ok && !truth(d) {
		if n.isRemote() && !w.options.fencing {
			w.warn("node " + n.name + ": resource-discovery-enabled is ignored, because stonith-enabled is false")
		} else {
			n.noDiscovery = true
		}
	}
}
