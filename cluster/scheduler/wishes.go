package scheduler

import (
	"math"
	"strings"
)

// skipped marks a score that addPositiveOnly would have made negative.
const skipped = -100 * Infinity

// followers are the colocations along which wishes spread. What goes with a
// group goes with its last member.
func (r *resource) followers(flags colocatedFlags) []*colocation {
	switch {
	case flags&addFollowed != 0:
		return r.with
	case r.variant == group:
		return r.children[len(r.children)-1].withMe
	}
	return r.withMe
}

func (k *colocation) other(flags colocatedFlags) *resource {
	if flags&addFollowed != 0 {
		return k.primary
	}
	return k.dependent
}

// maxWishes is how often wishes are added in all. They spread along every way
// from one colocation to the next, and where many resources follow many others
// the number of ways doubles with each: therefore one question asks each
// colocation a few times at most, too.
const maxWishes = 3_000_000

// addWishes adds to scores what r would prefer, weighed by factor, and then what
// those prefer that depend on it (with addFollowed: that it depends on).
func (w *working) addWishes(r *resource, scores *table, attribute string, factor float64, flags colocatedFlags) {
	if r.merging || r.variant == group && len(r.children) == 0 {
		return
	}
	if w.wishDepth == 0 {
		w.wishesLeft = 4*len(w.colocations) + 1000
	}
	if w.wishesLeft == 0 || w.wishesMade == maxWishes {
		return // see maxWishes
	}
	w.wishesLeft--
	if w.wishesMade++; w.wishesLeft == 0 || w.wishesMade == maxWishes {
		w.warn("there are so many ways from one colocation to the next that not all count: colocate with fewer resources (near " + r.id + ")")
	}
	r.merging = true
	w.wishDepth++
	defer func() { r.merging = false; w.wishDepth-- }()
	work := w.ownWishes(r, *scores, attribute, factor, flags)
	if w.anyAvailable(work) {
		w.addTied(r, &work, factor, flags)
	} else if flags&addActive != 0 {
		return // what would leave no node is not followed
	}
	if flags&addPositiveOnly != 0 {
		for i := range work {
			if work[i].present && work[i].score == skipped {
				work[i].score = 1
			}
		}
	}
	*scores = work
}

// ownWishes are the scores with r's own added. A group's are those of the member
// from which the others are reached: the first, which they follow, or the last
// where the way goes to what is followed.
func (w *working) ownWishes(r *resource, scores table, attribute string, factor float64, flags colocatedFlags) table {
	switch {
	case flags&addInit != 0 && r.variant != group:
		return r.allowed.clone()
	case r.variant == group:
		work := scores.clone()
		m := r.children[0]
		if flags&addFollowed != 0 {
			m = r.children[len(r.children)-1]
		}
		w.addWishes(m, &work, attribute, factor, flags)
		return work
	}
	work := scores.clone()
	w.addMatching(work, r, attribute, factor, flags&addPositiveOnly != 0)
	return work
}

// addTied goes on to the resources that r is tied to, weighed by the score of
// what ties them; a factor below zero turns all of them.
func (w *working) addTied(r *resource, work *table, factor float64, flags colocatedFlags) {
	sign := 1.0
	if factor < 0 {
		sign = -1
	}
	for _, k := range r.followers(flags) {
		if flags&addFollowed == 0 && !k.hasInfluence(k.primary) {
			continue
		}
		other := k.other(flags)
		w.addWishes(other, work, k.attribute, sign*float64(k.score)/float64(Infinity), flags&^addInit|addActive)
	}
}

// addMatching adds to each node what the resource's best node that shares the
// attribute with it scores, weighed by factor.
func (w *working) addMatching(work table, r *resource, attribute string, factor float64, positive bool) {
	best := w.bestByValue(r, attribute)
	for _, n := range w.nodes {
		if n.index >= len(work) || !work[n.index].present {
			continue
		}
		a := &work[n.index]
		score := best(n)
		if factor < 0 && score < 0 || a.score == skipped {
			continue
		}
		sum := a.score.Add(weigh(score, factor))
		if positive && sum < 0 && a.score >= 0 {
			if a.score > 0 {
				a.score = skipped
			}
			continue
		}
		a.score = sum
	}
}

// weigh multiplies a score and rounds away from zero; small scores do not vanish.
func weigh(s Score, factor float64) Score {
	delta := Score(math.Round(factor * float64(s)))
	if delta == 0 && s != 0 {
		if factor > 0 {
			return 1
		} else if factor < 0 {
			return -1
		}
	}
	return delta
}

// bestByValue returns the best score of the resource among the usable nodes that
// share the attribute with a node.
func (w *working) bestByValue(r *resource, attribute string) func(*node) Score {
	if attribute == "" || attribute == "#uname" {
		return func(n *node) Score {
			if a := r.allowed.get(n); a.present && w.available(n, nil, false) {
				return max(a.score, -Infinity)
			}
			return -Infinity
		}
	}
	best := map[string]Score{}
	for _, n := range w.nodes {
		a := r.allowed.get(n)
		v, ok := n.attrs[attribute]
		key := valueKey(v, ok)
		if old, seen := best[key]; a.present && w.available(n, nil, false) && (!seen || a.score > old) {
			best[key] = a.score
		}
	}
	return func(n *node) Score {
		v, ok := n.attrs[attribute]
		if s, seen := best[valueKey(v, ok)]; seen {
			return s
		}
		return -Infinity
	}
}

// valueKey makes values without regard to case comparable; none is a value, too.
func valueKey(v string, ok bool) string {
	if !ok {
		return ""
	}
	return "=" + strings.ToLower(v)
}
