package whatif

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/simulate"
)

// Loss is a resource that would run no more, or in fewer instances.
type Loss struct {
	Resource string   `json:"resource"`          // a group, clone or bundle, else the resource
	Members  []string `json:"members,omitempty"` // of a group: those that stop, if not all
	Before   int      `json:"before"`            // active instances (of groups: members)
	After    int      `json:"after"`
	Promoted bool     `json:"promoted,omitempty"` // it is the promoted role that is lost
	Priority int      `json:"priority,omitempty"`
	Why      string   `json:"why,omitempty"`
}

// Move is a resource, or the promoted role of one, that goes elsewhere.
type Move struct {
	Resource string   `json:"resource"`
	From     []string `json:"from"`
	To       []string `json:"to"`
	Promoted bool     `json:"promoted,omitempty"`
	// Disturbed: it moves although neither its node died nor it failed itself.
	Disturbed bool `json:"disturbed,omitempty"`
}

// Outcome is what a scenario comes to.
type Outcome struct {
	Scenario
	Quorum      Quorum   `json:"quorum"`
	Lost        []Loss   `json:"lost,omitempty"`      // runs nowhere any more
	Fewer       []Loss   `json:"fewer,omitempty"`     // runs on fewer nodes
	Moved       []Move   `json:"moved,omitempty"`     // runs elsewhere
	Restarted   []string `json:"restarted,omitempty"` // stopped and started where it is
	Fenced      []string `json:"fenced,omitempty"`
	CannotFence []string `json:"cannot_fence,omitempty"` // nodes that would have to be fenced and no device can
	Unnoticed   bool     `json:"unnoticed,omitempty"`    // no recurring monitor would have seen the failure
	Settled     bool     `json:"settled"`                // false: the cluster would not come to rest
	Harm        Harm     `json:"harm"`
}

// unit is one kind of thing that is active somewhere: all instances of one
// primitive.
type unit struct {
	name  string // the primitive, without instance numbers
	top   string
	nodes []string // one for each active instance, in natural order
	roles []string // nodes of promoted instances
}

// units sums a placement up, in the order of the configuration's names.
func (s *Study) units(p scheduler.Placement) []*unit {
	byName := map[string]*unit{}
	var list []*unit
	for r, nodes := range p {
		if s.layout.skips(r) {
			continue
		}
		name := s.unitName(r)
		u := byName[name]
		if u == nil {
			u = &unit{name: name, top: s.layout.top(r)}
			byName[name] = u
			list = append(list, u)
		}
		for n, role := range nodes {
			u.nodes = append(u.nodes, n)
			if role == scheduler.Promoted {
				u.roles = append(u.roles, n)
			}
		}
	}
	slices.SortFunc(list, func(a, b *unit) int { return cmp.Or(naturalCompare(a.top, b.top), naturalCompare(a.name, b.name)) })
	for _, u := range list {
		slices.SortFunc(u.nodes, naturalCompare)
		slices.SortFunc(u.roles, naturalCompare)
	}
	return list
}

// unitName joins the instances of a primitive; the containers of a bundle are
// instances of it.
func (s *Study) unitName(resource string) string {
	if s.layout.tops[base(resource)] == "" {
		if top := s.layout.top(resource); s.layout.kind[top] == "bundle" {
			return top
		}
	}
	return base(resource)
}

// compare says what has become different in the course of a scenario.
func (s *Study) compare(o *Outcome, c *simulate.Course) {
	placement := scheduler.Placements(c.Root, s.now)
	after := map[string]*unit{}
	for _, u := range s.units(placement) {
		after[u.name] = u
	}
	reasons := s.reasons(o, c)
	for _, u := range s.units(s.before) {
		now := after[u.name]
		if now == nil {
			now = &unit{}
		}
		s.judge(o, u, now, reasons)
	}
	s.actions(o, c, after)
	for _, a := range c.Refused {
		o.CannotFence = append(o.CannotFence, a.Node)
	}
	o.Lost, o.Fewer, o.Moved = s.join(o.Lost), s.join(o.Fewer), joinMoves(o.Moved)
	o.Fenced, o.CannotFence, o.Restarted = tidy(o.Fenced), tidy(o.CannotFence), tidy(o.Restarted)
}

// judge compares one unit before and after. What still counts as active on a
// node that died, because nobody can prove the contrary, does not run.
func (s *Study) judge(o *Outcome, u, now *unit, reasons map[string]string) {
	alive := func(list []string) []string {
		if o.Kind == Resource {
			return list
		}
		return slices.DeleteFunc(slices.Clone(list), func(n string) bool { return slices.Contains(o.Nodes, n) })
	}
	nodes, roles := alive(now.nodes), alive(now.roles)
	switch {
	case len(u.nodes) > 0 && len(nodes) == 0:
		o.Lost = append(o.Lost, s.loss(u, nodes, reasons[u.name]))
		return
	case len(nodes) < len(u.nodes):
		o.Fewer = append(o.Fewer, s.loss(u, nodes, ""))
	case !slices.Equal(nodes, u.nodes):
		s.moved(o, Move{Resource: u.top, From: without(u.nodes, nodes), To: without(nodes, u.nodes)})
	}
	switch {
	case len(u.roles) > 0 && len(roles) == 0:
		lost := s.loss(u, nil, reasons[u.name])
		lost.Promoted, lost.Before = true, len(u.roles)
		o.Lost = append(o.Lost, lost)
	case len(roles) > 0 && len(u.roles) > 0 && !slices.Equal(roles, u.roles):
		if from, to := without(u.roles, roles), without(roles, u.roles); len(to) > 0 {
			s.moved(o, Move{Resource: u.top, From: from, To: to, Promoted: true})
		}
	}
}

// moved notes a move, and whether it was any of the failure's business.
func (s *Study) moved(o *Outcome, m Move) {
	m.Disturbed = o.Kind == Resource && m.Resource != s.layout.top(o.Resource) ||
		o.Kind != Resource && !slices.ContainsFunc(m.From, func(n string) bool { return slices.Contains(o.Nodes, n) })
	o.Moved = append(o.Moved, m)
}

func (s *Study) loss(u *unit, left []string, why string) Loss {
	return Loss{Resource: u.top, Members: []string{u.name}, Before: len(u.nodes), After: len(left), Priority: s.layout.priority[u.top], Why: why}
}

// reasons are why resources run nowhere, by unit. Where the scheduler has a
// node for one, it cannot be started there yet: for want of quorum, or because
// the node that it ran on cannot be fenced.
func (s *Study) reasons(o *Outcome, c *simulate.Course) map[string]string {
	reasons := map[string]string{}
	for i := range c.Last.Allocations {
		a := &c.Last.Allocations[i]
		name, why := s.unitName(a.Resource), bare(a)
		switch {
		case a.Node == "" || a.Blocked:
		case o.Quorum == Broken || o.Quorum == Absent:
			why = "the cluster has no quorum"
		case len(c.Refused) > 0:
			why = c.Refused[0].Node + " cannot be fenced"
		}
		if reasons[name] == "" {
			reasons[name] = why
		}
	}
	return reasons
}

// actions takes from what happened who was fenced and what was restarted in
// its place, and from what did not happen that a failure stays.
func (s *Study) actions(o *Outcome, c *simulate.Course, after map[string]*unit) {
	touched := false
	for _, a := range c.Done {
		name := s.unitName(a.Resource)
		touched = touched || o.Kind == Resource && a.Kind == scheduler.Resource && a.Task != "monitor" && name == s.unitName(o.Resource)
		switch u := after[name]; {
		case a.Task == "stonith" && a.Detail != "on":
			o.Fenced = append(o.Fenced, a.Node)
			touched = touched || o.Kind == Resource && a.Node == o.Nodes[0]
		case a.Task == "stop" && u != nil && slices.Contains(u.nodes, a.Node) && s.before[a.Resource][a.Node] != "" && !s.layout.skips(a.Resource):
			o.Restarted = append(o.Restarted, u.top)
		}
	}
	if u := after[s.unitName(o.Resource)]; o.Kind == Resource && !touched && u != nil {
		lost := s.loss(u, nil, cmp.Or(s.blocked(c.Last, o.Resource), "nothing is done about the failure"))
		lost.After = max(0, len(u.nodes)-1)
		o.Lost = append(o.Lost, lost)
	}
}

// bare is an allocation's reason without the words that say where the resource is.
func bare(a *scheduler.Allocation) string {
	for _, where := range []string{" runs nowhere: ", " is left alone: "} {
		if why, cut := strings.CutPrefix(a.Reason, a.Resource+where); cut {
			return why
		}
	}
	if why, cut := strings.CutPrefix(a.Reason, a.Resource+" waits to run on "+a.Node+": "); cut {
		return why
	}
	return a.Reason
}

// blocked is why a resource is left alone, "" if it is not.
func (s *Study) blocked(t *scheduler.Transition, resource string) string {
	for i := range t.Allocations {
		if a := &t.Allocations[i]; s.unitName(a.Resource) == s.unitName(resource) && a.Blocked {
			return bare(a)
		}
	}
	return ""
}

// join makes one loss of the members of a group, named only if not all are lost.
func (s *Study) join(list []Loss) []Loss {
	var joined []Loss
	for _, l := range list {
		if n := len(joined) - 1; n >= 0 && joined[n].Resource == l.Resource && joined[n].Promoted == l.Promoted {
			joined[n].Before += l.Before
			joined[n].After += l.After
			joined[n].Members = append(joined[n].Members, l.Members...)
			continue
		}
		joined = append(joined, l)
	}
	for i := range joined {
		members := 0
		for name, top := range s.layout.tops {
			if top == joined[i].Resource && name != top {
				members++
			}
		}
		if len(joined[i].Members) >= members {
			joined[i].Members = nil
		}
	}
	return joined
}

// joinMoves makes one move of the members of a group that go the same way.
func joinMoves(list []Move) []Move {
	var joined []Move
	for _, m := range list {
		same := func(o Move) bool {
			return o.Resource == m.Resource && o.Promoted == m.Promoted && slices.Equal(o.From, m.From) && slices.Equal(o.To, m.To)
		}
		if !slices.ContainsFunc(joined, same) {
			joined = append(joined, m)
		}
	}
	return joined
}

// without returns the elements of a list that are not in another, each as
// often as it is there too often.
func without(list, other []string) []string {
	left := slices.Clone(other)
	var rest []string
	for _, n := range list {
		if i := slices.Index(left, n); i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		rest = append(rest, n)
	}
	return rest
}

func tidy(list []string) []string {
	slices.SortFunc(list, naturalCompare)
	return slices.Compact(list)
}

// String says in one line what fails.
func (sc Scenario) String() string {
	if sc.Kind == Resource {
		return fmt.Sprintf("%s on %s", sc.Resource, sc.Nodes[0])
	}
	return strings.Join(sc.Nodes, " and ")
}
