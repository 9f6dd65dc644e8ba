package explain

import (
	"fmt"
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// promotions reads the promotion scores of instances out of the score lines:
// "drbd:0 promotion score on n1: 10".
func promotions(t *scheduler.Transition) map[string]scheduler.Score {
	found := map[string]scheduler.Score{}
	for _, line := range t.ScoreLines {
		instance, rest, ok := strings.Cut(line, " promotion score on ")
		if !ok {
			continue
		}
		if n, ok := cib.ParseScore(rest[strings.LastIndex(rest, " ")+1:]); ok {
			found[instance] = scheduler.Score(n)
		}
	}
	return found
}

// promotion says why an instance is promoted, or why it is not.
func (q *question) promotion(i *Instance, a *scheduler.Allocation) {
	mine, scored := q.promotions[a.Resource]
	if !scored {
		return
	}
	other, best := q.otherPromotion(a)
	switch {
	case a.Role == scheduler.Promoted && best != nil && best.Role == scheduler.Promoted:
		i.say(fmt.Sprintf("it is promoted: its promotion score is %s (as is %s on %s, with %s)", mine, best.Resource, best.Node, other))
	case a.Role == scheduler.Promoted && best != nil:
		i.say(fmt.Sprintf("it is promoted: its promotion score is %s, that of %s on %s is %s", mine, best.Resource, best.Node, other))
	case a.Role == scheduler.Promoted:
		i.say(fmt.Sprintf("it is promoted: its promotion score is %s, and no other instance has one", mine))
	case mine < 0 && a.Unpromoted != "":
		i.say("it is not promoted: " + a.Unpromoted)
	case mine < 0:
		i.say(fmt.Sprintf("it is not promoted: its promotion score is %s", mine))
	case best != nil && best.Role == scheduler.Promoted:
		i.say(fmt.Sprintf("it is not promoted: its promotion score is %s, that of %s on %s is %s", mine, best.Resource, best.Node, other))
	case a.Unpromoted != "":
		i.say("it is not promoted: " + a.Unpromoted)
	}
}

// otherPromotion is the placed instance of the same resource with the highest
// promotion score besides this one, nil if there is none.
func (q *question) otherPromotion(a *scheduler.Allocation) (scheduler.Score, *scheduler.Allocation) {
	var best *scheduler.Allocation
	for n := range q.t.Allocations {
		b := &q.t.Allocations[n]
		score, scored := q.promotions[b.Resource]
		if !scored || score < 0 || b.Node == "" || b.Resource == a.Resource || base(b.Resource) != base(a.Resource) {
			continue
		}
		if best == nil || score > q.promotions[best.Resource] {
			best = b
		}
	}
	if best == nil {
		return 0, nil
	}
	return q.promotions[best.Resource], best
}
