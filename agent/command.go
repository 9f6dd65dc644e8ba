package agent

import "time"

// Stamp orders commands. A node refuses a command whose stamp is older than the
// newest that it has seen.
type Stamp struct {
	Generation uint64 `json:"generation"` // of the voter set; forced take-overs raise it
	Term       uint64 `json:"term"`       // of the coordinator
	Transition uint64 `json:"transition"` // within the term
	Action     int    `json:"action"`     // within the transition; negative: by the node itself
}

// Command asks a node for one operation.
type Command struct {
	Stamp    Stamp             `json:"stamp"`
	Resource string            `json:"resource"`
	Agent    ID                `json:"agent"`
	Action   string            `json:"action"`      // an OCF action, Cancel or Forget
	Interval int64             `json:"interval_ms"` // > 0: a recurring monitor, its first result is the answer
	Timeout  int64             `json:"timeout_ms"`  // > 0
	Target   Code              `json:"target_rc"`   // the exit code that is expected
	Params   map[string]string `json:"params,omitempty"`
	Meta     map[string]string `json:"meta,omitempty"`
}

// The actions that are the executor's own, not the agent's.
const (
	Cancel = "cancel" // ends the recurring operation of the command's interval
	Forget = "forget" // drops a resource's history on the node
)

// Record is the last result of one operation (resource, action, interval) on a node.
type Record struct {
	Command Command   `json:"command"`
	Call    int64     `json:"call"`              // increases with each operation that the node starts
	Result  Result    `json:"result"`            // Status Pending while in flight
	Queued  int64     `json:"queued_ms"`         // how long it waited in the node's queue
	Changed time.Time `json:"changed"`           // when Code last changed (recurring), else the end
	Noticed bool      `json:"noticed,omitempty"` // seen by a watcher, not by a poll
}
