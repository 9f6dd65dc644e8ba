// Package api is how everything else speaks to a daemon: HTTP and JSON over a
// local socket (root and the group takt) and over mutual TLS between nodes.
package api

import (
	"time"

	"github.com/takt-ha/takt/cluster/link"
)

// Status is one screen about the cluster, as the answering node sees it.
type Status struct {
	Cluster     string           `json:"cluster"`
	Node        string           `json:"node"` // who answers
	Time        time.Time        `json:"time"`
	Version     string           `json:"version"`     // of takt
	CIBVersion  string           `json:"cib_version"` // admin_epoch.epoch.num_updates
	Coordinator string           `json:"coordinator"` // name of the leader, "" = none
	Term        uint64           `json:"term"`
	Generation  uint64           `json:"generation"`
	Quorum      Quorum           `json:"quorum"`
	Nodes       []NodeStatus     `json:"nodes"`
	Links       []LinkStatus     `json:"links"`
	Resources   []ResourceStatus `json:"resources"`
	Failures    []Failure        `json:"failures"`
	Pending     []Pending        `json:"pending"`           // what the transition in flight still waits for
	Settled     uint64           `json:"settled,omitempty"` // of the coordinator: place in the log of the newest configuration for which nothing was left to do
	Fencing     Fencing          `json:"fencing"`
	Superseded  []Superseded     `json:"superseded,omitempty"` // histories of this node that gave way, until acknowledged
	Alarms      []Alarm          `json:"alarms"`               // what makes the cluster unsafe or useless now: to be shown before all else
	Warnings    []string         `json:"warnings"`             // what a person should look at, worst first
	Pulse       *link.Status     `json:"pulse,omitempty"`
}

// Quorum says in words whether the cluster may act.
type Quorum struct {
	Quorate bool     `json:"quorate"`
	Reason  string   `json:"reason"`
	Voters  []string `json:"voters"`
	Alive   []string `json:"alive"`
	// Standing is how this node stands: quorate, tie or isolated, "" before the
	// heartbeats have said.
	Standing string `json:"standing"`
	// Words say what this node does about it, Waits for what it waits: a line each.
	Words []string `json:"words,omitempty"`
	Waits []string `json:"waits,omitempty"`
}

// Fencing says how nodes would be switched off.
type Fencing struct {
	Enabled bool           `json:"enabled"`
	Nodes   []FencingMeans `json:"nodes"`
}

// FencingMeans is what proves that a node is off.
type FencingMeans struct {
	Node  string `json:"node"`
	OK    bool   `json:"ok"`    // something does
	Words string `json:"words"` // "ilo-n2, tested 2026-05-01", or why nothing does
}

// Alarm is something that a person has to change, with the commands that do.
type Alarm struct {
	Text     string   `json:"text"`
	Commands []string `json:"commands,omitempty"` // one of them is enough; each with what it does after a #
}

// NodeStatus is one node.
type NodeStatus struct {
	ID          uint64 `json:"id"`
	Name        string `json:"name"`
	State       string `json:"state"` // online, offline, joining, leaving, "manager down"
	Voter       bool   `json:"voter"`
	Coordinator bool   `json:"coordinator"`
	Standby     bool   `json:"standby"`
	Maintenance bool   `json:"maintenance"`
	Realtime    string `json:"realtime,omitempty"` // of the answering node
	Witness     bool   `json:"witness,omitempty"`  // it votes and runs nothing
	Clean       bool   `json:"clean,omitempty"`    // cut off, and has stopped everything
	Unheard     bool   `json:"unheard,omitempty"`  // a member by the coordinator's word; the answering node does not hear it
	Unclean     string `json:"unclean,omitempty"`  // lost and not proven off: what it waits for
	Fenced      string `json:"fenced,omitempty"`   // proven off: by what
	Watchdog    string `json:"watchdog,omitempty"` // "armed, 5s", or why it is not
}

// LinkStatus is one link of the answering node to one peer.
type LinkStatus struct {
	Peer     string `json:"peer"`
	Link     int    `json:"link"` // from 1
	Local    string `json:"local"`
	Remote   string `json:"remote"`
	Up       bool   `json:"up"`
	RTT      int64  `json:"rtt_us"`
	Received int64  `json:"received"`
	Lost     int64  `json:"lost"`
	Late     int64  `json:"late"`
}

// ResourceStatus is one resource, with its members if it is a group.
type ResourceStatus struct {
	ID       string           `json:"id"`
	Agent    string           `json:"agent,omitempty"` // class:provider:type; empty for a group
	Role     string           `json:"role"`            // Started, Stopped, Starting, Stopping, Failed, …
	Nodes    []string         `json:"nodes"`           // where it is active
	Managed  bool             `json:"managed"`
	Disabled bool             `json:"disabled"` // target-role=Stopped
	Failures int              `json:"failures"`
	Why      string           `json:"why,omitempty"` // one sentence, where it is not as wished
	Since    time.Time        `json:"since,omitzero"`
	Members  []ResourceStatus `json:"members,omitempty"`
}

// Failure is one failed operation that is still remembered.
type Failure struct {
	Resource string    `json:"resource"`
	Node     string    `json:"node"`
	Action   string    `json:"action"`
	Code     int       `json:"rc"`
	Status   string    `json:"status"` // done, timed out, …
	Reason   string    `json:"reason"` // the agent's own words
	When     time.Time `json:"when"`
	Duration int64     `json:"duration_ms"`
}

// Pending is an action in flight.
type Pending struct {
	Transition uint64    `json:"transition"`
	Action     string    `json:"action"`
	Resource   string    `json:"resource"`
	Node       string    `json:"node"`
	Since      time.Time `json:"since"`
}

// Event is one line of the cluster's story.
type Event struct {
	Time       time.Time `json:"time"`
	Node       string    `json:"node"`                 // who reports
	Kind       string    `json:"kind"`                 // membership, link, quorum, fencing, failure, decision, action, result, config, daemon
	Transition string    `json:"transition,omitempty"` // "TERM.NUMBER", on every line that belongs to one
	Resource   string    `json:"resource,omitempty"`
	On         string    `json:"on,omitempty"` // node that it is about
	Text       string    `json:"text"`         // in words, with the agent's own where there are any
	Duration   int64     `json:"duration_us,omitempty"`
	Seq        uint64    `json:"seq"` // per reporting node, increasing
}

// Verb asks to do something to a resource or node:
// POST /v1/resources/ID/VERB and /v1/nodes/NAME/VERB.
type Verb struct {
	Node  string `json:"node,omitempty"`    // resource move, ban, clear, cleanup, refresh: which node
	Wait  int64  `json:"wait_ms,omitempty"` // wait until the cluster has settled, at most so long; 0: do not wait
	Force bool   `json:"force,omitempty"`
	User  string `json:"user,omitempty"` // who asks, for the history
}

// Outcome is the answer to a change.
type Outcome struct {
	Text       string   `json:"text"` // what happened, in words
	CIBVersion string   `json:"cib_version,omitempty"`
	Changes    []string `json:"changes,omitempty"` // a line a difference of the configuration
	Actions    []string `json:"actions,omitempty"` // what the cluster does, or would do, because of it
	Settled    bool     `json:"settled"`
	Warnings   []string `json:"warnings,omitempty"`
}

// Apply asks to change the configuration: POST /v1/cib/apply.
type Apply struct {
	XML    string `json:"xml"`    // a whole <cib>, or a fragment such as <resources>…</resources>, which replaces that section
	Source string `json:"source"` // file name, for messages
	DryRun bool   `json:"dry_run"`
	Wait   int64  `json:"wait_ms,omitempty"`
	User   string `json:"user,omitempty"`
	Ops    []Op   `json:"ops,omitempty"` // instead of XML: single operations
}

// Op is one operation on an element of the configuration, see cib.Op.
type Op struct {
	Kind   string `json:"kind"`
	ID     string `json:"id,omitempty"`
	Path   string `json:"path,omitempty"`
	Parent string `json:"parent,omitempty"`
	XML    string `json:"xml,omitempty"`
}

// Failed is the body of every answer that is not a success.
type Failed struct {
	Error string `json:"error"`
	Kind  string `json:"kind"` // errs.Kind
	Hint  string `json:"hint,omitempty"`
}
