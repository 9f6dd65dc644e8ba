// Package scheduler decides what has to happen: from an immutable snapshot of
// the cluster information base and a time it computes the transition that
// brings the cluster from what runs to what should run.
//
// It is pure: no I/O, no clock, no goroutine, no randomness. The same input
// gives the same bytes out. Semantics are Pacemaker's ("Pacemaker Explained").
package scheduler

import (
	"slices"
	"time"
)

// Kind is the kind of an action.
type Kind string

// The kinds of actions.
const (
	Resource Kind = "rsc"    // something an agent does on a node
	Pseudo   Kind = "pseudo" // a point in the order, nothing is done
	Cluster  Kind = "crm"    // something the cluster does itself (stonith, clear_failcount, do_shutdown, lrm_delete)
)

// ActionID is the index of an action in Transition.Actions.
type ActionID int

// Action is one vertex of a transition.
type Action struct {
	ID       ActionID          `json:"id"`
	Kind     Kind              `json:"kind"`
	Task     string            `json:"task"`                 // start, stop, monitor, promote, cancel, …; lrm_delete, clear_failcount, …
	Resource string            `json:"resource,omitempty"`   // the name the executor is told (no instance number for anonymous clones)
	Node     string            `json:"node,omitempty"`       // uname of the node where it happens
	Interval int64             `json:"interval_ms"`          // ms, 0 unless recurring
	Detail   string            `json:"detail,omitempty"`     // fencing: reboot/off/on; notify: phase-operation
	Timeout  int64             `json:"timeout_ms,omitempty"` // ms; of the operation
	Delay    int64             `json:"delay_ms,omitempty"`   // ms; of fencing: how long it is held back (priority-fencing-delay)
	TargetRC int               `json:"target_rc"`            // the exit code that counts as success (monitor of a stopped resource: 7)
	Agent    string            `json:"agent,omitempty"`      // class:provider:type
	Params   map[string]string `json:"params,omitempty"`     // instance attributes
	Meta     map[string]string `json:"meta,omitempty"`       // CRM_meta_* attributes, without the prefix
	Priority int               `json:"priority,omitempty"`   // higher first when limits bind
	Reason   string            `json:"reason"`               // why it is there, in words, never empty for real actions
	// Stuck says what the action waits for that cannot happen in this transition,
	// "" if nothing does: it is there, but must not be started.
	Stuck string `json:"stuck,omitempty"`
}

// Ordering says that Before must have ended with success before After starts.
type Ordering struct {
	Before ActionID `json:"before"`
	After  ActionID `json:"after"`
}

// Role is what a resource instance is.
type Role string

// The roles.
const (
	Stopped    Role = "Stopped"
	Started    Role = "Started"
	Promoted   Role = "Promoted"
	Unpromoted Role = "Unpromoted"
)

// TermKind is what a term comes from.
type TermKind string

// The kinds of terms.
const (
	TermLocation    TermKind = "location"    // a location constraint or one of its rules
	TermColocation  TermKind = "colocation"  // the resource follows, or avoids, another one
	TermPreference  TermKind = "preference"  // a resource that follows this one wants it there
	TermStickiness  TermKind = "stickiness"  // it runs there already
	TermFailure     TermKind = "failure"     // it failed there
	TermHealth      TermKind = "health"      // the node's health
	TermTicket      TermKind = "ticket"      // a ticket is missing
	TermUtilization TermKind = "utilization" // the node has too little left
	TermState       TermKind = "state"       // the node cannot run resources: offline, unclean, standby, maintenance, shutdown
	TermSymmetry    TermKind = "symmetry"    // opt-in cluster, and nothing allows this node
	TermDiscovery   TermKind = "discovery"   // resource-discovery forbids the node
	TermLimit       TermKind = "limit"       // clone-max, clone-node-max, promoted-max, promoted-node-max
	TermActive      TermKind = "active"      // it is active there, or another instance of it is
	TermRole        TermKind = "role"        // target-role, or a promotion score
	TermQuorum      TermKind = "quorum"      // the cluster has no quorum
	TermGone        TermKind = "gone"        // not configured any more
)

// Term is one reason for a score: what contributed how much on one node.
type Term struct {
	Node   string   `json:"node"`
	Score  Score    `json:"score"`
	Kind   TermKind `json:"kind,omitempty"`
	Object string   `json:"object,omitempty"` // id of the constraint, resource followed, ticket or node attribute concerned
	Why    string   `json:"why"`              // a full clause in words, naming the constraint or state and all figures
}

// Veto reports whether the term alone rules the node out.
func (t Term) Veto() bool { return t.Score <= -Infinity }

// Allocation is where one resource instance was placed, and why.
type Allocation struct {
	Resource string           `json:"resource"`
	Node     string           `json:"node,omitempty"`    // "" = nowhere
	Role     Role             `json:"role"`              // role it will have
	From     []string         `json:"from,omitempty"`    // nodes where it runs now
	Scores   map[string]Score `json:"scores,omitempty"`  // final score a node; with Options.Scores only
	Terms    []Term           `json:"terms,omitempty"`   // what made the scores; with Options.Scores only
	Reason   string           `json:"reason"`            // one sentence: why there, or why nowhere
	Recorded string           `json:"-"`                 // the name that the history has it by, where that is another one
	Blocked  bool             `json:"blocked,omitempty"` // left alone until somebody has looked; Reason says why
	// Ties are the nodes with the same score as Node, and by which rule they came
	// off second; with Options.Scores only.
	Ties       map[string]string `json:"ties,omitempty"`
	Unpromoted string            `json:"unpromoted,omitempty"` // why an instance of a promotable clone is not promoted, where something forbids it
}

// Transition is what has to happen.
type Transition struct {
	Actions     []Action     `json:"actions"`
	Order       []Ordering   `json:"order"`
	Allocations []Allocation `json:"allocations"`
	// Recheck is when the answer may change by time alone (a failure expires, a
	// rule begins); zero: never.
	Recheck time.Time `json:"recheck,omitzero"`
	// Warnings are findings about the configuration, in words.
	Warnings []string `json:"warnings,omitempty"`
	// ScoreLines is the table of scores that operators know, one line a resource
	// instance (or group, clone, bundle) and node, in the words and the order in
	// which crm_simulate -s prints it: "pcmk__primitive_assign: ip allocation
	// score on n1: INFINITY", "drbd:0 promotion score on n1: 10".
	ScoreLines []string `json:"-"`
}

// Empty reports whether nothing has to be done.
func (t *Transition) Empty() bool { return len(t.Actions) == 0 }

// InOrder returns the actions so that each comes after those it waits for; among
// those that could be next, the first in the transition. Actions in a circle are
// left out.
func (t *Transition) InOrder() []Action {
	waits := make([]int, len(t.Actions))
	after := make([][]ActionID, len(t.Actions))
	for _, o := range t.Order {
		waits[o.After]++
		after[o.Before] = append(after[o.Before], o.After)
	}
	var ready []ActionID
	for i, n := range waits {
		if n == 0 {
			ready = append(ready, ActionID(i))
		}
	}
	list := make([]Action, 0, len(t.Actions))
	for i := 0; i < len(ready); i++ {
		list = append(list, t.Actions[ready[i]])
		next := after[ready[i]]
		slices.Sort(next)
		for _, id := range next {
			if waits[id]--; waits[id] == 0 {
				ready = append(ready, id)
			}
		}
	}
	return list
}
