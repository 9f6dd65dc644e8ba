package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/cluster/scheduler/whatif"
)

// renderWhatif writes what failures would do, the worst first. all also lists
// those that change nothing but where their victims run.
func renderWhatif(w io.Writer, r *whatif.Report, p painter, all bool) {
	fmt.Fprintf(w, "%s\n", p.paint(bold, fmt.Sprintf("%s tried: %s, %s, %s",
		count(r.Tried, "failure"), count(len(r.Nodes), "node"), count(len(r.Resources), "resource"), count(len(r.Pairs), "pair")+" of nodes")))
	for _, text := range r.Warnings {
		fmt.Fprintf(w, "  %s\n", p.paint(warn, "! "+clean(text)))
	}
	renderIdle(w, r, p)
	renderPoints(w, r, p, all)
	section(w, p, "If one node dies")
	nodes, more := worst(r.Nodes, all)
	for _, o := range nodes {
		renderFailure(w, o, o.Lost, p)
	}
	milder(w, p, more)
	renderResourceFailures(w, r, p, all)
	renderPairs(w, r, p, all)
	if len(r.Unnoticed) > 0 {
		section(w, p, "Not watched")
		fmt.Fprintf(w, "  no recurring monitor would notice a failure of %s\n", clean(some(r.Unnoticed)))
	}
}

// milder says how many failures are not shown.
func milder(w io.Writer, p painter, n int) {
	if n > 0 {
		fmt.Fprintf(w, "  %s\n", p.paint(dim, fmt.Sprintf("and %d that do less harm (--all shows them)", n)))
	}
}

func renderIdle(w io.Writer, r *whatif.Report, p painter) {
	if len(r.Idle) == 0 {
		return
	}
	section(w, p, "Runs nowhere already")
	for _, l := range r.Idle {
		fmt.Fprintf(w, "  %s\n", whyLost(l))
	}
}

func renderPoints(w io.Writer, r *whatif.Report, p painter, all bool) {
	section(w, p, "Single points of failure")
	if len(r.Points) == 0 {
		fmt.Fprintf(w, "  %s\n", p.paint(good, "none: every resource outlives any one failure"))
		return
	}
	t := &table{painter: p, indent: "  "}
	points, more := worst(r.Points, all)
	for _, pt := range points {
		what := "node " + pt.Scenario.String()
		if pt.Kind == whatif.Resource {
			what = "resource " + pt.Scenario.String()
		}
		t.add(cell{clean(what), bad}, cell{clean("loses " + lossList(pt.Loses)), plain})
	}
	t.write(w)
	milder(w, p, more)
}

// renderFailure writes one failure: a headline, and a line for each kind of consequence.
func renderFailure(w io.Writer, o whatif.Outcome, lost []whatif.Loss, p painter) {
	fmt.Fprintf(w, "  %s  %s\n", p.paint(bold, clean(o.Scenario.String())), headline(o, lost, p))
	t := &table{painter: p, indent: "    "}
	for _, l := range lost {
		t.add(cell{"lost", bad}, cell{whyLost(l), plain})
	}
	forced, disturbed := split(o.Moved)
	for i, way := range moveList(forced) {
		t.add(cell{[]string{"moves", ""}[min(i, 1)], plain}, cell{clean(way), plain})
	}
	for i, way := range moveList(disturbed) {
		t.add(cell{[]string{"disturbs", ""}[min(i, 1)], warn}, cell{clean(way), plain})
	}
	if len(o.Restarted) > 0 {
		t.add(cell{"restarts", warn}, cell{clean(some(o.Restarted)), plain})
	}
	if len(o.Fewer) > 0 {
		t.add(cell{"fewer", dim}, cell{clean(lossList(o.Fewer)), plain})
	}
	if others := slices.DeleteFunc(slices.Clone(o.Fenced), func(n string) bool { return slices.Contains(o.Nodes, n) }); len(others) > 0 {
		t.add(cell{"fenced", bad}, cell{clean(strings.Join(others, ", ") + ", too"), plain})
	}
	if len(o.CannotFence) > 0 {
		t.add(cell{"stuck", bad}, cell{clean("no fence device can switch off " + strings.Join(o.CannotFence, ", ")), plain})
	}
	t.write(w)
}

// headline is the consequence of a failure in a few words.
func headline(o whatif.Outcome, lost []whatif.Loss, p painter) string {
	var parts []string
	switch {
	case len(lost) > 0:
		parts = append(parts, p.paint(bad, count(len(lost), "resource")+" lost"))
	case o.Quorum == whatif.Nobody:
		parts = append(parts, p.paint(bad, "no node is left"))
	default:
		parts = append(parts, p.paint(good, "nothing lost"))
	}
	if n := len(o.Moved); n > 0 {
		parts = append(parts, count(n, "move"))
	}
	if n := len(o.Restarted); n > 0 {
		parts = append(parts, count(n, "restart"))
	}
	if slices.ContainsFunc(o.Fenced, func(n string) bool { return slices.Contains(o.Nodes, n) }) {
		parts = append(parts, "fenced")
	}
	switch o.Quorum {
	case whatif.Broken:
		parts = append(parts, p.paint(bad, "quorum lost"))
	case whatif.Tie:
		parts = append(parts, "the rest is exactly half: it claims the cluster after the fencing")
	}
	if !o.Settled {
		parts = append(parts, p.paint(warn, "does not come to rest"))
	}
	return strings.Join(parts, p.paint(dim, " · "))
}

// renderResourceFailures shows what is more than a restart in place.
func renderResourceFailures(w io.Writer, r *whatif.Report, p painter, all bool) {
	if len(r.Resources) == 0 {
		return
	}
	section(w, p, "If one resource fails")
	plainRestarts := 0
	var shown []whatif.Outcome
	for _, o := range r.Resources {
		if !all && o.Harm.Lost == 0 && len(o.Moved) == 0 && len(o.Fenced) == 0 && len(o.Fewer) == 0 && len(o.Restarted) <= 1 && o.Settled {
			plainRestarts++
			continue
		}
		shown = append(shown, o)
	}
	shown, more := worst(shown, all)
	for _, o := range shown {
		renderFailure(w, o, o.Lost, p)
	}
	milder(w, p, more)
	switch {
	case plainRestarts == len(r.Resources):
		fmt.Fprintf(w, "  %s\n", p.paint(good, "each is restarted where it is, and nothing else is touched"))
	case plainRestarts > 0:
		fmt.Fprintf(w, "  %s\n", p.paint(dim, count(plainRestarts, "other")+": restarted in place, nothing else is touched"))
	}
}

// renderPairs shows what a pair of nodes loses beyond what each loses alone.
func renderPairs(w io.Writer, r *whatif.Report, p painter, all bool) {
	if len(r.Pairs) == 0 {
		return
	}
	section(w, p, "If two nodes die at once")
	quiet := 0
	var without []string
	var shown []whatif.Outcome
	for _, o := range r.Pairs {
		lost := r.Beyond(o)
		if o.Quorum == whatif.Broken && len(o.Lost) >= r.Active && !all {
			without = append(without, o.Scenario.String())
			continue
		}
		if len(lost) == 0 && !all {
			quiet++
			continue
		}
		shown = append(shown, o)
	}
	shown, more := worst(shown, all)
	for _, o := range shown {
		renderFailure(w, o, r.Beyond(o), p)
	}
	milder(w, p, more)
	if len(without) > 0 {
		fmt.Fprintf(w, "  %s  %s\n", p.paint(bold, clean(some(without))), p.paint(bad, "quorum lost: nothing runs any more"))
	}
	switch {
	case quiet == len(r.Pairs):
		fmt.Fprintf(w, "  %s\n", p.paint(good, "no pair loses more than its nodes lose one by one"))
	case quiet > 0:
		fmt.Fprintf(w, "  %s\n", p.paint(dim, count(quiet, "other pair")+": nothing lost that one of the nodes does not lose alone"))
	}
}

// whyLost names a loss with its reason, which mostly names the resource itself.
func whyLost(l whatif.Loss) string {
	name := lossName(l)
	if l.Priority != 0 {
		name += " (priority " + strconv.Itoa(l.Priority) + ")"
	}
	if l.Why == "" {
		return clean(name)
	}
	return clean(name + ": " + l.Why)
}

func lossName(l whatif.Loss) string {
	switch {
	case l.Promoted:
		return l.Resource + " (no instance promoted)"
	case l.After > 0:
		return fmt.Sprintf("%s (%d of %d left)", l.Resource, l.After, l.Before)
	case len(l.Members) > 0 && !(len(l.Members) == 1 && l.Members[0] == l.Resource):
		return l.Resource + " (" + strings.Join(l.Members, ", ") + ")"
	}
	return l.Resource
}

func lossList(list []whatif.Loss) string {
	var names []string
	for _, l := range list {
		names = append(names, lossName(l))
	}
	return some(names)
}

// split tells moves that the failure forces from those that it only causes.
func split(moves []whatif.Move) (forced, disturbed []whatif.Move) {
	for _, m := range moves {
		if m.Disturbed {
			disturbed = append(disturbed, m)
		} else {
			forced = append(forced, m)
		}
	}
	return forced, disturbed
}

// moveList gathers moves by where they go, a line each: "ip, web  n1 → n2".
func moveList(moves []whatif.Move) []string {
	var ways []string
	what := map[string][]string{}
	for _, m := range moves {
		way := strings.Join(m.From, ", ") + " → " + strings.Join(m.To, ", ")
		name := m.Resource
		if m.Promoted {
			name += " (promoted)"
		}
		if what[way] == nil {
			ways = append(ways, way)
		}
		what[way] = append(what[way], name)
	}
	slices.SortStableFunc(ways, func(a, b string) int { return len(what[b]) - len(what[a]) })
	more := 0
	for _, way := range ways[min(len(ways), fewLines):] {
		more += len(what[way])
	}
	ways = ways[:min(len(ways), fewLines)]
	for i, way := range ways {
		ways[i] = some(what[way]) + "  " + way
	}
	if more > 0 {
		ways = append(ways, fmt.Sprintf("and %d more", more))
	}
	return ways
}

// What a person reads at a glance; JSON has everything.
const (
	fewNames = 6
	fewLines = 5
	fewItems = 12
)

// some names the first of many.
func some(names []string) string {
	if len(names) <= fewNames+1 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:fewNames], ", "), len(names)-fewNames)
}

// worst is the beginning of a list that is sorted by harm, and how many are left out.
func worst[T any](list []T, all bool) ([]T, int) {
	if all || len(list) <= fewItems+1 {
		return list, 0
	}
	return list[:fewItems], len(list) - fewItems
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
