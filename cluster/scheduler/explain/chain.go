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
	case strings.Contains(a.Reason, "is left alone: "):
		i.say(a.Reason)
		i.Change = leftAlone(a)
	case a.Node == "":
		q.nowhere(&i, a)
	case stopsForGood(a):
		_, why, _ := strings.Cut(a.Reason, ": ")
		i.say(fmt.Sprintf("%s is stopped on %s: %s", a.Resource, strings.Join(a.From, " and "), why))
	default:
		q.somewhere(&i, a)
		q.promotion(&i, a)
	}
	i.WaitsFor = q.waits(a)
	if len(i.WaitsFor) > 0 {
		again := "start"
		if slices.Contains(a.From, a.Node) {
			again = "start again"
		}
		i.say(fmt.Sprintf("before it can %s there: %s", again, some(i.WaitsFor)))
	}
	return i
}

// stopsForGood reports an instance that has to stop where it is, and cannot
// start there again now.
func stopsForGood(a *scheduler.Allocation) bool {
	return slices.Contains(a.From, a.Node) && strings.HasPrefix(a.Reason, a.Resource+" waits to run on "+a.Node+": ")
}

// some joins a list as far as a person wants to read it.
func some(list []string) string {
	const most = 5
	if len(list) > most+1 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
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
	if _, why, found := strings.Cut(a.Reason, " waits to run on "+a.Node+": "); found {
		i.say("it does not start yet: " + why)
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
		if v := veto(a, n); v != nil && v.Kind == scheduler.TermDiscovery {
			continue // no place for it that anybody would think of
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
		_, known := a.Scores[n]
		switch v := veto(a, n); {
		case !known && q.node == "":
			// Of a cluster's guests and remote nodes most are no places for most resources.
		case v != nil:
			vetoes = append(vetoes, v)
		case known:
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
			i.say(against(a, n))
		}
	}
	for _, v := range vetoes {
		if text := remedy(v, base(a.Resource), v.Node); text != "" && !slices.Contains(i.Change, text) {
			i.Change = append(i.Change, text)
		}
	}
}

// against is what speaks most against a node that nothing rules out.
func against(a *scheduler.Allocation, node string) string {
	var worst *scheduler.Term
	for n := range a.Terms {
		if t := &a.Terms[n]; t.Node == node && t.Score < 0 && (worst == nil || t.Score < worst.Score) {
			worst = t
		}
	}
	if worst == nil {
		return fmt.Sprintf("%s: score %s", node, a.Scores[node])
	}
	return fmt.Sprintf("%s (score %s)", about(node, worst.Why), a.Scores[node])
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
	switch {
	case score != a.Scores[rival]:
		return fmt.Sprintf("%s has %s and %s has %s", a.Node, score, rival, a.Scores[rival])
	case a.Ties[rival] != "":
		return fmt.Sprintf("both are equal (%s), and %s", score, a.Ties[rival])
	case slices.Contains(a.From, a.Node):
		return fmt.Sprintf("both are equal (%s), and it runs there already", score)
	}
	return fmt.Sprintf("both are equal (%s)", score)
}
