package scheduler

import (
	"slices"

	"github.com/takt-ha/takt/cluster/cib"
)

// cut is the document without the resources of parts that are not stale: their
// configuration, constraints and histories. states are those of root.
func (m *Memo) cut(root *cib.Node, states []nodeHistory, stale map[partID]bool) *cib.Node {
	d := m.division
	resources := filtered(d.config.Child("resources"), func(i int, xml *cib.Node) bool {
		return variantOf(xml.Name()) == 0 || stale[d.part(i)]
	})
	constraints := filtered(d.config.Child("constraints"), func(i int, _ *cib.Node) bool {
		return d.constraints[i] == 0 || stale[d.constraints[i]]
	})
	config := d.config.WithReplaced(d.config.Child("resources"), resources)
	if constraints != nil {
		config = config.WithReplaced(d.config.Child("constraints"), constraints)
	}
	old := root.Child("status")
	status := make([]*cib.Node, 0, len(states))
	for i := range states {
		status = append(status, states[i].cut(stale))
	}
	if root = root.WithReplaced(d.config, config); old == nil {
		return root
	}
	return root.WithReplaced(old, old.WithChildren(status))
}

// cut is the state with the histories of stale parts only.
func (s *nodeHistory) cut(stale map[partID]bool) *cib.Node {
	lrm := s.state.Child("lrm")
	list := lrm.Child("lrm_resources")
	if list == nil {
		return s.state
	}
	var kept []*cib.Node
	for i, part := range s.parts {
		if part != 0 && stale[part] {
			kept = append(kept, s.entries[i])
		}
	}
	return s.state.WithReplaced(lrm, lrm.WithReplaced(list, list.WithChildren(kept)))
}

// filtered is an element with those of its children that keep says.
func filtered(n *cib.Node, keep func(i int, c *cib.Node) bool) *cib.Node {
	if n == nil {
		return nil
	}
	list := slices.Collect(n.Elements)
	kept := make([]*cib.Node, 0, len(list))
	for i, c := range list {
		if keep(i, c) {
			kept = append(kept, c)
		}
	}
	return n.WithChildren(kept)
}
