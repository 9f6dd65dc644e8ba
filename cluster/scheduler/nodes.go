package scheduler

import (
	"maps"
	"sort"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// unpackNodes reads the members, their attributes and their states.
func (w *working) unpackNodes() {
	w.nodeByID, w.nodeByName = map[string]*member{}, map[string]*member{}
	for n := range w.root.Path("configuration", "nodes").Elements {
		if n.Name() != "node" || w.nodeByID[n.ID()] != nil || n.Attr("type") == "ping" {
			continue
		}
		m := &member{id: n.ID(), name: firstOf(n.Attr("uname"), n.ID())}
		m.attrs = w.view.Pairs(n, "instance_attributes", func(set *cib.Node) bool { return w.setApplies(set, ruleContext{node: m}) })
		w.nodes = append(w.nodes, m)
		w.nodeByID[m.id], w.nodeByName[m.name] = m, m
	}
	sort.SliceStable(w.nodes, func(i, j int) bool { return naturalLess(w.nodes[i].name, w.nodes[j].name) })
	for s := range w.root.Child("status").Elements {
		if m := w.nodeOf(s); m != nil && s.Name() == "node_state" {
			m.state = s
		}
	}
	for i, m := range w.nodes {
		m.index = i
		maps.Copy(m.attrs, w.view.Pairs(m.state.Child("transient_attributes"), "instance_attributes", nil))
		w.unpackNodeStatus(m)
	}
}

func (w *working) nodeOf(state *cib.Node) *member {
	if m := w.nodeByID[state.ID()]; m != nil {
		return m
	}
	return w.nodeByName[state.Attr("uname")]
}

// naturalLess orders names with numbers in them by their value: n2 before n10.
func naturalLess(a, b string) bool {
	x, y := strings.ToLower(a), strings.ToLower(b)
	for x != "" && y != "" {
		dx, dy := leadingDigits(x), leadingDigits(y)
		if dx > 0 && dy > 0 {
			m, n := strings.TrimLeft(x[:dx], "0"), strings.TrimLeft(y[:dy], "0")
			if m != n {
				return len(m) < len(n) || len(m) == len(n) && m < n
			}
			x, y = x[dx:], y[dy:]
			continue
		}
		if x[0] != y[0] {
			return x[0] < y[0]
		}
		x, y = x[1:], y[1:]
	}
	return len(x) < len(y)
}

func leadingDigits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }

// unpackNodeStatus decides whether the node is a member, and what else it is.
func (w *working) unpackNodeStatus(m *member) {
	s := &m.status
	peer := m.state.Attr("crmd") == "online" || m.state.Attr("crmd") == "1"
	inCluster := present(m.state.Attr("in_ccm"))
	join := m.state.Attr("join")
	if down := m.attrs["shutdown"]; down != "" && down != "0" {
		s.shutdown = true
	}
	if w.options.fencing {
		w.statusWithFencing(m, inCluster, peer, join)
	} else {
		s.online = inCluster && peer && join == "member" || s.shutdown && peer && inCluster
	}
	s.standby = s.standby || truth(m.attrs["standby"])
	s.maintenance = truth(m.attrs["maintenance"]) || w.options.maintenance
	switch {
	case s.unclean:
		s.why = "is lost and was not fenced"
	case !s.online:
		s.why = "is offline"
	case s.shutdown:
		s.why = "is shutting down"
	case s.pending:
		s.why = "is not ready yet"
	case s.standby:
		s.why = "is in standby"
	case s.maintenance:
		s.why = "is in maintenance"
	}
}

// statusWithFencing: a node that should be there but is not is unclean.
func (w *working) statusWithFencing(m *member, inCluster, peer bool, join string) {
	s := &m.status
	switch {
	case m.state == nil:
		s.unclean = w.options.startupFencing
		return
	case s.shutdown:
		s.online = peer
		return
	}
	s.online = inCluster
	switch {
	case firstOf(m.state.Attr("expected"), "down") == "down":
		s.pending = inCluster || peer
	case !inCluster, !peer:
		s.unclean = true
	case join == "member":
	case join == "pending", join == "down":
		s.pending = true
	default:
		s.unclean = true
	}
}

// present reads in_ccm: a boolean, or since feature set 3.18 a time.
func present(s string) bool {
	if v, ok := cib.ParseBool(s); ok {
		return v
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && n > 1
}

func truth(s string) bool {
	v, _ := cib.ParseBool(s)
	return v
}
