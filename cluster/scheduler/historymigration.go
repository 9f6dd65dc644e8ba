package scheduler

import (
	"strings"

	"github.com/takt-ha/takt/cluster/cib"
)

// A migration is three operations: migrate_to on the source, migrate_from on
// the target, stop on the source. Where any of them is missing, failed, or was
// overtaken by others, this file says where the resource may be.

// migration is what the history says about one migration of a resource.
type migration struct {
	rsc            *resource
	source, target string
	to, from       *cib.Node // its recorded ends, nil if they are not recorded
}

// migrationOf reads the ends of a migration from a result that was recorded on
// n, as its source or (atTarget) its target.
func (h *replay) migrationOf(op *cib.Node, atTarget bool) (migration, bool) {
	m := migration{rsc: h.rsc, source: op.Attr("migrate_source"), target: op.Attr("migrate_target")}
	here := m.source
	if atTarget {
		here = m.target
	}
	return m, m.source != "" && m.target != "" && strings.EqualFold(here, h.node.name)
}

// migratedTo takes a migrate_to into account that succeeded.
func (h *replay) migratedTo(op *cib.Node) {
	w, r := h.w, h.rsc
	m, ok := h.migrationOf(op, false)
	if !ok {
		return
	}
	m.to = op
	newerOnSource := w.touchedAfter(r.id, m.source, op, true)
	m.from = w.findRecorded(r.id, taskMigrateFrom, m.target, m.source)
	exit, status := exitOK, statusPending
	if m.from != nil {
		if newerOnSource {
			return // both nodes know better
		}
		exit, status = int(number(m.from, "rc-code", 0)), int(number(m.from, "op-status", statusPending))
	}
	newerOnTarget := w.newerState(m, m.target)
	if newerOnSource && newerOnTarget {
		return
	}
	if exit == exitOK && status == statusDone {
		// Only the stop on the source is missing.
		r.role = Stopped
		r.dangling = append([]*node{h.node}, r.dangling...)
		return
	}
	r.role = Started // promotable clones do not migrate
	target := w.nodeByName[m.target]
	activeThere := !newerOnTarget && target != nil && target.online
	switch {
	case status != statusPending:
		if activeThere {
			w.addRunning(r, target, true)
		} else {
			r.recoverInPlace()
		}
	case target != nil && target.online && w.unknownOn(r.id, m.target):
		// Its history there was cleaned: a probe will tell.
	case activeThere:
		w.addRunning(r, target, false)
		if source := w.nodeByName[m.source]; source != nil && source.online {
			r.migrationTarget, r.migrationSource = target, source
		}
	case !newerOnSource:
		r.recoverInPlace()
	}
}

// recoverInPlace: a migration that cannot go on ends in a restart.
func (r *resource) recoverInPlace() {
	r.failed, r.stopWanted, r.migratable = true, true, false
}

// migrateToFailed: the resource may be on either node.
func (h *replay) migrateToFailed(op *cib.Node) {
	w, r := h.w, h.rsc
	m, ok := h.migrationOf(op, false)
	if !ok {
		return
	}
	r.role = Started
	m.to, m.from = op, succeededOnly(w.findRecorded(r.id, taskMigrateFrom, m.target, m.source))
	if !w.unknownOn(r.id, m.target) && !w.newerState(m, m.target) {
		if target := w.nodeByName[m.target]; target != nil && target.online {
			w.addRunning(r, target, false)
		}
	} else if !w.touchedAfter(r.id, m.source, op, true) {
		r.dangling = append([]*node{h.node}, r.dangling...)
	}
}

// migrateFromFailed: the source still has the resource, unless it knows better.
func (h *replay) migrateFromFailed(op *cib.Node) {
	w, r := h.w, h.rsc
	m, ok := h.migrationOf(op, true)
	if !ok {
		return
	}
	r.role = Started
	m.to, m.from = succeededOnly(w.findRecorded(r.id, taskMigrateTo, m.source, m.target)), op
	if !w.unknownOn(r.id, m.source) && !w.newerState(m, m.source) {
		if source := w.nodeByName[m.source]; source != nil && source.online {
			w.addRunning(r, source, true)
		}
	}
}

// newerState reports whether a node did something with the resource after the
// migration, or found it not running, so that the migration says nothing about
// the node any more.
func (w *working) newerState(m migration, name string) bool {
	op, sameNode := m.to, false
	if m.from != nil {
		op = m.from
	}
	switch {
	case strings.EqualFold(name, op.Attr("migrate_target")):
		op, sameNode = m.to, m.from != nil
		if sameNode {
			op = m.from
		}
	case strings.EqualFold(name, op.Attr("migrate_source")):
		op, sameNode = m.from, m.to != nil
		if sameNode {
			op = m.to
		}
	}
	if w.touchedAfter(m.rsc.id, name, op, sameNode) {
		return true
	}
	found := w.findRecorded(m.rsc.id, taskMonitor, name, "")
	return found != nil && number(found, "rc-code", 1) == exitNotRunning && number(found, "op-status", statusError) == statusDone &&
		compareAge(found, op, sameNode) > 0
}

// touchedAfter reports whether the node did more than watch the resource after op.
func (w *working) touchedAfter(id, name string, op *cib.Node, sameNode bool) bool {
	for o := range w.entryOn(id, name).Elements {
		switch o.Attr("operation") {
		case taskStart, taskStop, taskMigrateTo, taskMigrateFrom:
			if o != op && o.Name() == "lrm_rsc_op" && compareAge(o, op, sameNode) > 0 {
				return true
			}
		}
	}
	return false
}

// unknownOn reports whether the node's history says nothing about the resource.
func (w *working) unknownOn(id, name string) bool {
	for o := range w.entryOn(id, name).Elements {
		if rc, ok := o.Lookup("rc-code"); ok && rc != "193" { // 193: no exit code yet
			return false
		}
	}
	return true
}

// findRecorded finds a task in a node's history: of a migration only that from
// or to the other node. nil if it is not there, or not the only one.
func (w *working) findRecorded(id, task, name, other string) *cib.Node {
	var found *cib.Node
	for o := range w.entryOn(id, name).Elements {
		switch {
		case o.Attr("operation") != task:
		case task == taskMigrateTo && o.Attr("migrate_target") != other:
		case task == taskMigrateFrom && o.Attr("migrate_source") != other:
		case found != nil:
			return nil
		default:
			found = o
		}
	}
	return found
}

// succeededOnly is a recorded result if it is a success.
func succeededOnly(op *cib.Node) *cib.Node {
	if number(op, "rc-code", 1) != int64(exitOK) || number(op, "op-status", statusError) != statusDone {
		return nil
	}
	return op
}

// entryOn is a resource's history on the node of a name.
func (w *working) entryOn(id, name string) *cib.Node {
	n := w.nodeByName[name]
	if n == nil {
		return nil
	}
	return n.state.Path("lrm", "lrm_resources").ChildByID("lrm_resource", id)
}
