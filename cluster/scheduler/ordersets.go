package scheduler

import "github.com/takt-ha/takt/cluster/cib"

// unpackOrderSets orders the members of sets and the sets, up to one that names
// something that there is not.
func (w *working) unpackOrderSets(c *cib.Node, sets []*resourceSet, kind orderKind, sym symmetry) {
	for i, set := range sets {
		if _, all := set.found(); !all {
			return
		}
		w.orderMembers(c, set, kind)
		if i == 0 {
			continue
		}
		w.orderSetPair(c, sets[i-1], set, kind, sym)
		if sym == symmetric {
			w.orderSetPair(c, set, sets[i-1], kind, inverse)
		}
	}
}

// orderMembers puts the members of a set one after the other.
func (w *working) orderMembers(c *cib.Node, set *resourceSet, kind orderKind) {
	if len(set.members) < 2 {
		return
	}
	task := firstOf(set.action, taskStart)
	local := kind
	if set.xml.Attr("kind") != "" {
		local = w.readOrderKind(set.xml)
	}
	sym := w.readSymmetry(set.xml, kind, c.Attr("symmetrical"))
	e := local.effect(task, sym)
	for i, r := range set.members {
		switch {
		case local == orderSerialize:
			for _, later := range set.members[i+1:] {
				w.orderByConstraint(c.ID(), r, task, later, task, e)
			}
		case set.sequential && i > 0:
			w.orderByConstraint(c.ID(), set.members[i-1], task, r, task, e)
		}
	}
	undo := opposite[task]
	if sym == oneWay || !set.sequential || undo == "" {
		return
	}
	e = local.effect(undo, inverse)
	for i := 1; i < len(set.members); i++ {
		w.orderByConstraint(c.ID(), set.members[i], undo, set.members[i-1], undo, e)
	}
}

// orderSetPair puts one set before another. Of one that says that it is sequential only the end
// that faces the other counts.
func (w *working) orderSetPair(c *cib.Node, a, b *resourceSet, kind orderKind, sym symmetry) {
	firstTask, thenTask := firstOf(a.action, taskStart), firstOf(b.action, taskStart)
	if sym == inverse {
		firstTask, thenTask = opposite[firstTask], opposite[thenTask]
		if firstTask == "" || thenTask == "" {
			return
		}
	}
	e := kind.effect(thenTask, sym)
	// On the way down all members of a set have to be gone.
	if !a.requireAll && firstTask != taskStop && firstTask != taskDemote {
		w.orderAfterAny(c.ID(), a, firstTask, b, thenTask, e)
		return
	}
	firsts, thens := a.members, b.members
	if a.chained() && len(firsts) > 0 {
		if firsts = firsts[len(firsts)-1:]; sym == inverse {
			firsts = a.members[:1]
		}
	}
	if b.chained() && len(thens) > 0 {
		if thens = thens[:1]; sym == inverse {
			thens = b.members[len(b.members)-1:]
		}
	}
	for _, f := range firsts {
		for _, t := range thens {
			w.orderByConstraint(c.ID(), f, firstTask, t, thenTask, e)
		}
	}
}

// orderAfterAny: the second set needs one member of the first, whichever.
func (w *working) orderAfterAny(id string, a *resourceSet, firstTask string, b *resourceSet, thenTask string, e effect) {
	gate := w.gate("one-or-more:" + a.id)
	gate.set(needsAny)
	for _, f := range a.members {
		w.addOrdering(ordering{first: f, firstTask: firstTask, thenAction: gate, effect: oneOrMore | thenListed, why: "order " + id})
	}
	for _, t := range b.members {
		w.addOrdering(ordering{firstAction: gate, then: t, thenTask: thenTask, effect: e | thenNeedsFirst, why: "order " + id})
	}
}
