package scheduler

import (
	"strconv"
	"strings"
)

// allocations say where each primitive goes and why. Scores and terms are
// written out only where they were asked for: they are one entry for each
// resource and node.
func (w *working) allocations() []Allocation {
	var list []Allocation
	for _, top := range w.resources {
		for r := range top.primitives {
			list = append(list, w.allocation(r))
		}
	}
	return list
}

func (w *working) allocation(r *resource) Allocation {
	a := Allocation{Resource: r.id, Role: r.next, Recorded: r.recorded, Blocked: r.blocked}
	if r.chosen != nil {
		a.Node = r.chosen.name
	}
	if r.chosen == nil && r.managed || r.next == "" {
		a.Role = Stopped
	}
	for _, n := range r.running {
		a.From = append(a.From, n.name)
	}
	a.Reason = w.allocationReason(r)
	if r.chosen != nil && r.next != Promoted && r.unpromotedWhy != nil {
		a.Unpromoted = r.unpromotedWhy()
	}
	if !w.wantScores {
		return a
	}
	a.Scores = make(map[string]Score, len(w.nodes))
	for _, n := range w.nodes {
		if at := r.allowed.get(n); at.present {
			a.Scores[n.name] = at.score
		}
		if why := n.whyUnavailable(); why != "" {
			a.Terms = append(a.Terms, Term{Node: n.name, Score: -Infinity, Kind: TermState, Why: why})
		}
	}
	for i := range r.terms {
		a.Terms = w.appendTerm(a.Terms, &r.terms[i])
	}
	if r.chosen != nil {
		for _, t := range r.ties {
			if a.Ties == nil {
				a.Ties = map[string]string{}
			}
			a.Ties[t.node.name] = t.why
		}
	}
	return a
}

// appendTerm puts a term into words; one of every node becomes one for each.
func (w *working) appendTerm(list []Term, t *term) []Term {
	p := Term{Score: t.score, Kind: t.kind, Object: t.object}
	if t.why != nil {
		p.Why = t.why()
	}
	if t.node != nil {
		p.Node = t.node.name
		return append(list, p)
	}
	for _, n := range w.nodes {
		p.Node = n.name
		list = append(list, p)
	}
	return list
}

// allocationReason says in one sentence where a resource goes, or why nowhere.
func (w *working) allocationReason(r *resource) string {
	switch {
	case r.blocked:
		return r.id + " is left alone" + colon(firstOf(r.blockedWhy, r.failure))
	case !r.managed && len(r.running) == 0:
		return r.id + " runs nowhere, and is left alone: " + w.whyUnmanaged(r)
	case !r.managed:
		return r.id + " is left alone: " + w.whyUnmanaged(r)
	case r.chosen == nil:
		return r.id + " runs nowhere" + colon(w.whyNowhere(r))
	case r.waiting() != nil:
		return r.id + " waits to run on " + r.chosen.name + colon(w.whyWaiting(r.waiting()))
	case r.next == Stopped && r.waits != "":
		return r.id + " waits to run on " + r.chosen.name + ": it " + r.waits
	case r.runs(r.chosen):
		return r.id + " " + r.staysAs() + r.chosen.name
	case len(r.running) > 0:
		return r.id + " moves from " + names(r.running) + " to " + r.chosen.name
	case r.next == Promoted:
		return r.id + " starts and is promoted on " + r.chosen.name
	}
	return r.id + " starts on " + r.chosen.name
}

// staysAs says what a resource that stays where it is will be there.
func (r *resource) staysAs() string {
	switch {
	case r.next == Promoted && r.role == Promoted:
		return "stays promoted on "
	case r.next == Promoted:
		return "is promoted on "
	case r.role == Promoted:
		return "is demoted on "
	}
	return "stays on "
}

// whyUnmanaged says why the cluster does nothing about a resource.
func (w *working) whyUnmanaged(r *resource) string {
	switch {
	case r.unmanagedWhy != "":
		return r.unmanagedWhy
	case w.options.maintenance:
		return "the cluster is in maintenance (maintenance-mode)"
	case r.maintenance:
		return "it is in maintenance"
	case r.xml != nil && !truth(firstOf(r.meta["is-managed"], "true")):
		return "it is not managed (is-managed=false)"
	}
	for _, n := range r.running {
		if n.maintenance {
			return n.name + " is in maintenance"
		}
	}
	return "it is not managed"
}

// waiting is the start that a resource needs and that cannot happen now, nil if
// there is none.
func (r *resource) waiting() *action {
	if r.chosen == nil {
		return nil
	}
	a := r.find(taskStart, 0, r.chosen)
	switch {
	case a == nil || a.is(runnable) && !a.stuck:
		return nil
	case a.is(optional) && !a.stuck && r.runs(r.chosen) && !r.latest(taskStop, nil).happens():
		return nil // it runs, and need not start
	}
	return a
}

// whyWaiting says what keeps a start from happening now.
func (w *working) whyWaiting(a *action) string {
	if a.is(runnable) && a.stuck {
		return "the " + a.barrier.title() + " comes first" + colon(w.whyNot(a.barrier))
	}
	return w.whyNot(a)
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// whyNowhere is what keeps a resource from every node.
func (w *working) whyNowhere(r *resource) string {
	switch {
	case r.waits != "":
		return r.waits
	case r.orphan:
		return "it is not configured any more"
	case r.stoppedWhy != "":
		return r.stoppedWhy
	case r.wanted == Stopped || readRole(r.metaOf("target-role")) == Stopped:
		return "its target-role is Stopped"
	}
	return w.whyNoNode(r)
}

// whyNoNode is what keeps a resource from each node: nodes of which the same can
// be said are named together, those that could run something come first.
func (w *working) whyNoNode(r *resource) string {
	var list []noNode
	places := 0
	for _, fit := range []bool{true, false} {
		for _, n := range w.nodes {
			if r.allowed.get(n).present && w.available(n, nil, false) == fit && !r.neverOn(n) {
				list = addNoNode(list, n.name, w.whyNotOn(r, n))
				places++
			}
		}
	}
	const most = 3
	words := make([]string, 0, most)
	rest := 0
	for _, one := range list {
		if len(words) == most {
			rest += len(one.nodes)
			continue
		}
		words = append(words, one.words(places))
	}
	switch {
	case len(list) == 0:
		return "no node is allowed (the cluster is opt-in: symmetric-cluster is off)"
	case rest == 1:
		words = append(words, "and another node is no better")
	case rest > 1:
		words = append(words, "and "+strconv.Itoa(rest)+" other nodes are no better")
	}
	return strings.Join(words, "; ")
}

// neverOn reports a remote or guest node that is no place for this kind of resource.
func (r *resource) neverOn(n *node) bool {
	if !n.isRemoteOrGuest() {
		return false
	}
	if n.weight <= -Infinity {
		return true // a bundle's, for what is in the bundle alone
	}
	for i := range r.terms {
		if t := &r.terms[i]; t.node == n && t.kind == TermState && t.score <= -Infinity {
			return true
		}
	}
	return false
}

// noNode is what speaks against some nodes; their name is left open in why.
type noNode struct {
	nodes []string
	why   string
}

const nodeName = "\x00"

func addNoNode(list []noNode, node, why string) []noNode {
	why = strings.ReplaceAll(why, node, nodeName)
	for i := range list {
		if list[i].why == why {
			list[i].nodes = append(list[i].nodes, node)
			return list
		}
	}
	return append(list, noNode{[]string{node}, why})
}

func (n noNode) words(places int) string {
	const most = 3
	why := strings.ReplaceAll(n.why, nodeName, n.nodes[0])
	switch more := n.nodes[1:]; {
	case !strings.Contains(n.why, nodeName) && len(n.nodes) == places:
		return why // it is the same everywhere
	case !strings.Contains(n.why, nodeName) && len(n.nodes) <= most:
		return strings.Join(n.nodes, ", ") + ": " + why
	case !strings.Contains(n.why, nodeName):
		return strconv.Itoa(len(n.nodes)) + " nodes: " + why
	case len(more) == 0:
		return why
	case len(more) < most:
		return why + " (" + strings.Join(more, ", ") + " too)"
	default:
		return why + " (" + strconv.Itoa(len(more)) + " others too)"
	}
}

// whyNotOn is what speaks most clearly against a node.
func (w *working) whyNotOn(r *resource, n *node) string {
	if why := n.whyUnavailable(); why != "" {
		return why
	}
	if t := r.vetoOn(n); t != nil {
		return t.why()
	}
	var worst *term
	for i := range r.terms {
		if t := &r.terms[i]; t.node == n && t.score < 0 && t.why != nil && (worst == nil || t.score < worst.score) {
			worst = t
		}
	}
	if worst != nil {
		return worst.why()
	}
	return n.name + " has score " + r.allowed.get(n).score.String()
}
