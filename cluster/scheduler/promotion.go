package scheduler

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// addPromotionScores lets the promotion scores (the attributes master-NAME that
// agents set) count for where instances are placed.
func (w *working) addPromotionScores(r *resource) {
	if r.clone.promotionScoresAdded {
		return
	}
	r.clone.promotionScoresAdded = true
	for _, c := range r.children {
		for _, n := range w.nodes {
			a := c.allowed.at(n)
			if !a.present || !w.available(n, nil, false) {
				continue
			}
			score, _ := w.promotionScore(c, n)
			if score > 0 {
				a.score = a.score.Add(score)
				c.terms = append(c.terms, term{node: n, score: score, kind: TermRole, object: "promotion score", why: func() string {
					return "its promotion score on " + n.name + " is " + score.String()
				}})
			}
			if int(score) > c.priority {
				c.priority = int(score)
			}
		}
	}
}

// promotionScore is an instance's promotion score on a node; set is false if
// there is none. An instance of a group has the sum of its members'.
func (w *working) promotionScore(r *resource, n *node) (score Score, set bool) {
	if len(r.children) > 0 {
		for _, c := range r.children {
			s, is := w.promotionScore(c, n)
			score, set = max(-1000*Infinity, min(1000*Infinity, score+s)), set || is
		}
		return score, set
	}
	if !w.promotionScoreCounts(r, n) {
		return 0, false
	}
	name := firstOf(r.recorded, r.id)
	value, ok := w.nodeAttr(n, "master-"+name, r)
	if stripped := withoutNumber(r.id); !ok && !r.unique && stripped != r.id {
		value, ok = w.nodeAttr(n, "master-"+stripped, r)
	}
	if !ok {
		return 0, false
	}
	s, _ := cib.ParseScore(value)
	return Score(s), true
}

// withoutNumber is an instance's name without its number.
func withoutNumber(id string) string {
	i := strings.LastIndexByte(id, ':')
	if i < 0 || i == len(id)-1 || strings.Trim(id[i+1:], "0123456789") != "" {
		return id
	}
	return id[:i]
}

// promotionScoreCounts: the score of a node counts for the instance that runs
// there, or was looked for there; for all while nothing is known anywhere.
func (w *working) promotionScoreCounts(r *resource, n *node) bool {
	may := func() bool {
		a := r.allowed.get(n)
		return a.present && a.score >= 0
	}
	if !r.unique {
		top := r.outermost(false)
		name := withoutNumber(r.id)
		active := w.activeAnonymous(top, name, n)
		if active == r || active == nil && w.anonymousKnown(top, name, n) {
			return may()
		}
	}
	if len(r.running) == 0 && !r.knownAnywhere() || r.isKnown(n) || r.runs(n) {
		return may()
	}
	return false
}

func (r *resource) knownAnywhere() bool {
	for _, known := range r.known {
		if known {
			return true
		}
	}
	return false
}

// activeAnonymous is the primitive of a name below a clone that runs on a node.
func (w *working) activeAnonymous(top *resource, name string, n *node) *resource {
	for _, c := range top.children {
		for p := range c.primitives {
			if withoutNumber(p.id) == name && p.runs(n) {
				return p
			}
		}
	}
	return nil
}

func (w *working) anonymousKnown(top *resource, name string, n *node) bool {
	for _, c := range top.children {
		for p := range c.primitives {
			if withoutNumber(p.id) == name && p.isKnown(n) {
				return true
			}
		}
	}
	return false
}
