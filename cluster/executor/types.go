// Package executor runs operations on this node's resources: one queue a
// resource, a process group an operation, recurring monitors, and the history
// of the last results.
//
// What it knows is kept under /run (gone with a reboot, as the resources are),
// so a daemon that restarts re-attaches to what runs.
package executor

import (
	"time"

	"github.com/takt-ha/takt/agent"
)

// Stamp orders commands. A command whose stamp is older than the newest that
// this node has seen is refused.
type Stamp struct {
	Generation uint64 `json:"generation"` // of the voter set; forced take-overs raise it
	Term       uint64 `json:"term"`       // of the coordinator
	Transition uint64 `json:"transition"` // within the term
	Action     int    `json:"action"`     // within the transition
}

// Command asks for one operation.
type Command struct {
	Stamp    Stamp             `json:"stamp"`
	Resource string            `json:"resource"`
	Agent    agent.ID          `json:"agent"`
	Action   string            `json:"action"`      // an OCF action, or Cancel
	Interval int64             `json:"interval_ms"` // > 0: a recurring monitor, its first result is the answer
	Timeout  int64             `json:"timeout_ms"`
	Target   agent.Code        `json:"target_rc"` // the exit code that is expected
	Params   map[string]string `json:"params,omitempty"`
	Meta     map[string]string `json:"meta,omitempty"`
}

// Cancel is the Action that ends the recurring operation of Interval.
const Cancel = "cancel"

// Forget is the Action that drops a resource's history (lrm_delete).
const Forget = "forget"

// Record is the last result of one operation (resource, action, interval) on this node.
type Record struct {
	Command Command      `json:"command"`
	Call    int64        `json:"call"`              // increases with each operation that this node starts
	Result  agent.Result `json:"result"`            // Status Pending while in flight
	Queued  int64        `json:"queued_ms"`         // how long it waited in the queue
	Changed time.Time    `json:"changed"`           // when Code last changed (recurring), else the end
	Noticed bool         `json:"noticed,omitempty"` // seen by a watcher, not by a poll
}
