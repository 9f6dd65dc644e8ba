package cib

import (
	"strconv"
	"strings"
	"time"
)

// This file writes the status section in the form that the scheduler reads and
// that Pacemaker's tools know: one node_state a node, in it one lrm_resource a
// resource, in it the last results of its operations as lrm_rsc_op.

// HistoryUUID ends each transition key; it tells the writers of a history apart.
const HistoryUUID = "7a6b7400-0000-4000-8000-000000000001"

// FeatureSet is the crm_feature_set that written history claims.
const FeatureSet = "3.16.2"

// NodeState returns an element for the status section that says whether the
// node is a member. Its lrm and transient_attributes are empty.
func NodeState(id NodeID, uname string, online bool) *Node {
	inCCM, crmd, join := "false", "offline", "down"
	if online {
		inCCM, crmd, join = "true", "online", "member"
	}
	return NewNode("node_state", "id", id.String(), "uname", uname,
		"in_ccm", inCCM, "crmd", crmd, "join", join, "expected", join,
		"crm-debug-origin", "takt").
		WithChild(NewNode("lrm", "id", id.String()).WithChild(NewNode("lrm_resources")))
}

// LRMResource returns an empty history of one resource on one node. provider is
// empty for classes other than ocf.
func LRMResource(id, class, provider, typ string) *Node {
	return NewNode("lrm_resource", "id", id, "class", class, "provider", provider, "type", typ)
}

// OpRecord is the last result of one operation of a resource on a node.
type OpRecord struct {
	Resource   string // as in lrm_resource
	Operation  string // start, stop, monitor, …
	IntervalMS int64  // > 0 for recurring operations
	OnNode     string // uname
	Transition uint64 // that asked for it
	Action     int    // within the transition
	TargetRC   int    // the exit code that was expected
	RC         int    // the exit code that came
	OpStatus   int    // -1 pending, 0 done, 1 cancelled, 2 timed out, 3 not supported, 4 error, 5 hard error, 7 not installed
	Call       int64  // grows with each operation on the node; < 0 while pending
	ExitReason string // the agent's words
	Changed    time.Time
	ExecMS     int64
	QueueMS    int64
	Digest     string // scheduler.ParamsDigest of the parameters it ran with

	MigrateSource, MigrateTarget string // of migrate_to and migrate_from: unames
}

// Failed reports whether the result counts as a failure: it ended, was not
// taken back, and gave another exit code than the expected one (degraded is
// not failed).
func (r OpRecord) Failed() bool {
	switch {
	case r.OpStatus == -1 || r.OpStatus == 1:
		return false
	case r.OpStatus != 0:
		return true
	case r.RC == 190 && r.TargetRC == 0, r.RC == 191 && r.TargetRC == 8:
		return false
	case r.probe() && (r.RC == 0 || r.RC == 7 || r.RC == 8):
		return false
	}
	return r.RC != r.TargetRC
}

func (r OpRecord) probe() bool { return r.Operation == "monitor" && r.IntervalMS == 0 }

// Key returns the operation key: RESOURCE_OPERATION_INTERVAL.
func (r OpRecord) Key() string { return OpKey(r.Resource, r.Operation, r.IntervalMS) }

// OpKey names an operation: RESOURCE_OPERATION_INTERVAL.
func OpKey(resource, operation string, intervalMS int64) string {
	return resource + "_" + operation + "_" + strconv.FormatInt(intervalMS, 10)
}

// TransitionKey returns "action:transition:target-rc:uuid".
func (r OpRecord) TransitionKey() string {
	return strconv.Itoa(r.Action) + ":" + strconv.FormatUint(r.Transition, 10) + ":" +
		strconv.Itoa(r.TargetRC) + ":" + HistoryUUID
}

// Node returns the lrm_rsc_op element. A failure is kept apart from the last
// result, so that it stays visible after the recovery.
func (r OpRecord) Node() *Node { return r.Element(r.historyID()) }

// Element returns the lrm_rsc_op element under an id.
func (r OpRecord) Element(id string) *Node {
	key := r.TransitionKey()
	return NewNode("lrm_rsc_op", "id", id, "operation_key", r.Key(), "operation", r.Operation,
		"crm-debug-origin", "takt", "crm_feature_set", FeatureSet, "transition-key", key,
		"transition-magic", strconv.Itoa(r.OpStatus)+":"+strconv.Itoa(r.RC)+";"+key,
		"exit-reason", r.ExitReason, "on_node", r.OnNode, "call-id", strconv.FormatInt(r.Call, 10),
		"rc-code", strconv.Itoa(r.RC), "op-status", strconv.Itoa(r.OpStatus),
		"interval", strconv.FormatInt(r.IntervalMS, 10),
		"last-rc-change", strconv.FormatInt(r.Changed.Unix(), 10),
		"exec-time", strconv.FormatInt(r.ExecMS, 10), "queue-time", strconv.FormatInt(r.QueueMS, 10),
		"op-digest", r.Digest, "migrate_source", r.MigrateSource, "migrate_target", r.MigrateTarget)
}

// historyID is the place in the history that the record takes.
func (r OpRecord) historyID() string {
	switch {
	case r.Operation == "migrate_to" || r.Operation == "migrate_from":
		return r.Key()
	case r.Failed():
		return r.Resource + "_last_failure_0"
	case r.IntervalMS > 0:
		return r.Key()
	}
	return r.Resource + "_last_0"
}

// MergeOp returns the resource's history with the record in it. Kept are the
// last result, the last failure, the last result of each recurring operation
// and of migrations. A failed one-shot operation is both the last result and
// the last failure. A stop that succeeded ends the recurring operations.
func MergeOp(lrm *Node, r OpRecord) *Node {
	ids := []string{r.historyID()}
	if last := r.Resource + "_last_0"; r.Failed() && r.IntervalMS == 0 && ids[0] != last {
		ids = append(ids, last)
	}
	if r.Operation == "stop" && r.OpStatus == 0 && !r.Failed() {
		lrm = withoutRecurring(lrm)
	}
	for _, id := range ids {
		if old := lrm.ChildByID("lrm_rsc_op", id); old != nil {
			lrm = lrm.WithReplaced(old, nil)
		}
		lrm = lrm.WithChild(r.Element(id))
	}
	return lrm
}

func withoutRecurring(lrm *Node) *Node {
	for op := range lrm.Elements {
		if iv := op.Attr("interval"); op.Name() == "lrm_rsc_op" && iv != "" && iv != "0" && !strings.HasSuffix(op.ID(), "_last_failure_0") {
			lrm = lrm.WithReplaced(op, nil)
		}
	}
	return lrm
}

// DropOp returns the history without a recurring operation, after its cancel.
func DropOp(lrm *Node, operation string, intervalMS int64) *Node {
	if old := lrm.ChildByID("lrm_rsc_op", OpKey(lrm.ID(), operation, intervalMS)); old != nil {
		return lrm.WithReplaced(old, nil)
	}
	return lrm
}
