package explain

import (
	"slices"

	"github.com/takt-ha/takt/cluster/scheduler"
)

// verdict is what speaks for the chosen node and what for another one.
type verdict struct {
	deciding *scheduler.Term   // nil: nothing makes a difference
	vetoed   bool              // the other one is out, whatever its score
	several  bool              // more than one term makes a difference
	besides  []*scheduler.Term // further vetoes
	inFavour []*scheduler.Term // what speaks for the other one and was not enough
}

// said reports whether a term says what another one did.
func said(list []*scheduler.Term, t *scheduler.Term) bool {
	return slices.ContainsFunc(list, func(other *scheduler.Term) bool { return other.Why == t.Why })
}

// difference is one cause's effect on two nodes.
type difference struct {
	here, there *scheduler.Term // nil where it has none
	weight      int64
}

// compare finds the weightiest difference between two nodes. A veto of the
// other one decides alone.
func compare(a *scheduler.Allocation, chosen, other string) verdict {
	var v verdict
	list := differences(a, chosen, other)
	v.several = len(list) > 1
	for _, d := range list {
		if d.weight < 0 {
			t := d.there
			if t == nil || t.Score <= 0 {
				t = d.here
			}
			v.inFavour = append(v.inFavour, t)
		}
	}
	if t := veto(a, other); t != nil {
		v.deciding, v.vetoed = t, true
		for i := range a.Terms {
			if b := &a.Terms[i]; b.Node == other && b.Veto() && b != t && !said(v.besides, b) && b.Why != t.Why && len(v.besides) < 3 {
				v.besides = append(v.besides, b)
			}
		}
		return v
	}
	if len(list) == 0 || list[0].weight <= 0 {
		return v
	}
	v.deciding = list[0].there
	if d := list[0]; d.there == nil || d.here != nil && d.here.Score > 0 {
		v.deciding = d.here
	}
	return v
}

// differences pairs the terms of two nodes by what they come from and sorts
// them: what speaks most for the first node comes first.
func differences(a *scheduler.Allocation, first, second string) []*difference {
	type cause struct {
		kind   scheduler.TermKind
		object string
		nth    int
	}
	var list []*difference
	by := map[cause]*difference{}
	count := map[string]map[cause]int{first: {}, second: {}}
	for i := range a.Terms {
		t := &a.Terms[i]
		if t.Node != first && t.Node != second {
			continue
		}
		c := cause{kind: t.Kind, object: t.Object}
		if t.Kind == "" {
			c.object = t.Why
		}
		c.nth = count[t.Node][c]
		count[t.Node][cause{c.kind, c.object, 0}]++
		d := by[c]
		if d == nil {
			d = &difference{}
			by[c] = d
			list = append(list, d)
		}
		if t.Node == first {
			d.here = t
		} else {
			d.there = t
		}
	}
	for _, d := range list {
		if d.here != nil {
			d.weight += int64(d.here.Score)
		}
		if d.there != nil {
			d.weight -= int64(d.there.Score)
		}
	}
	list = slices.DeleteFunc(list, func(d *difference) bool { return d.weight == 0 })
	slices.SortStableFunc(list, func(x, y *difference) int { return int(min(1, max(-1, y.weight-x.weight))) })
	return list
}

// urgency sorts vetoes: what a person would name first. The state of the node
// comes before everything, a wish of a constraint last.
var urgency = []scheduler.TermKind{scheduler.TermGone, scheduler.TermRole, scheduler.TermState, scheduler.TermQuorum, scheduler.TermFailure,
	scheduler.TermTicket, scheduler.TermHealth, scheduler.TermUtilization, scheduler.TermLocation, scheduler.TermSymmetry, scheduler.TermDiscovery,
	scheduler.TermColocation, scheduler.TermPreference, scheduler.TermLimit, scheduler.TermActive}

// veto is the most urgent term that rules a node out, nil if none does.
func veto(a *scheduler.Allocation, node string) *scheduler.Term {
	var found *scheduler.Term
	rank := func(t *scheduler.Term) int {
		if i := slices.Index(urgency, t.Kind); i >= 0 {
			return i
		}
		return len(urgency)
	}
	for i := range a.Terms {
		if t := &a.Terms[i]; t.Node == node && t.Veto() && (found == nil || rank(t) < rank(found)) {
			found = t
		}
	}
	return found
}

// strongest is the term that speaks most for a node, nil if none does.
func strongest(a *scheduler.Allocation, node string) *scheduler.Term {
	var found *scheduler.Term
	for i := range a.Terms {
		if t := &a.Terms[i]; t.Node == node && t.Score > 0 && (found == nil || t.Score > found.Score) {
			found = t
		}
	}
	return found
}
