package schedtest

import (
	"slices"

	"github.com/takt-ha/takt/cluster/cib"
)

// Shrink removes elements and attributes from a CIB as long as stillFails says
// yes to what is left, and returns the smallest that it found: taking any one
// more thing away would make the failure go. stillFails is called some hundred
// times; it also says no to what is no longer valid.
func Shrink(root *cib.Node, stillFails func(*cib.Node) bool) *cib.Node {
	s := shrinker{root: root, fails: stillFails}
	for {
		before := s.removed
		s.elements(nil)
		s.attributes(nil)
		if s.removed == before {
			return s.root
		}
	}
}

type shrinker struct {
	root    *cib.Node
	fails   func(*cib.Node) bool
	removed int
}

// at returns the element at a path of child numbers.
func (s *shrinker) at(path []int) *cib.Node {
	n := s.root
	for _, i := range path {
		n = child(n, i)
	}
	return n
}

func child(n *cib.Node, i int) *cib.Node {
	for c := range n.Elements {
		if i == 0 {
			return c
		}
		i--
	}
	return nil
}

func replaced(n *cib.Node, path []int, edit func(*cib.Node) *cib.Node) *cib.Node {
	if len(path) == 0 {
		return edit(n)
	}
	c := child(n, path[0])
	return n.WithReplaced(c, replaced(c, path[1:], edit))
}

// try keeps an edit if the failure stays.
func (s *shrinker) try(path []int, edit func(*cib.Node) *cib.Node) bool {
	smaller := replaced(s.root, path, edit)
	if !s.fails(smaller) {
		return false
	}
	s.root = smaller
	s.removed++
	return true
}

// elements removes children, large runs of them first, and then what is in
// those that stay.
func (s *shrinker) elements(path []int) {
	count := 0
	for range s.at(path).Elements {
		count++
	}
	for size := count; size > 0; size /= 2 {
		for start := count - size; start >= 0; start -= size {
			if s.try(path, func(n *cib.Node) *cib.Node { return without(n, start, start+size) }) {
				count -= size
			}
		}
		if rest := count % size; rest > 0 && size > 1 {
			if s.try(path, func(n *cib.Node) *cib.Node { return without(n, 0, rest) }) {
				count -= rest
			}
		}
	}
	for i := range count {
		s.elements(append(slices.Clone(path), i))
	}
}

// without removes the child elements from..to-1.
func without(n *cib.Node, from, to int) *cib.Node {
	i := 0
	for c := range n.Elements {
		if i >= from && i < to {
			n = n.WithReplaced(c, nil)
		}
		i++
	}
	return n
}

// essential reports whether an attribute stays even where the failure would,
// too: without it the element would be another question.
func essential(element, attribute string) bool {
	switch attribute {
	case "id", "validate-with", "class", "provider", "type":
		return true
	case "crm_feature_set", "crm-debug-origin", "exec-time", "queue-time", "on_node":
		return false
	case "op-digest", "op-force-restart", "op-restart-digest", "last-rc-change", "shutdown-lock":
		return false
	}
	return element == "lrm_rsc_op" || element == "lrm_resource" || element == "node_state"
}

func (s *shrinker) attributes(path []int) {
	n := s.at(path)
	for _, a := range n.Attrs() {
		if !essential(n.Name(), a.Name) {
			s.try(path, func(n *cib.Node) *cib.Node { return n.WithoutAttr(a.Name) })
		}
	}
	i := 0
	for range n.Elements {
		s.attributes(append(slices.Clone(path), i))
		i++
	}
}
