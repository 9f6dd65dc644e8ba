// Package agent is the contract between the cluster and what it manages: how an
// operation on a resource is asked for, and what comes back.
//
// The words are those of the Open Cluster Framework resource agent API 1.1:
// actions, exit codes, instance parameters (OCF_RESKEY_*) and meta attributes
// (OCF_RESKEY_CRM_meta_*). The folders below implement the contract for the
// classes ocf, lsb, systemd and for Takt's own agents (native).
package agent

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// ID names an agent: class, provider (ocf only) and type, written
// "ocf:heartbeat:IPaddr2" or "systemd:nginx".
type ID struct {
	Class    string `json:"class"`
	Provider string `json:"provider,omitempty"`
	Type     string `json:"type"`
}

// ParseID parses "class:provider:type", "class:type" and refuses anything else.
func ParseID(s string) (ID, error) {
	parts := strings.Split(s, ":")
	for _, p := range parts {
		if p == "" || strings.ContainsAny(p, "/\x00 ") {
			return ID{}, fmt.Errorf("agent %q: want CLASS:PROVIDER:TYPE or CLASS:TYPE, as in ocf:takt:IPaddr2 or systemd:nginx", s)
		}
	}
	switch {
	case len(parts) == 3 && parts[0] == "ocf":
		return ID{parts[0], parts[1], parts[2]}, nil
	case len(parts) == 2 && parts[0] != "ocf":
		return ID{Class: parts[0], Type: parts[1]}, nil
	}
	return ID{}, fmt.Errorf("agent %q: want CLASS:PROVIDER:TYPE or CLASS:TYPE, as in ocf:takt:IPaddr2 or systemd:nginx", s)
}

// String is the inverse of ParseID.
func (id ID) String() string {
	if id.Provider == "" {
		return id.Class + ":" + id.Type
	}
	return id.Class + ":" + id.Provider + ":" + id.Type
}

// The actions of the OCF resource agent API 1.1.
const (
	Start       = "start"
	Stop        = "stop"
	Monitor     = "monitor"
	Promote     = "promote"
	Demote      = "demote"
	Notify      = "notify"
	MigrateTo   = "migrate_to"
	MigrateFrom = "migrate_from"
	Reload      = "reload"
	ReloadAgent = "reload-agent"
	MetaData    = "meta-data"
	ValidateAll = "validate-all"
)

// Code is an exit code of the OCF resource agent API 1.1.
type Code int

// The exit codes.
const (
	OK               Code = 0   // success; monitor: running
	ErrGeneric       Code = 1   // soft error: retry here or move
	ErrArgs          Code = 2   // hard error: not on this node
	ErrUnimplement   Code = 3   // hard error: not on this node
	ErrPerm          Code = 4   // hard error: not on this node
	ErrInstalled     Code = 5   // hard error: not on this node
	ErrConfigured    Code = 6   // fatal error: on no node
	NotRunning       Code = 7   // monitor: cleanly stopped
	RunningPromoted  Code = 8   // monitor: running in the promoted role
	FailedPromoted   Code = 9   // monitor: failed in the promoted role
	Degraded         Code = 190 // running, but likely to fail soon
	DegradedPromoted Code = 191 // the same, promoted
	// Unknown stands for "no exit code": the agent did not end, or was never run.
	Unknown Code = 193
)

// Status says how an operation ended apart from its exit code. The numbers are
// those of the op-status attribute of lrm_rsc_op.
type Status int

// The states of an operation.
const (
	Pending      Status = -1 // in flight
	Done         Status = 0  // the agent ended and gave Code
	Cancelled    Status = 1  // taken back before it ended
	TimedOut     Status = 2  // did not end in time: its whole process group was ended
	NotSupported Status = 3  // the agent does not know the action
	Errored      Status = 4  // could not be run, see Reason
	NotInstalled Status = 7  // no such agent on this node
)

// Invocation asks for one operation on one resource.
type Invocation struct {
	Resource string            // the instance's name, OCF_RESOURCE_INSTANCE
	Agent    ID                // what to run
	Action   string            // one of the actions above
	Interval time.Duration     // of a recurring operation, else 0
	Timeout  time.Duration     // > 0; when it has passed, the operation is ended and has failed
	Params   map[string]string // instance attributes, without the OCF_RESKEY_ prefix
	Meta     map[string]string // meta attributes, without the CRM_meta_ prefix
}

// Result is how an operation ended.
type Result struct {
	Code     Code          // exit code, Unknown if there is none
	Status   Status        // Done unless the agent gave no exit code
	Reason   string        // the agent's own words for a failure (ocf_exit_reason), one line
	Output   string        // the last MaxOutput bytes of standard output and error
	Dropped  int64         // bytes of output not kept
	Started  time.Time     // wall clock at the start
	Duration time.Duration // how long it ran, by the monotonic clock
	// Promotion is how much the agent wishes its resource to be promoted on this node: a
	// score as in the CIB ("10000", "-INFINITY"), "" for no wish any more; nil: as before. Scripts say it
	// by crm_master or crm_attribute, native agents here.
	Promotion *string `json:",omitempty"`
}

// PromotionAttribute is the transient node attribute that holds the promotion score of a resource.
func PromotionAttribute(resource string) string { return "master-" + resource }

// MaxOutput is how many bytes of an operation's output are kept.
const MaxOutput = 16 << 10

// Agent runs operations of one agent type.
type Agent interface {
	// Run runs one operation to its end. It must return soon after ctx ends
	// and leave no process of the operation behind; the time-out is in ctx too.
	// An operation that could not be run is a Result, not an error.
	Run(ctx context.Context, inv Invocation) Result
	// Metadata returns the agent's description.
	Metadata(ctx context.Context) (*Metadata, error)
}

// Watcher is an Agent that notices by itself when a running resource fails:
// the exit of a process (pidfd), the state of a unit (D-Bus), the removal of an
// address (netlink). The recurring monitor remains as the backstop.
type Watcher interface {
	// Watch blocks until the resource, started earlier with inv's parameters,
	// is seen to have failed, and returns why; or until ctx ends, and returns
	// "". It works as well for a resource that an earlier daemon started.
	Watch(ctx context.Context, inv Invocation) (failure string)
}

// Registry finds agents.
type Registry interface {
	// Lookup returns the agent, or an *errs.Error of kind NotFound that names
	// the folders and classes looked through.
	Lookup(id ID) (Agent, error)
	// List returns every agent of this node, sorted.
	List() []ID
}
