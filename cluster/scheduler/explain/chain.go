package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/takt-ha/takt/cluster/scheduler"
)

// question is what all instances of an answer share.
type question struct {
	promotions map[string]scheduler.Score // promotion score of each instance
	t          *scheduler.Transition
	node       string // asked about; "" if none
	nodes      []string
}

// explain builds the chain of sentences about one instance.
func (q *question) explain(a *scheduler.Allocation) Instance {
	i := Instance{Resource: a.Resource, Node: a.Node, Role: a.Role, From: a.From, Blocked: a.Blocked, Scores: a.Scores, Terms: a.Terms}
	switch {
	case a.Blocked:
		i.say(a.Reason)
		i.Change = []string{"once its cause is mended: takt resource cleanup " + base(a.Resource)}
	case strings.HasPrefix(a.Reason, a.Resource+" is left alone"):
		i.say(a.Reason)
		i.Change = leftAlone(a)
	case a.Node == "":
		q.nowhere(&i, a)
	default:
		q.somewhere(&i, a)
		q.promotion(&i, a)
	}
	i.WaitsFor = q.waits(a)
	if len(i.WaitsFor) > 0 {
		i.say(fmt.Sprintf("before it can start there: %s", strings.Join(i.WaitsFor, ", ")))
	}
	return i
}

func (i *Instance) say(text string) {
	if text != "" && !slices.Contains(i.Says, text) {
		i.Says = append(i.Says, text)
	}
}

// somewhere explains why it is on its node, and not on the one asked about or
// on the one that came closest.
func (q *question) somewhere(i *Instance, a *scheduler.Allocation) {
	rival := q.rival(a)
	where := placed(a)
	if rival == "" {
		d := strongest(a, a.Node)
		i.Deciding = d
		i.say(where + because(d))
		if len(a.Scores) < 2 {
			i.say(a.Node + " is the only node")
		}
		q.pending(i, a)
		return
	}
	i.Against = rival
	v := compare(a, a.Node, rival)
	i.Deciding = v.deciding
	if !slices.Contains(a.From, rival) { // a move names it already
		where += ", not " + rival
	}
	if v.deciding == nil {
		i.say(where + ": " + q.tie(a, rival))
	} else {
		i.say(where + ": " + v.deciding.Why)
	}
	for _, t := range v.besides {
		i.say("besides, " + t.Why)
	}
	for _, t := range v.inFavour {
		i.say(fmt.Sprintf("for %s speaks: %s", rival, t.Why))
	}
	if v.deciding != nil && !v.vetoed && v.several {
		i.say(fmt.Sprintf("in sum %s has %s and %s has %s", a.Node, a.Scores[a.Node], rival, a.Scores[rival]))
	}
	i.Change = v.change(base(a.Resource), a.Node, rival)
	q.pending(i, a)
}

// pending tells of an allocation that does not come about now.
func (q *question) pending(i *Instance, a *scheduler.Allocation) {
	if slices.Contains(a.From, a.Node) || q.starts(a) != nil {
		return
	}
	if _, after, found := strings.Cut(a.Reason, "; it "); found {
		i.say("it does not start yet: it " + after)
		return
	}
	if !slices.Contains(i.Says, a.Reason) {
		i.say("it does not start yet: " + a.Reason)
	}
}

// placed says what will be true of an instance that has a node.
func placed(a *scheduler.Allocation) string {
	role := ""
	if a.Role == scheduler.Promoted {
		role = " as promoted"
	}
	switch {
	case slices.Contains(a.From, a.Node) && len(a.From) == 1:
		return fmt.Sprintf("%s runs on %s%s", a.Resource, a.Node, role)
	case len(a.From) > 1:
		return fmt.Sprintf("%s is active on %s and belongs on %s%s", a.Resource, strings.Join(a.From, " and "), a.Node, role)
	case len(a.From) == 1:
		return fmt.Sprintf("%s moves from %s to %s%s", a.Resource, a.From[0], a.Node, role)
	}
	return fmt.Sprintf("%s starts on %s%s", a.Resource, a.Node, role)
}

// rival is the node to compare with: the one asked about, the one that the
// instance leaves, or the one that has the most in its favour.
func (q *question) rival(a *scheduler.Allocation) string {
	if q.node != "" && q.node != a.Node {
		return q.node
	}
	if len(a.From) > 0 && !slices.Contains(a.From, a.Node) {
		return a.From[0]
	}
	best, favour := "", scheduler.Score(0)
	for _, n := range q.nodes {
		if _, known := a.Scores[n]; !known || n == a.Node {
			continue
		}
		sum := scheduler.Score(0)
		for _, t := range a.Terms {
			if t.Node == n && t.Score > 0 {
				sum = sum.Add(t.Score)
			}
		}
		if best == "" || sum > favour || sum == favour && a.Scores[n] > a.Scores[best] {
			best, favour = n, sum
		}
	}
	return best
}

// nowhere explains why no node is left: one sentence if all have the same
// reason, otherwise one a node.
func (q *question) nowhere(i *Instance, a *scheduler.Allocation) {
	what := "runs nowhere"
	if len(a.From) > 0 {
		what = "is stopped on " + strings.Join(a.From, " and ")
	}
	nodes := q.nodes
	if q.node != "" {
		nodes = []string{q.node}
		i.Against = q.node
	}
	var vetoes []*scheduler.Term
	var silent []string
	for _, n := range nodes {
		if v := veto(a, n); v != nil {
			vetoes = append(vetoes, v)
		} else if _, known := a.Scores[n]; known {
			silent = append(silent, n)
		}
	}
	if len(vetoes) == 0 {
		i.say(a.Reason)
		return
	}
	i.Deciding = vetoes[0]
	if same(vetoes) && len(silent) == 0 {
		i.say(fmt.Sprintf("%s %s: %s", a.Resource, what, vetoes[0].Why))
	} else {
		i.say(fmt.Sprintf("%s %s: no node is left", a.Resource, what))
		for _, v := range vetoes {
			i.say(about(v.Node, v.Why))
		}
		for _, n := range silent {
			i.say(fmt.Sprintf("%s: score %s", n, a.Scores[n]))
		}
	}
	for _, v := range vetoes {
		if text := remedy(v, base(a.Resource), v.Node); text != "" && !slices.Contains(i.Change, text) {
			i.Change = append(i.Change, text)
		}
	}
}

// same reports whether all terms say the same about their nodes.
func same(list []*scheduler.Term) bool {
	for _, t := range list[1:] {
		if t.Kind != list[0].Kind || t.Object != list[0].Object || t.Why != list[0].Why {
			return false
		}
	}
	return true
}

// about puts the node in front of a clause that does not name it.
func about(node, why string) string {
	if strings.Contains(why, node) {
		return why
	}
	return node + ": " + why
}

func because(t *scheduler.Term) string {
	if t == nil {
		return ""
	}
	return ": " + t.Why
}

// tie says by which rule one of two equal nodes was taken.
func (q *question) tie(a *scheduler.Allocation, rival string) string {
	score := a.Scores[a.Node]
	if score != a.Scores[rival] {
		return fmt.Sprintf("%s has %s and %s has %s", a.Node, score, rival, a.Scores[rival])
	}
	text := fmt.Sprintf("both are equal (%s)", score)
	mine, other := 0, 0
	for i := range q.t.Allocations {
		switch b := &q.t.Allocations[i]; {
		case b.Resource == a.Resource:
		case b.Node == a.Node:
			mine++
		case b.Node == rival:
			other++
		}
	}
	switch {
	case slices.Contains(a.From, a.Node):
		return text + ", and it runs there already"
	case mine < other:
		return fmt.Sprintf("%s, and %s runs fewer resources (%d, not %d)", text, a.Node, mine, other)
	}
	return text + "; between equals the node with fewer resources is taken, then the first by name"
}
