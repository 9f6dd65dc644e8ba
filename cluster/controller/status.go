package controller

import (
	"maps"
	"sort"
	"strconv"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
)

// This file keeps the CIB's status section true: which nodes are members, and
// what operations gave. Everything that gathered while a proposal was in flight
// goes into the next one.

// managerDown is the transient attribute that keeps a node's resources as they
// are while its daemon does not work; the scheduler reads it as maintenance.
const managerDown = "maintenance"

// record remembers a result for the next proposal. asked is false for a result
// that the node reports by itself.
func (m *Machine) record(node cib.NodeID, r agent.Record, asked bool) {
	m.learned = true
	m.history = append(m.history, result{node: node, record: r})
	if failedWith(r) {
		m.want(r.Command.Resource + " failed on " + m.name(node) + " (" + Words(r) + ")")
		if !asked {
			m.report("failure", r.Command.Resource, m.name(node), "%s failed on %s: %s", r.Command.Resource, m.name(node), Words(r))
		}
	} else {
		m.want("results came in")
	}
}

// clearFailures forgets the failures of a resource on a node, and reports
// whether it can: the node has to be a member of the cluster.
func (m *Machine) clearFailures(node, resource string) bool {
	id, ok := m.nodeID(node)
	if ok {
		m.learned = true
		m.history = append(m.history, result{node: id, forget: resource})
	}
	return ok
}

// propose sends what the CIB should say and does not say yet.
func (m *Machine) propose() {
	if m.proposal != 0 || m.now.Before(m.retryAt) || !m.Leading() {
		return
	}
	d := draft{root: m.state.Root, states: map[cib.NodeID]*cib.Node{}}
	m.draftMembership(&d)
	var held []result
	for _, r := range m.history {
		if p := m.members[r.node]; p != nil && p.fresh {
			held = append(held, r) // the answer, still to be written, is older than this
			continue
		}
		m.draftResult(&d, r)
	}
	m.history = held
	if ops := d.ops(); len(ops) > 0 {
		m.send("what happened", ops)
	}
}

func (m *Machine) send(reason string, ops []cib.Op) {
	m.proposals++
	m.proposal = m.proposals
	m.emit(Propose{ID: m.proposal, Term: m.lead.Term, Reason: reason, Ops: ops})
}

// draftMembership writes who is there. While answers are awaited it writes
// nothing, so that one proposal holds the whole picture.
func (m *Machine) draftMembership(d *draft) {
	if m.waitingForJoins() {
		return
	}
	if m.state.Root.Attr("have-quorum") != "1" || m.state.Root.Attr("dc-uuid") != m.cfg.Self.String() {
		d.rootOps = append(d.rootOps, cib.Op{Kind: cib.Modify, Path: "/cib",
			XML: cib.NewNode("cib", "have-quorum", "1", "dc-uuid", m.cfg.Self.String()).String()})
	}
	for n := range m.state.Root.Path("configuration", "nodes").Elements {
		id, ok := cib.ParseNodeID(n.ID())
		if !ok {
			continue
		}
		p := m.members[id]
		if p == nil {
			p = &member{id: id}
		}
		m.draftNode(d, p, n.Attr("uname"))
	}
}

func (m *Machine) draftNode(d *draft, p *member, name string) {
	state := d.state(p.id)
	online := state.Attr("crmd") == "online"
	switch {
	case p.joined && p.fresh:
		p.fresh = false
		d.replace(p.id, m.joinedState(m.state.Root, p.id, p.answer))
		p.answer = nil
	case p.joined:
	case p.gone:
		if state == nil || online {
			d.replace(p.id, m.goneState(state, p, name))
		}
	case online && cib.NodeAttr(state, managerDown) == "":
		d.modify(p.id, cib.WithNodeAttr(state, managerDown, "true"))
	}
}

// joinedState is the node_state of a node that has told what it knows.
func (m *Machine) joinedState(root *cib.Node, id cib.NodeID, records []agent.Record) *cib.Node {
	state := cib.NodeState(id, m.name(id), true)
	old := root.Child("status").ChildByID("node_state", id.String())
	if ta := old.Child("transient_attributes"); ta != nil {
		state = cib.WithNodeAttr(state.WithChild(ta), managerDown, "")
	}
	sort.SliceStable(records, func(i, j int) bool { return records[i].Call < records[j].Call })
	for _, r := range records {
		state = withRecord(state, m.name(id), r)
	}
	return state
}

// goneState is the node_state of a node that is not there. One that left in
// good order has stopped everything; what a lost one ran stays on record,
// because fencing has to know.
func (m *Machine) goneState(state *cib.Node, p *member, name string) *cib.Node {
	gone := cib.NodeState(p.id, name, false)
	if lrm := state.Child("lrm"); lrm != nil && !p.left() {
		gone = gone.WithReplaced(gone.Child("lrm"), lrm).WithAttr("expected", "member")
	}
	return gone
}

// draftResult writes what one operation gave.
func (m *Machine) draftResult(d *draft, r result) {
	state := d.state(r.node)
	if state == nil {
		return
	}
	if r.forget != "" {
		d.modify(r.node, cib.WithoutFailures(state, r.forget))
		return
	}
	c := r.record.Command
	if failedWith(r.record) {
		state = cib.WithFailure(state, c.Resource, c.Action, c.Interval, m.fatal(c), r.record.Changed)
	}
	if !superseded(state, r.record) {
		state = withRecord(state, m.name(r.node), r.record)
	}
	d.modify(r.node, state)
	d.touch(r.node, c.Resource)
}

// superseded reports whether the history holds something newer than a result: a
// node that had nobody to report to sends results late, and a later operation
// may have overtaken them. Call numbers grow with each operation of a node, and
// its answer replaces the history whole after a reboot.
func superseded(state *cib.Node, r agent.Record) bool {
	if r.Call == 0 {
		return false
	}
	c := r.Command
	lrm := state.Path("lrm", "lrm_resources").ChildByID("lrm_resource", c.Resource)
	for op := range lrm.Elements {
		call, err := strconv.ParseInt(op.Attr("call-id"), 10, 64)
		if err != nil || call <= r.Call {
			continue
		}
		interval := op.Attr("interval")
		if interval == "0" || op.Attr("operation") == c.Action && interval == strconv.FormatInt(c.Interval, 10) {
			return true
		}
	}
	return false
}

// failedWith reports whether a result counts as a failure of the resource: a
// probe's does not.
func failedWith(r agent.Record) bool {
	if r.Result.Status == agent.Pending || r.Result.Status == agent.Cancelled || isProbe(r.Command) {
		return false
	}
	switch r.Command.Action {
	case agent.Cancel, agent.Forget, agent.Notify:
		return false
	}
	return !succeededWith(r)
}

// fatal reports whether one failure is enough to keep the resource off the node.
func (m *Machine) fatal(c agent.Command) bool {
	if c.Action == agent.Stop {
		return true
	}
	if c.Action != agent.Start {
		return false
	}
	fatal, ok := cib.ParseBool(m.option("start-failure-is-fatal"))
	return fatal || !ok
}

// option returns a cluster option, "" if it is not set.
func (m *Machine) option(name string) string {
	for set := range m.state.Root.Path("configuration", "crm_config").Elements {
		for nv := range set.Elements {
			if nv.Attr("name") == name {
				return nv.Attr("value")
			}
		}
	}
	return ""
}

// withRecord returns the node_state with one result merged into the history of
// its resource.
func withRecord(state *cib.Node, name string, r agent.Record) *cib.Node {
	c := r.Command
	if c.Action == agent.Forget {
		return state.WithPath(func(list *cib.Node) *cib.Node {
			if old := list.ChildByID("lrm_resource", c.Resource); old != nil {
				list = list.WithReplaced(old, nil)
			}
			return list
		}, "lrm", "lrm_resources")
	}
	return state.WithPath(func(list *cib.Node) *cib.Node {
		old := list.ChildByID("lrm_resource", c.Resource)
		lrm := old
		if lrm == nil {
			lrm = cib.LRMResource(c.Resource, c.Agent.Class, c.Agent.Provider, c.Agent.Type)
		}
		if c.Action == agent.Cancel {
			operation := agent.Monitor
			if name := c.Meta["operation"]; name != "" {
				operation = name
			}
			lrm = cib.DropOp(lrm, operation, c.Interval)
		} else {
			lrm = cib.MergeOp(lrm, opRecord(name, r))
		}
		if old == nil {
			return list.WithChild(lrm)
		}
		return list.WithReplaced(old, lrm)
	}, "lrm", "lrm_resources")
}

func opRecord(node string, r agent.Record) cib.OpRecord {
	c := r.Command
	code := r.Result.Code
	if r.Result.Status != agent.Done && code == agent.OK {
		code = agent.ErrGeneric
	}
	changed := r.Changed
	if changed.IsZero() {
		changed = r.Result.Started
	}
	operation := c.Action
	if (operation == agent.ReloadAgent || operation == agent.Reload) && succeededWith(r) {
		operation = agent.Start // it runs with these parameters now, as if it had been started with them
	}
	return cib.OpRecord{
		Resource: c.Resource, Operation: operation, IntervalMS: c.Interval, OnNode: node,
		Transition: c.Stamp.Transition, Action: c.Stamp.Action, TargetRC: int(c.Target),
		RC: int(code), OpStatus: int(r.Result.Status), Call: r.Call,
		ExitReason: firstLine(r.Result.Reason), Changed: changed,
		ExecMS: r.Result.Duration.Milliseconds(), QueueMS: r.Queued,
		Digest:        digestOf(c),
		MigrateSource: c.Meta["migrate_source"], MigrateTarget: c.Meta["migrate_target"],
	}
}

// digestOf is the digest that the scheduler compares with the configuration: a
// recurring operation is another one when its time-out changes.
func digestOf(c agent.Command) string {
	if c.Interval == 0 {
		return scheduler.ParamsDigest(c.Params)
	}
	params := maps.Clone(c.Params)
	if params == nil {
		params = map[string]string{}
	}
	params["CRM_meta_timeout"] = strconv.FormatInt(c.Timeout, 10)
	return scheduler.ParamsDigest(params)
}

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
		if ta := state.Child("transient_attributes"); ta != nil && ta != old.Child("transient_attributes") {
			ops = append(ops, cib.Op{Kind: cib.Replace, Path: path + "/transient_attributes", Parent: path, XML: ta.String()})
		}
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
