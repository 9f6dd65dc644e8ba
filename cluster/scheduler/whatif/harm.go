package whatif

import (
	"cmp"
	"fmt"
	"slices"
)

// Harm weighs an outcome. Of two outcomes the worse one is that which loses the
// more important resource; then the one that loses more; then the one that
// interrupts more (moves and restarts); then the one that fences more; then the
// one that leaves fewer instances.
type Harm struct {
	Lost       int   `json:"lost"`                 // resources that run no more
	Priorities []int `json:"priorities,omitempty"` // of these, the highest first
	Moved      int   `json:"moved"`                // resources that move or restart
	Fenced     int   `json:"fenced"`               // nodes
	Fewer      int   `json:"fewer"`                // instances that are missing of what still runs
}

func (o *Outcome) weigh() {
	o.Harm = Harm{Lost: len(o.Lost), Moved: len(o.Moved) + len(o.Restarted), Fenced: len(o.Fenced)}
	for _, l := range o.Lost {
		o.Harm.Priorities = append(o.Harm.Priorities, l.Priority)
	}
	slices.SortFunc(o.Harm.Priorities, func(a, b int) int { return b - a })
	for _, l := range o.Fewer {
		o.Harm.Fewer += l.Before - l.After
	}
}

// Compare returns > 0 if h is worse than other, < 0 if it is milder.
func (h Harm) Compare(other Harm) int {
	return cmp.Or(slices.Compare(h.Priorities, other.Priorities), cmp.Compare(h.Lost, other.Lost), cmp.Compare(h.Moved, other.Moved),
		cmp.Compare(h.Fenced, other.Fenced), cmp.Compare(h.Fewer, other.Fewer))
}

// Point is a single point of failure: one failure after which something is lost.
type Point struct {
	Scenario
	Loses []Loss `json:"loses"`
}

// Report is everything that was found, the worst first.
type Report struct {
	Online    []string  `json:"online"`              // the nodes that failed in turn
	Tried     int       `json:"tried"`               // scenarios
	Active    int       `json:"active"`              // resources that run somewhere (a group, clone or bundle counts once)
	Idle      []Loss    `json:"idle,omitempty"`      // runs nowhere already
	Points    []Point   `json:"points"`              // single points of failure
	Nodes     []Outcome `json:"nodes"`               // one node fails
	Resources []Outcome `json:"resources"`           // one resource fails
	Pairs     []Outcome `json:"pairs,omitempty"`     // two nodes fail
	Unnoticed []string  `json:"unnoticed,omitempty"` // resources without a recurring monitor
	Warnings  []string  `json:"warnings,omitempty"`  // what makes all of this worse
}

// Report sums outcomes up and sorts them by harm.
func (s *Study) Report(outcomes []Outcome) *Report {
	r := &Report{Online: s.online, Tried: len(outcomes), Active: s.active(), Idle: s.Idle(), Points: []Point{}, Nodes: []Outcome{}, Resources: []Outcome{}}
	for _, o := range outcomes {
		switch o.Kind {
		case Node:
			r.Nodes = append(r.Nodes, o)
		case Pair:
			r.Pairs = append(r.Pairs, o)
		case Resource:
			r.Resources = append(r.Resources, o)
			if o.Unnoticed {
				r.Unnoticed = append(r.Unnoticed, base(o.Resource))
			}
		}
	}
	for _, list := range [][]Outcome{r.Nodes, r.Resources, r.Pairs} {
		slices.SortStableFunc(list, func(a, b Outcome) int { return b.Harm.Compare(a.Harm) })
	}
	for _, o := range slices.Concat(r.Nodes, r.Resources) {
		if len(o.Lost) > 0 {
			r.Points = append(r.Points, Point{o.Scenario, o.Lost})
		}
	}
	slices.SortStableFunc(r.Points, func(a, b Point) int { return weight(b.Loses).Compare(weight(a.Loses)) })
	r.Unnoticed = tidy(r.Unnoticed)
	r.Warnings = append(s.warnings(), r.restless()...)
	return r
}

// active counts what runs, on the top level.
func (s *Study) active() int {
	tops := map[string]bool{}
	for _, u := range s.units(s.before) {
		if len(u.nodes) > 0 {
			tops[u.top] = true
		}
	}
	return len(tops)
}

func weight(lost []Loss) Harm {
	o := Outcome{Lost: lost}
	o.weigh()
	return o.Harm
}

// restless warns of clusters in which a failure moves what it does not concern.
func (r *Report) restless() []string {
	disturbed := map[string]bool{}
	for _, o := range slices.Concat(r.Nodes, r.Resources) {
		for _, m := range o.Moved {
			if m.Disturbed && !m.Promoted {
				disturbed[m.Resource] = true
			}
		}
	}
	if len(disturbed) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d resources would move although neither they nor their node failed: resource-stickiness above 0 keeps them where they are",
		len(disturbed), r.Active)}
}

// warnings are facts about the cluster that decide many outcomes.
func (s *Study) warnings() []string {
	var list []string
	if !s.base.Settled {
		list = append(list, "the cluster does not come to rest even without a failure; what is said here may not be final")
	}
	switch {
	case !s.fence.enabled:
		list = append(list, "fencing is disabled (stonith-enabled): whether a lost node is off is never proven, and what it ran may then run twice")
	case s.fence.devices == 0 && !s.fence.watchdog:
		list = append(list, "fencing is enabled but there is no fence device: nothing that a lost node ran can be recovered")
	default:
		for _, n := range s.online {
			if !s.fence.reaches(n) {
				list = append(list, "no fence device knows "+n+": what it ran cannot be recovered if it dies")
			}
		}
	}
	return list
}

// Beyond returns what a pair of nodes loses that neither of them loses alone.
func (r *Report) Beyond(pair Outcome) []Loss {
	alone := map[string]bool{}
	for _, o := range r.Nodes {
		if slices.Contains(pair.Nodes, o.Nodes[0]) {
			for _, l := range o.Lost {
				alone[l.key()] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(pair.Lost), func(l Loss) bool { return alone[l.key()] })
}

func (l Loss) key() string {
	if l.Promoted {
		return l.Resource + " promoted"
	}
	return l.Resource
}
