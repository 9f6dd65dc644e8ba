package detector

// Bounds of what an Identity remembers.
const (
	maxCandidates = 4
	maxSuperseded = 256
)

// Admission is what an Identity thinks of a datagram.
type Admission uint8

// The admissions. Only Current and Promoted datagrams may change any state.
const (
	Current    Admission = iota // from the peer's present life
	Promoted                    // from a new life that has just become the present one
	Pending                     // from a life that has not yet had the time to prove itself
	Unproven                    // it echoes another life of this node: a recording, or the peer does not hear this node
	Duplicate                   // a second live process under this id
	Superseded                  // from a life that ended
)

/*
Identity follows the lives of one peer. A life is one pulse process, named by a
random incarnation.

	unheard ──authentic──▶ candidate ──echoes my incarnation, present one quiet──▶ present ──▶ superseded
	                           └──────echoes my incarnation, present one talks──▶ Duplicate

A candidate is challenged: heartbeats carry its incarnation back, so that a
live peer learns this node's incarnation to be fresh and echoes it in turn.
A recording of an earlier life cannot do that. Times are undisturbed
nanoseconds. The zero value needs Quiet and Patience.
*/
type Identity struct {
	Quiet    int64 // ns of silence after which a new life may follow the present one
	Patience int64 // ns that a candidate has before it counts as Unproven

	current    uint64
	heard      int64
	candidates [maxCandidates]candidate
	turn       int
	superseded [maxSuperseded]uint64
	ended      int // lives ever superseded
}

type candidate struct {
	incarnation  uint64
	first, heard int64
}

// Current returns the incarnation of the peer's present life, 0 if none is known.
func (i *Identity) Current() uint64 { return i.current }

// Over tells whether that life ended, as far as is remembered.
func (i *Identity) Over(incarnation uint64) bool {
	for k := range min(i.ended, maxSuperseded) {
		if i.superseded[k] == incarnation {
			return true
		}
	}
	return false
}

// Admit judges an authentic, never seen datagram of a life. echoed is the
// incarnation that the peer hears under this node's id (0 if none), mine the
// true one.
func (i *Identity) Admit(now int64, incarnation, echoed, mine uint64) Admission {
	proven := echoed == mine
	switch {
	case incarnation == i.current && i.current != 0:
		return i.present(now, echoed, proven)
	case incarnation == 0 || i.Over(incarnation):
		return Superseded
	}
	c := i.candidate(now, incarnation)
	c.heard = now
	switch {
	case !proven && echoed != 0 && now-c.first >= i.Patience:
		return Unproven
	case !proven && i.current != 0 && now-c.first >= i.Patience && now-i.heard < i.Quiet:
		return Duplicate // it hears nobody, and the present one talks
	case !proven:
		return Pending
	case i.current != 0 && i.heard > c.first:
		if now-i.heard < i.Quiet {
			return Duplicate // both talk
		}
	case i.current != 0 && now-i.heard < i.Quiet:
		return Pending // a restart, most likely: see whether the present life is over
	}
	i.promote(now, c)
	return Promoted
}

// present judges a datagram of the present life.
func (i *Identity) present(now int64, echoed uint64, proven bool) Admission {
	switch {
	case proven:
		i.heard = now
		return Current
	case echoed == 0:
		return Pending // sent before it heard this node, and overtaken on another link
	}
	return Duplicate // it hears somebody else under this node's id
}

// candidate returns the slot of a life, taking the longest unheard one if it is new.
func (i *Identity) candidate(now int64, incarnation uint64) *candidate {
	oldest := &i.candidates[0]
	for k := range i.candidates {
		c := &i.candidates[k]
		if c.incarnation == incarnation {
			return c
		}
		if c.incarnation == 0 || (oldest.incarnation != 0 && c.heard < oldest.heard) {
			oldest = c
		}
	}
	*oldest = candidate{incarnation: incarnation, first: now}
	return oldest
}

func (i *Identity) promote(now int64, c *candidate) {
	if i.current != 0 {
		i.superseded[i.ended%maxSuperseded] = i.current
		i.ended++
	}
	i.current, i.heard = c.incarnation, now
	*c = candidate{}
}

// Challenge returns the incarnation of a candidate heard within Patience, each
// in its turn, or 0.
func (i *Identity) Challenge(now int64) uint64 {
	for range i.candidates {
		i.turn = (i.turn + 1) % maxCandidates
		c := &i.candidates[i.turn]
		if c.incarnation != 0 && now-c.heard < i.Patience {
			return c.incarnation
		}
	}
	return 0
}
