package lab

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// linksOf expands link 0 to all links.
func (s *supervisor) linksOf(link int) []int {
	if link != 0 {
		return []int{link}
	}
	var all []int
	for k := 1; k <= s.config.Links; k++ {
		all = append(all, k)
	}
	return all
}

// known refuses nodes and links that are not of this laboratory.
func (s *supervisor) known(o CutOptions) error {
	for _, name := range []string{o.Node, o.From} {
		if name != "" && !slices.Contains(s.config.Nodes, name) {
			return fmt.Errorf("no node %q here: there are %s", name, strings.Join(s.config.Nodes, ", "))
		}
	}
	if o.Link < 0 || o.Link > s.config.Links {
		return fmt.Errorf("no link %d here: there are 1 to %d", o.Link, s.config.Links)
	}
	return nil
}

// cutLocked takes nodes' ports down, or drops frames between two nodes, one
// way (from Node to From) or both; s.mu is held.
func (s *supervisor) cutLocked(cuts []CutOptions) error {
	for _, o := range cuts {
		err := s.known(o)
		switch {
		case err != nil:
			return err
		case o.Node == "":
			return errors.New("cut needs a node")
		case o.Node == o.From:
			return fmt.Errorf("cut %s from itself is impossible", o.Node)
		case o.OneWay && o.From == "":
			return errors.New("a one-way cut needs a peer (--from PEER)")
		}
	}
	touched := make(map[string]bool)
	for _, o := range cuts {
		for _, k := range s.linksOf(o.Link) {
			switch {
			case o.From == "":
				s.cuts[cut{node: o.Node, link: k}] = true
			case o.OneWay:
				s.cuts[cut{from: o.Node, node: o.From, link: k}] = true
			default:
				s.cuts[cut{from: o.Node, node: o.From, link: k}] = true
				s.cuts[cut{from: o.From, node: o.Node, link: k}] = true
			}
		}
		touched[o.Node], touched[o.From] = true, true
	}
	return s.applyTouchedLocked(touched)
}

// healLocked takes back what cuts concern the node (and the peer), on the link
// or all; without a node, everything; s.mu is held.
func (s *supervisor) healLocked(o CutOptions) error {
	if err := s.known(o); err != nil {
		return err
	}
	touched := make(map[string]bool)
	for c := range s.cuts {
		about := o.Node == "" || c.node == o.Node || c.from == o.Node
		peer := o.From == "" || c.node == o.From || c.from == o.From
		if about && peer && (o.Link == 0 || c.link == o.Link) {
			delete(s.cuts, c)
			touched[c.node] = true
		}
	}
	return s.applyTouchedLocked(touched)
}

// applyTouchedLocked makes what some nodes get match s.cuts; s.mu is held.
func (s *supervisor) applyTouchedLocked(touched map[string]bool) (all error) {
	for _, name := range s.config.Nodes {
		if touched[name] {
			all = errors.Join(all, s.applyCutsLocked(name))
		}
	}
	return all
}

// applyCutsLocked makes a node's ports and filters match s.cuts; a node that is
// off gets them when it starts; s.mu is held.
func (s *supervisor) applyCutsLocked(name string) error {
	if !s.nodes[name].running() {
		return nil
	}
	for k := 1; k <= s.config.Links; k++ {
		var senders []string
		for c := range s.cuts {
			if c.node == name && c.link == k && c.from != "" {
				senders = append(senders, c.from)
			}
		}
		if err := dropFrom(name, k, senders); err != nil {
			return err
		}
		if err := setPort(name, k, !s.cuts[cut{node: name, link: k}]); err != nil {
			return err
		}
	}
	return nil
}

// cutsLocked lists the cuts in words, sorted; s.mu is held.
func (s *supervisor) cutsLocked() []string {
	var all []string
	for c := range s.cuts {
		all = append(all, c.String())
	}
	slices.SortFunc(all, cmp.Compare[string])
	return all
}
