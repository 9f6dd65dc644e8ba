package scheduler

import (
	"slices"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// Memo schedules one cluster again and again, and computes anew only what can
// have changed since the last call. What it returns is what Schedule returns,
// to the byte. The zero value is ready; it is not for concurrent use.
//
// Why that is right. The configuration falls into parts (memodivision.go): sets
// of top-level resources such that no constraint, tag or template names
// resources of two. A pass reads and changes a resource of one part because of
//
//   - the part's own configuration, history and constraints;
//   - what is said of all: options, defaults, nodes and their attributes, tickets;
//   - what other parts do to nodes and to gates that belong to no resource:
//     fencing, shutdown, standby after a failure, capacities. A cluster in which
//     any of this happens is not plain, and is computed as a whole;
//   - how many resources have been placed on each node so far (node.load, the
//     tie-break between equal nodes).
//
// Every pass goes through resources, constraints and histories in an order that
// does not depend on other parts. So the passes over a document without the
// other parts (memocut.go) do with one what they do over the whole, if the loads
// are those of the whole. These are kept from the last call (memoshares.go): each
// top-level resource begins with the loads that it began with then, and has to
// add to them what it added then. If it does not, others might choose
// differently, and all is computed.
//
// The transition consists of the shares of the top-level resources, one after
// the other (exportedInOrder), so the new shares of the parts that were computed
// anew take the place of the old ones (memosplice.go).
//
// Whatever changed but for results and fail counts of configured resources
// leads to a whole computation (memochange.go), as does whatever is not
// understood. That no action, ordering or colocation ties two parts is checked
// each time on what was really made.
type Memo struct {
	root *cib.Node // of the last call
	now  time.Time
	last *Transition // of the last call

	division *division // of the last configuration
	pieces   []piece   // of last, in the order of working.resources; nil: it cannot be built upon
	shares   *shares
	states   []nodeHistory // of root's status section; nil: not looked at yet
}

// piece is what one top-level resource contributes to a transition.
type piece struct {
	id          string
	part        partID
	actions     int // index of the first of its actions; the next piece has that of the first behind
	order       int
	allocations int
	until       time.Time // see resource
	recheck     time.Time
}

// Schedule is Schedule of the package. Of the transition nothing may be
// changed: later ones share it.
func (m *Memo) Schedule(root *cib.Node, now time.Time) *Transition {
	t := m.again(root, now)
	if t == nil {
		t = m.whole(root, now)
	}
	m.root, m.now, m.last = root, now, t
	return t
}

// whole computes everything, and keeps what later calls need.
func (m *Memo) whole(root *cib.Node, now time.Time) *Transition {
	if config := root.Child("configuration"); m.division == nil || m.division.config != config {
		m.division = divide(root)
	}
	m.shares, m.states = &shares{}, nil
	w := m.working(root, now, m.shares)
	w.unpackConfiguration()
	warned := len(w.warnings)
	w.unpackStatus()
	t := w.decide()
	m.shares.fenceDevice = w.haveFencing
	m.pieces = m.piecesOf(w, t, warned)
	return t
}

// again computes anew what changed; nil if that cannot be told from the rest.
func (m *Memo) again(root *cib.Node, now time.Time) *Transition {
	if m.pieces == nil || now.Before(m.now) {
		return nil
	}
	stale, states, ok := m.changed(root, now)
	if !ok {
		return nil
	}
	if len(stale) == 0 {
		m.states = states
		return m.last
	}
	places := m.placesOf(stale)
	if places == nil || len(places) > len(m.pieces)/2 {
		return nil
	}
	w := m.working(m.cut(root, states, stale), now, m.shares.of(places))
	w.unpackConfiguration()
	warned := len(w.warnings)
	w.unpackStatus()
	if !m.holds(w.resources, places) {
		return nil
	}
	t := w.decide()
	fresh := m.piecesOf(w, t, warned)
	if fresh == nil || w.shares.differ {
		return nil
	}
	m.states = states
	return m.splice(places, fresh, t)
}

// piecesOf are the pieces of a transition that was just computed, and behind
// them one that says where they end; nil if they cannot be told apart. warned is
// how many warnings the configuration gave.
func (m *Memo) piecesOf(w *working, t *Transition, warned int) []piece {
	if m.division.undivided || w.total > maxResources || len(w.warnings) > warned || !w.isPlain() || !m.division.assign(w.resources) || !w.partsAreApart() {
		return nil
	}
	pieces := cutUp(w, t)
	if !earliest(pieces).Equal(t.Recheck) {
		return nil
	}
	return pieces
}

func (m *Memo) working(root *cib.Node, now time.Time, s *shares) *working {
	w := newWorkingWith(root, m.division.view, now)
	w.shares = s
	return w
}

// placesOf are the indices of the pieces whose parts are stale; nil if a part has
// none, because its configuration makes no sense.
func (m *Memo) placesOf(stale map[partID]bool) []int {
	var places []int
	found := map[partID]bool{}
	for i := range m.pieces {
		if part := m.pieces[i].part; stale[part] {
			places = append(places, i)
			found[part] = true
		}
	}
	if len(found) < len(stale) {
		return nil
	}
	return places
}

// holds reports whether the resources are those of the places, so that no orphan came.
func (m *Memo) holds(resources []*resource, places []int) bool {
	return slices.EqualFunc(resources, places, func(r *resource, at int) bool { return r.id == m.pieces[at].id })
}

// isPlain reports a cluster in which no part did anything that others could
// notice: there is no action without a resource (fencing, shutdowns, gates), no
// node is what it is because of a history, and there are no orphans, whose order
// is that of the histories.
func (w *working) isPlain() bool {
	if len(w.single) > 0 || w.haveRemote || w.haveUnfence || w.utilization || w.options.shutdownLock {
		return false
	}
	for _, n := range w.nodes {
		if n.unclean || n.standbyOnFail {
			return false
		}
	}
	return !slices.ContainsFunc(w.resources, func(r *resource) bool { return r.orphan })
}

// partsAreApart reports that nothing that was made ties resources of two parts.
func (w *working) partsAreApart() bool {
	apart := func(a, b *resource) bool { return a != nil && b != nil && (a.part != b.part || a.part == 0) }
	for _, k := range w.colocations {
		if apart(k.dependent, k.primary) {
			return false
		}
	}
	for _, o := range w.orderings {
		if apart(o.first, o.then) {
			return false
		}
	}
	for _, a := range w.actions {
		for i := range a.before {
			if apart(a.rsc, a.before[i].action.rsc) {
				return false
			}
		}
	}
	for _, top := range w.resources {
		for r := range top.primitives {
			if apart(r, r.container) {
				return false
			}
		}
	}
	return true
}
