package schedtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// Case is a file that shows one rule: a comment, a cluster in the notation, and
// below a line of dashes what has to happen.
type Case struct {
	Question string // comment and cluster
	Want     *Expectation
	builder  *builder
}

const answerLine = "----\n"

// ParseCase reads a case; one without an answer has a nil Want.
func ParseCase(text string) (*Case, error) {
	question, answer, answered := strings.Cut(text, answerLine)
	if !strings.HasPrefix(question, "# ") {
		return nil, fmt.Errorf("the case does not say its rule")
	}
	b, err := build(question)
	if err != nil {
		return nil, err
	}
	b.probeAll()
	c := &Case{Question: question, builder: b}
	if answered {
		c.Want, err = parseAnswer(answer)
	}
	return c, err
}

// CIB is the cluster as XML, and the time at which it is looked at.
func (c *Case) CIB() (*cib.Node, time.Time) { return c.builder.document(), c.builder.now }

// Text is the file with an expectation.
func (c *Case) Text(e *Expectation) string { return c.Question + answerLine + c.answer(e) }

// Compare says how got differs from the expectation: as Compare does, and in
// what the cluster does itself, and in the scores that the rule is about.
func (c *Case) Compare(got *Expectation) []string {
	diff := Compare(c.Want, got)
	if c.Want.Cyclic() { // an order that can never end is nothing to follow
		diff = slices.DeleteFunc(diff, func(d string) bool { return strings.Contains(d, " order ") })
	}
	a, b := ownActions(c.Want), ownActions(got)
	diff = append(append(diff, surplus("- ", a, b)...), surplus("+ ", b, a)...)
	if c.builder.environment {
		a, b := count(environments(c.Want)), count(environments(got))
		diff = append(append(diff, surplus("- ", a, b)...), surplus("+ ", b, a)...)
	}
	if c.scored() {
		diff = append(diff, CompareScores(c.Want, &Expectation{Scores: c.shown(got.Scores)})...)
	}
	return diff
}

func (c *Case) scored() bool { return c.builder.allScores || len(c.builder.scores) > 0 }

// shown are the scores that the case is about.
func (c *Case) shown(lines []string) []string {
	kept := []string{}
	for _, l := range lines {
		words := strings.Fields(strings.ReplaceAll(l, ":", " : "))
		if c.builder.allScores || slices.ContainsFunc(c.builder.scores, func(r string) bool { return slices.Contains(words, r) }) {
			kept = append(kept, l)
		}
	}
	slices.Sort(kept)
	return kept
}

// ownActions are what the cluster does itself, without fencing.
func ownActions(e *Expectation) map[string]int {
	n := map[string]int{}
	for _, a := range e.Actions {
		if a.Kind == scheduler.Cluster && !a.Real() {
			n[a.String()]++
		}
	}
	return n
}

// answer prints an expectation: actions; order as the pairs that the others
// follow from; where things run afterwards; scores.
func (c *Case) answer(e *Expectation) string {
	var text strings.Builder
	names := map[string]int{}
	for _, list := range []map[string]int{realActions(e), ownActions(e)} {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			for range list[name] {
				fmt.Fprintln(&text, name)
			}
		}
	}
	sorted := slices.Sorted(maps.Keys(realActions(e)))
	for i, name := range sorted {
		names[name] = i
	}
	pairs := orderPairs(reachability(e, names))
	if len(pairs) > 0 {
		fmt.Fprintln(&text, "order:")
	}
	for _, p := range pairs {
		fmt.Fprintf(&text, "%s -> %s\n", sorted[p[0]], sorted[p[1]])
	}
	if e.After.Placement != nil { // else the simulation came to no end
		fmt.Fprintln(&text, "after:")
	}
	for _, r := range slices.Sorted(maps.Keys(e.After.Placement)) {
		fmt.Fprintf(&text, "%s:%s\n", r, where(e.After.Placement[r]))
	}
	if c.builder.environment {
		fmt.Fprintln(&text, "environment:")
		for _, l := range environments(e) {
			fmt.Fprintln(&text, l)
		}
	}
	if c.scored() {
		fmt.Fprintln(&text, "scores:")
		for _, l := range c.shown(e.Scores) {
			fmt.Fprintln(&text, l)
		}
	}
	return text.String()
}

func where(at map[string]scheduler.Role) string {
	if len(at) == 0 {
		return " -"
	}
	var text strings.Builder
	for _, n := range slices.Sorted(maps.Keys(at)) {
		fmt.Fprintf(&text, " %s=%s", n, at[n])
	}
	return text.String()
}

// orderPairs leaves out the pairs that follow from others, where the rest says
// the same.
func orderPairs(r reach) [][2]int {
	var all, kept [][2]int
	for i, after := range r.after {
		for j := range len(r.after) {
			if !after.has(j) {
				continue
			}
			all = append(all, [2]int{i, j})
			between := false
			for k := range len(r.after) {
				between = between || k != i && k != j && after.has(k) && r.after[k].has(j)
			}
			if !between {
				kept = append(kept, [2]int{i, j})
			}
		}
	}
	next, number := make([][]int, len(r.after)), make([]int, len(r.after))
	for _, p := range kept {
		next[p[0]] = append(next[p[0]], p[1])
	}
	for i := range number {
		number[i] = i
	}
	sets, cyclic := closure(next, number, len(next))
	for i := range sets {
		if cyclic || !slices.Equal(sets[i], r.after[i]) {
			return all
		}
	}
	return kept
}

// parseAnswer reads what answer prints.
func parseAnswer(text string) (*Expectation, error) {
	e := &Expectation{Scores: []string{}}
	index := map[string]int{}
	part := ""
	var told []Action // actions with an environment
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		switch {
		case l == "order:" || l == "after:" || l == "scores:" || l == "environment:":
			part = l
			if l == "after:" {
				e.After.Placement = scheduler.Placement{}
			}
		case l == "":
		case part == "":
			index[l] = len(e.Actions)
			e.Actions = append(e.Actions, readAction(l))
		case part == "order:":
			before, after, _ := strings.Cut(l, " -> ")
			i, ok := index[before]
			j, known := index[after]
			if !ok || !known {
				return nil, fmt.Errorf("%s: no such actions", l)
			}
			e.Order = append(e.Order, [2]int{i, j})
		case part == "after:":
			name, at, ok := strings.Cut(l, ": ")
			if !ok {
				return nil, fmt.Errorf("%s: no RESOURCE: NODE=ROLE", l)
			}
			e.After.Placement[name] = map[string]scheduler.Role{}
			for _, w := range strings.Fields(at) {
				if n, role, ok := strings.Cut(w, "="); ok {
					e.After.Placement[name][n] = scheduler.Role(role)
				}
			}
		case part == "environment:":
			name, env, _ := strings.Cut(l, ": ")
			a := readAction(name)
			a.Notify = map[string]string{}
			for _, v := range strings.Split(env, "; ") {
				k, v, _ := strings.Cut(v, "=")
				a.Notify[k] = v
			}
			told = append(told, a)
		default:
			e.Scores = append(e.Scores, l)
		}
	}
	for i, a := range e.Actions {
		for _, t := range told {
			if a.String() == t.String() {
				e.Actions[i].Notify = t.Notify
			}
		}
	}
	return e, nil
}

// environments are lines with what actions are told about notifications.
func environments(e *Expectation) []string {
	var list []string
	for _, a := range e.Actions {
		if !a.Real() || len(a.Notify) == 0 {
			continue
		}
		var env []string
		for _, k := range slices.Sorted(maps.Keys(a.Notify)) {
			env = append(env, k+"="+a.Notify[k])
		}
		list = append(list, a.String()+": "+strings.Join(env, "; "))
	}
	slices.Sort(list)
	return list
}

// readAction reads what Action.String prints.
func readAction(s string) Action {
	a := Action{Kind: scheduler.Resource}
	if rest, ms, ok := strings.Cut(s, " every "); ok {
		a.Interval, _ = strconv.ParseInt(strings.TrimSuffix(ms, " ms"), 10, 64)
		s = rest
	}
	s, a.Node, _ = strings.Cut(s, " on ")
	s, a.Resource, _ = strings.Cut(s, " ")
	if task, detail, ok := strings.Cut(s, "("); ok {
		s, a.Detail = task, strings.TrimSuffix(detail, ")")
	}
	a.Task = s
	if slices.Contains([]string{"stonith", "clear_failcount", "lrm_delete", "do_shutdown"}, s) {
		a.Kind = scheduler.Cluster
	}
	return a
}
