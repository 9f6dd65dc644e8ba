package sim

import "slices"

// spells are what faults make of one thing, the newest last; the newest counts.
// Faults overlap, and end in any order: each takes away its own spell, also when
// another one is its equal, and what an older fault does shows again.
type spells[T any] struct{ list []*T }

// cast begins a spell; the function that it returns ends it, once.
func (s *spells[T]) cast(what T) (end func()) {
	mine := &what
	s.list = append(s.list, mine)
	return func() {
		s.list = slices.DeleteFunc(s.list, func(one *T) bool { return one == mine })
	}
}

// now returns what the newest spell makes of it, usual if there is none.
func (s *spells[T]) now(usual T) T {
	if len(s.list) == 0 {
		return usual
	}
	return *s.list[len(s.list)-1]
}
