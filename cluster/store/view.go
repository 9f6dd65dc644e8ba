package store

import (
	"slices"

	"github.com/takt-ha/takt/cluster/cib"
)

// View is what there is to know of a log at one moment. Who decides by several of
// its parts takes them from one View: the moments of two calls may differ.
type View struct {
	State      State
	Leadership Leadership
	Position   Position
	Pledged    Lineage      // what the log is bound by; zero: it is free
	Pending    []cib.NodeID // the voters as a change would have them that is not known to be committed; nil: there is none
}

// View returns the newest moment. It never blocks.
func (s *Store) View() View { return *s.view.Load() }

// State returns the newest applied version. It never blocks.
func (s *Store) State() State { return s.view.Load().State }

// Leadership returns who coordinates, as this node knows it. It never blocks.
func (s *Store) Leadership() Leadership { return s.view.Load().Leadership }

// Position returns how much this node's log holds. It never blocks.
func (s *Store) Position() Position { return s.view.Load().Position }

// Pledged returns what the log is bound by; zeros if it is free. It never blocks.
func (s *Store) Pledged() (generation uint64, claimer cib.NodeID) {
	l := s.view.Load().Pledged
	return l.Generation, l.Claimer
}

// Pending returns the voters as a change would have them that is in this node's log
// and not known to be committed; nil: there is none. It never blocks.
func (s *Store) Pending() []cib.NodeID { return s.view.Load().Pending }

func (c *Core) view() *View {
	return &View{State: *c.State(), Leadership: c.Leadership(), Position: c.Position(), Pledged: c.Pledged(), Pending: c.Pending()}
}

// show shows readers what a step came to. It goes before the step's effects:
// whoever has a notice, an answer, or a message that this log confirms, and then
// looks, must not see what was before.
func (s *Store) show() {
	old, now := s.view.Load(), s.core.view()
	if s.core.stopped { // what a failed write was to make durable does not count
		now.Position, now.Pledged, now.Pending = old.Position, old.Pledged, old.Pending
	}
	s.view.Store(now)
	if old.Pledged != now.Pledged || !slices.Equal(old.Pending, now.Pending) {
		s.stateNews.notify()
	}
}
