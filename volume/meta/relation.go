package meta

import "github.com/takt-ha/takt/volume"

// Relation is what the data of one replica is to that of another, as their
// generations say.
//
//	           G1 ──G2 (current)        the bitmap generation is the current one of the moment in which
//	          ╱                         the peer was last in step: what was written since then is marked
//	──G0─────•
//	          ╲
//	           G1'── (current)          neither descends from the other: Diverged
type Relation uint8

// The relations, seen from the first of the two.
const (
	Unrelated    Relation = iota // nothing in common: two volumes, or more than HistorySize generations apart
	BothFresh                    // neither has ever held data
	Same                         // one generation: only marked blocks may differ
	Newer                        // descends from the other's, and the bitmap says what was written since
	NewerFull                    // descends from the other's, but no bitmap knows the differences
	Older                        // the other descends from this one, with its bitmap
	OlderFull                    // likewise, without
	Diverged                     // both were written since they were last in step; both bitmaps know
	DivergedFull                 // likewise, without bitmaps
)

var relationWords = []string{"unrelated", "both fresh", "the same", "newer", "newer by far", "older", "older by far", "diverged", "diverged by far"}

// String returns words for people.
func (r Relation) String() string { return relationWords[r] }

// Opposite is the relation seen from the other.
func (r Relation) Opposite() Relation {
	switch r {
	case Newer:
		return Older
	case NewerFull:
		return OlderFull
	case Older:
		return Newer
	case OlderFull:
		return NewerFull
	}
	return r
}

// Relate compares the generations a of node aID with b of node bID.
func Relate(a Generations, aID volume.NodeID, b Generations, bID volume.NodeID) Relation {
	switch {
	case a.Fresh() && b.Fresh():
		return BothFresh
	case b.Fresh():
		return NewerFull
	case a.Fresh():
		return OlderFull
	case a.Current == b.Current:
		return Same
	}
	newer, older := a.descends(b.Current), b.descends(a.Current)
	switch {
	case newer && older: // no history gives this; whatever happened, nobody may be overwritten by it
		return DivergedFull
	case newer && a.marksSince(bID, b.Current):
		return Newer
	case older && b.marksSince(aID, a.Current):
		return Older
	case newer:
		return NewerFull
	case older:
		return OlderFull
	case a.Bitmap[bID] != 0 && a.Bitmap[bID] != volume.JustCreated && a.Bitmap[bID] == b.Bitmap[aID]:
		return Diverged
	case a.shares(b):
		return DivergedFull
	}
	return Unrelated
}

// Fresh says whether the replica has never held data.
func (g Generations) Fresh() bool { return g.Current == 0 || g.Current == volume.JustCreated }

// Within says whether x is the current generation or an ancestor.
func (g Generations) Within(x volume.Generation) bool { return g.Current == x || g.descends(x) }

// marksSince says whether the bitmap for node id holds all that was written since the ancestor x: it does if it holds
// what was written since an even older one.
func (g Generations) marksSince(id volume.NodeID, x volume.Generation) bool {
	since := g.Bitmap[id]
	if since == 0 || since == x {
		return since != 0
	}
	for _, h := range g.History {
		if h == x {
			return true
		}
		if h == since || h == 0 {
			return false
		}
	}
	return false
}

// descends says whether x is an ancestor.
func (g Generations) descends(x volume.Generation) bool {
	if x == 0 || x == volume.JustCreated {
		return false
	}
	for _, h := range g.History {
		if h == x {
			return true
		}
	}
	for _, h := range g.Bitmap {
		if h == x {
			return true
		}
	}
	return false
}

// shares says whether both have an ancestor in common.
func (g Generations) shares(other Generations) bool {
	for _, h := range g.History {
		if other.descends(h) {
			return true
		}
	}
	for _, h := range g.Bitmap {
		if other.descends(h) {
			return true
		}
	}
	return false
}

// Begin makes next the current generation and the one before it the newest of the history. Bitmap generations are the caller's.
func (g *Generations) Begin(next volume.Generation) {
	if !g.Fresh() {
		copy(g.History[1:], g.History[:])
		g.History[0] = g.Current
	}
	g.Current = next
}
