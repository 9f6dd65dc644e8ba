package simulate

import (
	"strconv"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// record writes the result of an operation into the history of its node.
func (d *draft) record(a *scheduler.Action) bool {
	s := d.of(a.Node)
	name := d.nameOf(s, a)
	lrm := s.get(name)
	if lrm == nil {
		class, provider, typ := agentOf(a.Agent)
		lrm = cib.LRMResource(name, class, provider, typ)
	}
	key := name
	if d.replay { // a result that the entry has under its own name stays beside this one
		key = a.Resource
	}
	r := recordOf(a, key, nextCall(lrm), d.now)
	if a.Task != "migrate_to" && a.Task != "migrate_from" {
		s.put(name, cib.MergeOp(lrm, r))
		return true
	}
	// Both ends of a migration know the other one.
	made := r.Node()
	for _, end := range []string{"migrate_source", "migrate_target"} {
		if node := a.Meta[end]; node != "" {
			made = made.WithAttr(end, node)
		}
	}
	if old := lrm.ChildByID("lrm_rsc_op", made.ID()); old != nil {
		lrm = lrm.WithReplaced(old, nil)
	}
	s.put(name, lrm.WithChild(made))
	return true
}

// cancel ends a recurring operation.
func (d *draft) cancel(a *scheduler.Action) bool {
	s := d.of(a.Node)
	name := s.alias(a.Resource)
	lrm := s.get(name)
	task := a.Meta["operation"]
	if task == "" {
		task = "monitor"
	}
	left := cib.DropOp(lrm, task, a.Interval)
	if lrm == nil || left == lrm {
		return false
	}
	s.put(name, left)
	return true
}

// forget drops what a node knows about a resource.
func (d *draft) forget(node, resource string) bool {
	s, name := d.of(node), resource
	if s.get(name) == nil {
		name = s.alias(resource)
	}
	if s.get(name) == nil {
		return false
	}
	s.put(name, nil)
	return true
}

// fence makes a node known to be off; its history went with it. Unfencing ("on")
// is only noted: the node may run resources from then on.
func (d *draft) fence(node, how string) bool {
	s := d.of(node)
	if how == "on" {
		s.node, s.changed = cib.WithNodeAttr(s.node, "#node-unfenced", strconv.FormatInt(d.now.Unix(), 10)), true
		return true
	}
	s.down()
	s.drop("transient_attributes")
	s.drop("lrm")
	s.index, s.numbers, s.history = map[string]int{}, map[string][]int{}, nil
	return true
}

// leave lets a node go that asked to, after its resources have been stopped.
func (d *draft) leave(node string) bool {
	s := d.of(node)
	s.down()
	s.drop("transient_attributes")
	return true
}

// down says that a node is off and that this was expected.
func (s *state) down() {
	s.changed = true
	s.node = s.node.WithAttr("in_ccm", "false").WithAttr("crmd", "offline").WithAttr("join", "down").WithAttr("expected", "down")
	if _, heartbeat := s.node.Lookup("ha"); heartbeat {
		s.node = s.node.WithAttr("ha", "dead")
	}
}

func (s *state) drop(name string) {
	if child := s.node.Child(name); child != nil {
		s.node = s.node.WithReplaced(child, nil)
	}
}

// clearFailures sets a resource's failure counts on a node back.
func (d *draft) clearFailures(node, resource string) bool {
	s := d.of(node)
	left := cib.WithoutFailures(s.node, resource)
	if left == s.node {
		return false
	}
	s.node, s.changed = left, true
	return true
}
