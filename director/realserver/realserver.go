// Package realserver prepares a machine to be a real server of direct routing or tunnels (LVS-DR, LVS-TUN). The director sends it
// packets to the virtual address as they came, by the hardware address or wrapped into other packets, and it answers the client
// itself. So it must have the address, and be silent about it: when a neighbour asks who has it, the director alone answers.
//
//	keepalived.conf ─▶ Wants ─▶ Plan(wants, facts, state) ─▶ []Item, each in force or missing ─▶ Host carries it out
//
// What is wanted, what is missing, and what of it is to be undone are pure functions. Host asks the kernel, changes it, and keeps a record of
// what it has made, so that Remove takes away that and nothing else. The record is written before anything is changed.
package realserver

import (
	"net/netip"
	"slices"
)

// Want is a virtual address that this machine shall serve.
type Want struct {
	Addr   netip.Addr `json:"address"`
	Method string     `json:"method"`           // DR or TUN
	Link   string     `json:"link"`             // that holds the address: lo, a dummy, or the end of a tunnel
	Kind   string     `json:"kind,omitempty"`   // what Link is if it has to be made (ip-link(8)); "" for lo, and for one that is there
	Facing string     `json:"facing,omitempty"` // where neighbours ask for it; "" if nobody knows
}

// same says whether two wants ask for one thing.
func (w Want) same(o Want) bool { return w.Addr == o.Addr && w.Link == o.Link }

// merge returns the wants of both, those of newer in the place of older ones, sorted.
func merge(older, newer []Want) []Want {
	out := slices.Clone(newer)
	for _, w := range older {
		if !slices.ContainsFunc(newer, w.same) {
			out = append(out, w)
		}
	}
	slices.SortStableFunc(out, func(a, b Want) int {
		if c := a.Addr.Compare(b.Addr); c != 0 {
			return c
		}
		return compare(a.Link, b.Link)
	})
	return slices.CompactFunc(out, Want.same)
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Facts are what the kernel says now.
type Facts struct {
	Links     []Link
	Addresses []Held
	Settings  map[string]int // by key, with slashes; those that are there
}

// Link is an interface.
type Link struct {
	Name  string
	Up    bool
	Quiet bool // nobody is asked for neighbours there: loopback, tunnels, dummies
}

// Held is an address on an interface.
type Held struct {
	Prefix netip.Prefix
	Link   string
	Label  string
}

func (f *Facts) link(name string) (Link, bool) {
	i := slices.IndexFunc(f.Links, func(l Link) bool { return l.Name == name })
	if i < 0 {
		return Link{}, false
	}
	return f.Links[i], true
}

// State is the record of what was asked for and what was changed for it.
type State struct {
	Version int    `json:"version"` // 1
	Boot    string `json:"boot"`    // of the machine: a record of an earlier one says nothing about this one
	Wants   []Want `json:"wants"`
	Steps   []Step `json:"steps"` // in the order in which they were made
}

// Step is a change. Its fields are those that its kind needs.
type Step struct {
	Do     Action       `json:"do"`
	Link   string       `json:"link,omitempty"`
	Kind   string       `json:"kind,omitempty"` // of a link that is made
	Key    string       `json:"key,omitempty"`  // of a setting, with slashes
	Before int          `json:"before,omitempty"`
	Value  int          `json:"value,omitempty"`
	Prefix netip.Prefix `json:"prefix,omitzero"`
	Label  string       `json:"label,omitempty"`
}

// Action is what a step does.
type Action string

// The actions.
const (
	Make Action = "make" // a link
	Up   Action = "up"   // brings a link up
	Set  Action = "set"  // a setting
	Add  Action = "add"  // an address
)

// is says whether both change the same thing.
func (s Step) is(o Step) bool {
	return s.Do == o.Do && s.Link == o.Link && s.Key == o.Key && s.Prefix == o.Prefix
}

// noted returns the state with steps that are about to be made. What an earlier apply found before it changed a setting stays what it was.
func (s State) noted(steps []Step) State {
	s.Steps = slices.Clone(s.Steps)
	for _, n := range steps {
		if i := slices.IndexFunc(s.Steps, n.is); i >= 0 {
			s.Steps[i].Value = n.Value
		} else {
			s.Steps = append(s.Steps, n)
		}
	}
	return s
}

func (s *State) has(n Step) bool { return slices.ContainsFunc(s.Steps, n.is) }
