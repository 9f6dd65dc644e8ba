package lab

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
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

// cutLocked takes a node's ports down, or drops frames between two nodes, one
// way (from Node to From) or both; s.mu is held.
func (s *supervisor) cutLocked(q request) error {
	switch {
	case q.Node == "":
		return errors.New("cut needs a node")
	case q.Node == q.From:
		return fmt.Errorf("cut %s from itself is impossible", q.Node)
	case q.OneWay && q.From == "":
		return errors.New("a one-way cut needs a peer (--from PEER)")
	}
	for _, k := range s.linksOf(q.Link) {
		if q.From == "" {
			s.cuts[cut{node: q.Node, link: k}] = true
			continue
		}
		s.cuts[cut{from: q.Node, node: q.From, link: k}] = true
		if !q.OneWay {
			s.cuts[cut{from: q.From, node: q.Node, link: k}] = true
		}
	}
	return errors.Join(s.applyCutsLocked(q.Node), s.applyPeerLocked(q.From))
}

// healLocked takes back what cuts concern the node (and the peer), on the link
// or all; without a node, everything; s.mu is held.
func (s *supervisor) healLocked(q request) error {
	touched := make(map[string]bool)
	for c := range s.cuts {
		about := q.Node == "" || c.node == q.Node || c.from == q.Node
		peer := q.From == "" || c.node == q.From || c.from == q.From
		if about && peer && (q.Link == 0 || c.link == q.Link) {
			delete(s.cuts, c)
			touched[c.node] = true
		}
	}
	var all error
	for _, name := range s.config.Nodes {
		if touched[name] {
			all = errors.Join(all, s.applyCutsLocked(name))
		}
	}
	return all
}

func (s *supervisor) applyPeerLocked(name string) error {
	if name == "" {
		return nil
	}
	return s.applyCutsLocked(name)
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
