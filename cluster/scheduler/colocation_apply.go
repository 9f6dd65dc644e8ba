package scheduler

import "strings"

// colocationEffect is what a colocation means for a dependent at some moment.
type colocationEffect uint8

const (
	colocationNothing  colocationEffect = iota
	colocationLocation                  // where it is placed
	colocationRole                      // it has its place: which role it gets there
)

// colocationAffects says what a colocation means for a dependent at this
// moment; with preview as if nothing had been placed yet.
func (w *working) colocationAffects(dependent, primary *resource, k *colocation, preview bool) colocationEffect {
	if !preview && !primary.assigned {
		return colocationNothing
	}
	if k.dependentRole.rank() >= Unpromoted.rank() && dependent.parent != nil && dependent.parent.promotable && dependent.assigned {
		return colocationRole
	}
	if !preview && dependent.assigned {
		return colocationNothing
	}
	// To go together the roles have to be those named; to keep apart it is the
	// other way round, which makes little sense but is what users have.
	together := k.score >= 0
	if k.dependentRole != "" && (k.dependentRole != dependent.next) == together ||
		k.primaryRole != "" && (k.primaryRole != primary.next) == together {
		return colocationNothing
	}
	return colocationLocation
}

// hasInfluence reports whether the dependent's wishes count for the primary: they
// do unless the constraint says otherwise and the primary runs already.
func (k *colocation) hasInfluence(primary *resource) bool {
	if k.dependent.followsContainer && !primary.failed && len(primary.running) == 1 {
		return false // a connection is cheap to move, its container is not
	}
	return k.influence || len(primary.running) == 0
}

func (primitiveMethods) applyColocation(w *working, dependent, primary *resource, k *colocation, forDependent bool) {
	if forDependent {
		primary.methods.applyColocation(w, dependent, primary, k, false)
		return
	}
	switch w.colocationAffects(dependent, primary, k, false) {
	case colocationRole:
		w.colocateRole(dependent, primary, k)
	case colocationLocation:
		w.colocatePlace(dependent, primary, k)
	}
}

// colocatePlace adds the colocation's score on the primary's node (or on those
// that share its attribute), or takes it away elsewhere.
func (w *working) colocatePlace(dependent, primary *resource, k *colocation) {
	if primary.chosen == nil && k.score < 0 {
		return
	}
	var value string
	var has bool
	if primary.chosen != nil {
		value, has = primary.chosen.attrs[k.attribute]
	}
	work := dependent.allowed.clone()
	var terms []term
	for _, n := range w.nodes {
		a := work.at(n)
		if !a.present {
			continue
		}
		delta := Score(0)
		if primary.chosen == nil {
			delta = -k.score
		} else if v, ok := n.attrs[k.attribute]; ok == has && strings.EqualFold(v, value) {
			if k.score < Infinity {
				delta = k.score
			}
		} else if k.score >= Infinity {
			delta = -k.score
		}
		if delta != 0 {
			a.score = a.score.Add(delta)
			terms = append(terms, k.placeTerm(n, primary, delta))
		}
	}
	if k.score.infinite() || w.anyAvailable(work) {
		dependent.allowed, dependent.terms = work, append(dependent.terms, terms...)
	}
}

func (k *colocation) placeTerm(n *node, primary *resource, delta Score) term {
	chosen := primary.chosen
	return term{node: n, score: delta, kind: TermColocation, object: firstOf(k.id, primary.id), why: func() string {
		switch {
		case chosen == nil:
			return k.dependent.id + " must be with " + primary.id + ", which runs nowhere (" + k.words() + ")"
		case k.score < 0:
			return k.dependent.id + " keeps away from " + primary.id + " on " + chosen.name + " (" + k.words() + ", " + k.score.String() + ")"
		case delta < 0:
			return k.dependent.id + " must be with " + primary.id + ", which is on " + chosen.name + " (" + k.words() + ")"
		}
		return k.dependent.id + " goes with " + primary.id + " on " + chosen.name + " (" + k.words() + ", " + k.score.String() + ")"
	}}
}

// colocateRole: both have their places; the colocation counts for the priority
// with which the dependent is promoted.
func (w *working) colocateRole(dependent, primary *resource, k *colocation) {
	if primary.chosen == nil || dependent.chosen == nil {
		return
	}
	x, okX := dependent.chosen.attrs[k.attribute]
	y, okY := primary.chosen.attrs[k.attribute]
	if okX != okY || !strings.EqualFold(x, y) {
		if k.score >= Infinity && k.dependentRole == Promoted {
			dependent.priority = -int(Infinity)
		}
		return
	}
	if k.primaryRole != "" && k.primaryRole != primary.next {
		return
	}
	s := k.score
	if k.dependentRole == Unpromoted {
		s = -s
	}
	dependent.priority = int(Score(dependent.priority).Add(s))
}

func (groupMethods) applyColocation(w *working, dependent, primary *resource, k *colocation, forDependent bool) {
	if forDependent {
		w.colocateGroup(dependent, primary, k)
		return
	}
	switch {
	case !primary.assigned || len(primary.children) == 0:
	case primary.group.colocated:
		// To be with the group for certain means to be where all of it is: where the
		// last member is. To prefer that does not need the whole group.
		m := primary.children[0]
		if k.score >= Infinity {
			m = primary.children[len(primary.children)-1]
		}
		m.methods.applyColocation(w, dependent, m, k, false)
	case k.score >= Infinity:
		w.warn("colocation " + k.id + ": nothing can be with group " + primary.id + " for certain, as its members need not be together (collocated=false): the constraint is ignored")
	default:
		for _, m := range primary.children {
			m.methods.applyColocation(w, dependent, m, k, false)
		}
	}
}

func (w *working) colocateGroup(dependent, primary *resource, k *colocation) {
	switch {
	case len(dependent.children) == 0:
	case dependent.group.colocated:
		m := dependent.children[0]
		m.methods.applyColocation(w, m, primary, k, true)
	case k.score >= Infinity:
		w.warn("colocation " + k.id + ": group " + dependent.id + " cannot follow anything for certain, as its members need not be together (collocated=false): the constraint is ignored")
	default:
		for _, m := range dependent.children {
			m.methods.applyColocation(w, m, primary, k, true)
		}
	}
}

func (s Score) infinite() bool { return s >= Infinity || s <= -Infinity }

// anyAvailable reports whether a table leaves a node to run on.
func (w *working) anyAvailable(t table) bool {
	for _, n := range w.nodes {
		if t.get(n).present && w.available(n, t, false) {
			return true
		}
	}
	return false
}
