package controller

import (
	"sort"

	"github.com/takt-ha/takt/cluster/cib"
)

// draft gathers changes of the status section.
type draft struct {
	root    *cib.Node
	states  map[cib.NodeID]*cib.Node // as they should become
	whole   map[cib.NodeID]bool      // replaced as a whole
	touched map[cib.NodeID]map[string]bool
	order   []cib.NodeID
	rootOps []cib.Op
}

func (d *draft) old(id cib.NodeID) *cib.Node {
	return d.root.Child("status").ChildByID("node_state", id.String())
}

func (d *draft) state(id cib.NodeID) *cib.Node {
	if s, ok := d.states[id]; ok {
		return s
	}
	return d.old(id)
}

func (d *draft) modify(id cib.NodeID, state *cib.Node) {
	if _, ok := d.states[id]; !ok {
		d.order = append(d.order, id)
	}
	d.states[id] = state
}

func (d *draft) replace(id cib.NodeID, state *cib.Node) {
	d.modify(id, state)
	if d.whole == nil {
		d.whole = map[cib.NodeID]bool{}
	}
	d.whole[id] = true
}

func (d *draft) touch(id cib.NodeID, resource string) {
	if d.touched == nil {
		d.touched = map[cib.NodeID]map[string]bool{}
	}
	if d.touched[id] == nil {
		d.touched[id] = map[string]bool{}
	}
	d.touched[id][resource] = true
}

// ops returns the changes, as small as they can be said.
func (d *draft) ops() []cib.Op {
	ops := d.rootOps
	for _, id := range d.order {
		state, old := d.states[id], d.old(id)
		path := "/cib/status/node_state[@id='" + id.String() + "']"
		if d.whole[id] || old == nil {
			ops = append(ops, cib.Op{Kind: cib.Replace, Path: path, Parent: "/cib/status", XML: state.String()})
			continue
		}
		ops = append(ops, cib.NodeAttrOps(old, state)...)
		ops = append(ops, d.resourceOps(id, path+"/lrm/lrm_resources", state.Path("lrm", "lrm_resources"))...)
	}
	return ops
}

func (d *draft) resourceOps(id cib.NodeID, list string, resources *cib.Node) []cib.Op {
	names := make([]string, 0, len(d.touched[id]))
	for name := range d.touched[id] {
		names = append(names, name)
	}
	sort.Strings(names)
	var ops []cib.Op
	for _, name := range names {
		path := list + "/lrm_resource[@id='" + name + "']"
		if lrm := resources.ChildByID("lrm_resource", name); lrm != nil {
			ops = append(ops, cib.Op{Kind: cib.Replace, Path: path, Parent: list, XML: lrm.String()})
		} else {
			ops = append(ops, cib.Op{Kind: cib.Delete, Path: path, Optional: true})
		}
	}
	return ops
}
