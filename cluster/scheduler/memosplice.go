package scheduler

import "time"

// cutUp finds the pieces of a transition, and where the last ends.
func cutUp(w *working, t *Transition) []piece {
	pieces := make([]piece, len(w.resources)+1)
	end := piece{}
	for i, top := range w.resources {
		p := end
		p.id, p.part = top.id, top.part
		end.measure(top, &p)
		for end.order < len(t.Order) && int(t.Order[end.order].After) < end.actions {
			end.order++
		}
		pieces[i] = p
	}
	pieces[len(w.resources)] = end
	return pieces
}

// measure moves the end of a piece behind what a resource contributes, and adds
// to p when that changes by itself.
func (end *piece) measure(r *resource, p *piece) {
	for _, a := range r.actions {
		if a.is(exported) {
			end.actions++
		}
	}
	if r.variant == primitive {
		end.allocations++
	}
	p.until, p.recheck = earlier(p.until, r.until), earlier(p.recheck, r.recheck)
	for _, c := range r.children {
		end.measure(c, p)
	}
}

// earlier is the earlier of two times; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// earliest is when the first of the pieces wants a new look.
func earliest(pieces []piece) time.Time {
	var t time.Time
	for i := range pieces {
		t = earlier(t, pieces[i].recheck)
	}
	return t
}

// splice puts the fresh pieces of t in the places of old ones.
func (m *Memo) splice(places []int, fresh []piece, t *Transition) *Transition {
	s := splicing{}
	s.old = source{m.last, m.pieces, make([]ActionID, len(m.last.Actions))}
	s.fresh = source{t, fresh, make([]ActionID, len(t.Actions))}
	k := 0
	s.walk(places, func(from *source, i int) { k += from.pieces[i+1].actions - from.pieces[i].actions })
	s.to = &Transition{Actions: make([]Action, 0, k), Order: make([]Ordering, 0, len(m.last.Order)+len(t.Order)),
		Allocations: make([]Allocation, 0, len(m.last.Allocations)+len(t.Allocations)), Warnings: m.last.Warnings}
	s.pieces = make([]piece, 0, len(m.pieces))
	s.walk(places, s.take)
	s.pieces = append(s.pieces, piece{actions: len(s.to.Actions), allocations: len(s.to.Allocations)})
	k = 0
	s.walk(places, func(from *source, i int) {
		s.pieces[k].order = len(s.to.Order)
		s.takeOrder(from, i)
		k++
	})
	s.pieces[k].order = len(s.to.Order)
	if len(s.to.Allocations) == 0 {
		s.to.Allocations = nil
	}
	m.pieces = s.pieces
	s.to.Recheck = earliest(m.pieces)
	return s.to
}

// splicing makes one transition out of two.
type splicing struct {
	old, fresh source
	to         *Transition
	pieces     []piece
}

// source is a transition with its pieces, and what its actions are called in
// the one that is made.
type source struct {
	*Transition
	pieces []piece
	ids    []ActionID
}

// walk goes through the pieces in order: those of places are fresh.
func (s *splicing) walk(places []int, visit func(from *source, i int)) {
	k := 0
	for i := range len(s.old.pieces) - 1 {
		if k < len(places) && places[k] == i {
			visit(&s.fresh, k)
			k++
		} else {
			visit(&s.old, i)
		}
	}
}

// take adds a piece's actions and allocations.
func (s *splicing) take(from *source, i int) {
	p, next := from.pieces[i], from.pieces[i+1]
	first := len(s.to.Actions)
	s.to.Actions = append(s.to.Actions, from.Actions[p.actions:next.actions]...)
	for k := p.actions; k < next.actions; k++ {
		id := ActionID(first + k - p.actions)
		from.ids[k], s.to.Actions[id].ID = id, id
	}
	p.actions, p.allocations = first, len(s.to.Allocations)
	s.to.Allocations = append(s.to.Allocations, from.Allocations[from.pieces[i].allocations:next.allocations]...)
	s.pieces = append(s.pieces, p)
}

// takeOrder adds a piece's orderings, when all actions have their new ids.
func (s *splicing) takeOrder(from *source, i int) {
	for _, o := range from.Order[from.pieces[i].order:from.pieces[i+1].order] {
		s.to.Order = append(s.to.Order, Ordering{Before: from.ids[o.Before], After: from.ids[o.After]})
	}
}
