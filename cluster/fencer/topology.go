package fencer

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
)

// Match says whom a level is for: one node by name, all whose name matches a
// pattern, or all with an attribute of that value. Exactly one is set.
type Match struct {
	Node             Node
	Pattern          string // POSIX extended, found anywhere in the name
	Attribute, Value string
}

// kind orders matches: a name goes before a pattern before an attribute.
func (m Match) kind() int {
	switch {
	case m.Node != "":
		return 1
	case m.Pattern != "":
		return 2
	}
	return 3
}

// Level is one fencing-level of a topology.
type Level struct {
	Target  Match
	Index   int // 1 is tried first
	Devices []DeviceID
	// Together runs the devices at once; else one after the other.
	Together bool
}

// Setup is a checked configuration.
type Setup struct {
	devices  map[DeviceID]*Device
	order    []*Device // by priority, then id
	levels   []Level   // by kind of match, then as configured
	patterns map[string]*regexp.Regexp
	serial   bool
}

// NewSetup checks devices and levels. serial is concurrent-fencing=false: one
// target at a time. An error says which level or device is wrong and how.
func NewSetup(devices []Device, levels []Level, serial bool) (*Setup, error) {
	s := &Setup{devices: map[DeviceID]*Device{}, patterns: map[string]*regexp.Regexp{}, serial: serial}
	for _, d := range devices {
		if d.ID == "" || s.devices[d.ID] != nil {
			return nil, fmt.Errorf("fence device %q: the id is missing or used twice: give each device its own", d.ID)
		}
		d.Members = slices.Clone(d.Members)
		s.devices[d.ID] = &d
		s.order = append(s.order, &d)
	}
	slices.SortFunc(s.order, func(a, b *Device) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID))
	})
	for _, l := range levels {
		if err := s.check(l); err != nil {
			return nil, err
		}
		s.levels = append(s.levels, l)
	}
	slices.SortStableFunc(s.levels, func(a, b Level) int { return cmp.Compare(a.Target.kind(), b.Target.kind()) })
	return s, nil
}

func (s *Setup) check(l Level) error {
	name := fmt.Sprintf("fencing level %d for %s", l.Index, l.Target)
	set := 0
	for _, v := range []string{string(l.Target.Node), l.Target.Pattern, l.Target.Attribute} {
		if v != "" {
			set++
		}
	}
	switch {
	case set != 1:
		return fmt.Errorf("%s: set exactly one of target, target-pattern and target-attribute", name)
	case l.Index < 1:
		return fmt.Errorf("%s: the index begins with 1", name)
	case len(l.Devices) == 0:
		return fmt.Errorf("%s: it has no devices, and so could never succeed: name one or remove the level", name)
	}
	for _, o := range s.levels {
		if o.Target == l.Target && o.Index == l.Index {
			return fmt.Errorf("%s: there are two of it: give one another index", name)
		}
	}
	for i, id := range l.Devices {
		if s.devices[id] == nil {
			return fmt.Errorf("%s: there is no fence device %q: add it, or take it out of the level", name, id)
		}
		if slices.Contains(l.Devices[:i], id) {
			return fmt.Errorf("%s: %s is named twice", name, id)
		}
	}
	if p := l.Target.Pattern; p != "" && s.patterns[p] == nil {
		re, err := regexp.CompilePOSIX(p)
		if err != nil {
			return fmt.Errorf("%s: the pattern cannot be read: %w", name, err)
		}
		s.patterns[p] = re
	}
	return nil
}

// String returns the match as it is configured.
func (m Match) String() string {
	switch {
	case m.Node != "":
		return string(m.Node)
	case m.Pattern != "":
		return "nodes matching " + m.Pattern
	}
	return "nodes with " + m.Attribute + "=" + m.Value
}

func (s *Setup) matches(m Match, n Member) bool {
	switch m.kind() {
	case 1:
		return m.Node == n.Node
	case 2:
		return s.patterns[m.Pattern].MatchString(string(n.Node))
	}
	v, ok := n.Attributes[m.Attribute]
	return ok && v == m.Value
}

// plan is a level that is to be tried.
type plan struct {
	name     string // in words
	index    int    // of the level; 0: there is no topology
	devices  []*Device
	together bool
}

// plans returns what to try for a target, in order. The first match decides: its
// levels are used, those of other matches are not.
func (s *Setup) plans(n Member, a Action) []plan {
	if a == On {
		if p := s.unfencing(n.Node); len(p.devices) > 0 {
			return []plan{p}
		}
	}
	list := s.topology(n)
	if len(list) > 0 {
		return list
	}
	for _, d := range s.order {
		if d.fences(n.Node) {
			list = append(list, plan{name: "device " + string(d.ID), devices: []*Device{d}})
		}
	}
	return list
}

// topology returns the levels of the first match.
func (s *Setup) topology(n Member) []plan {
	var list []plan
	first := slices.IndexFunc(s.levels, func(l Level) bool { return s.matches(l.Target, n) })
	if first < 0 {
		return nil
	}
	levels := slices.Clone(s.levels[first:])
	slices.SortStableFunc(levels, func(a, b Level) int { return cmp.Compare(a.Index, b.Index) })
	for _, l := range levels {
		if l.Target != s.levels[first].Target {
			continue
		}
		p := plan{name: fmt.Sprintf("level %d for %s", l.Index, l.Target), index: l.Index, together: l.Together}
		for _, id := range l.Devices {
			p.devices = append(p.devices, s.devices[id])
		}
		list = append(list, p)
	}
	return list
}

// unfencing is all devices whose on the target needs.
func (s *Setup) unfencing(target Node) plan {
	p := plan{name: "all devices that unfence " + string(target)}
	for _, d := range s.order {
		if d.Unfences && d.fences(target) {
			p.devices = append(p.devices, d)
		}
	}
	return p
}
