package simulate

import (
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// draft gathers the changes of many actions, so that each list of the document
// that they touch is copied once.
type draft struct {
	root     *cib.Node
	now      time.Time
	replay   bool              // see Replay
	known    map[string]bool   // of replays: every name of a resource
	recorded map[string]string // of replays: the names in the history, of instances
	states   map[string]*state // by node name
	added    []*state          // of nodes that had none, in order
}

// state is the node_state of one node while it is edited.
type state struct {
	old     *cib.Node // as in the document; nil if it had none
	node    *cib.Node // everything but the history
	changed bool
	index   map[string]int   // resource → place in history; nil until the history is needed
	history []*cib.Node      // lrm_resource elements; nil where deleted
	numbers map[string][]int // name without the number of an instance → places of those that have one
}

func newDraft(root *cib.Node, now time.Time) *draft {
	d := &draft{root: root, now: now, states: map[string]*state{}}
	names := map[string]string{}
	for n := range root.Path("configuration", "nodes").Elements {
		names[n.ID()] = n.Attr("uname")
	}
	for s := range root.Child("status").Elements {
		name := s.Attr("uname")
		if name == "" {
			name = names[s.ID()]
		}
		if name == "" {
			name = s.ID()
		}
		if s.Name() == "node_state" && d.states[name] == nil {
			d.states[name] = &state{old: s, node: s}
		}
	}
	return d
}

// of returns the state of a node, made if there is none: Pacemaker Remote nodes
// get theirs with the first result.
func (d *draft) of(node string) *state {
	if s := d.states[node]; s != nil {
		return s
	}
	id, remote := node, "true"
	for n := range d.root.Path("configuration", "nodes").Elements {
		if n.Attr("uname") == node {
			id = n.ID()
			if n.Attr("type") != "remote" {
				remote = ""
			}
		}
	}
	s := &state{node: cib.NewNode("node_state", "id", id, "uname", node, "remote_node", remote, "crm-debug-origin", "takt")}
	d.states[node] = s
	d.added = append(d.added, s)
	return s
}

// load indexes the history of a node.
func (s *state) load() {
	if s.index != nil {
		return
	}
	s.index, s.numbers = map[string]int{}, map[string][]int{}
	for r := range s.node.Path("lrm", "lrm_resources").Elements {
		s.add(r.ID(), r)
	}
}

func (s *state) add(resource string, lrm *cib.Node) {
	if _, twice := s.index[resource]; !twice {
		s.index[resource] = len(s.history)
	}
	base, number, numbered := strings.Cut(resource, ":")
	if numbered && strings.Trim(number, "0123456789") == "" {
		s.numbers[base] = append(s.numbers[base], len(s.history))
	}
	s.history = append(s.history, lrm)
}

// get returns the history of a resource, nil if there is none.
func (s *state) get(resource string) *cib.Node {
	s.load()
	if i, ok := s.index[resource]; ok {
		return s.history[i]
	}
	return nil
}

// put sets the history of a resource; nil deletes it.
func (s *state) put(resource string, lrm *cib.Node) {
	s.load()
	s.changed = true
	if i, ok := s.index[resource]; ok {
		s.history[i] = lrm
		return
	}
	s.add(resource, lrm)
}

// nameOf is the name under which an operation is recorded.
func (d *draft) nameOf(s *state, a *scheduler.Action) string {
	if d.recorded == nil {
		return s.alias(a.Resource)
	}
	if d.known[a.Resource] {
		return a.Resource
	}
	name := a.Resource + ":" + a.Meta["clone"]
	if other := d.recorded[name]; other != "" {
		name = other
	}
	if s.get(name) != nil {
		return name
	}
	return a.Resource
}

// replays notes the names of resources for a replay. Pacemaker's simulator asks
// for the one by which the instance is recorded only if no instance goes by the
// name that executors are told: what it stops stays active if the node's history
// has it under yet another number.
func (d *draft) replays(t *scheduler.Transition) {
	d.replay, d.known, d.recorded = true, map[string]bool{}, map[string]string{}
	for i := range t.Allocations {
		r := &t.Allocations[i]
		d.known[r.Resource] = true
		if r.Recorded != "" {
			d.known[r.Recorded], d.recorded[r.Resource] = true, r.Recorded
		}
	}
}

// alias is the name under which the history keeps a resource. Old histories
// number the instances of anonymous clones: the one that is active counts.
func (s *state) alias(resource string) string {
	own, found := s.get(resource), resource
	for _, i := range s.numbers[resource] {
		r := s.history[i]
		switch {
		case r == nil || own != nil && active(own):
		case active(r):
			return r.ID()
		case own == nil && found == resource:
			found = r.ID()
		}
	}
	return found
}

// active reports whether the last thing that a history tells is no stop.
func active(lrm *cib.Node) bool {
	call, yes := int64(-1), false
	for op := range lrm.Elements {
		if c := callOf(op); c >= call {
			call = c
			idle := op.Attr("operation") == "stop" || op.Attr("operation") == "monitor" && op.Attr("rc-code") == "7"
			yes = !idle
		}
	}
	return yes
}

func callOf(op *cib.Node) int64 {
	call, err := strconv.ParseInt(op.Attr("call-id"), 10, 64)
	if err != nil {
		return -1
	}
	return call
}

// nextCall is a call number above all in a history.
func nextCall(lrm *cib.Node) int64 {
	last := int64(0)
	for op := range lrm.Elements {
		last = max(last, callOf(op))
	}
	return last + 1
}

// document returns the CIB with all changes in it.
func (d *draft) document() *cib.Node {
	status := d.root.Child("status")
	if status == nil {
		status = cib.NewNode("status")
	}
	list, touched := []*cib.Node{}, len(d.added) > 0
	byOld := map[*cib.Node]*state{}
	for _, s := range d.states {
		if s.old != nil {
			byOld[s.old] = s
		}
	}
	for n := range status.Elements {
		if s := byOld[n]; s != nil && s.changed {
			n, touched = s.element(), true
		}
		list = append(list, n)
	}
	for _, s := range d.added {
		list = append(list, s.element())
	}
	if !touched {
		return d.root
	}
	return d.root.WithPath(func(*cib.Node) *cib.Node { return like(status).WithChild(list...) }, "status")
}

// element is the node_state with its history.
func (s *state) element() *cib.Node {
	if s.index == nil {
		return s.node
	}
	id := s.node.ID()
	return s.node.WithPath(func(lrm *cib.Node) *cib.Node {
		if lrm.ID() == "" {
			lrm = lrm.WithAttr("id", id)
		}
		return lrm.WithPath(func(old *cib.Node) *cib.Node {
			kept := make([]*cib.Node, 0, len(s.history))
			for _, r := range s.history {
				if r != nil {
					kept = append(kept, r)
				}
			}
			return like(old).WithChild(kept...)
		}, "lrm_resources")
	}, "lrm")
}

// like returns an empty element with the name and attributes of another.
func like(n *cib.Node) *cib.Node {
	made := cib.NewNode(n.Name())
	for _, a := range n.Attrs() {
		made = made.WithAttr(a.Name, a.Value)
	}
	return made
}
