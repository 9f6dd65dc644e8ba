package controller

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

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

// AnewMark is the attribute of a node_state that a node was admitted anew with, and that it inherits from its old id:
// nobody has heard it under the new one.
const AnewMark = "takt-anew"

// record remembers a result for the next proposal. asked is false for a result
// that the node reports by itself.
func (m *Machine) record(node cib.NodeID, r agent.Record, asked bool) {
	m.learned = true
	r = m.dated(r)
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

// clocksDiffer is by how much a node's clock has to differ from this one's until
// its word on when something happened is not taken.
const clocksDiffer = 10 * time.Second

// dated is a result with a time that can be compared with this node's: how old a
// failure is decides whether anything is done about it, and by a clock that is an
// hour off every failure is an old one.
func (m *Machine) dated(r agent.Record) agent.Record {
	if !r.Changed.IsZero() && m.now.Sub(r.Changed).Abs() > clocksDiffer {
		r.Changed = m.now
	}
	return r
}

// notInFuture dates failures now that lie in the future: another coordinator wrote
// them down by a clock that is off, and they would not fade before this one is there.
func (m *Machine) notInFuture(state *cib.Node) *cib.Node {
	latest := m.now.Add(clocksDiffer).Unix()
	for nv := range state.Path("transient_attributes", "instance_attributes").Elements {
		name := nv.Attr("name")
		at, err := strconv.ParseInt(nv.Attr("value"), 10, 64)
		if strings.HasPrefix(name, "last-failure-") && err == nil && at > latest {
			state = cib.WithNodeAttr(state, name, strconv.FormatInt(m.now.Unix(), 10))
		}
	}
	return state
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
		if r.intent != nil {
			m.written = append(m.written, r.intent)
		}
	}
	m.history = held
	if ops := d.ops(); len(ops) > 0 {
		m.send("what happened", ops)
	} else {
		m.fulfil(true)
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
	case p.wipe:
		d.replace(p.id, m.fencedState(p, name))
	case p.joined && p.fresh:
		p.fresh = false
		p.drafted = transitionName(m.lead.Term, p.query)
		d.replace(p.id, m.joinedState(m.state.Root, p.id, p.answer).WithAttr(joinMark, p.drafted))
		p.answer = nil
	case p.joined:
	case p.gone:
		if online || state == nil && !m.fencingEnabled() {
			d.replace(p.id, m.goneState(state, p, name))
		}
	case p.overdue:
		if online {
			d.replace(p.id, overdueState(state))
		}
	case p.alive && m.fencingEnabled() && m.fencing(p.id) == nil && state.Attr("in_ccm") == "false" && state.Attr("expected") == "member":
		d.replace(p.id, pendingState(state))
	case online && cib.NodeAttr(state, managerDown) == "":
		d.modify(p.id, cib.WithNodeAttr(state, managerDown, "true"))
	}
}

// joinedState is the node_state of a node that has told what it knows.
func (m *Machine) joinedState(root *cib.Node, id cib.NodeID, records []agent.Record) *cib.Node {
	state := cib.NodeState(id, m.name(id), true)
	old := root.Child("status").ChildByID("node_state", id.String())
	if ta := old.Child("transient_attributes"); ta != nil {
		state = m.notInFuture(cib.WithNodeAttr(state.WithChild(ta), managerDown, ""))
	}
	sort.SliceStable(records, func(i, j int) bool { return records[i].Call < records[j].Call })
	known := map[string]bool{}
	for _, r := range records {
		if r.Changed.After(m.now.Add(clocksDiffer)) {
			r.Changed = m.now
		}
		state = withRecord(state, m.name(id), r)
		known[r.Command.Resource] = true
	}
	return withLocked(state, old, known)
}

// goneState is the node_state of a node that is not there. One that left in
// good order has stopped everything; what a lost one ran stays on record,
// because fencing has to know.
func (m *Machine) goneState(state *cib.Node, p *member, name string) *cib.Node {
	gone := cib.NodeState(p.id, name, false)
	if p.left {
		return withLocked(gone, state, nil)
	}
	if lrm := state.Child("lrm"); lrm != nil {
		gone = gone.WithReplaced(gone.Child("lrm"), lrm).WithAttr("expected", "member")
	}
	return gone
}

// pendingState is the node_state of a node that was lost, was not switched off, and is
// heard again: it has yet to join, and then tells what it runs. Until then that is
// left alone; nothing is gained by fencing it.
func pendingState(state *cib.Node) *cib.Node {
	return cib.WithNodeAttr(state, managerDown, "true").WithAttr("in_ccm", "true").WithAttr("crmd", "online").WithAttr("join", "pending")
}

// overdueState is the node_state of a node that is heard, but did not join in time.
func overdueState(state *cib.Node) *cib.Node {
	return cib.WithNodeAttr(state, managerDown, "").WithAttr("crmd", "offline").WithAttr("expected", "member")
}

// withoutFailedMonitors forgets recurring monitors of a resource that have failed and
// were not answered by anything. A failure that is forgotten may be true still, and
// its monitor reports changes alone: it has to be begun anew.
func withoutFailedMonitors(state *cib.Node, resource string) *cib.Node {
	return state.WithPath(func(list *cib.Node) *cib.Node {
		old := list.ChildByID("lrm_resource", resource)
		lrm := old
		for op := range old.Elements {
			interval, err := strconv.ParseInt(op.Attr("interval"), 10, 64)
			if err == nil && interval > 0 && !slices.Contains(runningCodes, op.Attr("rc-code")) {
				lrm = cib.DropOp(lrm, op.Attr("operation"), interval)
			}
		}
		if lrm == old {
			return list
		}
		return list.WithReplaced(old, lrm)
	}, "lrm", "lrm_resources")
}

// runningCodes are the answers of a monitor that found its resource running (OCF).
var runningCodes = []string{"0", "8", "190", "191"}

// draftResult writes what one operation gave.
func (m *Machine) draftResult(d *draft, r result) {
	state := d.state(r.node)
	if state == nil {
		return
	}
	if r.forget != "" {
		d.modify(r.node, withoutFailedMonitors(cib.WithoutFailures(state, r.forget), r.forget))
		d.touch(r.node, r.forget)
		return
	}
	if r.attrs != nil {
		for _, a := range r.attrs {
			state = cib.WithNodeAttr(state, a[0], a[1])
		}
		d.modify(r.node, state)
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
	if r.Call <= 0 {
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
			lrm = withLock(cib.MergeOp(lrm, opRecord(name, r)), r)
		}
		if old == nil {
			return list.WithChild(lrm)
		}
		return list.WithReplaced(old, lrm)
	}, "lrm", "lrm_resources")
}

// shutdownLock marks, with the time since when, the history of a resource that is
// kept for a node which was shut down while it ran there (cluster option
// shutdown-lock). The stop that is part of the shutdown carries it.
const shutdownLock = "shutdown-lock"

func withLock(lrm *cib.Node, r agent.Record) *cib.Node {
	switch r.Command.Action {
	case agent.Start, agent.MigrateFrom:
		return lrm.WithoutAttr(shutdownLock)
	case agent.Stop:
		if since := r.Command.Meta["shutdown_lock"]; since != "" && succeededWith(r) {
			return lrm.WithAttr(shutdownLock, since)
		}
		return lrm.WithoutAttr(shutdownLock)
	}
	return lrm
}

// withLocked keeps in a node's new state what its old one says about resources
// that are kept for it, but for those that it knows something newer of.
func withLocked(state, old *cib.Node, known map[string]bool) *cib.Node {
	for lrm := range old.Path("lrm", "lrm_resources").Elements {
		if lrm.Attr(shutdownLock) != "" && !known[lrm.ID()] {
			state = state.WithPath(func(list *cib.Node) *cib.Node { return list.WithChild(lrm) }, "lrm", "lrm_resources")
		}
	}
	return state
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
